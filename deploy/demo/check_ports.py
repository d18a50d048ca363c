#!/usr/bin/env python3
"""Tells which addresses of the demo are taken, by whom, and which setting moves them.

    check_ports.py [tcp|udp ADDRESS PORT WHAT VARIABLE]...

Prints one line for each address that cannot be bound and exits 1 when there is any.
"""

import errno
import re
import socket
import subprocess
import sys


def owner(kind: str, address: str, port: int) -> str:
    """ " by nginx (pid 12)", or nothing when the system does not tell."""
    everywhere = ("0.0.0.0", "*", "[::]")
    try:
        listing = subprocess.run(
            ["ss", "-Hlnp", f"--{kind}", f"sport = :{port}"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    for line in listing.stdout.splitlines():
        local = line.split()[3].rpartition(":")[0].partition("%")[0]
        found = re.search(r'users:\(\("([^"]+)",pid=(\d+)', line)
        if found and (local == address or local in everywhere):
            return f" by {found[1]} (pid {found[2]})"
    return ""


def complaint(kind: str, address: str, port: int, what: str, variable: str) -> str:
    place = f"{address}:{port} ({kind.upper()}, for {what})"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
        if kind == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if kind == "tcp":
                probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"{place} is taken{owner(kind, address, port)}: end that program, or set {variable} to another port"
            return f"{place} cannot be used: {error.strerror}; {variable} moves it"
    return ""


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 5 != 0:
        print(__doc__, file=sys.stderr)
        return 2
    complaints = []
    for kind, address, port, what, variable in zip(*[iter(arguments)] * 5):
        complaints.append(complaint(kind, address, int(port), what, variable))
    for line in filter(None, complaints):
        print(line)
    return 1 if any(complaints) else 0


if __name__ == "__main__":
    sys.exit(main())
