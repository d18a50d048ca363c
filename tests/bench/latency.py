#!/usr/bin/env python3
"""How long hits take below saturation, beside other caches, and while an edge does something else besides.

    tests/bench/latency.py [--rate 4000] [--seconds 10] [--repetitions 3] [--parts peers,beside]

h2load asks for 1 KiB over 16 HTTP/2 connections, one stream each, at so many requests a second in all; figures are
milliseconds from its log, p50 and p99, medians of the repetitions. `peers`: the edge and what else is installed, taking
turns. `beside`: one edge, whose store of 64 MiB is full, while nothing else happens to it; while it is told to forget
other URLs, fifty times a second, by a tag at that; while 200 objects a second come that it has not and that are stale
after a second, so that it evicts and sweeps; while its configuration is reloaded twice a second; while 1 GiB is
uploaded through it. Each is run between two halves of quiet, and the last column compares p99 with theirs.

One worker on one core; h2load, the origin and whoever causes the trouble have the other. Wants what compare.py does.
"""

import argparse
import contextlib
import http.server
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from compare import CLIENT_CORE, NO_PEERS, SERVER_CORE, Run, demand_machine, parser_of, running
from compare_servers import SERVERS, Edge, Place, free_port
from local_fleet import quantile

CONNECTIONS = 16
UPLOAD_BYTES = 1 << 30
TOKEN = "a-token-of-the-latency-benchmark-alone"
Quantiles = tuple[float, float]


class FullEdge(Edge):
    """With a listener for its administrator, and a site that takes uploads."""

    def __init__(self, place: Place, sink_port: int):
        place.disk_mib = 64
        self.admin_port = free_port()
        token = place.write("token", TOKEN + "\n")
        self.more = f"""
[[site]]
name = "uploads"
hosts = ["uploads.test"]
origins = ["http://127.0.0.1:{sink_port}"]
[admin]
address = "127.0.0.1:{self.admin_port}"
token_file = "{token}"
"""

    def purge(self, order: dict) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}/purge",
                                         json.dumps({"site": "bench", **order}).encode(),
                                         {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()


class Sink(http.server.BaseHTTPRequestHandler):
    """An origin that reads what is uploaded, and throws it away."""
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        with contextlib.suppress(ConnectionError):  # the measurement has ended before it
            while left > 0:
                left -= len(self.rfile.read(min(left, 1 << 20)))
            self.send_response(204)
            self.end_headers()

    def log_message(self, *_arguments) -> None:
        pass


def hits(place: Place, rate: int, seconds: int) -> Quantiles:
    log = place.folder / "requests"
    log.unlink(missing_ok=True)
    total = rate * seconds
    subprocess.run(["taskset", "-c", CLIENT_CORE, "h2load", "-t", "1", "-c", str(CONNECTIONS), "-m", "1", "-n",
                    str(total), f"--rps={rate / CONNECTIONS}", f"--log-file={log}",
                    f"https://127.0.0.1:{place.port}/1k"], check=True, capture_output=True)
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    wrong = sum(row[1] != "200" for row in rows)
    if wrong or len(rows) != total:
        raise SystemExit(f"{len(rows)} of {total} requests were answered, {wrong} of them not with 200")
    times = [int(row[2]) / 1000 for row in rows]
    return quantile(times, 0.5), quantile(times, 0.99)


@contextlib.contextmanager
def again_and_again(act: Callable[[], object], pause: float) -> Iterator[None]:
    """Until the block ends. What fails in it fails all."""
    ended, failures = threading.Event(), []

    def work() -> None:
        while not ended.is_set():
            try:
                act()
            except Exception as error:  # noqa: BLE001
                failures.append(error)
                return
            ended.wait(pause)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failures:
        raise SystemExit(f"beside the requests: {failures[0]}")


@contextlib.contextmanager
def program(command: list[str]) -> Iterator[None]:
    """That is still at it when the block ends, or has come to a good end."""
    process = subprocess.Popen(["taskset", "-c", CLIENT_CORE, *command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        yield
        if process.poll() not in (None, 0):
            raise SystemExit(f"{command[0]} failed: {process.stderr.read()}")
    finally:
        process.kill()
        process.communicate()


class Besides:
    """What an edge may have to do while it serves."""

    def __init__(self, edge: FullEdge, place: Place, process: subprocess.Popen, options: argparse.Namespace):
        self.edge, self.place, self.process, self.options = edge, place, process, options
        self.purged = 0
        self.big = place.folder / "big"
        with self.big.open("wb") as file:
            file.truncate(UPLOAD_BYTES)

    def purge(self) -> None:
        self.purged += 1
        self.edge.purge({"tags": [f"tag-{self.purged}"]} if self.purged % 2 else {"urls": [f"/other-{self.purged}"]})

    def fill(self, rate: int, seconds: int) -> list[str]:
        """Asks for objects that nobody has asked for."""
        list_file = self.place.folder / "uris"
        base = f"https://127.0.0.1:{self.place.port}/short/16k/{time.monotonic_ns()}"
        list_file.write_text("".join(f"{base}.{n}\n" for n in range(rate * seconds)))
        return ["h2load", "-c", "1", "-m", "4", "-n", str(rate * seconds), f"--rps={rate}", "-i", str(list_file)]

    def all(self) -> dict[str, Callable[[], contextlib.AbstractContextManager]]:
        port, pace = self.place.port, UPLOAD_BYTES // self.options.seconds
        upload = ["curl", "-ksSf", "--http1.1", "-T", str(self.big), "--limit-rate", str(pace), "--resolve",
                  f"uploads.test:{port}:127.0.0.1", f"https://uploads.test:{port}/big"]
        return {
            "50 purges a second": lambda: again_and_again(self.purge, 0.02),
            "200 misses a second, eviction, sweeping": lambda: program(self.fill(200, self.options.seconds)),
            "two reloads a second": lambda: again_and_again(lambda: self.process.send_signal(signal.SIGHUP), 0.5),
            "an upload of 1 GiB": lambda: program(upload),
        }


def middle(pairs: list[Quantiles]) -> Quantiles:
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def measure_peers(run: Run, options: argparse.Namespace) -> None:
    names = [name for name, server in SERVERS.items()
             if name not in NO_PEERS[1:] and server.is_there(options.edge, options.floor)]
    found: dict[str, list[Quantiles]] = {name: [] for name in names}
    for _ in range(options.repetitions):
        for name in names:
            place = run.place(name, run.origin_place.port)
            processes = run.start(SERVERS[name](), place, SERVER_CORE)
            try:
                run.warm(place, "h2-1k")
                found[name].append(hits(place, options.rate, options.seconds))
                print(name, *found[name][-1], file=sys.stderr, flush=True)
            finally:
                run.stop(processes)
    print(f"| {options.rate} requests a second | p50 ms | p99 ms |\n|---|---|---|")
    for name in names:
        print("| {} | {:.2f} | {:.2f} |".format(name, *middle(found[name])))


def measure_besides(run: Run, options: argparse.Namespace) -> None:
    sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    place = run.place("edge", run.origin_place.port)
    edge = FullEdge(place, sink.server_address[1])
    processes = run.start(edge, place, SERVER_CORE)
    try:
        run.warm(place, "h2-1k")
        besides = Besides(edge, place, processes[0], options)
        subprocess.run(["taskset", "-c", CLIENT_CORE, *besides.fill(2000, 4)], check=True, capture_output=True)
        found: dict[str, list[tuple[Quantiles, Quantiles]]] = {}
        for _ in range(options.repetitions):
            for what, begin in besides.all().items():
                half = max(1, options.seconds // 2)
                before = hits(place, options.rate, half)
                with begin():
                    busy = hits(place, options.rate, options.seconds)
                after = hits(place, options.rate, half)
                quiet = ((before[0] + after[0]) / 2, (before[1] + after[1]) / 2)
                found.setdefault(what, []).append((quiet, busy))
                print(what, quiet, busy, file=sys.stderr, flush=True)
    finally:
        run.stop(processes)
        sink.shutdown()
    print("| beside it | quiet: p50 ms | p99 ms | then: p50 ms | p99 ms | p99 to the quiet one |")
    print("|---|---|---|---|---|---|")
    for what, pairs in found.items():
        quiet, busy = middle([pair[0] for pair in pairs]), middle([pair[1] for pair in pairs])
        print("| {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |".format(what, *quiet, *busy, busy[1] / quiet[1]))


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--rate", type=int, default=4000, help="requests a second")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--parts", default="peers,beside")
    options = parser.parse_args()
    demand_machine(parser)
    parts = {"peers": measure_peers, "beside": measure_besides}
    unknown = [part for part in options.parts.split(",") if part not in parts]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(parts)}")
    options.parts = [parts[part] for part in options.parts.split(",")]
    return options


def main() -> None:
    options = parse()
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    with running(options) as run:
        for part in options.parts:
            part(run, options)


if __name__ == "__main__":
    main()
