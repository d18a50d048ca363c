"""What comes in pieces: interim responses before an answer, trailers behind it, server-sent events one by one."""

import os
import select
import socket
import ssl
import subprocess
import threading

from clients import send_bytes
from fleet import SITE_HOST, EdgeTest
from http2_frames import (END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame, header_block,
                          open_session)
from nearside_harness import DEADLINE_SECONDS, authority, main, wait_until
from scripted_origin import Reply, Stream

LONG_LIVED = {"Cache-Control": "max-age=3600"}
HINTS = {"Link": "</app.css>; rel=preload; as=style"}
HTTP_VERSIONS = ("1.1", "2")


class RunningCurl:
    """curl with its output read as it comes. Its -N is for bodies alone: heads would wait for the body."""

    def __init__(self, test, edge, target: str, http: str, *options: str) -> None:
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "curl", "-sN", f"--http{http}", "--connect-to", f"::{edge.tls[0]}:{edge.tls[1]}",
             "--cacert", str(authority() / "ca.pem"), *options, f"https://{SITE_HOST}{target}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        test.addCleanup(self.leave)
        self._received = b""

    def read_until(self, mark: bytes) -> bytes:
        """All up to and with `mark`, which must come."""
        while mark not in self._received:
            ready = select.select([self.process.stdout], [], [], DEADLINE_SECONDS)[0]
            part = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not part:
                raise AssertionError(f"{mark!r} did not come, but {self._received!r}")
            self._received += part
        end = self._received.index(mark) + len(mark)
        taken, self._received = self._received[:end], self._received[end:]
        return taken

    def read_to_end(self) -> bytes:
        rest, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self._received + rest

    def leave(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class InterimTest(EdgeTest):
    def setUp(self):
        super().setUp()
        self.edge = self.start_edge()

    def test_early_hints_come_before_the_answer_is_there(self):
        for http in HTTP_VERSIONS:
            with self.subTest(http):
                gate = threading.Event()
                self.origin.routes["/page" + http] = Reply(body=b"done", fields=LONG_LIVED, gate=gate,
                                                           interims=[(103, HINTS), (102, {})])
                client = RunningCurl(self, self.edge, "/page" + http, http, "-i")
                heads = client.read_until(b" 102").lower()
                self.assertIn(b" 103", heads)
                self.assertIn(b"link: </app.css>; rel=preload; as=style", heads)
                gate.set()
                answer = client.read_to_end().lower()
                self.assertTrue(answer.endswith(b"done"), answer)
                self.assertNotIn(b"link:", answer)

    def test_they_are_never_stored(self):
        for http in HTTP_VERSIONS:
            with self.subTest(http):
                target = "/page" + http
                self.origin.routes[target] = Reply(body=b"x", fields=LONG_LIVED, interims=[(103, HINTS)])
                first = self.expect_miss(self.edge.get(target, http=http))
                self.assertEqual([(103, [("link", HINTS["Link"])])], first.interims, first)
                hit = self.expect_hit(self.edge.get(target, http=http))
                self.assertEqual(([], None), (hit.interims, hit.field("link")), hit)
        self.assertEqual(2, self.edge.metrics().sum("nearside_edge_interim_responses_total", outcome="passed"))

    def test_an_http10_client_gets_none(self):
        self.origin.routes["/page"] = Reply(body=b"x", interims=[(103, HINTS)])
        answer = send_bytes(self.edge.clear, f"GET /page HTTP/1.0\r\nHost: {SITE_HOST}\r\n\r\n".encode())
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    def test_a_continue_of_the_origin_stays_there(self):
        self.origin.routes["/form"] = Reply(body=b"done", interims=[(100, {})])
        for http in HTTP_VERSIONS:
            response = self.expect(self.edge.get("/form", http=http, data=b"a=1"), 200)
            self.assertEqual(([], b"done"), (response.interims, response.body))


class TrailerTest(EdgeTest):
    def setUp(self):
        super().setUp()
        self.edge = self.start_edge()

    def test_trailers_of_the_origin_reach_the_client(self):
        self.origin.routes["*"] = Reply(body=b"hello", fields=LONG_LIVED, chunked=True,
                                        trailers={"X-Sum": "5", "Content-Length": "7"})
        for http in HTTP_VERSIONS:
            with self.subTest(http):
                response = self.expect_miss(self.edge.get("/sum" + http, http=http))
                self.assertEqual((b"hello", [("x-sum", "5")]), (response.body, response.trailers), response)
                hit = self.expect_hit(self.edge.get("/sum" + http, http=http))
                self.assertEqual((b"hello", [], None), (hit.body, hit.trailers, hit.field("x-sum")))

    def test_trailers_of_a_client_reach_the_origin_without_claims(self):
        self.origin.routes["/form"] = Reply(body=b"done")
        request = (f"POST /form HTTP/1.1\r\nHost: {SITE_HOST}\r\nConnection: close\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
        self.assertIn(b" 200 ", send_bytes(self.edge.clear, request.encode()))
        seen = self.origin.seen("/form")[0]
        self.assertEqual((b"hello", {"x-sum": "5"}), (seen.body, seen.trailers))


class EventStreamTest(EdgeTest):
    FIELDS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}

    def setUp(self):
        super().setUp()
        self.edge = self.start_edge()

    def route(self, target: str, fields: dict[str, str]) -> list[Stream]:
        """Every request for it gets a stream of its own."""
        streams = []

        def begin(_seen):
            stream = Stream()
            streams.append(stream)
            return Reply(fields=fields, chunked=True, stream=stream)

        self.origin.routes[target] = begin
        return streams

    def expect_events(self, streams, clients, count: int = 20):
        """Each event reaches every client before the next one is sent."""
        for number in range(count):
            event = f"data: {number}\n\n".encode()
            for stream in streams:
                stream.pieces.put(event)
            for client in clients:
                client.read_until(event)

    def test_events_come_one_by_one_whatever_is_stored(self):
        for kind, fields in (("private", self.FIELDS), ("silent", {"Content-Type": "text/event-stream"}),
                             ("stored", {**self.FIELDS, "Cache-Control": "max-age=60"})):
            for http in HTTP_VERSIONS:
                with self.subTest(kind=kind, http=http):
                    streams = self.route(f"/{kind}/{http}", fields)
                    client = RunningCurl(self, self.edge, f"/{kind}/{http}", http)
                    wait_until(lambda streams=streams: streams, "the origin is asked")
                    self.expect_events(streams, [client])
                    streams[0].pieces.put(None)
                    self.assertEqual(b"", client.read_to_end())
                    self.assertEqual(0, client.process.returncode)

    def test_several_readers_have_a_stream_each_when_it_is_not_shared(self):
        streams = self.route("/events", self.FIELDS)
        clients = [RunningCurl(self, self.edge, "/events", http) for http in HTTP_VERSIONS * 3]
        wait_until(lambda: len(streams) == len(clients), "each has a stream of its own")
        self.expect_events(streams, clients)

    def test_several_readers_share_a_stream_that_may_be_shared(self):
        streams = self.route("/events", {**self.FIELDS, "Cache-Control": "max-age=60"})
        clients = [RunningCurl(self, self.edge, "/events", http) for http in HTTP_VERSIONS * 3]
        wait_until(lambda: self.edge.status()["connections"] >= len(clients), "all have come")
        self.expect_events(streams, clients)
        self.assertEqual(1, len(streams))

    def test_a_client_that_leaves_ends_its_stream_at_the_origin(self):
        for http in HTTP_VERSIONS:
            with self.subTest(http):
                streams = self.route("/events" + http, self.FIELDS)
                client = RunningCurl(self, self.edge, "/events" + http, http)
                wait_until(lambda streams=streams: streams, "the origin is asked")
                self.expect_events(streams, [client], 2)
                client.leave()
                self.assertTrue(streams[0].left.wait(DEADLINE_SECONDS), "the origin is not told")

    def test_a_client_that_leaves_a_silent_stream_is_noticed(self):
        """Nothing is written that would be answered by a reset: the end of its side is all that is seen."""
        edge = self.start_edge("virginia", extra='[limits]\nhalf_closed_timeout = "500ms"')
        get = f"GET /h1 HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode()
        get2 = frame(HEADERS, END_STREAM | END_HEADERS, 1, header_block(SITE_HOST, "/h2"))
        ca = authority() / "ca.pem"

        def tls() -> ssl.SSLSocket:
            return ssl.create_default_context(cafile=str(ca)).wrap_socket(
                socket.create_connection(edge.tls, timeout=20), server_hostname=SITE_HOST)

        for kind, target, connect, request in (
                ("HTTP/1.1", "/h1", lambda: socket.create_connection(edge.clear, timeout=20), get),
                ("HTTP/1.1 over TLS", "/h1", tls, get),
                ("HTTP/2", "/h2", lambda: socket.create_connection(edge.clear, timeout=20),
                 PREFACE + frame(SETTINGS, 0, 0) + get2),
                ("HTTP/2 over TLS", "/h2", lambda: open_session(edge.tls, SITE_HOST, ca), get2)):
            with self.subTest(kind):
                streams = self.route(target, self.FIELDS)
                with connect() as connection:
                    connection.sendall(request)
                    wait_until(lambda streams=streams: streams, "the origin is asked")
                    connection.settimeout(0.2)
                    try:
                        while connection.recv(65536):  # until the edge has said all that it has to say
                            pass
                    except TimeoutError:
                        pass
                    connection.settimeout(20)
                    if isinstance(connection, ssl.SSLSocket):
                        connection.setblocking(False)
                        try:
                            connection.unwrap()  # close_notify, and not that of the edge
                        except ssl.SSLError:
                            pass
                self.assertTrue(streams[0].left.wait(5), "the origin is not told")

    def test_a_slow_reader_does_not_delay_the_others(self):
        streams = self.route("/events", {**self.FIELDS, "Cache-Control": "max-age=60"})
        with socket.create_connection(self.edge.clear, timeout=20) as slow:
            slow.sendall(f"GET /events HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode())
            wait_until(lambda: streams, "the origin is asked")
            streams[0].pieces.put(b"data: first\n\n")
            fast = subprocess.Popen(["curl", "-sN", "--connect-to", f"::{self.edge.clear[0]}:{self.edge.clear[1]}",
                                     f"http://{SITE_HOST}/events"], stdout=subprocess.PIPE)
            self.addCleanup(fast.stdout.close)
            self.addCleanup(fast.wait)
            self.addCleanup(fast.kill)
            self.assertEqual(b"data: first\n", fast.stdout.readline())
            for number in range(50):
                line = f"data: {number} {'x' * 10_000}\n".encode()
                streams[0].pieces.put(line + b"\n")
                while (got := fast.stdout.readline()) == b"\n":
                    pass
                self.assertEqual(line, got)


if __name__ == "__main__":
    main()
