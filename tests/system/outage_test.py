"""Origins that fail: what is stale is still served and says so, what is unknown gets a clear error, and all heals."""

import concurrent.futures
import random
import threading

from fleet import EdgeTest
from nearside_harness import main, wait_until
from scripted_origin import Reply, ScriptedOrigin

SHORT_LIVED = {"Cache-Control": "max-age=1"}
LONG_LIVED = {"Cache-Control": "max-age=3600"}


class OutageTest(EdgeTest):
    def expire(self, edge, target):
        """Asks until the copy is served stale (the origin fails), and returns that response."""
        def stale():
            response = edge.get(target)
            return response if "ttl=-" in response.cache_status or "fwd=stale" in response.cache_status else None

        return wait_until(stale, f"{target} is stale")

    def test_expired_objects_are_served_while_the_origin_is_down(self):
        self.origin.routes["/page"] = Reply(body=b"kept", fields=SHORT_LIVED)
        edge = self.start_edge()
        edge.get("/page")
        self.origin.stop()
        stale = self.expire(edge, "/page")
        self.assertEqual((200, b"kept"), (stale.status, stale.body), stale)
        self.assertIn("fwd=stale", stale.cache_status)
        self.assertIn("stale_if_error", stale.cache_status)
        self.assertGreater(edge.metrics().sum("nearside_edge_requests_total", result="stale"), 0)

    def test_never_seen_object_gets_a_clear_error(self):
        edge = self.start_edge()
        self.origin.stop()
        response = edge.get("/never")
        self.assertIn(response.status, (502, 504), response)
        self.assertIn("origin", response.cache_status)
        self.assertGreater(len(response.body), 10, "a person can read what happened")
        self.assertNotIn("max-age", response.field("cache-control") or "")

    def test_origin_back_is_normal_without_a_restart(self):
        self.origin.routes["/page"] = Reply(body=b"old", fields=SHORT_LIVED)
        edge = self.start_edge()
        edge.get("/page")
        self.origin.stop()
        self.expire(edge, "/page")
        self.assertIn(edge.get("/new").status, (502, 504))
        self.origin.routes["/page"] = Reply(body=b"new", fields=LONG_LIVED)
        self.origin.routes["/new"] = Reply(body=b"now there", fields=LONG_LIVED)
        self.origin.start()
        wait_until(lambda: edge.get("/page").body == b"new", "the new page is fetched")
        wait_until(lambda: edge.get("/new").body == b"now there", "what was never there is fetched")
        self.expect_hit(edge.get("/page"))

    def test_errors_of_the_origin_are_covered_by_the_stale_copy(self):
        self.origin.routes["/page"] = Reply(body=b"kept", fields=SHORT_LIVED)
        edge = self.start_edge()
        edge.get("/page")
        for status in (500, 502, 503, 504):
            with self.subTest(status=status):
                self.origin.routes["/page"] = Reply(status, b"broken")
                stale = self.expire(edge, "/page")
                self.assertEqual((200, b"kept"), (stale.status, stale.body), stale)

    def test_who_waited_for_an_error_is_told_when_to_try_again(self):
        for name, fields, told in (("/all", {}, "17"), ("/one", {"Cache-Control": "private"}, None)):
            with self.subTest(name):
                gate = threading.Event()
                self.addCleanup(gate.set)
                self.origin.routes[name] = Reply(503, b"sorry, Anna", {"Retry-After": "17", **fields}, gate=gate)
                edge = self.start_edge("edge" + name[1:])
                with concurrent.futures.ThreadPoolExecutor(4) as pool:
                    asked = [pool.submit(edge.get, name) for _ in range(4)]
                    wait_until(lambda: edge.metrics().sum("nearside_edge_collapsed_total") == 3, "three wait")
                    gate.set()
                    responses = [self.expect(one.result(), 503) for one in asked]
                own = [response for response in responses if response.body == b"sorry, Anna"]
                others = [response for response in responses if "origin_failed" in response.cache_status]
                self.assertEqual((1, 3, 1), (len(own), len(others), self.origin.count(name)))
                self.assertEqual("17", own[0].field("retry-after"))
                self.assertEqual([told] * 3, [response.field("retry-after") for response in others])

    def test_must_revalidate_is_never_served_stale(self):
        self.origin.routes["/page"] = Reply(body=b"kept", fields={"Cache-Control": "max-age=1, must-revalidate"})
        edge = self.start_edge()
        edge.get("/page")
        self.origin.stop()
        response = wait_until(lambda: (r := edge.get("/page")).status != 200 and r, "the copy expires")
        self.assertIn(response.status, (502, 504), response)

    def test_hanging_origin_is_given_up(self):
        edge = self.start_edge(site='origin_timeout = "500ms"')
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.origin.routes["/hang"] = Reply(body=b"late", gate=gate)
        self.expect(edge.get("/hang"), 504)

    def test_second_origin_is_asked_when_the_first_is_down(self):
        address = self.addresses.address()
        second = ScriptedOrigin(address, self.addresses.port(address)).start()
        self.addCleanup(second.stop)
        second.routes["/page"] = Reply(body=b"from the second", fields=LONG_LIVED)
        edge = self.start_edge(origins=[self.origin.url, second.url])
        self.origin.stop()
        self.assertEqual(b"from the second", self.expect(edge.get("/page"), 200).body)


class BrokenOriginTest(EdgeTest):
    def setUp(self):
        super().setUp()
        self.edge = self.start_edge()

    def test_nonsense_is_a_502_with_a_reason(self):
        nonsense = {
            "garbage": b"\x00\x01garbage\r\n\r\n",
            "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "length-and-chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  b"5\r\nhello\r\n0\r\n\r\n",
            "nothing": b"",
            "half-a-head": b"HTTP/1.1 200 OK\r\nContent-Le",
            "huge-head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        }
        for name, raw in nonsense.items():
            with self.subTest(name):
                self.origin.routes[f"/{name}"] = Reply(raw=raw)
                response = self.expect(self.edge.get(f"/{name}"), 502)
                self.assertIn("origin_", response.cache_status)
                self.expect_miss(self.edge.get(f"/{name}"))

    def test_cut_off_body_is_never_stored_as_whole(self):
        body = random.Random(8).randbytes(300_000)
        for name, reply in (("length", Reply(body=body, fields=LONG_LIVED, length=len(body), cut_after=150_000)),
                            ("chunked", Reply(body=body, fields=LONG_LIVED, chunked=True, cut_after=150_000))):
            with self.subTest(name):
                self.origin.routes[f"/{name}"] = reply
                broken = self.edge.get(f"/{name}")
                self.assertTrue(broken.exit_code != 0 or broken.status == 502, f"the client must notice\n{broken}")
                self.origin.routes[f"/{name}"] = Reply(body=body, fields=LONG_LIVED)
                self.assertEqual(body, self.expect_miss(self.edge.get(f"/{name}")).body)
                self.assertEqual(body, self.expect_hit(self.edge.get(f"/{name}")).body)

    def test_chunked_body_is_stored(self):
        body = random.Random(9).randbytes(100_000)
        self.origin.routes["/chunked"] = Reply(body=body, fields=LONG_LIVED, chunked=True)
        self.assertEqual(body, self.edge.get("/chunked").body)
        self.assertEqual(body, self.expect_hit(self.edge.get("/chunked")).body)


if __name__ == "__main__":
    main()
