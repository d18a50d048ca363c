"""An HTTP/1.1 origin that does what a test tells it: any status, fields, delay, a body cut off, or nothing at all."""

import dataclasses
import email.utils
import http.server
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
    cut_after: int | None = None  # bytes of the body after which the connection is closed
    gate: threading.Event | None = None  # waited for before the head is sent
    body_gate: threading.Event | None = None  # waited for before the second half of the body
    raw: bytes | None = None  # these bytes instead of a response, then the connection is closed


@dataclasses.dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    fields: dict[str, str]
    body: bytes


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
        body = handler.rfile.read(length) if length else self._read_chunks(handler)
        fields = {name.lower(): value for name, value in handler.headers.items()}
        seen = Seen(handler.command, handler.path, fields, body)
        with self._lock:
            self.requests.append(seen)
        keys = (seen.target, seen.target.partition("?")[0], "*")
        route = next((self.routes[key] for key in keys if key in self.routes),
                     Reply(404, b"no route\n", {"Cache-Control": "no-store"}))
        reply = route(seen) if callable(route) else route
        if reply.gate is not None:
            reply.gate.wait(30)
        if reply.raw is not None:
            handler.wfile.write(reply.raw)
            handler.close_connection = True
            return
        self._answer(handler, reply)

    @staticmethod
    def _read_chunks(handler: http.server.BaseHTTPRequestHandler) -> bytes:
        if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
            return b""
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        while handler.rfile.readline().strip():
            pass
        return body

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, reply: Reply) -> None:
        lines = [f"HTTP/1.1 {reply.status} Scripted"]
        fields = {"Date": email.utils.formatdate(time.time(), usegmt=True), **reply.fields}
        bodiless = reply.status in (204, 304) or reply.status < 200
        if reply.chunked:
            fields["Transfer-Encoding"] = "chunked"
        elif not bodiless:
            fields["Content-Length"] = str(len(reply.body) if reply.length is None else reply.length)
        lines += [f"{name}: {value}" for name, value in fields.items()]
        handler.wfile.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if handler.command == "HEAD" or bodiless:
            return
        body = reply.body if reply.cut_after is None else reply.body[:reply.cut_after]
        half = len(body) // 2
        self._write(handler, reply, body[:half])
        if reply.body_gate is not None:
            handler.wfile.flush()
            reply.body_gate.wait(30)
        self._write(handler, reply, body[half:])
        if reply.cut_after is not None:
            handler.close_connection = True
        elif reply.chunked:
            handler.wfile.write(b"0\r\n\r\n")
        handler.wfile.flush()

    @staticmethod
    def _write(handler: http.server.BaseHTTPRequestHandler, reply: Reply, part: bytes) -> None:
        if not part:
            return
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if reply.chunked else part)
