"""The clients that visitors and operators use: curl, kdig, h2load, and sockets for what no honest client sends."""

import dataclasses
import ipaddress
import json
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import tempfile

from nearside_harness import DEADLINE_SECONDS


@dataclasses.dataclass
class Response:
    status: int  # 0: no response at all
    version: str  # "1.1" or "2"
    fields: list[tuple[str, str]]
    body: bytes
    error: str  # curl's words when it failed
    exit_code: int
    interims: list[tuple[int, list[tuple[str, str]]]] = dataclasses.field(default_factory=list)
    trailers: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def field(self, name: str) -> str | None:
        """All values of a field, joined by commas; None without it."""
        values = [value for key, value in self.fields if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def cache_status(self) -> str:
        return self.field("cache-status") or ""

    @property
    def is_hit(self) -> bool:
        return bool(re.search(r";\s*hit\b", self.cache_status))

    @property
    def age(self) -> int | None:
        value = self.field("age")
        return None if value is None else int(value)

    def __str__(self) -> str:
        lines = [f"HTTP/{self.version} {self.status} {self.error}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        return "\n".join([*lines, "", repr(self.body[:300])])


def curl(url: str, *, to: tuple[str, int] | None = None, ca: pathlib.Path | None = None, http: str = "",
         method: str = "", fields: dict[str, str] | None = None, data: bytes | pathlib.Path | None = None,
         options: tuple[str, ...] = (), timeout: float = DEADLINE_SECONDS, prefix: tuple[str, ...] = ()) -> Response:
    """One request. `to`: the address and port to connect to, whatever the URL says. `http`: "1.1", "2" or "" (ALPN)."""
    with tempfile.TemporaryDirectory(prefix="nearside-curl.") as scratch:
        head, body = pathlib.Path(scratch) / "head", pathlib.Path(scratch) / "body"
        command = [*prefix, "curl", "-sS", "-D", str(head), "-o", str(body), "-w", "%{json}"]
        command += ["--max-time", f"{timeout:g}"]
        if to is not None:
            command += ["--connect-to", f"::{to[0]}:{to[1]}"]
        if ca is not None:
            command += ["--cacert", str(ca)]
        if http:
            prior = "--http2" if url.startswith("https") else "--http2-prior-knowledge"
            command += [prior if http == "2" else f"--http{http}"]
        if method:
            command += ["--head"] if method == "HEAD" else ["-X", method]
        for name, value in (fields or {}).items():
            command += ["-H", f"{name}: {value}" if value else f"{name};"]
        if isinstance(data, pathlib.Path):
            command += ["-T", str(data)]
        elif data is not None:
            command += ["--data-binary", "@-"]
        result = subprocess.run([*command, *options, url], input=data if isinstance(data, bytes) else b"",
                                capture_output=True, check=False, timeout=timeout + 10)
        told = json.loads(result.stdout or b"{}")
        interims, fields, trailers = _parse_head(head.read_bytes() if head.exists() else b"")
        return Response(
            status=told.get("response_code", 0), version=str(told.get("http_version", "")),
            fields=fields, interims=interims, trailers=trailers,
            body=body.read_bytes() if body.exists() and method != "HEAD" else b"",
            error=result.stderr.decode(errors="replace").strip(), exit_code=result.returncode)


def _parse_head(head: bytes) -> tuple[list, list, list]:
    """Of curl's -D file: interim responses, the fields of the last response, and its trailers."""
    def fields_of(lines: list[str]) -> list[tuple[str, str]]:
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines if line)]

    blocks = [block.split("\r\n") for block in head.decode("latin-1").split("\r\n\r\n") if block]
    heads = [(int(lines[0].split()[1]), fields_of(lines[1:])) for lines in blocks if lines[0].startswith("HTTP/")]
    trailers = [field for lines in blocks if not lines[0].startswith("HTTP/") for field in fields_of(lines)]
    return [one for one in heads if one[0] < 200], heads[-1][1] if heads else [], trailers


@dataclasses.dataclass
class DnsAnswer:
    status: str  # "NOERROR", …; "" when nobody answered
    flags: set[str]
    answers: list[str]  # record data of the answer section, in order
    authority: list[str]  # "name TYPE data"
    scope: int | None  # of the client subnet option
    text: str

    def __str__(self) -> str:
        return self.text


def kdig(server: tuple[str, int], name: str, kind: str = "A", *options: str, subnet: str = "",
         tcp: bool = False) -> DnsAnswer:
    """One query by kdig; without a timeout of its own an answer counts as missing after ten seconds."""
    command = ["kdig", f"@{server[0]}", "-p", str(server[1]), name, kind, "+timeout=10", "+retry=0"]
    command += ["+tcp"] if tcp else []
    command += [f"+subnet={subnet}"] if subnet else []
    text = subprocess.run([*command, *options], capture_output=True, text=True, check=False,
                          timeout=DEADLINE_SECONDS).stdout
    status = re.search(r"status: (\w+)", text)
    flags = re.search(r";; Flags: ([\w ]*);", text)
    scope = re.search(r"CLIENT-SUBNET: \S+?/\d+/(\d+)", text)
    return DnsAnswer(
        status=status[1] if status else "", flags=set(flags[1].split()) if flags else set(),
        answers=[data for _, _, data in _section(text, "ANSWER")],
        authority=[f"{owner} {kind} {data}" for owner, kind, data in _section(text, "AUTHORITY")],
        scope=int(scope[1]) if scope else None, text=text)


def _section(text: str, name: str) -> list[tuple[str, str, str]]:
    """Owner, type and data of each record."""
    section = re.search(rf";; {name} SECTION:\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
    lines = section[1].splitlines() if section else []
    records = [line.split(None, 4) for line in lines if line and not line.startswith(";")]
    return [(owner, kind, data) for owner, _ttl, _class, kind, data in records]


def dns_query(name: str, kind: int = 1, *, identity: int = 0x4E53, subnet: str = "") -> bytes:
    """A plain query as bytes, for tests that bend it."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    header = struct.pack(">HHHHHH", identity, 0x0100, 1, 0, 0, 1 if subnet else 0)
    packet = header + labels + b"\0" + struct.pack(">HH", kind, 1)
    if subnet:
        network = ipaddress.ip_network(subnet)
        octets = network.network_address.packed[:(network.prefixlen + 7) // 8]
        option = struct.pack(">HBB", 1 if network.version == 4 else 2, network.prefixlen, 0) + octets
        data = struct.pack(">HH", 8, len(option)) + option
        packet += b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(data)) + data
    return packet


def send_datagram(server: tuple[str, int], packet: bytes, seconds: float = 10.0) -> bytes | None:
    """The answer to one datagram, or None when none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(seconds)
        sender.sendto(packet, server)
        try:
            return sender.recvfrom(65536)[0]
        except TimeoutError:
            return None


def send_bytes(to: tuple[str, int], data: bytes, *, seconds: float = 5.0, server_name: str = "",
               ca: pathlib.Path | None = None, alpn: tuple[str, ...] = (), finish: bool = False) -> bytes:
    """Sends bytes over TCP (TLS, when server_name is given) and returns all that comes until the end or `seconds` of
    silence. `finish`: says that nothing more will be sent."""
    received = b""
    with socket.create_connection(to, timeout=seconds) as plain:
        connection = plain
        if server_name:
            context = ssl.create_default_context(cafile=str(ca))
            if alpn:
                context.set_alpn_protocols(list(alpn))
            connection = context.wrap_socket(plain, server_hostname=server_name)
        try:
            connection.sendall(data)
            if finish and not server_name:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass
    return received


def h2load(url: str, *options: str, timeout: float = 120) -> str:
    """h2load's report."""
    return subprocess.run(["h2load", *options, url], capture_output=True, text=True, check=True, timeout=timeout).stdout
