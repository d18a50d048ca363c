"""HTTP/2 frames by hand (RFC 9113 §4), for what no library would send."""

import pathlib
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
NO_ERROR, CANCEL, ENHANCE_YOUR_CALM = 0, 8, 11


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header_block(host: str, path: str) -> bytes:
    """GET over https in HPACK (RFC 7541 §6): indexed fields, then literals without indexing."""
    def literal(name_index: int, value: str) -> bytes:
        return bytes([name_index, len(value)]) + value.encode()

    return b"\x82\x87" + literal(0x04, path) + literal(0x01, host)


def goaway_codes(answer: bytes) -> list[int]:
    """The error codes of every GOAWAY among the frames of `answer`."""
    codes = []
    while len(answer) >= 9:
        length = int.from_bytes(answer[:3], "big")
        if answer[3] == GOAWAY and len(answer) >= 17:
            codes.append(int.from_bytes(answer[13:17], "big"))
        answer = answer[9 + length:]
    return codes


def open_session(to: tuple[str, int], host: str, ca: pathlib.Path) -> ssl.SSLSocket:
    """A connection that has sent the preface and empty settings. The caller closes it."""
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    connection = context.wrap_socket(socket.create_connection(to, timeout=20), server_hostname=host)
    assert connection.selected_alpn_protocol() == "h2"
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
    return connection


class Download:
    """One GET over HTTP/2 whose flow-control windows, 65535 bytes at first, the test opens as it likes."""

    def __init__(self, to: tuple[str, int], host: str, path: str, ca: pathlib.Path) -> None:
        self.connection = open_session(to, host, ca)
        self.connection.sendall(frame(HEADERS, END_STREAM | END_HEADERS, 1, header_block(host, path)))
        self.body_bytes = 0
        self.ended = False
        self.goaway: int | None = None
        self._received = b""

    def open_windows(self, size: int) -> None:
        for stream in (0, 1):
            self.connection.sendall(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size)))

    def read(self, until) -> None:
        """Takes frames until `until(self)`, or the connection ends."""
        while not until(self):
            part = self.connection.recv(65536)
            if not part:
                return
            self._received += part
            self._take_frames()

    def _take_frames(self) -> None:
        while len(self._received) >= 9:
            end = 9 + int.from_bytes(self._received[:3], "big")
            if len(self._received) < end:
                return
            kind, flags, payload = self._received[3], self._received[4], self._received[9:end]
            if kind == DATA:
                self.body_bytes += len(payload)
                self.ended = bool(flags & END_STREAM)
            elif kind == GOAWAY:
                self.goaway = int.from_bytes(payload[4:8], "big")
            self._received = self._received[end:]

    def close(self) -> None:
        self.connection.close()


def read_to_end(connection: ssl.SSLSocket) -> bytes:
    """All that comes until the other side closes, resets or is silent for the socket's timeout."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except (ConnectionError, TimeoutError, ssl.SSLError):
        pass
    return received
