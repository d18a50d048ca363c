"""The edge between curl and a scripted origin: misses, hits, expiry, validation, coalescing, back-pressure."""

import concurrent.futures
import hashlib
import random
import socket
import ssl
import threading
import time

from clients import h2load
from fleet import SITE_HOST, EdgeTest
from http2_frames import Download
from nearside_harness import authority, main, require_program, wait_until
from scripted_origin import Reply

LONG_LIVED = {"Cache-Control": "max-age=3600"}


class ServingTest(EdgeTest):
    def setUp(self):
        super().setUp()
        self.edge = self.start_edge()

    def test_miss_then_hit_over_http2_and_tls13(self):
        body = random.Random(1).randbytes(300_000)
        fields = {**LONG_LIVED, "Content-Type": "image/webp", "ETag": '"v1"'}
        self.origin.routes["/picture"] = Reply(body=body, fields=fields)
        first = self.expect_miss(self.edge.get("/picture", options=("--tlsv1.3",)))
        self.assertEqual(("2", 200), (first.version, first.status), first)
        self.assertIn('"frankfurt"', first.cache_status)
        self.assertIn("fwd=uri-miss", first.cache_status)
        second = self.expect_hit(self.edge.get("/picture", options=("--tlsv1.3",)))
        self.assertIn("ttl=", second.cache_status)
        self.assertIsNotNone(second.age, second)
        self.assertIsNotNone(second.field("via"), second)
        for response in (first, second):
            self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(response.body).digest())
            self.assertEqual("image/webp", response.field("content-type"))
            self.assertEqual('"v1"', response.field("etag"))
        self.assertEqual(1, self.origin.count("/picture"))

    def test_same_object_by_http11_http2_and_in_the_clear(self):
        self.origin.routes["/page"] = Reply(body=b"hello\n", fields=LONG_LIVED)
        for get in (self.edge.get, self.edge.get_clear):  # https and http are different URLs
            self.expect_miss(get("/page"))
            for http in ("1.1", "2"):
                self.assertEqual(b"hello\n", self.expect_hit(get("/page", http=http)).body)
        self.assertEqual("1.1", self.edge.get("/page", http="1.1").version)
        self.assertEqual("2", self.edge.get_clear("/page", http="2").version)

    def test_head_is_answered_from_the_stored_response(self):
        self.origin.routes["/page"] = Reply(body=b"x" * 1234, fields=LONG_LIVED)
        self.edge.get("/page")
        head = self.expect_hit(self.edge.get("/page", method="HEAD"))
        self.assertEqual(("1234", b""), (head.field("content-length"), head.body))

    def test_age_grows_and_counts_what_the_origin_told(self):
        self.origin.routes["/old"] = Reply(body=b"x", fields={**LONG_LIVED, "Age": "100"})
        self.edge.get("/old")
        self.assertGreaterEqual(self.edge.get("/old").age, 100)

    def test_range_of_a_stored_body(self):
        body = random.Random(2).randbytes(200_000)
        self.origin.routes["/movie"] = Reply(body=body, fields={**LONG_LIVED, "ETag": '"m"'})
        self.edge.get("/movie")
        part = self.expect(self.edge.get("/movie", options=("-r", "65000-131999")), 206)
        self.assertEqual("bytes 65000-131999/200000", part.field("content-range"))
        self.assertEqual(body[65000:132000], part.body)
        self.expect(self.edge.get("/movie", options=("-r", "200000-")), 416)

    def test_conditional_request_is_answered_304(self):
        self.origin.routes["/page"] = Reply(body=b"x", fields={**LONG_LIVED, "ETag": '"v1"'})
        self.edge.get("/page")
        self.expect(self.edge.get("/page", fields={"If-None-Match": '"v1"'}), 304)
        self.expect(self.edge.get("/page", fields={"If-None-Match": '"v2"'}), 200)

    def test_what_may_not_be_stored_is_not(self):
        for name, fields in (("no-store", {"Cache-Control": "no-store"}),
                             ("private", {"Cache-Control": "private, max-age=60"}),
                             ("cookie", {**LONG_LIVED, "Set-Cookie": "a=b"}), ("vary", {**LONG_LIVED, "Vary": "*"})):
            with self.subTest(name):
                self.origin.routes["/" + name] = Reply(body=b"x", fields=fields)
                for _ in range(3):
                    self.expect_miss(self.edge.get("/" + name))
                self.assertEqual(3, self.origin.count("/" + name))

    def test_cdn_cache_control_wins_and_tags_are_removed(self):
        self.origin.routes["/page"] = Reply(body=b"x", fields={
            "Cache-Control": "no-store", "CDN-Cache-Control": "max-age=600", "Surrogate-Key": "a b"})
        self.edge.get("/page")
        response = self.expect_hit(self.edge.get("/page"))
        self.assertEqual("no-store", response.field("cache-control"))
        self.assertIsNone(response.field("surrogate-key"))

    def test_vary_keeps_one_response_for_each_language(self):
        self.origin.routes["/page"] = lambda seen: Reply(
            body=seen.fields.get("accept-language", "-").encode(), fields={**LONG_LIVED, "Vary": "Accept-Language"})
        for language in ("de", "en", "de", "en"):
            self.assertEqual(language.encode(), self.edge.get("/page", fields={"Accept-Language": language}).body)
        self.assertEqual(2, self.origin.count("/page"))

    def test_unknown_host_is_told_421(self):
        response = self.expect(self.edge.get_clear("/", host="other.example.org"), 421)
        self.assertIn(b"other.example.org", response.body)

    def test_post_is_passed_and_invalidates(self):
        self.origin.routes["/form"] = lambda seen: Reply(body=seen.method.encode() + seen.body, fields=LONG_LIVED)
        self.assertEqual(b"GET", self.edge.get("/form").body)
        self.assertEqual(b"POSTa=1", self.edge.get("/form", data=b"a=1").body)
        self.assertEqual(b"GET", self.expect_miss(self.edge.get("/form")).body)

    def test_forged_forwarding_fields_do_not_reach_the_origin(self):
        self.origin.routes["/x"] = Reply(body=b"x")
        forged = {"X-Forwarded-For": "9.9.9.9", "Forwarded": "for=9.9.9.9", "X-Rewrite-URL": "/admin"}
        self.edge.get("/x", fields=forged)
        fields = self.origin.seen("/x")[0].fields
        self.assertNotIn("9.9.9.9", fields.get("x-forwarded-for", "") + fields.get("forwarded", ""))
        self.assertNotIn("x-rewrite-url", fields)
        self.assertEqual(SITE_HOST, fields["host"])

    def test_counters_and_status_tell_the_same(self):
        self.origin.routes["/page"] = Reply(body=b"x", fields=LONG_LIVED)
        for _ in range(4):
            self.edge.get("/page")
        status = self.edge.status()
        self.assertEqual((1, 3), (status["requests"]["miss"], status["requests"]["hit"]))
        metrics = self.edge.metrics()
        self.assertEqual(3, metrics.sum("nearside_edge_requests_total", result="hit"), metrics.text)
        self.assertEqual(1, metrics.sum("nearside_edge_requests_total", result="miss"), metrics.text)


class ExpiryTest(EdgeTest):
    def setUp(self):
        super().setUp()
        self.edge = self.start_edge()
        self.etag = '"v1"'
        self.body = b"first"

        def page(seen):
            first = self.etag == '"v1"' and "if-none-match" not in seen.fields
            fields = {"Cache-Control": "max-age=5" if first else "max-age=3600", "ETag": self.etag}
            if seen.fields.get("if-none-match") == self.etag:
                return Reply(304, fields=fields)
            return Reply(body=self.body, fields=fields)

        self.origin.routes["/page"] = page

    def wait_until_stale(self):
        """A stale copy is validated, which shows as a second request at the origin."""
        requests = self.origin.count("/page")

        def validated():
            self.last = self.edge.get("/page")
            return self.origin.count("/page") > requests

        wait_until(validated, "the copy of /page expires")
        return self.last

    def test_validated_after_its_time_and_fresh_again(self):
        self.expect_miss(self.edge.get("/page"))
        self.expect_hit(self.edge.get("/page"))
        validated = self.wait_until_stale()
        self.assertEqual((200, b"first"), (validated.status, validated.body), validated)
        self.assertEqual('"v1"', self.origin.seen("/page")[-1].fields["if-none-match"])
        self.assertIn("fwd=stale", validated.cache_status)
        self.assertIn("fwd-status=304", validated.cache_status)
        self.assertEqual(b"first", self.expect_hit(self.edge.get("/page")).body)

    def test_replaced_when_it_has_changed(self):
        self.edge.get("/page")
        self.etag, self.body = '"v2"', b"second"
        self.assertEqual(b"second", self.wait_until_stale().body)
        after = self.expect_hit(self.edge.get("/page"))
        self.assertEqual((b"second", '"v2"'), (after.body, after.field("etag")))


class CoalescingTest(EdgeTest):
    def test_forty_misses_at_once_make_one_request(self):
        edge = self.start_edge()
        gate = threading.Event()
        body = random.Random(3).randbytes(500_000)
        self.origin.routes["/new"] = Reply(body=body, fields=LONG_LIVED, gate=gate)
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            waiting = [pool.submit(edge.get, "/new") for _ in range(40)]
            wait_until(lambda: self.origin.count("/new") == 1, "the one request arrives")
            wait_until(lambda: edge.status()["connections"] >= 40, "forty clients wait")
            gate.set()
            for response in (future.result() for future in waiting):
                self.assertEqual((200, hashlib.sha256(body).hexdigest()),
                                 (response.status, hashlib.sha256(response.body).hexdigest()), response)
        self.assertEqual(1, self.origin.count("/new"))

    def test_a_thousand_misses_at_once_make_one_request(self):
        require_program("h2load")
        edge = self.start_edge()
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.origin.routes["/new"] = Reply(body=random.Random(6).randbytes(50_000), fields=LONG_LIVED, gate=gate)
        url = f"http://{edge.clear[0]}:{edge.clear[1]}/new"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            report = pool.submit(h2load, url, "-n", "1000", "-c", "50", "-m", "20", "-H", f":authority: {SITE_HOST}")
            wait_until(lambda: edge.metrics().sum("nearside_edge_collapsed_total") == 999, "999 wait for one")
            gate.set()
            self.assertIn("1000 succeeded, 0 failed, 0 errored", report.result())
        self.assertEqual(1, self.origin.count("/new"))

    def test_waiters_read_along_while_the_body_arrives(self):
        edge = self.start_edge()
        gate = threading.Event()
        self.origin.routes["/slow"] = Reply(body=b"a" * 100_000 + b"b" * 100_000, fields=LONG_LIVED, body_gate=gate)
        with socket.create_connection(edge.clear, timeout=20) as connection:
            connection.sendall(f"GET /slow HTTP/1.1\r\nHost: {SITE_HOST}\r\nConnection: close\r\n\r\n".encode())
            early = b""
            while early.count(b"a") < 60_000:  # the half that the origin has sent already
                part = connection.recv(65536)
                self.assertTrue(part, f"the response ended after {len(early)} bytes")
                early += part
            self.assertFalse(gate.is_set())
            gate.set()
            while part := connection.recv(65536):
                early += part
        self.assertTrue(early.endswith(b"b" * 100_000))

    def test_private_answer_is_not_shared_with_waiters(self):
        edge = self.start_edge()
        gate = threading.Event()
        numbers = iter(range(1000))
        lock = threading.Lock()

        def private(_seen):
            with lock:
                return Reply(body=str(next(numbers)).encode(), fields={"Cache-Control": "private"}, gate=gate)

        self.origin.routes["/me"] = private
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            waiting = [pool.submit(edge.get, "/me") for _ in range(10)]
            wait_until(lambda: self.origin.count("/me") >= 1, "the first request arrives")
            gate.set()
            bodies = [future.result().body for future in waiting]
        self.assertEqual(10, len(set(bodies)), f"each visitor has a page of his own: {bodies}")

    def test_client_that_leaves_does_not_abort_the_fill(self):
        edge = self.start_edge()
        gate = threading.Event()
        self.origin.routes["/big"] = Reply(body=b"z" * 400_000, fields=LONG_LIVED, body_gate=gate)
        with socket.create_connection(edge.clear, timeout=20) as connection:
            connection.sendall(f"GET /big HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode())
            connection.recv(1000)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                other = pool.submit(edge.get_clear, "/big")
                wait_until(lambda: edge.status()["connections"] >= 2, "a second client reads along")
                connection.close()
                gate.set()
                self.assertEqual(400_000, len(other.result().body))
        self.assertEqual(1, self.origin.count("/big"))


class BackPressureTest(EdgeTest):
    BODY_BYTES = 4 << 20
    READERS = 12

    def test_slow_readers_hold_no_more_than_their_windows(self):
        edge = self.start_edge()
        body = random.Random(4).randbytes(self.BODY_BYTES)
        self.origin.routes["/big"] = Reply(body=body, fields=LONG_LIVED)
        self.assertEqual(body, edge.get("/big").body)
        edge.wait_until_stored()
        before = edge.daemon.resident_kib()
        context = ssl.create_default_context(cafile=str(authority() / "ca.pem"))
        readers = []
        for _ in range(self.READERS):
            plain = socket.socket()
            plain.settimeout(30)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            plain.connect(edge.tls)
            reader = context.wrap_socket(plain, server_hostname=SITE_HOST)
            reader.sendall(f"GET /big HTTP/1.1\r\nHost: {SITE_HOST}\r\nConnection: close\r\n\r\n".encode())
            reader.recv(1000)
            readers.append(reader)
        time.sleep(0.5)  # nothing to wait for: what must not grow is watched
        grown = edge.daemon.resident_kib() - before
        if not edge.daemon.is_sanitized():
            self.assertLess(grown, self.READERS * self.BODY_BYTES // 1024 // 3,
                            f"{self.READERS} slow readers of 4 MiB made the edge grow by {grown} KiB")
        received = 0
        while part := readers[0].recv(65536):
            received += len(part)
        self.assertGreater(received, self.BODY_BYTES - 1000, "and the slow one gets it whole")
        for reader in readers:
            reader.close()


    def test_http2_windows_hold_back_hits_and_misses(self):
        """Readers that never open their windows: once the bodies are stored, 64 KiB each are under way and no more."""
        edge = self.start_edge(disk="256MiB")
        body = random.Random(5).randbytes(self.BODY_BYTES)
        for number in range(self.READERS):
            self.origin.routes[f"/{number}"] = Reply(body=body, fields=LONG_LIVED)
        for round_of in ("misses", "hits"):
            with self.subTest(round_of):
                before = edge.daemon.resident_kib()
                readers = []
                for number in range(self.READERS):
                    readers.append(Download(edge.tls, SITE_HOST, f"/{number}", authority() / "ca.pem"))
                    self.addCleanup(readers[-1].close)
                for reader in readers:
                    reader.read(lambda one: one.body_bytes == 65535)
                edge.wait_until_stored(self.READERS)  # slow readers do not keep an object out of the cache
                wait_until(lambda: edge.metrics().sum("nearside_edge_fill_bytes") == 0, "fills hold nothing")
                grown = edge.daemon.resident_kib() - before
                if round_of == "hits" and not edge.daemon.is_sanitized():
                    # 48 MiB of bodies; the RAM tier takes 16 MiB of them.
                    self.assertLess(grown, 24 << 10, f"grew by {grown} KiB")
                readers[0].open_windows(self.BODY_BYTES)
                readers[0].read(lambda one: one.ended)
                self.assertEqual(self.BODY_BYTES, readers[0].body_bytes, "and a slow one gets it whole")


class LoadTest(EdgeTest):
    def test_thousands_of_requests_all_succeed(self):
        require_program("h2load")
        edge = self.start_edge()
        for number in range(8):
            self.origin.routes[f"/{number}"] = Reply(body=bytes([number]) * (1 << (2 * number)), fields=LONG_LIVED)
            self.expect_miss(edge.get_clear(f"/{number}"))
        urls = [f"http://{edge.clear[0]}:{edge.clear[1]}/{number}" for number in range(8)]
        report = h2load(urls[0], "-n", "4000", "-c", "20", "-m", "10", "-H", f":authority: {SITE_HOST}", *urls[1:])
        self.assertIn("4000 succeeded, 0 failed, 0 errored", report)
        self.assertIn("4000 2xx", report)
        self.assertEqual(8, len(self.origin.requests))


class LargeTransferTest(EdgeTest):
    def test_64_mib_arrive_whole_as_miss_and_as_hit(self):
        edge = self.start_edge(disk="256MiB")
        body = random.Random(5).randbytes(1 << 20) * 64
        self.origin.routes["/iso"] = Reply(body=body, fields=LONG_LIVED)
        expected = hashlib.sha256(body).hexdigest()
        self.expect_miss(self.edge_get_whole(edge, expected))
        edge.wait_until_stored()
        self.expect_hit(self.edge_get_whole(edge, expected))
        self.assertEqual(1, self.origin.count("/iso"))

    def edge_get_whole(self, edge, expected):
        response = edge.get("/iso", timeout=120)
        self.assertEqual(expected, hashlib.sha256(response.body).hexdigest())
        return response


if __name__ == "__main__":
    main()
