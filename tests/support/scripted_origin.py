"""An HTTP/1.1 origin that does what a test tells it: any status, fields, delay, a body cut off, or nothing at all."""

import dataclasses
import email.utils
import http.server
import queue
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable


@dataclasses.dataclass
class Reply:
    """What one request is answered with."""

    status: int = 200
    body: bytes = b""
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    length: int | None = None  # Content-Length to claim; the body's by default
    chunked: bool = False
    interims: list[tuple[int, dict[str, str]]] = dataclasses.field(default_factory=list)  # 1xx, sent at once
    trailers: dict[str, str] = dataclasses.field(default_factory=dict)  # behind a chunked body
    stream: "Stream | None" = None  # goes on where `body` ends
    cut_after: int | None = None  # bytes of the body after which the connection is closed
    gate: threading.Event | None = None  # waited for before the head is sent
    body_gate: threading.Event | None = None  # waited for before the second half of the body
    raw: bytes | None = None  # these bytes instead of a response, then the connection is closed


class Stream:
    """The rest of a chunked body, sent as the test gives it; and whether its reader has left."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | None] = queue.Queue()  # None: the end
        self.left = threading.Event()

    def send(self, write: Callable[[bytes], None], connection: socket.socket) -> None:
        while True:
            try:
                piece = self.pieces.get(timeout=0.02)
            except queue.Empty:
                if self._has_left(connection):
                    self.left.set()
                    raise ConnectionResetError("the reader has left") from None
                continue
            if piece is None:
                return
            write(piece)

    @staticmethod
    def _has_left(connection: socket.socket) -> bool:
        try:
            return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True


@dataclasses.dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes
    trailers: dict[str, str]


class ScriptedOrigin:
    """Listens on its own address; routes are looked up by target, then by path, then "*"."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.port = port
        self.routes: dict[str, Reply | Callable[[Seen], Reply]] = {}
        self.requests: list[Seen] = []
        self._lock = threading.Lock()
        self._server: socketserver.TCPServer | None = None

    @property
    def url(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{address}:{self.port}"

    def count(self, target: str) -> int:
        """Requests for `target` so far, with any method."""
        with self._lock:
            return sum(1 for seen in self.requests if seen.target == target)

    def seen(self, target: str) -> list[Seen]:
        with self._lock:
            return [seen for seen in self.requests if seen.target == target]

    def start(self) -> "ScriptedOrigin":
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                origin._serve(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = handle_any

            def log_message(self, *_arguments) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 512
            address_family = socket.AF_INET6 if ":" in self.address else socket.AF_INET

            def __init__(self, *arguments) -> None:
                self.open: set[socket.socket] = set()
                super().__init__(*arguments)

            def server_bind(self) -> None:  # without HTTPServer's look-up of the host's name
                socketserver.TCPServer.server_bind(self)
                self.server_name, self.server_port = self.server_address[:2]

            def process_request(self, request, client_address) -> None:
                self.open.add(request)
                super().process_request(request, client_address)

            def shutdown_request(self, request) -> None:
                self.open.discard(request)
                super().shutdown_request(request)

            def handle_error(self, request, client_address) -> None:
                pass  # a client that left, or a body that a test has cut off

        self._server = Server((self.address, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """As if the machine's power were cut: no listener, and every connection is gone."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._server = None

    def _serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body, trailers = (handler.rfile.read(length), {}) if length else self._read_chunks(handler)
        fields = {name.lower(): value for name, value in handler.headers.items()}
        seen = Seen(handler.command, handler.path, fields, body, trailers)
        with self._lock:
            self.requests.append(seen)
        keys = (seen.target, seen.target.partition("?")[0], "*")
        route = next((self.routes[key] for key in keys if key in self.routes),
                     Reply(404, b"no route\n", {"Cache-Control": "no-store"}))
        reply = route(seen) if callable(route) else route
        for status, lines in reply.interims:
            handler.wfile.write(self._head(status, lines))
        if reply.gate is not None:
            reply.gate.wait(30)
        if reply.raw is not None:
            handler.wfile.write(reply.raw)
            handler.close_connection = True
            return
        self._answer(handler, reply)

    @staticmethod
    def _read_chunks(handler: http.server.BaseHTTPRequestHandler) -> tuple[bytes, dict[str, str]]:
        if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
            return b"", {}
        body, trailers = b"", {}
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        while line := handler.rfile.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            trailers[name.lower()] = value.strip()
        return body, trailers

    @staticmethod
    def _head(status: int, fields: dict[str, str]) -> bytes:
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
        fields = {"Date": email.utils.formatdate(time.time(), usegmt=True), **reply.fields}
        bodiless = reply.status in (204, 304) or reply.status < 200
        if reply.chunked:
            fields["Transfer-Encoding"] = "chunked"
        elif not bodiless:
            fields["Content-Length"] = str(len(reply.body) if reply.length is None else reply.length)
        handler.wfile.write(self._head(reply.status, fields))
        if handler.command == "HEAD" or bodiless:
            return
        body = reply.body if reply.cut_after is None else reply.body[:reply.cut_after]
        half = len(body) // 2
        self._write(handler, reply, body[:half])
        if reply.body_gate is not None:
            handler.wfile.flush()
            reply.body_gate.wait(30)
        self._write(handler, reply, body[half:])
        if reply.stream is not None:
            reply.stream.send(lambda piece: self._write(handler, reply, piece), handler.connection)
        if reply.cut_after is not None:
            handler.close_connection = True
        elif reply.chunked:
            lines = "".join(f"{name}: {value}\r\n" for name, value in reply.trailers.items())
            handler.wfile.write(f"0\r\n{lines}\r\n".encode("latin-1"))
        handler.wfile.flush()

    @staticmethod
    def _write(handler: http.server.BaseHTTPRequestHandler, reply: Reply, part: bytes) -> None:
        if not part:
            return
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if reply.chunked else part)
