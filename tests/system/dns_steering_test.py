"""What operators do with steering: drain, capacity, checks of every kind, min_healthy, explain and steer."""

import json
import signal
import threading
import urllib.error
import urllib.request

from fleet import PLACES, TOKEN, Metrics, country_database, fetch_text
from clients import DnsAnswer, kdig
from nearside_harness import SystemTest, main, run_program, wait_until
from scripted_origin import Reply, ScriptedOrigin

TOKYO_UNIVERSITY = "133.11.0.0/16"
GERMAN_TELEKOM = "84.128.0.0/16"
SOUTH_AFRICAN = "105.224.0.0/16"
NAME = "www.demo.test"
ZONE = """$ORIGIN demo.test.
$TTL 300
@    IN SOA  ns1 hostmaster 2026112001 3600 600 604800 60
@    IN NS   ns1
ns1  IN A    127.0.0.1
*.wild IN A  192.0.2.77
"""


class Point:
    """A point of presence whose health a test writes down."""

    def __init__(self, test: SystemTest) -> None:
        address = test.addresses.address()
        self.endpoint = ScriptedOrigin(address, test.addresses.port(address))
        self.address = address
        self.reply = Reply(200, b"all well\n")
        self.endpoint.routes["*"] = lambda _seen: self.reply

    def says(self, status: int = 200, body: bytes = b"all well\n", **fields: str) -> None:
        self.reply = Reply(status, body, {name.replace("_", "-"): value for name, value in fields.items()})


class SteeringSystemTest(SystemTest):
    CHECK = ""
    POP = ""
    STEER = ""
    FALL = 1
    TIMEOUT = "30s"  # of a check

    def setUp(self) -> None:
        super().setUp()
        self.points = {name: Point(self) for name in PLACES}
        for point in self.points.values():
            point.endpoint.start()
            self.addCleanup(point.endpoint.stop)
        address = self.addresses.address()
        self.server = (address, self.addresses.port(address))
        self.admin = f"http://{address}:{self.addresses.port(address)}"
        self.fallback = self.addresses.address()
        self.token_path = self.folder / "geodns.token"
        self.token_path.write_text(TOKEN + "\n")
        (self.folder / "client.toml").write_text(
            f'geodns = "{self.admin}"\ngeodns_token_file = "{self.token_path}"\n')
        (self.folder / "zone").write_text(ZONE)
        self.daemon = self.add_daemon("nearside-geodns", "geodns", self.config())
        self.daemon.start()

    def check_of(self, point: Point) -> str:
        return f'url = "{point.endpoint.url}/healthz"{self.CHECK}'

    def config(self) -> str:
        pops = ""
        for name, point in self.points.items():
            pops += (f'[[pop]]\nname = "{name}"\naddresses = ["{point.address}"]\nlocation = {list(PLACES[name])}\n'
                     f'{self.POP}\ncheck = {{ {self.check_of(point)}, interval = "200ms", '
                     f'timeout = "{self.TIMEOUT}", rise = 1, fall = {self.FALL} }}\n')
        return f"""
[geodns]
listen = ["{self.server[0]}:{self.server[1]}"]
threads = 1
state = "{self.folder}/state"
[admin]
address = "{self.admin.removeprefix("http://")}"
token_file = "{self.token_path}"
[geo]
databases = ["{country_database()}"]
{pops}
[[zone]]
name = "demo.test"
file = "{self.folder}/zone"
[[zone.steer]]
names = ["www"]
pops = {json.dumps(list(self.points))}
ttl = 1
fallback = ["{self.fallback}"]
{self.STEER}
"""

    def ask(self, subnet: str) -> DnsAnswer:
        return kdig(self.server, NAME, subnet=subnet)

    def place_of(self, subnet: str) -> str:
        """Which point of presence a network is led to; "fallback" or the addresses themselves when it is none."""
        names = {point.address: name for name, point in self.points.items()} | {self.fallback: "fallback"}
        answers = self.ask(subnet).answers
        return names.get(answers[0], answers[0]) if answers else "nobody"

    def await_place(self, subnet: str, place: str) -> None:
        wait_until(lambda: self.place_of(subnet) == place, f"{subnet} is led to {place}")

    def nearside(self, *arguments: str):
        return run_program("nearside", "--config", self.folder / "client.toml", *arguments)

    def status_of(self, name: str) -> dict:
        pops = json.loads(fetch_text(f"{self.admin}/status"))["pops"]
        return next(pop for pop in pops if pop["name"] == name)

    def explain(self, client: str) -> dict:
        return json.loads(fetch_text(f"{self.admin}/explain?name={NAME}&client={client}"))


class DrainTest(SteeringSystemTest):
    def test_a_drain_lasts_over_a_restart_and_a_reload_until_it_is_undone(self):
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        done = self.nearside("drain", "tokyo")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("tokyo is drained, 2 up", done.stdout)
        self.await_place(TOKYO_UNIVERSITY, "frankfurt")
        self.daemon.reload()
        self.daemon.wait_for_log("event=reloaded")
        self.assertEqual("frankfurt", self.place_of(TOKYO_UNIVERSITY))
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual("frankfurt", self.place_of(TOKYO_UNIVERSITY))
        status = self.status_of("tokyo")
        self.assertEqual(("drained", "operator"), (status["state"], status["drained"][0]["by"]))
        tokyo = next(pop for pop in self.explain("133.11.0.1")["pops"] if pop["name"] == "tokyo")
        self.assertEqual("drained by operator", tokyo["left_out"])
        metrics = Metrics(fetch_text(f"{self.admin}/metrics"))
        self.assertEqual(1, metrics.sum("nearside_dns_pop_drained_by_operator", pop="tokyo"))
        self.assertIn("was already drained", self.nearside("drain", "tokyo").stdout)
        self.assertEqual(0, self.nearside("undrain", "tokyo").returncode)
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        self.daemon.stop()
        self.daemon.start()
        self.await_place(TOKYO_UNIVERSITY, "tokyo")

    def test_an_unknown_point_and_a_missing_token_are_named(self):
        refused = self.nearside("drain", "tokio")
        self.assertEqual(1, refused.returncode)
        self.assertIn('there is no [[pop]] called "tokio"; there are frankfurt, virginia, tokyo', refused.stderr)
        with self.assertRaises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(urllib.request.Request(f"{self.admin}/drain?pop=tokyo", method="POST"), timeout=10)
        self.assertEqual(401, raised.exception.code)
        raised.exception.close()
        self.assertEqual("tokyo", self.place_of(TOKYO_UNIVERSITY))

    def test_a_damaged_file_of_drains_is_set_aside(self):
        self.nearside("drain", "tokyo")
        self.daemon.stop()
        (self.folder / "state/drains.json").write_text('{"tokyo": ')
        self.daemon.start()
        self.assertIn("event=state_damaged", self.daemon.log())
        self.assertEqual('{"tokyo": ', (self.folder / "state/drains.json.damaged").read_text())
        self.await_place(TOKYO_UNIVERSITY, "tokyo")


class CapacityTest(SteeringSystemTest):
    POP = "most_load = 0.8\ntake_back_load = 0.6"

    def setUp(self) -> None:
        super().setUp()
        for point in self.points.values():
            point.says(Nearside_Load="0.10")

    def test_an_overloaded_point_gives_its_farthest_clients_away_and_takes_them_back(self):
        self.await_place(SOUTH_AFRICAN, "frankfurt")
        self.points["frankfurt"].says(Nearside_Load="1.20")
        wait_until(lambda: self.place_of(SOUTH_AFRICAN) != "frankfurt", "South Africa is given away")
        self.assertEqual("frankfurt", self.place_of(GERMAN_TELEKOM), "the nearest stay")
        explained = self.explain("105.224.0.1")
        self.assertEqual("shed", explained["reason"])
        self.assertIn("over its capacity", explained["pops"][0]["left_out"])
        self.points["frankfurt"].says(Nearside_Load="0.70")  # inside the band: nothing moves any more
        share = wait_until(self.settled_share, "the share stays the same")
        self.assertLess(share, 1)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(share, self.status_of("frankfurt")["share"], "a start does not flood it")
        self.assertNotEqual("frankfurt", self.place_of(SOUTH_AFRICAN))
        self.points["frankfurt"].says(Nearside_Load="0.10")
        self.await_place(SOUTH_AFRICAN, "frankfurt")
        wait_until(lambda: self.status_of("frankfurt")["share"] == 1, "everybody is taken back")
        metrics = Metrics(fetch_text(f"{self.admin}/metrics"))
        self.assertEqual(1, metrics.sum("nearside_dns_pop_share", pop="frankfurt"))
        self.assertGreater(metrics.sum("nearside_dns_steered_total", reason="nearest"), 0)

    def settled_share(self) -> float:
        """The share, when a check told the load inside the band and no step came for twenty checks after it."""
        before = self.status_of("frankfurt")
        seen = len(self.points["frankfurt"].endpoint.requests)
        wait_until(lambda: len(self.points["frankfurt"].endpoint.requests) >= seen + 20, "twenty checks")
        after = self.status_of("frankfurt")
        return after["share"] if before.get("load") == 0.7 and before["share"] == after["share"] else 0

    def test_when_all_are_over_their_capacity_all_keep_theirs(self):
        for point in self.points.values():
            point.says(Nearside_Load="2.00")
        wait_until(lambda: all(self.status_of(name).get("load") == 2 for name in self.points), "all tell their load")
        seen = len(self.points["tokyo"].endpoint.requests)
        wait_until(lambda: len(self.points["tokyo"].endpoint.requests) >= seen + 25, "some steps' time")
        self.assertEqual([1, 1, 1], [self.status_of(name)["share"] for name in self.points])
        self.assertEqual("frankfurt", self.place_of(SOUTH_AFRICAN))


class TcpCheckTest(SteeringSystemTest):
    def check_of(self, point: Point) -> str:
        return f'url = "tcp://{point.address}:{point.endpoint.port}"'

    def test_a_connection_is_all_that_is_asked_for(self):
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        self.points["tokyo"].says(503)
        self.points["tokyo"].endpoint.stop()
        self.await_place(TOKYO_UNIVERSITY, "frankfurt")
        self.points["tokyo"].endpoint.start()
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        self.assertEqual([], self.points["tokyo"].endpoint.requests, "nothing was sent")


class AnswerCheckTest(SteeringSystemTest):
    CHECK = ', expect_body = "all well", expect_status = [200, 418], most_lag = "30s"'

    def test_body_status_and_lag_are_looked_at(self):
        tokyo = self.points["tokyo"]
        for status, body, lag, place, why in (
                (200, b"all well", "0.0", "tokyo", ""), (200, b"repair", "0.0", "frankfurt", "is not in the first"),
                (418, b"all well", "0.0", "tokyo", ""), (204, b"", "0.0", "frankfurt", "status 204"),
                (200, b"it is all well", "30.0", "tokyo", ""), (200, b"all well", "31.0", "frankfurt", "")):
            with self.subTest(status=status, body=body, lag=lag):
                tokyo.says(status, body, Nearside_Lag=lag)
                self.await_place(TOKYO_UNIVERSITY, place)
                self.assertIn(why, self.status_of("tokyo").get("error", ""))
        self.assertEqual([{"by": "lag"}], self.status_of("tokyo")["drained"])
        left_out = next(pop for pop in self.explain("133.11.0.1")["pops"] if pop["name"] == "tokyo")["left_out"]
        self.assertEqual("drained: behind the origin's purges", left_out)


class HangingCheckTest(SteeringSystemTest):
    TIMEOUT = "2s"

    def test_answers_go_on_while_checks_hang(self):
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        gate = threading.Event()
        self.addCleanup(gate.set)
        for point in self.points.values():
            point.reply = Reply(200, b"all well", gate=gate)
            seen = len(point.endpoint.requests)
            wait_until(lambda point=point, seen=seen: len(point.endpoint.requests) > seen, "a check hangs")
        for _ in range(50):
            self.assertEqual("NOERROR", self.ask(TOKYO_UNIVERSITY).status)
        wait_until(lambda: "no answer within 2s" in self.status_of("tokyo").get("error", ""), "the check is given up")


class MinHealthyTest(SteeringSystemTest):
    STEER = "min_healthy = 2"

    def test_with_too_few_up_the_fallback_is_answered(self):
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        self.points["virginia"].says(500)
        wait_until(lambda: self.status_of("virginia")["state"] == "down", "virginia is down")
        self.assertEqual("tokyo", self.place_of(TOKYO_UNIVERSITY), "two are enough")
        self.points["frankfurt"].says(500)
        self.await_place(TOKYO_UNIVERSITY, "fallback")
        tokyo = next(pop for pop in self.explain("133.11.0.1")["pops"] if pop["name"] == "tokyo")
        self.assertEqual("fewer than min_healthy are up", tokyo["left_out"])
        self.points["virginia"].says(200)
        self.await_place(TOKYO_UNIVERSITY, "tokyo")


class DeadAtStartTest(SteeringSystemTest):
    FALL = 100

    def test_who_died_while_the_server_was_away_is_not_answered_after_its_start(self):
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        self.daemon.stop()
        self.points["tokyo"].endpoint.stop()
        self.daemon.start()
        self.assertEqual("frankfurt", self.place_of(TOKYO_UNIVERSITY), "one look is enough, not a hundred")


class RuleTest(SteeringSystemTest):
    """One rule each, while points of presence come and go."""

    def down(self, name: str) -> None:
        self.points[name].says(500)
        wait_until(lambda: self.status_of(name)["state"] == "down", f"{name} is down")

    def up(self, name: str) -> None:
        self.points[name].says(200)
        wait_until(lambda: self.status_of(name)["state"] == "up", f"{name} is up")


class FailoverTest(RuleTest):
    STEER = 'policy = "failover"'

    def test_the_first_in_order_that_is_up_serves_everybody(self):
        first, second, third = self.points
        for network in (TOKYO_UNIVERSITY, GERMAN_TELEKOM):
            self.await_place(network, first)
        self.down(first)
        self.assertEqual(second, self.place_of(TOKYO_UNIVERSITY))
        self.down(second)
        self.assertEqual(third, self.place_of(GERMAN_TELEKOM))
        self.down(third)
        self.assertEqual("fallback", self.place_of(GERMAN_TELEKOM))
        self.up(second)
        self.assertEqual(second, self.place_of(GERMAN_TELEKOM))
        self.up(first)
        self.assertEqual(first, self.place_of(TOKYO_UNIVERSITY))


class OverrideTest(RuleTest):
    STEER = 'override = [{ countries = ["JP"], pops = ["virginia"] }, { cidrs = ["84.128.0.0/10"], pops = ["tokyo"] }]'

    def test_overrides_go_before_the_policy_while_their_points_are_up(self):
        self.await_place(TOKYO_UNIVERSITY, "virginia")
        self.assertEqual("tokyo", self.place_of(GERMAN_TELEKOM))
        self.down("virginia")
        self.assertEqual("tokyo", self.place_of(TOKYO_UNIVERSITY), "the nearest")
        self.down("tokyo")
        self.assertEqual("frankfurt", self.place_of(GERMAN_TELEKOM), "the nearest")
        self.up("virginia")
        self.assertEqual("virginia", self.place_of(TOKYO_UNIVERSITY))


class AnswersTest(RuleTest):
    STEER = "answers = 2"

    def names(self) -> list[str]:
        by_address = {point.address: name for name, point in self.points.items()}
        return [by_address.get(address, address) for address in self.ask(TOKYO_UNIVERSITY).answers]

    def test_the_two_nearest_that_are_up(self):
        wait_until(lambda: sorted(self.names()) == ["frankfurt", "tokyo"], "the two nearest")
        self.down("tokyo")
        self.assertEqual(["frankfurt", "virginia"], sorted(self.names()))
        self.down("virginia")
        self.assertEqual(["frankfurt"], self.names())
        self.up("tokyo")
        self.assertEqual(["frankfurt", "tokyo"], sorted(self.names()))


class WeightedTest(RuleTest):
    STEER = 'policy = "weighted"'
    NETWORKS = [f"84.{number}.0.0/24" for number in range(128, 192)] + [f"133.{number}.0.0/24" for number in range(64)]

    def places(self) -> dict[str, str]:
        return {network: self.place_of(network) for network in self.NETWORKS}

    def test_shares_are_even_sticky_and_only_the_lost_ones_move(self):
        self.await_place(GERMAN_TELEKOM, self.place_of(GERMAN_TELEKOM))
        before = self.places()
        for name in self.points:
            share = list(before.values()).count(name) / len(before)
            self.assertTrue(0.2 < share < 0.47, f"{name}: {share}")
        self.assertEqual(before, self.places(), "the same for the same network")
        self.down("tokyo")
        after = self.places()
        self.assertNotIn("tokyo", after.values())
        moved = {network for network in before if before[network] != after[network]}
        self.assertEqual({network for network in before if before[network] == "tokyo"}, moved)
        self.up("tokyo")
        self.assertEqual(before, self.places())


class FailOpenTest(RuleTest):
    def config(self) -> str:
        dead = self.addresses.address()
        url = f"http://{dead}:{self.addresses.port(dead)}"
        check = f'fallback_check = {{ url = "{url}", interval = "200ms", fall = 1 }}\n'
        return super().config().replace("ttl = 1\n", "ttl = 1\n" + check, 1)

    def test_when_nothing_is_up_it_is_we_who_are_cut_off(self):
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        for name in self.points:
            self.down(name)
        self.await_place(TOKYO_UNIVERSITY, "tokyo")
        self.assertEqual("frankfurt", self.place_of(GERMAN_TELEKOM), "as if all were well")
        metrics = Metrics(fetch_text(f"{self.admin}/metrics"))
        self.assertGreater(metrics.sum("nearside_dns_steered_total", reason="fail_open"), 0)
        self.up("virginia")
        self.assertEqual("virginia", self.place_of(TOKYO_UNIVERSITY))


class CommandTest(SteeringSystemTest):
    def test_explain_tells_a_persons_answer(self):
        told = self.nearside("explain", "--dns", NAME, "--client", "133.11.0.1")
        self.assertEqual((0, ""), (told.returncode, told.stderr))
        for text in ("JP AS", "country.mmdb", "tokyo", "answered", "farther", "nearest: the nearest that is up", "1 s"):
            self.assertIn(text, told.stdout)
        answer = json.loads(self.nearside("explain", "--json", "--dns", NAME, "--client", "133.11.0.0/16").stdout)
        self.assertEqual([self.points["tokyo"].address], answer["answer"]["A"])
        static = self.nearside("explain", "--dns", "any.wild.demo.test", "--client", "133.11.0.1")
        self.assertEqual((0, ""), (static.returncode, static.stderr))
        self.assertRegex(static.stdout, r"wildcard +\*\.wild\.demo\.test\.\n")
        self.assertRegex(static.stdout, r"answer +any\.wild\.demo\.test\. +300 +A +192\.0\.2\.77\n")
        absent = json.loads(self.nearside("explain", "--json", "--dns", "no.demo.test", "--client", "1.2.3.4").stdout)
        self.assertEqual(("nxdomain", "NXDOMAIN", [], 60),
                         (absent["kind"], absent["rcode"], absent["records"], absent["negative_ttl"]))
        refused = self.nearside("explain", "--dns", "www.example.org", "--client", "133.11.0.1")
        self.assertEqual(1, refused.returncode)
        self.assertIn("is in none of our zones", refused.stderr)

    def test_steer_tells_the_world_without_a_point(self):
        told = self.nearside("steer", "--without", "frankfurt")
        self.assertEqual((0, ""), (told.returncode, told.stderr))
        for text in ("IPv4", "IPv6", "CONTINENT", "EU", "DE", "frankfurt"):
            self.assertIn(text, told.stdout)
        answer = json.loads(self.nearside("steer", "--json", "--without", "frankfurt").stdout)
        for family in answer["families"]:
            self.assertGreater(family["before"]["frankfurt"], 0.05, family["family"])
            self.assertNotIn("frankfurt", family["after"])
            self.assertAlmostEqual(family["before"]["frankfurt"], family["moved"], places=4)
            self.assertAlmostEqual(1, sum(family["after"].values()), places=3)
        self.assertEqual("tokyo", self.place_of(TOKYO_UNIVERSITY), "nothing was changed")
        self.assertEqual("frankfurt", self.place_of(GERMAN_TELEKOM))
        refused = self.nearside("steer", "--without", "osaka")
        self.assertIn("there are frankfurt, virginia, tokyo", refused.stderr)

    def test_two_questions_at_once_and_a_stop_in_the_middle(self):
        threads = [threading.Thread(target=self.nearside, args=("steer", "--without", "tokyo")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asking = threading.Thread(target=self.nearside, args=("steer", "--without", "tokyo"))
        asking.start()
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(0, self.daemon.wait())
        asking.join()


if __name__ == "__main__":
    main()
