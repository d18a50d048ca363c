#!/usr/bin/env python3
"""What connections take of a server's memory while they rest, and while they read slowly; beside other caches.

    tests/bench/connections.py [--servers edge,haproxy,nginx] [--idle 2000,15000] [--slow 500] [--repetitions 1]

Idle: TLS 1.3 connections over HTTP/2 that have asked for 1 KiB each and then nothing for five seconds. Slow: each has
asked for 4 MiB, with windows as large, and reads 4 KiB of it a second, so that the server has all of it to send and
nowhere to put it. Each asks as soon as it is connected: a silent one is closed after a while. Printed are KiB of the
processes' memory (Pss) a connection, without the kernel's socket buffers; nothing where connections were closed.
One worker. The clients' addresses are many (127.1.x.y), as limits by client are not what is measured.
"""

import argparse
import contextlib
import resource
import select
import socket
import ssl
import statistics
import sys
import time

from compare import (ASK_FOR_1K, SERVER_CORE, Run, demand_machine, memory_kib, parser_of, running, text_of, tree_of)
from compare_servers import SERVERS, Place

REST_SECONDS, SLOW_SECONDS = 5, 8
SLOW_STEP = 4096
# The preface; SETTINGS with an initial window of 4 MiB; as much for the connection; GET https://localhost/4m
ASK_FOR_4M = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
              + bytes.fromhex("000006040000000000" "000400400000" "000004080000000000" "00400000" "000012010500000001"
                              "8287") + b"\x04\x03/4m\x01\x09localhost")
SETTINGS_ACK = bytes.fromhex("000000040100000000")
PATIENCE_SECONDS = 10
# Files beside those of the connections.
SPARE_FILES = 200


def connect(held: contextlib.ExitStack, place: Place, number: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.socket()
    plain.settimeout(PATIENCE_SECONDS)
    plain.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: a port for each address and server
    plain.bind((f"127.1.{number // 250 % 250}.{number % 250 + 1}", 0))
    plain.connect(("127.0.0.1", place.port))
    return held.enter_context(context.wrap_socket(plain))


def read_slowly(connections: list[ssl.SSLSocket]) -> int:
    """A step of each in each second. Bytes read."""
    read = 0
    for _ in range(SLOW_SECONDS):
        began = time.monotonic()
        for connection in connections:
            if connection.pending() or select.select([connection], [], [], 0)[0]:
                read += len(connection.recv(SLOW_STEP))
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))
    return read


def closed(connection: ssl.SSLSocket) -> bool:
    """Whether the server has ended it, as after a time of rest."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except ssl.SSLWantReadError:
        return False
    return True


def measure(run: Run, name: str, count: int, slow: bool) -> float:
    """KiB a connection."""
    place = run.place(name, run.origin_place.port)
    processes = run.start(SERVERS[name](), place, SERVER_CORE)
    try:
        run.warm(place, "h2-4m" if slow else "h2-1k")
        pids = [pid for process in processes for pid in tree_of(process.pid)]
        context = ssl.create_default_context(cafile=str(place.chain))
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        before = memory_kib(pids)
        with contextlib.ExitStack() as held:
            connections = []
            for number in range(count):
                connection = connect(held, place, number, context)
                connections.append(connection)
                connection.sendall(ASK_FOR_4M if slow else ASK_FOR_1K)
                if not slow and not connection.recv(65536):
                    raise ConnectionError("a connection was closed")
                connection.sendall(SETTINGS_ACK)
            if not slow:
                time.sleep(REST_SECONDS)
            elif read_slowly(connections) < count * SLOW_STEP * SLOW_SECONDS // 2:
                raise ConnectionError("less than half of what was to be read has come")
            figure = (memory_kib(pids) - before) / count
            ended = 0 if slow else sum(map(closed, connections))
            if ended:
                raise ConnectionError(f"{ended} of the connections were closed meanwhile")
            return figure
    finally:
        run.stop(processes)


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--servers", default="edge,haproxy,nginx")
    parser.add_argument("--idle", default="2000,15000")
    parser.add_argument("--slow", default="500")
    options = parser.parse_args()
    demand_machine(parser)
    options.cases = [(int(count), slow) for slow, counts in ((False, options.idle), (True, options.slow))
                     for count in counts.split(",") if count]
    most = max(count for count, _ in options.cases) + SPARE_FILES
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < most:
        parser.error(f"{most} files are needed, {hard} are allowed: ulimit -Hn {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    return options


def main() -> None:
    options = parse()
    options.servers = [name for name in options.servers.split(",")
                       if SERVERS[name].is_there(options.edge, options.floor)]
    print("| KiB a connection | " + " | ".join(options.servers) + " |\n" + "|---" * (len(options.servers) + 1) + "|")
    with running(options) as run:
        for count, slow in options.cases:
            cells = []
            for name in options.servers:
                figures = []
                for _ in range(options.repetitions):
                    try:
                        figures.append(measure(run, name, count, slow))
                    except OSError as error:
                        print(f"{name}, {count} {'slow' if slow else 'idle'}: {error}", file=sys.stderr)
                cells.append(text_of(statistics.median(figures)) if figures else "–")
            title = f"{count:,} that read 4 MiB slowly" if slow else f"{count:,} that rest"
            print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
