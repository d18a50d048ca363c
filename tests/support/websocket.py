"""WebSocket by hand (RFC 6455): frames, a client over any socket, and an origin that tests and a browser talk to.

Run as a program, `websocket.py ADDRESS PORT`, it is that origin, for a browser in a network of its own.
"""

import base64
import hashlib
import os
import pathlib
import socket
import struct
import sys
import threading
from collections.abc import Callable

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FLOOD_PIECE = b"\x82\x7e\xff\xff" + b"x" * 65535  # one binary frame
# Says whom it was asked as, then goes through what a page does with a WebSocket.
PAGE = b"""<!doctype html><title>WebSocket</title><p data-served>waiting</p><script>
const socket = new WebSocket(`wss://${location.host}/echo`, "chat");
const heard = [];
socket.onopen = () => socket.send("hello");
socket.onmessage = ({ data }) => {
  heard.push(data);
  if (heard.length < 3) socket.send("x".repeat(100000 * heard.length)); else socket.close(1000, "done");
};
socket.onclose = ({ code, wasClean }) => {
  const served = document.querySelector("[data-served]");
  served.textContent = `${socket.protocol} ${heard.map((text) => text.length)} ${code} ${wasClean}`;
  served.dataset.served = "done";
};
</script>
"""


def accept_for(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def frame(kind: int, payload: bytes, *, masked: bool) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + struct.pack(">H", size) if size < 65536 else b"\x7f" + struct.pack(">Q", size)
    if not masked:
        return bytes([0x80 | kind]) + length + payload
    mask = os.urandom(4)
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([0x80 | kind, 0x80 | length[0]]) + length[1:] + mask + covered


class WebSocket:
    """One end: `receive` gives bytes (b"" at the end), `send` takes them."""

    def __init__(self, receive: Callable[[], bytes], send: Callable[[bytes], None], *, is_client: bool,
                 received: bytes = b"") -> None:
        self._receive = receive
        self._send = send
        self._is_client = is_client
        self._received = received

    def send(self, kind: int, payload: bytes) -> None:
        self._send(frame(kind, payload, masked=self._is_client))

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            part = self._receive()
            if not part:
                raise EOFError("the other end has left")
            self._received += part
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def receive(self) -> tuple[int, bytes]:
        """The next message, of one frame or several with nothing between them; EOFError at the end."""
        last, kind, payload = self._receive_frame()
        while not last:
            last, _, more = self._receive_frame()
            payload += more
        return kind, payload

    def _receive_frame(self) -> tuple[bool, int, bytes]:
        first, second = self._take(2)
        size = second & 0x7f
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        mask = self._take(4) if second & 0x80 else b""
        payload = self._take(size)
        if mask:
            payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        return bool(first & 0x80), first & 0x0f, payload


def read_head(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """First line, fields, and what has come behind them."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise EOFError("the other end has left")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first, fields, rest


def open_websocket(connection: socket.socket, host: str, path: str, fields: str = "") -> WebSocket:
    """The client's handshake over HTTP/1.1."""
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n").encode())
    first, answer, rest = read_head(connection)
    assert first.startswith("HTTP/1.1 101 "), first
    assert answer.get("sec-websocket-accept") == accept_for(key), answer
    assert answer.get("upgrade", "").lower() == "websocket", answer
    return WebSocket(lambda: connection.recv(65536), connection.sendall, is_client=True, received=rest)


class WebSocketOrigin:
    """Answers by path: /echo, /flood (sends as much as is taken), /hang (agrees and says nothing), /half (says bye,
    ends its side and hears one message more), /refuse (403), /page (200); anything else is the page for a browser."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.create_server((address, port), backlog=128)
        self.url = f"http://{address}:{port}"
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.ended = threading.Semaphore(0)  # a WebSocket's connection has ended
        self.flooded = 0  # bytes that /flood has got rid of
        self.last_heard: tuple[int, bytes] | None = None  # by /half, behind its end

    def start(self) -> "WebSocketOrigin":
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def stop(self) -> None:
        self._listener.close()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        try:
            with connection:
                while self._answer(connection):
                    pass
        except (EOFError, OSError):
            pass

    def _answer(self, connection: socket.socket) -> bool:
        """One request. Whether another one may follow on this connection."""
        first, fields, rest = read_head(connection)
        self.heads.append((first, fields))
        path = first.split()[1]
        if path == "/refuse" or fields.get("upgrade") != "websocket" or path == "/page":
            status, body = ("403 Forbidden", b"no\n") if path == "/refuse" else ("200 OK", PAGE)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return True
        protocol = fields.get("sec-websocket-protocol", "").split(",")[0].strip()
        chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        accept = accept_for(fields["sec-websocket-key"])
        connection.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n").encode())
        peer = WebSocket(lambda: connection.recv(65536), connection.sendall, is_client=False, received=rest)
        try:
            {"/flood": self._flood, "/hang": self._hang, "/half": self._half}.get(path, self._echo)(connection, peer)
        finally:
            self.ended.release()
        return False

    @staticmethod
    def _echo(_connection: socket.socket, peer: WebSocket) -> None:
        while True:
            kind, payload = peer.receive()
            peer.send(PONG if kind == PING else kind, payload)
            if kind == CLOSE:
                return

    @staticmethod
    def _hang(connection: socket.socket, _peer: WebSocket) -> None:
        while connection.recv(65536):
            pass

    def _half(self, connection: socket.socket, peer: WebSocket) -> None:
        peer.send(TEXT, b"bye")
        connection.shutdown(socket.SHUT_WR)
        self.last_heard = peer.receive()

    def _flood(self, connection: socket.socket, _peer: WebSocket) -> None:
        while True:
            connection.sendall(FLOOD_PIECE)
            self.flooded += len(FLOOD_PIECE)


if __name__ == "__main__":
    assert pathlib.Path(sys.argv[0]).name == "websocket.py" and len(sys.argv) == 3, __doc__
    WebSocketOrigin(sys.argv[1], int(sys.argv[2])).serve()
