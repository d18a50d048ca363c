#!/usr/bin/env python3
"""A visitor who never stops asking: requests over connections of their own, one after the other.

    hammer.py --seconds N [--until FILE] [--host www.demo.test] [--ca FILE] [--path /] [--fresh] [--every MS]
              [--connect SECONDS]

Each request resolves the name anew and, when an address does not take the connection within a second (--connect), goes
to the next one of the answer. What no address answers, or what is no 200, has failed. Says "asking" after the first,
and one JSON object at the end: after so many seconds, or when the file is there. --fresh asks for another URL each
time, so that no edge has it. What has failed, and the sums at the end, are lines of JSON in the file that the
environment names as VISITOR_LOG, too.
"""

import argparse
import hashlib
import json
import os
import pathlib
import socket
import ssl
import sys
import time

ANSWER_SECONDS = 5.0


def addresses(host: str) -> list[str]:
    found = socket.getaddrinfo(host, 443, socket.AF_INET, socket.SOCK_STREAM)
    return list(dict.fromkeys(each[4][0] for each in found))


def exchange(address: str, options: argparse.Namespace, path: str, context: ssl.SSLContext) -> tuple[int, dict, bytes]:
    request = f"GET {path} HTTP/1.1\r\nHost: {options.host}\r\nUser-Agent: hammer\r\nConnection: close\r\n\r\n"
    with socket.create_connection((address, 443), timeout=options.connect) as plain:
        with context.wrap_socket(plain, server_hostname=options.host) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.sendall(request.encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if "content-length" in fields and int(fields["content-length"]) != len(body):
        raise OSError(f"a body of {len(body)} bytes instead of {fields['content-length']}")
    if "chunked" in fields.get("transfer-encoding", ""):
        body = join_chunks(body)
    return status, fields, body


def join_chunks(rest: bytes) -> bytes:
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        length = int(size.split(b";")[0] or b"x", 16) if found else -1
        if length < 0 or len(rest) < length + 2:
            raise OSError("a body that breaks off")
        if length == 0:
            return body
        body += rest[:length]
        rest = rest[length + 2:]


def log_line(line: dict) -> None:
    with open(os.environ.get("VISITOR_LOG", os.devnull), "w", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


class Tally:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.sent = self.failed = self.retried = 0
        self.slowest = 0.0
        self.last_failure = 0.0
        self.errors: dict[str, int] = {}
        self.served: dict[str, int] = {}
        self.bodies: dict[str, int] = {}
        self.order: list[list] = []  # [server, body] where either changes

    def fail(self, why: str) -> None:
        self.failed += 1
        self.errors[why] = self.errors.get(why, 0) + 1
        self.last_failure = time.monotonic() - self.began

    def serve(self, fields: dict, body: bytes) -> None:
        server = fields.get("cache-status", "origin").split(";")[0].strip('"')
        digest = hashlib.sha256(body).hexdigest()[:12]
        self.served[server] = self.served.get(server, 0) + 1
        self.bodies[digest] = self.bodies.get(digest, 0) + 1
        if not self.order or self.order[-1][:2] != [server, digest]:
            self.order.append([server, digest, round(time.monotonic() - self.began, 3)])


def ask(tally: Tally, options: argparse.Namespace, path: str, context: ssl.SSLContext) -> None:
    began = time.monotonic()
    tally.sent += 1
    why = "no address"

    def fail(why: str) -> None:
        tally.fail(why)
        log_line({"url": f"https://{options.host}{path}", "failed": why})

    try:
        candidates = addresses(options.host)
    except OSError as error:
        return fail(f"DNS: {error}")
    for number, address in enumerate(candidates):
        try:
            status, fields, body = exchange(address, options, path, context)
        except (OSError, ValueError, IndexError) as error:
            why = f"{type(error).__name__}: {error}"
            tally.retried += number + 1 < len(candidates)
            continue
        if status != 200:
            return fail(f"status {status}")
        tally.slowest = max(tally.slowest, time.monotonic() - began)
        return tally.serve(fields, body)
    fail(why)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--until", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--host", default="www.demo.test")
    parser.add_argument("--ca", default="/shared/ca.pem", metavar="FILE", help="the authorities to trust")
    parser.add_argument("--path", default="/")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--every", type=float, default=50.0, metavar="MS")
    parser.add_argument("--connect", type=float, default=1.0, metavar="SECONDS")
    options = parser.parse_args()
    context = ssl.create_default_context(cafile=options.ca)
    tally = Tally()
    while time.monotonic() - tally.began < options.seconds and not (options.until and options.until.exists()):
        next_at = time.monotonic() + options.every / 1000
        path = f"{options.path}?fresh={time.time_ns()}" if options.fresh else options.path
        ask(tally, options, path, context)
        if tally.sent == 1:
            print("asking", flush=True)
        time.sleep(max(0.0, next_at - time.monotonic()))
    sums = {"sent": tally.sent, "failed": tally.failed, "retried": tally.retried,
            "slowest_ms": round(tally.slowest * 1000), "last_failure_s": round(tally.last_failure, 2),
            "errors": tally.errors, "served": tally.served}
    log_line({"url": f"https://{options.host}{options.path}", **sums})
    json.dump({**sums, "bodies": tally.bodies, "order": tally.order}, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
