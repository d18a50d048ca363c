"""WebSocket through the edge: raw clients over HTTP/1.1 and HTTP/2, an origin of the test's, and how it ends."""

import os
import socket
import ssl
import struct
import time

from clients import send_bytes
from fleet import SITE_HOST, CacheTest, Edge
from http2_frames import (DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
                          open_session)
from nearside_harness import authority, main, wait_until
from websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, WebSocketOrigin, open_websocket

INITIAL_WINDOW_SIZE, ENABLE_CONNECT_PROTOCOL = 4, 8
MEBI = 1 << 20


def literal(name: bytes, value: str) -> bytes:
    """HPACK, without indexing (RFC 7541 §6.2.2); `name` an index or a text."""
    return name + bytes([len(value)]) + value.encode()


def new_name(name: str) -> bytes:
    return b"\x00" + bytes([len(name)]) + name.encode()


class Http2Tunnel:
    """One stream of an HTTP/2 connection that CONNECT turned into a WebSocket (RFC 8441)."""

    def __init__(self, edge: Edge, path: str, *, protocol: str = "websocket") -> None:
        self.connection = open_session(edge.tls, SITE_HOST, authority() / "ca.pem")
        self._received = b""
        self.body = b""
        self.settings: dict[int, int] = {}
        self._windows = {0: 65535}  # what may be sent, on the connection and on the stream
        self.status = b""
        self.end: tuple[int, int] | None = None  # kind of frame that ended the stream, code of a reset
        self.read(lambda: self.settings)
        self._windows = {0: self._windows[0], 1: self.settings[INITIAL_WINDOW_SIZE]}
        head = (literal(b"\x02", "CONNECT") + b"\x87" + literal(b"\x04", path) + literal(b"\x01", SITE_HOST)
                + literal(new_name(":protocol"), protocol) + literal(new_name("sec-websocket-version"), "13"))
        self.connection.sendall(frame(HEADERS, END_HEADERS, 1, head))

    def send(self, data: bytes) -> None:
        while data:
            self.read(lambda: self.end or min(self._windows.values()) > 0)
            size = min(16384, len(data), *self._windows.values())
            self.connection.sendall(frame(DATA, 0, 1, data[:size]))
            self._windows = {stream: window - size for stream, window in self._windows.items()}
            data = data[size:]

    def receive(self) -> bytes:
        """Bytes of the tunnel; b"" at its end."""
        self.read(lambda: self.body or self.end)
        taken, self.body = self.body, b""
        return taken

    def read(self, until) -> None:
        while not until():
            part = self.connection.recv(65536)
            if not part:
                self.end = self.end or (GOAWAY, 0)
                return
            self._received += part
            while len(self._received) >= 9:
                size = int.from_bytes(self._received[:3], "big")
                if len(self._received) < 9 + size:
                    break
                stream = int.from_bytes(self._received[5:9], "big")
                self._take(self._received[3], self._received[4], stream, self._received[9:9 + size])
                self._received = self._received[9 + size:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags:
            self.settings = dict(struct.iter_unpack(">HI", payload))
            self.connection.sendall(frame(SETTINGS, 1, 0))
        elif kind == HEADERS:
            self.status = payload[:2]
        elif kind == WINDOW_UPDATE:
            self._windows[stream] += int.from_bytes(payload, "big")
        elif kind == DATA and payload:
            self.body += payload
            for whose in (0, 1):
                self.connection.sendall(frame(WINDOW_UPDATE, 0, whose, struct.pack(">I", len(payload))))
        if kind == RST_STREAM:
            self.end = (kind, int.from_bytes(payload, "big"))
        elif kind in (DATA, HEADERS) and flags & END_STREAM:
            self.end = self.end or (kind, 0)

    def websocket(self) -> WebSocket:
        self.read(lambda: self.status)
        assert self.status[:1] == b"\x88", f"not :status 200: {self.status.hex()}"
        return WebSocket(self.receive, self.send, is_client=True)


class WebSocketTest(CacheTest):
    def setUp(self):
        super().setUp()
        address = self.addresses.address()
        self.origin = WebSocketOrigin(address, self.addresses.port(address)).start()
        self.addCleanup(self.origin.stop)
        self.edge = self.start_edge()

    def start_edge(self, **options) -> Edge:
        return Edge(self, "frankfurt", origins=[self.origin.url], **options).start()

    def connect(self, tls: bool = False) -> socket.socket:
        connection = socket.create_connection(self.edge.tls if tls else self.edge.clear, timeout=30)
        if tls:
            context = ssl.create_default_context(cafile=str(authority() / "ca.pem"))
            context.set_alpn_protocols(["http/1.1"])
            connection = context.wrap_socket(connection, server_hostname=SITE_HOST)
        self.addCleanup(connection.close)
        return connection

    def tunnels(self) -> float:
        return self.edge.metrics().sum("nearside_edge_tunnels")

    def converse(self, client: WebSocket, connection: socket.socket) -> None:
        """Text, a megabyte, a ping, and a close that both sides say."""
        for kind, payload in ((TEXT, b"hello"), (BINARY, os.urandom(MEBI)), (TEXT, b"")):
            client.send(kind, payload)
            self.assertEqual((kind, payload), client.receive())
        client.send(PING, b"there?")
        self.assertEqual((PONG, b"there?"), client.receive())
        self.assertEqual(1, self.tunnels())
        client.send(CLOSE, struct.pack(">H", 1000))
        self.assertEqual((CLOSE, struct.pack(">H", 1000)), client.receive())
        with self.assertRaises(EOFError):
            client.receive()
        connection.close()
        wait_until(lambda: self.tunnels() == 0, "the tunnel is gone")

    def test_over_http11_in_the_clear_and_over_tls(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                connection = self.connect(tls)
                self.converse(open_websocket(connection, SITE_HOST, "/echo",
                                             "Sec-WebSocket-Protocol: chat\r\nX-Forwarded-For: 9.9.9.9\r\n"),
                              connection)
                fields = self.origin.heads[-1][1]
                self.assertEqual(("chat", SITE_HOST), (fields["sec-websocket-protocol"], fields["host"]))
                self.assertNotIn("9.9.9.9", fields["x-forwarded-for"])

    def test_over_http2(self):
        tunnel = Http2Tunnel(self.edge, "/echo")
        self.addCleanup(tunnel.connection.close)
        self.assertEqual(1, tunnel.settings[ENABLE_CONNECT_PROTOCOL])
        self.converse(tunnel.websocket(), tunnel.connection)
        self.assertEqual("GET /echo HTTP/1.1", self.origin.heads[-1][0])

    def test_other_protocols_over_connect_are_refused(self):
        tunnel = Http2Tunnel(self.edge, "/echo", protocol="connect-udp")
        self.addCleanup(tunnel.connection.close)
        tunnel.read(lambda: tunnel.end)
        self.assertNotEqual(b"\x88", tunnel.status[:1])
        self.assertEqual([], self.origin.heads)

    def test_a_refusal_is_an_ordinary_answer_and_what_follows_the_next_request(self):
        ask = (f"GET /refuse HTTP/1.1\r\nHost: {SITE_HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        follow = f"GET /next HTTP/1.1\r\nHost: {SITE_HOST}\r\nConnection: close\r\n\r\n"
        answer = send_bytes(self.edge.clear, (ask + follow).encode())
        self.assertTrue(answer.startswith(b"HTTP/1.1 403 "), answer[:300])
        self.assertEqual(2, answer.count(b"HTTP/1.1 "), answer[:1000])
        self.assertEqual(["GET /refuse HTTP/1.1", "GET /next HTTP/1.1"], [first for first, _ in self.origin.heads])
        self.assertNotIn("upgrade", self.origin.heads[1][1])

    def test_other_upgrades_are_dropped(self):
        for protocol in ("h2c", "TLS/1.0", "websocketx"):
            ask = (f"GET /page HTTP/1.1\r\nHost: {SITE_HOST}\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk\r\n"
                   "Connection: Upgrade, HTTP2-Settings, close\r\n\r\n")
            self.assertTrue(send_bytes(self.edge.clear, ask.encode()).startswith(b"HTTP/1.1 200 "))
            for name in ("upgrade", "http2-settings"):
                self.assertNotIn(name, self.origin.heads[-1][1])

    def test_a_client_that_leaves_is_noticed_at_the_origin(self):
        for reset in (False, True):
            with self.subTest(reset=reset):
                connection = self.connect()
                open_websocket(connection, SITE_HOST, "/hang")
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                self.assertTrue(self.origin.ended.acquire(timeout=30))
        wait_until(lambda: self.tunnels() == 0, "the tunnels are gone")

    def test_after_the_origins_end_the_client_is_still_heard(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                connection = self.connect(tls)
                client = open_websocket(connection, SITE_HOST, "/half")
                self.assertEqual((TEXT, b"bye"), client.receive())
                with self.assertRaises(EOFError):
                    client.receive()
                client.send(CLOSE, struct.pack(">H", 1000))
                connection.close()
                self.assertTrue(self.origin.ended.acquire(timeout=30))
                self.assertEqual((CLOSE, struct.pack(">H", 1000)), self.origin.last_heard)
                self.origin.last_heard = None
        wait_until(lambda: self.tunnels() == 0, "the tunnels are gone")

    def test_silence_ends_both_sides(self):
        self.edge = Edge(self, "virginia", origins=[self.origin.url],
                         extra='[limits]\ntunnel_idle_timeout = "1s"').start()
        connection = self.connect()
        client = open_websocket(connection, SITE_HOST, "/hang")
        with self.assertRaises(EOFError):
            client.receive()
        self.assertTrue(self.origin.ended.acquire(timeout=30))
        self.assertEqual(1, self.edge.metrics().sum("nearside_edge_idle_tunnels_total"))

    def test_sigterm_does_not_wait_for_a_tunnel(self):
        clients = [open_websocket(self.connect(), SITE_HOST, "/hang"), Http2Tunnel(self.edge, "/hang")]
        self.addCleanup(clients[1].connection.close)
        clients[1].websocket()
        begun = time.monotonic()
        self.assertEqual(0, self.edge.daemon.stop())
        self.assertLess(time.monotonic() - begun, 25, "the drain's time is 30 s")
        with self.assertRaises(EOFError):
            clients[0].receive()

    def test_one_who_does_not_read_holds_a_window_and_no_more(self):
        before = self.edge.daemon.resident_kib()
        connection = self.connect()
        open_websocket(connection, SITE_HOST, "/flood")
        flooded = -1
        while flooded != self.origin.flooded:  # until the origin is stopped by nobody's reading
            flooded = self.origin.flooded
            time.sleep(0.5)
        if not self.edge.daemon.is_sanitized():
            self.assertLess(self.edge.daemon.resident_kib() - before, 8 << 10)
        taken = 0
        while taken < 32 * MEBI:
            taken += len(connection.recv(MEBI))
        self.assertGreater(self.origin.flooded, flooded)


if __name__ == "__main__":
    main()
