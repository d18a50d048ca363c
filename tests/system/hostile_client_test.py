"""Clients that send what no honest one does: the edge refuses by name, forwards nothing, and serves on."""

import random
import socket
import ssl
import time

from clients import send_bytes
from fleet import SITE_HOST, EdgeTest
from http2_frames import (CANCEL, CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
                          RST_STREAM, SETTINGS, frame, goaway_codes, header_block, open_session, read_to_end)
from nearside_harness import LONG, authority, main, wait_until
from scripted_origin import Reply, Stream

class HostileClientTest(EdgeTest):
    def setUp(self):
        super().setUp()
        self.origin.routes["/page"] = Reply(body=b"fine", fields={"Cache-Control": "max-age=3600"})
        self.edge = self.start_edge()
        self.assertEqual(b"fine", self.edge.get("/page").body)
        self.requests = len(self.origin.requests)

    def expect_served_on(self):
        self.assertEqual(b"fine", self.expect_hit(self.edge.get("/page")).body)

    def send(self, data: bytes, **options) -> bytes:
        return send_bytes(self.edge.clear, data, **options)


class MalformedHttp1Test(HostileClientTest):
    HEAD = f"Host: {SITE_HOST}\r\n"

    def expect_refused(self, name: str, data: bytes, statuses=(b"400",)):
        """Refused with one of `statuses` and then closed; nothing of it reaches the origin."""
        with self.subTest(name):
            answer = self.send(data)
            status = answer[9:12]
            self.assertTrue(answer.startswith(b"HTTP/1.1 ") and status in statuses, answer[:300])
            self.assertEqual(1, answer.count(b"HTTP/1.1 "), "one answer, then the connection is closed")
            self.assertEqual(self.requests, len(self.origin.requests), "nothing was forwarded")

    def test_ambiguous_framing_is_refused(self):
        post = "POST /smuggle HTTP/1.1\r\n" + self.HEAD
        follow = "GET /evil HTTP/1.1\r\n" + self.HEAD + "\r\n"
        for name, text in {
            "two lengths": post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + follow,
            "length and chunked": post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + follow,
            "signed length": post + "Content-Length: +5\r\n\r\nhello" + follow,
            "length in hex": post + "Content-Length: 0x5\r\n\r\nhello" + follow,
            "huge length": post + "Content-Length: 99999999999999999999999\r\n\r\nhello",
            "chunked not last": post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + follow,
            "chunked twice": post + "Transfer-Encoding: chunked\r\n" * 2 + "\r\n0\r\n\r\n" + follow,
            "space before colon": post + "Content-Length : 5\r\n\r\nhello" + follow,
            "bare CR": "GET /page HTTP/1.1\r\n" + self.HEAD + "X: a\rb\r\n\r\n",
            "NUL in a value": "GET /page HTTP/1.1\r\n" + self.HEAD + "X: a\0b\r\n\r\n",
            "folded line": "GET /page HTTP/1.1\r\n" + self.HEAD + "X: a\r\n b\r\n\r\n",
            "no host": "GET /page HTTP/1.1\r\n\r\n",
            "two hosts": "GET /page HTTP/1.1\r\n" + self.HEAD + "Host: other.test\r\n\r\n",
            "no version": "GET /page\r\n\r\n",
            "space in the target": "GET /pa ge HTTP/1.1\r\n" + self.HEAD + "\r\n",
            "field without a name": "GET /page HTTP/1.1\r\n" + self.HEAD + ": x\r\n\r\n",
            "line without a colon": "GET /page HTTP/1.1\r\n" + self.HEAD + "nonsense\r\n\r\n",
            "binary": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        }.items():
            self.expect_refused(name, text.encode("latin-1"), (b"400", b"505", b"501"))
        self.expect_served_on()

    def test_too_large_is_named(self):
        self.expect_refused("target", f"GET /{'a' * 40_000} HTTP/1.1\r\n{self.HEAD}\r\n".encode(), (b"414",))
        one = f"GET /page HTTP/1.1\r\n{self.HEAD}X: {'a' * 200_000}\r\n\r\n"
        self.expect_refused("one field", one.encode(), (b"431",))
        many = "".join(f"X-{number}: a\r\n" for number in range(5000))
        self.expect_refused("many fields", f"GET /page HTTP/1.1\r\n{self.HEAD}{many}\r\n".encode(), (b"431",))
        self.expect_served_on()

    def test_every_cut_of_a_request_is_survived(self):
        request = f"POST /page HTTP/1.1\r\n{self.HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        for length in range(0, len(request), 3):
            self.send(request.encode()[:length], seconds=0.5, finish=True)
        self.expect_served_on()

    def test_bent_requests_are_survived(self):
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}")
        dice = random.Random(seed)
        request = f"GET /page?a=%41 HTTP/1.1\r\n{self.HEAD}Accept: */*\r\nRange: bytes=0-3\r\n\r\n".encode()
        for _ in range(2000 if LONG else 200):
            bent = bytearray(request)
            for _ in range(dice.randint(1, 5)):
                bent[dice.randrange(len(bent))] = dice.getrandbits(8)
            self.send(bytes(bent), seconds=0.3, finish=True)
        self.expect_served_on()

    def test_pipelined_requests_are_answered_in_order(self):
        request = f"GET /page HTTP/1.1\r\n{self.HEAD}"
        data = (request + "\r\n") * 4 + request + "Connection: close\r\n\r\n"
        self.assertEqual(5, self.send(data.encode()).count(b"\r\n\r\nfine"))


class HostileHttp2Test(HostileClientTest):
    GET = header_block(SITE_HOST, "/page")
    WHOLE = END_STREAM | END_HEADERS

    def answer_to(self, *frames: bytes) -> bytes:
        """Sends the frames and reads until the edge closes."""
        connection = open_session(self.edge.tls, SITE_HOST, authority() / "ca.pem")
        self.addCleanup(connection.close)
        try:
            for data in frames:
                connection.sendall(data)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass  # it has had enough; what it said is still to be read
        return read_to_end(connection)

    def expect_goaway(self, code: int | None, answer: bytes):
        codes = goaway_codes(answer)
        self.assertTrue(codes, f"no GOAWAY in {answer[:200].hex()}")
        if code is not None:
            self.assertEqual(code, codes[-1])
        self.expect_served_on()

    def test_rapid_resets_are_calmed(self):
        cancel = CANCEL.to_bytes(4, "big")
        flood = b"".join(frame(HEADERS, self.WHOLE, stream, self.GET) + frame(RST_STREAM, 0, stream, cancel)
                         for stream in range(1, 6001, 2))
        self.expect_goaway(ENHANCE_YOUR_CALM, self.answer_to(flood))

    def test_ping_flood_is_calmed(self):
        self.expect_goaway(ENHANCE_YOUR_CALM, self.answer_to(frame(PING, 0, 0, b"12345678") * 20_000))

    def test_settings_flood_is_calmed(self):
        self.expect_goaway(ENHANCE_YOUR_CALM, self.answer_to(frame(SETTINGS, 0, 0) * 20_000))

    def test_continuation_flood_ends_the_connection(self):
        flood = frame(HEADERS, END_STREAM, 1, self.GET) + frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 1000) * 500
        before = self.edge.daemon.resident_kib()
        self.expect_goaway(None, self.answer_to(flood))
        self.assertLess(self.edge.daemon.resident_kib() - before, 32 << 10)

    def test_header_bomb_is_refused_before_it_unpacks(self):
        """One large entry in the dynamic table, then thousands of references to it: 48 MB in 16 KB."""
        entry = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000
        bomb = self.GET + entry + b"\xbe" * 12_000
        before = self.edge.daemon.resident_kib()
        self.answer_to(frame(HEADERS, self.WHOLE, 1, bomb[:16_000]), frame(GOAWAY, 0, 0, b"\0" * 8))
        self.assertLess(self.edge.daemon.resident_kib() - before, 32 << 10)
        self.expect_served_on()

    def test_broken_frames_end_the_connection(self):
        for name, data in {
            "frame too large": frame(HEADERS, self.WHOLE, 1, b"\x82" * 20_000),
            "headers on stream 0": frame(HEADERS, self.WHOLE, 0, self.GET),
            "even stream": frame(HEADERS, self.WHOLE, 2, self.GET),
            "broken HPACK": frame(HEADERS, self.WHOLE, 1, b"\xff\xff\xff\xff\xff\xff\xff"),
            "settings on a stream": frame(SETTINGS, 0, 1),
            "settings of odd length": frame(SETTINGS, 0, 0, b"\0\0\0"),
            "continuation of nothing": frame(CONTINUATION, END_HEADERS, 1, self.GET),
        }.items():
            with self.subTest(name):
                self.expect_goaway(None, self.answer_to(data))

    def test_garbage_after_the_preface_is_survived(self):
        dice = random.Random(10)
        for _ in range(50):
            self.answer_to(dice.randbytes(dice.randint(1, 2000)), frame(GOAWAY, 0, 0, b"\0" * 8))
        self.expect_served_on()

    def test_certificate_of_another_host_is_421(self):
        """A host of a site, but outside what the connection's certificate covers: RFC 9110 §15.5.20."""
        edge = self.start_edge("virginia", hosts=(SITE_HOST, "www.other.test"))
        self.expect(edge.get_clear("/page", host="www.other.test"), 200)
        for http in ("1.1", "2"):
            self.expect(edge.get("/page", fields={"Host": "www.other.test"}, http=http), 421)
            self.expect(edge.get("/page", http=http), 200)


class SlowClientTest(HostileClientTest):
    def test_slow_head_is_timed_out(self):
        edge = self.start_edge("virginia", extra='[limits]\nhead_timeout = "300ms"\nidle_timeout = "1s"')
        with socket.create_connection(edge.clear, timeout=20) as connection:
            connection.sendall(b"GET /page HTTP/1.1\r\nHost: ")
            answer = connection.recv(65536)  # what the edge says, or the end
            self.assertTrue(answer == b"" or b" 408 " in answer.split(b"\r\n")[0], answer)
        wait_until(lambda: edge.status()["connections"] <= 1, "the slow connection is gone")

    def start_impatient_edge(self, name: str = "virginia", after: str = "1s"):
        limits = f'[limits]\nbody_timeout = "{after}"\nsend_timeout = "{after}"\nleast_rate = "1GiB"'
        return self.start_edge(name, extra=limits)

    def receive_until(self, text: bytes, connection: socket.socket) -> None:
        received = b""
        while text not in received:
            part = connection.recv(65536)
            self.assertTrue(part, received)
            received += part

    def test_a_body_that_trickles_is_refused(self):
        edge = self.start_impatient_edge(after="3s")  # a second of silence of ours is no trickle
        with socket.create_connection(edge.clear, timeout=20) as connection:
            connection.sendall(f"POST /form HTTP/1.1\r\nHost: {SITE_HOST}\r\nContent-Length: 99999\r\n\r\n".encode())
            connection.settimeout(0.05)
            answer = b""
            while not answer:
                connection.sendall(b"x")
                try:
                    answer = connection.recv(65536)
                except TimeoutError:
                    pass
        self.assertIn(b" 408 ", answer.split(b"\r\n")[0], answer)
        wait_until(lambda: edge.metrics().sum("nearside_edge_slow_bodies_total") == 1, "it is counted")
        self.assertEqual(0, edge.metrics().sum("nearside_edge_timeouts_total"))

    def test_a_reader_that_sips_is_cut_off(self):
        body = bytes(24 << 20)
        self.origin.routes["/large"] = Reply(body=body, fields={"Cache-Control": "max-age=3600"})
        edge = self.start_impatient_edge(after="3s")
        self.assertEqual(body, edge.get("/large").body)
        received = 0
        with socket.create_connection(edge.clear, timeout=20) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.sendall(f"GET /large HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode())
            try:
                while part := connection.recv(16384):
                    received += len(part)
                    time.sleep(0.005)
            except ConnectionResetError:
                pass
        self.assertLess(received, len(body))
        wait_until(lambda: edge.metrics().sum("nearside_edge_slow_reads_total") == 1, "it is counted")

    def test_who_waits_for_the_origin_is_not_slow(self):
        """Events that come now and then, and a connection without a request."""
        edge = self.start_impatient_edge()
        stream = Stream()
        self.addCleanup(stream.pieces.put, None)
        self.origin.routes["/events"] = Reply(chunked=True, stream=stream, fields={"Content-Type": "text/event-stream",
                                                                                   "Cache-Control": "no-store"})
        request = f"GET /page HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode()
        with socket.create_connection(edge.clear, timeout=20) as idle, \
                socket.create_connection(edge.clear, timeout=20) as listener:
            idle.sendall(request)
            self.receive_until(b"fine", idle)
            listener.sendall(request.replace(b"/page", b"/events"))
            for number in range(4):
                event = b"data: %d\n\n" % number
                time.sleep(0.7)
                stream.pieces.put(event)
                self.receive_until(event, listener)
            idle.sendall(request)
            self.receive_until(b"fine", idle)
        metrics = edge.metrics()
        self.assertEqual(0, metrics.sum("nearside_edge_slow_reads_total"))
        self.assertEqual(0, metrics.sum("nearside_edge_timeouts_total"))

    def test_idle_connections_are_closed(self):
        edge = self.start_edge("virginia", extra='[limits]\nidle_timeout = "1s"')
        idle = [socket.create_connection(edge.clear, timeout=20) for _ in range(200)]
        for connection in idle:
            try:
                self.assertEqual(b"", connection.recv(100))
            except ConnectionResetError:
                pass  # closed all the same
            connection.close()


if __name__ == "__main__":
    main()
