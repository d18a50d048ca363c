#!/usr/bin/env python3
"""The edge beside other caches, all on this machine: docs/performance.md's first table, run again by anybody.

    apt-get install nghttp2-client nginx-light haproxy            # and, if wanted: varnish hitch trafficserver
    cmake --build --preset release --target nearside-edge floor
    tests/bench/compare.py [--servers edge,haproxy,nginx] [--cases h2-1k,miss] [--repetitions 3] [--json FILE]

What is measured is CPU time: user and system time of all of a server's processes, from /proc, divided by the requests
answered. One worker each, TLS 1.3 with AES-128-GCM, access logs off, an origin on loopback (nginx). The server has one
core, h2load and the origin have the other; servers take turns within a repetition; printed are medians, and ours
divided by that of the best cache. A row counts only if every request was answered with 2xx, and, of hits, if the
origin saw none of them; of misses it says which share is held afterwards, as a cache under load may give up storing.
`floor` (tests/bench/floor.cc) is no cache: it is what the libraries alone take. Edges that take part if they are named:
`edge-2` has two workers on both cores (what a request costs there says what they share), `edge-later` has
`disk_min_uses = 2`, so that misses fill its memory alone, as haproxy's.

Wants two cores with nothing else running, and root, for servers that change their user.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from compare_servers import SERVERS, Origin, Place, free_port

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"1k": 1 << 10, "16k": 16 << 10, "256k": 256 << 10, "4m": 4 << 20}
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
SERVER_CORE, CLIENT_CORE = "0", "1"
ONLY_NAMED = ("edge-2", "edge-later")
NO_PEERS = ("edge", "floor", *ONLY_NAMED)
IDLE_CONNECTIONS = 1000
FULL_MEMORY_MIB, FULL_DISK_MIB = 64, 256
FULL_AFTER = 32_000  # misses of 16 KiB, 500 MiB
HELD_STEP = 5  # of the objects that were missed each fifth is asked for again
# HTTP/2: the preface, empty SETTINGS, and on stream 1 a HEADERS that ends it: GET https://localhost/1k
ASK_FOR_1K = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000" "000012010500000001" "8287")
              + b"\x04\x03/1k\x01\x09localhost")

# name: what h2load is told beside the address; how many requests; the object, "" for one of its own for each request
CASES = {
    "h2-1k": (["-c", "32", "-m", "32"], 200_000, "1k", "HTTP/2, 1 KiB, 32 connections x 32 streams"),
    "h2-16k": (["-c", "32", "-m", "32"], 60_000, "16k", "HTTP/2, 16 KiB"),
    "h2-256k": (["-c", "32", "-m", "32"], 8_000, "256k", "HTTP/2, 256 KiB"),
    "h2-4m": (["-c", "8", "-m", "4"], 600, "4m", "HTTP/2, 4 MiB, 8 connections x 4 streams"),
    "h2-m1": (["-c", "32", "-m", "1"], 60_000, "1k", "HTTP/2, 1 KiB, one stream a connection"),
    "h1-1k": (["-c", "32", "--h1"], 60_000, "1k", "HTTP/1.1, 1 KiB, keep-alive"),
    # evenly, 500 a second: a burst each second would ask for the memory of hundreds at a time
    "tls": (["-c", "2000", "-r", "5", "--rate-period=10ms", "-m", "1"], 2_000, "1k",
            "a new TLS connection and one request"),
    "miss": (["-c", "16", "-m", "4"], 8_000, "", "misses of 16 KiB that fill the cache"),
    "miss-full": (["-c", "16", "-m", "4"], 8_000, "",
                  f"misses of 16 KiB into a full cache: RAM {FULL_MEMORY_MIB} MiB, disk {FULL_DISK_MIB} MiB"),
    "idle": ([], IDLE_CONNECTIONS, "1k", "KiB of memory an idle TLS connection"),
}


def tree_of(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cpu_us(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK_US


def memory_kib(pids: list[int]) -> float:
    """Memory of the processes, what they share counted once."""
    return sum(float(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
               for pid in pids)


class Run:
    """One comparison: the origin, its objects, and the servers that are measured in turn."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options = options
        self.folder = folder
        self.documents = folder / "documents"
        self.documents.mkdir()
        for name, size in SIZES.items():
            (self.documents / name).write_bytes(os.urandom(size))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                        folder / "key.pem", "-out", folder / "chain.pem"], check=True, capture_output=True)
        both = (folder / "chain.pem").read_text() + (folder / "key.pem").read_text()
        (folder / "both.pem").write_text(both)
        for readable in ("key.pem", "both.pem"):
            (folder / readable).chmod(0o644)
        self.origin_place = self.place("origin", 0)
        self.origin = self.start(Origin(), self.origin_place, CLIENT_CORE)

    def place(self, name: str, origin_port: int) -> Place:
        own = self.folder / name
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        own.chmod(0o777)
        return Place(folder=own, port=free_port(), origin_port=origin_port, documents=self.documents,
                     chain=self.folder / "chain.pem", key=self.folder / "key.pem", both=self.folder / "both.pem",
                     programs={"edge": self.options.edge, "floor": self.options.floor})

    @staticmethod
    def start(server, place: Place, core: str) -> list[subprocess.Popen]:
        log = (place.folder / "log").open("w")
        return [subprocess.Popen(["taskset", "-c", core, *command], stdout=log, stderr=log, start_new_session=True)
                for command in server.commands(place)]

    @staticmethod
    def stop(processes: list[subprocess.Popen]) -> None:
        trees = [pid for process in processes for pid in tree_of(process.pid)]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in trees:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def origin_visits(self) -> int:
        """Requests that the origin has answered, this one not."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.origin_place.port}/visits", timeout=5) as answer:
            return int(answer.read().split()[9]) - 1

    @staticmethod
    def warm(place: Place, case: str) -> None:
        """Asks until it answers, and once more."""
        url = f"https://127.0.0.1:{place.port}/{CASES[case][2] or '1k'}"
        ask = ["curl", "-ksf", "--max-time", "5", "-o", str(place.folder / "answer"), url]
        for _ in range(100):
            if subprocess.run(ask, check=False).returncode == 0:
                break
            time.sleep(0.1)
        subprocess.run(ask, check=True)
        subprocess.run(ask, check=True)

    def measure(self, name: str, case: str) -> float | None:
        server = SERVERS[name]()
        place = self.place(name, self.origin_place.port)
        place.body_bytes = SIZES[CASES[case][2] or "16k"]
        if case == "miss-full":
            place.memory_mib, place.disk_mib = FULL_MEMORY_MIB, FULL_DISK_MIB
        both = name == "edge-2"
        processes = self.start(server, place, f"{SERVER_CORE},{CLIENT_CORE}" if both else SERVER_CORE)
        try:
            self.warm(place, case)
            if case == "miss-full" and not self.fill(name, place):
                return None
            pids = [pid for process in processes for pid in tree_of(process.pid)]
            return self.idle(place, pids) if case == "idle" else self.load(name, case, place, pids)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{name}, {case}: {error}; {(place.folder / 'log').read_text()[-500:]}", file=sys.stderr)
            return None
        finally:
            self.stop(processes)

    @staticmethod
    def asking(place: Place, requests: int, *more: str) -> list[str]:
        return ["taskset", "-c", CLIENT_CORE, "h2load", "-t", "1", "-n", str(requests),
                "--tls13-ciphers=TLS_AES_128_GCM_SHA256", *more]

    def misses(self, place: Place, requests: int, name: str, step: int = 1) -> list[list[str]]:
        """Loads of which each request is for an object of its own; with `step`, for each so many-th of them."""
        loads, numbers = [], range(0, requests // 16, step)
        for part in range(16):  # one h2load walks its list in the same order on each connection, so each has its own
            uris = place.folder / f"uris{part}"
            uris.write_text("".join(f"https://127.0.0.1:{place.port}/as/16k/{name}.{part}.{n}\n" for n in numbers))
            loads.append(self.asking(place, len(numbers), "-c", "1", "-m", "4", "-i", str(uris)))
        return loads

    @staticmethod
    def fetch(loads: list[list[str]]) -> int:
        """Runs them at once; how many requests were answered with 2xx."""
        running = [subprocess.Popen(load, stdout=subprocess.PIPE, text=True) for load in loads]
        texts = [process.communicate()[0] for process in running]
        return sum(int(number) for text in texts for number in re.findall(r"status codes: (\d+) 2xx", text))

    def fill(self, name: str, place: Place) -> bool:
        good = self.fetch(self.misses(place, FULL_AFTER, "before"))
        if good != FULL_AFTER:
            print(f"{name}: {good} of {FULL_AFTER} that fill it were answered with 2xx", file=sys.stderr)
        time.sleep(2)  # what is still to be written does not belong to what is timed
        return good == FULL_AFTER

    def load(self, name: str, case: str, place: Place, pids: list[int]) -> float | None:
        extra, requests, path, _ = CASES[case]
        loads = (self.misses(place, requests, "timed") if not path else
                 [self.asking(place, requests, *extra, f"https://127.0.0.1:{place.port}/{path}")])
        visits, before = self.origin_visits(), cpu_us(pids)
        good = self.fetch(loads)
        if not path:
            time.sleep(1)  # what is still to be written belongs to it
        spent, visits = cpu_us(pids) - before, self.origin_visits() - visits - 1
        wanted = requests if not path else 0
        if good != requests or (name != "floor" and abs(visits - wanted) > requests // 1000):
            said = f"{good} of {requests} were answered with 2xx; the origin saw {visits}"
            print(f"{name}, {case}: {said}", file=sys.stderr)
            return None
        if not path and name != "floor":
            visits = self.origin_visits()
            asked = self.fetch(self.misses(place, requests, "timed", HELD_STEP))
            held = 1 - (self.origin_visits() - visits - 1) / asked
            print(f"{name}, {case}: of every {HELD_STEP}th object it holds {held:.0%}", file=sys.stderr)
        return spent / requests

    @staticmethod
    def idle(place: Place, pids: list[int]) -> float:
        """What connections take that have asked for one thing, and then nothing for some seconds."""
        before = memory_kib(pids)
        context = ssl.create_default_context(cafile=str(place.chain))
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        with contextlib.ExitStack() as held:
            for _ in range(IDLE_CONNECTIONS):
                plain = socket.create_connection(("127.0.0.1", place.port))
                connection = held.enter_context(context.wrap_socket(plain))
                connection.sendall(ASK_FOR_1K)
                connection.recv(65536)
            time.sleep(3)
            return (memory_kib(pids) - before) / IDLE_CONNECTIONS


def text_of(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"


def table(results: dict[str, dict[str, list[float]]], servers: list[str]) -> str:
    caches = [name for name in servers if name not in NO_PEERS]
    lines = ["| case | " + " | ".join(servers) + " | ours to the best cache |", "|---" * (len(servers) + 2) + "|"]
    for case, by_server in results.items():
        medians = {name: statistics.median(values) for name, values in by_server.items() if values}
        others = [medians[name] for name in caches if name in medians]
        ratio = f"{medians['edge'] / min(others):.2f}" if others and "edge" in medians else "–"
        cells = [text_of(medians[name]) if name in medians else "–" for name in servers]
        lines.append(f"| {CASES[case][3]} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)


def parser_of(text: str) -> argparse.ArgumentParser:
    """With what every comparison is told."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--edge", default=str(ROOT / "build/release/bin/nearside-edge"))
    parser.add_argument("--floor", default=str(ROOT / "build/release/tests/floor"))
    parser.add_argument("--folder", help="where the servers keep their files: on a disk, not in memory")
    return parser


def demand_machine(parser: argparse.ArgumentParser) -> None:
    for program in ("h2load", "nginx", "openssl", "curl", "taskset"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not installed")
    if (os.cpu_count() or 1) < 2:
        parser.error("two cores are needed: one for the server, one for the client and the origin")


@contextlib.contextmanager
def running(options: argparse.Namespace) -> Iterator[Run]:
    """An origin and a folder, both gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="compare-", dir=options.folder))
    folder.chmod(0o755)
    run = None
    try:
        run = Run(options, folder)
        yield run
    finally:
        if run is not None:
            run.stop(run.origin)
        shutil.rmtree(folder, ignore_errors=True)


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--servers", help="default: all that are installed")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    demand_machine(parser)
    options.cases = options.cases.split(",")
    unknown = [case for case in options.cases if case not in CASES]
    installed = [name for name, server in SERVERS.items() if server.is_there(options.edge, options.floor)]
    usual = [name for name in installed if name not in ONLY_NAMED]
    options.servers = options.servers.split(",") if options.servers else usual
    unknown += [name for name in options.servers if name not in installed]
    if unknown:
        parser.error(f"unknown, or not installed: {', '.join(unknown)}")
    return options


def main() -> None:
    options = parse()
    results: dict[str, dict[str, list[float]]] = {}
    for case in options.cases:
        results[case] = {name: [] for name in options.servers}
    with running(options) as run:
        for _ in range(options.repetitions):
            for case in options.cases:
                for name in options.servers:
                    figure = run.measure(name, case)
                    if figure is not None:
                        results[case][name].append(figure)
                        print(f"{case} {name} {figure:.2f}", file=sys.stderr, flush=True)
    print(table(results, options.servers))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
