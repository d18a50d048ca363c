#!/usr/bin/env python3
"""Tells which addresses of the demo are taken, by whom, and which setting moves them.

    check_ports.py [tcp|udp ADDRESS PORT WHAT VARIABLE]...

Prints one line for each address that cannot be bound, and for each that two services of the demo want; exits 1 when
there is any.
"""

import dataclasses
import errno
import itertools
import re
import socket
import subprocess
import sys

EVERYWHERE = ("0.0.0.0", "*", "[::]")


@dataclasses.dataclass
class Service:
    kind: str  # "tcp" or "udp"
    address: str
    port: str
    what: str
    variable: str  # the setting that moves it

    def place(self) -> str:
        return f"{self.address}:{self.port} ({self.kind.upper()}, for {self.what})"

    def has_port(self) -> bool:
        return self.port.isascii() and self.port.isdigit() and 0 < int(self.port) < 65536


def listeners(kind: str, port: int) -> str:
    """What `ss` says of a port; nothing when the system does not tell."""
    try:
        return subprocess.run(["ss", "-Hlnp", f"--{kind}", f"sport = :{port}"], capture_output=True, text=True,
                              timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def owner(address: str, listing: str) -> str:
    """ " by nginx (pid 12)": who has that address, or all addresses, in a listing of `ss`."""
    for line in listing.splitlines():
        local = line.split()[3].rpartition(":")[0].partition("%")[0]
        found = re.search(r'users:\(\("([^"]+)",pid=(\d+)', line)
        if found and (local == address or local in EVERYWHERE):
            return f" by {found[1]} (pid {found[2]})"
    return ""


def complaint(service: Service) -> str:
    if not service.has_port():
        return f"{service.variable}={service.port} is no port: 1 to 65535"
    port = int(service.port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if service.kind == "tcp" else socket.SOCK_DGRAM) as probe:
        if service.kind == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((service.address, port))
            if service.kind == "tcp":
                probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                by = owner(service.address, listeners(service.kind, port))
                return f"{service.place()} is taken{by}: end that program, or set {service.variable} to another port"
            return f"{service.place()} cannot be used: {error.strerror}; {service.variable} moves it"
    return ""


def clashes(services: list[Service]) -> list[str]:
    """Services of the demo that are in each other's way."""
    return [f"{one.address}:{one.port} ({one.kind.upper()}) is meant for {one.what} ({one.variable}) and for "
            f"{other.what} ({other.variable}): set one of them to another port"
            for one, other in itertools.combinations([each for each in services if each.has_port()], 2)
            if one.kind == other.kind and int(one.port) == int(other.port)
            and (one.address == other.address or EVERYWHERE[0] in (one.address, other.address))]


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 5 != 0:
        print(__doc__, file=sys.stderr)
        return 2
    services = [Service(*five) for five in zip(*[iter(arguments)] * 5)]
    complaints = clashes(services) + list(filter(None, map(complaint, services)))
    for line in dict.fromkeys(complaints):
        print(line)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
