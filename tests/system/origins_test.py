"""Several origins of one site: the load is shared, failures are hidden, who fails is left alone and comes back."""

import concurrent.futures
import json
import re
import socket

from clients import curl
from fleet import EdgeTest, fetch_text
from nearside_harness import main, wait_until
from scripted_origin import Reply, ScriptedOrigin

LONG_LIVED = {"Cache-Control": "max-age=3600"}
NO_STORE = {"Cache-Control": "no-store"}


class OriginsTest(EdgeTest):
    def add_origin(self) -> ScriptedOrigin:
        address = self.addresses.address()
        origin = ScriptedOrigin(address, self.addresses.port(address)).start()
        self.addCleanup(origin.stop)
        return origin

    def start_pair(self, site: str = ""):
        self.second = self.add_origin()
        self.pair = [self.origin, self.second]
        for number, origin in enumerate(self.pair):
            origin.routes["*"] = Reply(body=b"from %d" % number, fields=NO_STORE)
        self.edge = self.start_edge(origins=[origin.url for origin in self.pair], site=site)
        return self.edge

    def states(self) -> dict[str, str]:
        return {origin["origin"]: origin["state"] for origin in self.edge.status()["origins"]}

    def state(self, origin: ScriptedOrigin) -> str:
        return self.states()[origin.url]

    def test_both_are_asked(self):
        edge = self.start_pair()
        for number in range(40):
            self.expect(edge.get_clear(f"/{number}"), 200)
        for origin in self.pair:
            self.assertGreater(len(origin.requests), 4)
        metrics = edge.metrics()
        for origin in self.pair:
            self.assertEqual(len(origin.requests), metrics.sum(
                "nearside_edge_site_origin_requests_total", site="demo", origin=origin.url))
            self.assertEqual(1, metrics.sum("nearside_edge_site_origin_up", origin=origin.url))
        wait_until(lambda: edge.metrics().sum("nearside_edge_site_origin_in_flight") == 0, "nothing is in flight")

    def test_no_client_sees_one_of_two_origins_die_and_come_back(self):
        edge = self.start_pair('eject_after = 3\neject_for = "300ms"')
        self.expect(edge.get_clear("/"), 200)
        self.second.stop()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for response in pool.map(lambda number: edge.get_clear(f"/{number}"), range(60)):
                self.assertEqual((200, b"from 0"), (response.status, response.body), response)
        self.assertIn(self.state(self.second), ("ejected", "trial"))
        self.assertEqual("up", self.state(self.origin))
        why = next(origin for origin in edge.status()["origins"] if origin["origin"] == self.second.url)
        self.assertIn("refused", why["why"])
        self.assertRegex(why["since"], r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(1, edge.daemon.log().count("event=origin_ejected"))
        self.second.start()
        wait_until(lambda: self.expect(edge.get_clear("/"), 200) and self.state(self.second) == "up",
                   "the second origin is asked again")
        self.assertEqual(1, edge.daemon.log().count("event=origin_returned"))

    def test_errors_of_one_are_answered_by_the_other(self):
        edge = self.start_pair("eject_after = 1000\nretry_percent = 100")
        self.origin.routes["*"] = Reply(503, b"broken", NO_STORE)
        for number in range(20):
            self.assertEqual(b"from 1", self.expect(edge.get_clear(f"/{number}"), 200).body)
        failures = edge.metrics().sum("nearside_edge_site_origin_failures_total", reason="origin_failed")
        self.assertEqual(len(self.origin.requests), failures)
        self.assertEqual(20, len(self.second.requests))
        for _ in range(10):  # what is not idempotent is not repeated
            self.assertIn(edge.get_clear("/form", data=b"a=1").status, (200, 503))
        self.assertEqual(20 + 10, len(self.second.requests) + len(self.origin.requests) - int(failures))

    def test_a_black_hole_costs_a_few_requests_their_patience_and_no_more(self):
        hole = socket.socket()
        self.addCleanup(hole.close)
        address = self.addresses.address()
        hole.bind((address, 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]  # what goes beyond the backlog is never answered
        for filler in fillers:
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        url = f"http://{address}:{hole.getsockname()[1]}"
        self.origin.routes["*"] = Reply(body=b"well", fields=NO_STORE)
        edge = self.start_edge(origins=[url, self.origin.url],
                               site='connect_timeout = "200ms"\neject_after = 2\neject_for = "1h"')
        for number in range(40):
            self.assertEqual(b"well", self.expect(edge.get_clear(f"/{number}"), 200).body)
        metrics = edge.metrics()
        timeouts = metrics.sum("nearside_edge_site_origin_failures_total", origin=url, reason="origin_timeout")
        self.assertEqual(2, timeouts)
        self.assertEqual(1, metrics.sum("nearside_edge_site_origin_ejections_total", origin=url))

    def test_an_origin_that_fails_its_check_is_not_asked(self):
        second = self.add_origin()
        for origin, status in ((self.origin, 200), (second, 503)):
            origin.routes["*"] = Reply(body=b"page", fields=NO_STORE)
            origin.routes["/health"] = Reply(status, b"")
        edge = self.edge = self.start_edge(
            origins=[self.origin.url, second.url],
            site='check = { path = "/health", interval = "100ms", timeout = "30s", rise = 1, fall = 1 }')
        wait_until(lambda: self.state(second) == "down", "the check fails")
        asked = len(second.requests) - second.count("/health")
        for number in range(20):
            self.expect(edge.get_clear(f"/{number}"), 200)
        self.assertEqual(asked, len(second.requests) - second.count("/health"))
        self.assertEqual(0, edge.metrics().sum("nearside_edge_site_origin_up", origin=second.url))
        explained = json.loads(fetch_text(edge.admin_url("/explain?url=http://www.demo.test/x")))
        self.assertEqual({self.origin.url: True, second.url: False},
                         {origin["origin"]: origin["may_be_asked_now"] for origin in explained["origins"]})
        second.routes["/health"] = Reply(200, b"")
        wait_until(lambda: self.state(second) == "up", "the check is passed again")
        log = edge.daemon.log()
        self.assertEqual((1, 1), (log.count("event=origin_down"), log.count("event=origin_up")), log)

    def test_a_reload_forgets_nothing_about_origins_that_stay(self):
        edge = self.start_pair('eject_after = 1\neject_for = "1h"')
        self.second.stop()
        wait_until(lambda: self.expect(edge.get_clear("/"), 200) and self.state(self.second) == "ejected", "ejected")
        config = edge.daemon.config_path.read_text()
        edge.daemon.configure(re.sub(r"eject_after = 1\n", "eject_after = 2\n", config))
        edge.daemon.reload()
        edge.daemon.wait_for_log("event=reloaded")
        self.assertEqual({self.origin.url: "up", self.second.url: "ejected"}, self.states())
        edge.daemon.configure(config.replace(f', "{self.second.url}"', ""))
        edge.daemon.reload()
        wait_until(lambda: self.states() == {self.origin.url: "up"}, "one origin is left")
        self.expect(edge.get_clear("/"), 200)

    def test_ipv6_from_listener_to_origin(self):
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            origin_port = free.getsockname()[1]
            with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
                port = other.getsockname()[1]
        origin = ScriptedOrigin("::1", origin_port).start()
        self.addCleanup(origin.stop)
        origin.routes["/page"] = Reply(body=b"over six", fields=LONG_LIVED)
        edge = self.start_edge(origins=[origin.url], extra=f'[[listen]]\naddress = "[::1]:{port}"\n')
        for expect in (self.expect_miss, self.expect_hit):
            response = expect(curl("http://www.demo.test/page", to=("[::1]", port), http="1.1"))
            self.assertEqual(b"over six", response.body)
        self.assertIn('for="[::1]"', origin.seen("/page")[0].fields["forwarded"])
        self.expect_hit(edge.get_clear("/page"))


if __name__ == "__main__":
    main()
