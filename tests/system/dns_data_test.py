"""What GeoDNS serves and where it comes from: zone files with what they include, databases, and names of others."""

import contextlib
import json
import os
import shutil
import socket
import struct
import threading
import urllib.error

from clients import dns_query
from fleet import PLACES, Metrics, NameServer, country_database, fetch_text
from nearside_harness import SystemTest, main, wait_until
from unbound import Unbound

TOKYO_UNIVERSITY = "133.11.0.0/16"
GERMAN_TELEKOM = "84.128.0.0/16"
HEADER_BYTES = 12
A, AAAA = 1, 28
NOERROR, SERVFAIL = 0, 2


class DataServer(NameServer):
    ZONE = NameServer.ZONE + """
@        IN 60 ALIAS target.outside.test.
www      IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1
mandatory IN HTTPS 1 www mandatory=ipv6hint alpn=h2 ipv6hint=2001:db8::1
like     IN ALIAS www
$INCLUDE more.zone sub
"""

    def __init__(self, test: SystemTest, *, resolver: tuple[str, int], **options) -> None:
        self.pops = {name: (test.addresses.address(), 443) for name in ("frankfurt", "virginia", "tokyo")}
        self.address_of = {name: address for name, (address, _) in self.pops.items()}
        (test.folder / "more.zone").write_text("one 300 TXT first\n")
        super().__init__(test, self.pops, checks=False, **options)
        self.database = test.folder / "places.mmdb"
        shutil.copy(country_database(), self.database)
        config = self.daemon.config_path.read_text()
        settings = (f'threads = 2\nwatch_interval = "50ms"\nresolvers = ["{resolver[0]}:{resolver[1]}"]\n'
                    'alias_least_ttl = 1\n')
        self.daemon.configure(config.replace("threads = 2\n", settings)
                              .replace(str(country_database()), str(self.database)))

    def log_lines(self, event: str) -> list[str]:
        return [line for line in self.daemon.log().splitlines() if f" event={event} " in line]

    def status(self) -> dict:
        return json.loads(fetch_text(self.admin_url("/status")))

    def explain(self, name: str, client: str) -> dict:
        return json.loads(fetch_text(self.admin_url(f"/explain?name={name}&client={client}")))


class Outside:
    """A resolver that knows target.outside.test; what it says can be changed."""

    def __init__(self, test: SystemTest) -> None:
        self.server = (test.addresses.address(), test.addresses.port())
        self.addresses, self.ttl, self.rcode = ["198.51.100.7"], 2, NOERROR
        self.tailored: dict[bytes, str] = {}  # by the first three octets of a client's /24
        self.subnets: list[bytes] = []  # that were told, likewise
        self.truncates, self.tcp_queries = False, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.server)
        self.listener = socket.create_server(self.server)
        for serve in (self.serve, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()
        test.addCleanup(self.socket.close)
        test.addCleanup(self.listener.close)

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, client = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(query, self.truncates), client)

    def serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rb") as stream:
                    self.tcp_queries += 1
                    answer = self.answer(stream.read(struct.unpack(">H", stream.read(2))[0]), False)
                    connection.sendall(struct.pack(">H", len(answer)) + answer)

    def answer(self, query: bytes, is_cut: bool) -> bytes:
        end = query.index(b"\0", HEADER_BYTES) + 5
        is_address = struct.unpack(">H", query[end - 4:end - 2])[0] == A
        wanted = self.addresses if is_address and self.rcode == NOERROR and not is_cut else []
        opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
        option = query[end + 11:]  # of a /24 at most: code, length, family, source, scope, three octets
        if len(option) == 11:
            self.subnets.append(option[8:])
            own = self.tailored.get(option[8:])
            opt = opt[:9] + struct.pack(">H", 11) + option[:7] + (b"\x18" if own else b"\0") + option[8:]
            if own and wanted:
                wanted = [own]
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", A, 1, self.ttl, 4) + socket.inet_aton(address)
                           for address in wanted)
        soa = b""
        if not wanted and self.rcode == NOERROR and not is_cut:
            data = b"\0\0" + struct.pack(">IIIII", 1, 1, 1, 1, self.ttl)
            soa = b"\xc0\x0c" + struct.pack(">HHIH", 6, 1, self.ttl, len(data)) + data
        flags = 0x8180 | self.rcode | (0x0200 if is_cut else 0)
        header = query[:2] + struct.pack(">HHHHH", flags, 1, len(wanted), 1 if soa else 0, 1)
        return header + query[HEADER_BYTES:end] + records + soa + opt


class OthersNameServer:
    """Somebody else's nearside-geodns: target.outside.test leads each client to the nearest of three addresses."""

    ADDRESSES = {"frankfurt": "198.51.100.1", "virginia": "198.51.100.2", "tokyo": "198.51.100.3"}

    def __init__(self, test: SystemTest) -> None:
        self.server = (test.addresses.address(), test.addresses.port())
        zone = test.folder / "outside.test.zone"
        zone.write_text("$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 604800 60\n@ NS ns1\nns1 A 127.0.0.1\n")
        pops = "".join(f'[[pop]]\nname = "{name}"\naddresses = ["{address}"]\nlocation = {list(PLACES[name])}\n'
                       for name, address in self.ADDRESSES.items())
        self.daemon = test.add_daemon("nearside-geodns", "others-geodns", f"""
[geodns]
listen = ["{self.server[0]}:{self.server[1]}"]
[geo]
databases = ["{country_database()}"]
{pops}
[[zone]]
name = "outside.test"
file = "{zone}"
[[zone.steer]]
names = ["target"]
pops = {json.dumps(list(self.ADDRESSES))}
ttl = 20
unknown = ["virginia"]
""")


class DnsDataTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.outside = Outside(self)
        self.server = DataServer(self, resolver=self.outside.server).start()


class ServiceHintTest(DnsDataTest):
    def test_hints_follow_the_client_as_addresses_do(self):
        for subnet, place in ((TOKYO_UNIVERSITY, "tokyo"), (GERMAN_TELEKOM, "frankfurt")):
            with self.subTest(place=place):
                address = self.server.address_of[place]
                answer = self.server.ask("www.demo.test", "HTTPS", subnet=subnet)
                self.assertEqual([f"1 . alpn=h2 ipv4hint={address}"], answer.answers, answer)
                self.assertRegex(answer.text, r"www\.demo\.test\.\s+30\s+IN\s+HTTPS")
                self.assertEqual(self.server.ask("www.demo.test", subnet=subnet).scope, answer.scope, answer)
                self.assertGreater(answer.scope, 0)
                told = self.server.explain("www.demo.test", subnet)
                self.assertEqual([f"1 . alpn=h2 ipv4hint={address}"], told["services"]["HTTPS"], told)

    def test_hint_without_addresses_is_dropped_and_not_mandatory(self):
        answer = self.server.ask("mandatory.demo.test", "HTTPS", subnet=TOKYO_UNIVERSITY)
        self.assertEqual(["1 www.demo.test. alpn=h2"], answer.answers, answer)


class TailoredAliasTest(SystemTest):
    """What an ALIAS leads to is steered by another GeoDNS, which only unbound's client subnets tell who asks."""

    def test_each_network_gets_its_own_answer_through_a_real_resolver(self):
        others = OthersNameServer(self)
        others.daemon.start()
        resolver = Unbound(self, others.server, zone="outside.test", ecs=True).start()
        server = DataServer(self, resolver=resolver.address).start()
        nobodys = others.ADDRESSES["virginia"]
        self.assertEqual([nobodys], server.ask("demo.test").answers, "the answer for all")
        networks = {"133.11.7.0/24": "tokyo", "84.128.3.0/24": "frankfurt", "128.84.9.0/24": "virginia"}
        for network, place in networks.items():
            own = [others.ADDRESSES[place]]
            self.assertIn(server.ask("demo.test", subnet=network).answers, (own, [nobodys]), "nobody waits")
            wait_until(lambda own=own, network=network: self.told(server, network) == own, f"{network} is in {place}")
        for network, place in networks.items():
            answer = server.ask("demo.test", subnet=network)
            self.assertEqual([others.ADDRESSES[place]], answer.answers, answer)
            self.assertLessEqual(1, answer.scope, answer)
            self.assertLessEqual(answer.scope, 24, answer)
        # Its scope is that of the other's places, and whoever is in it is not asked for again.
        kept = server.status()["aliases"][0]["networks"]
        self.assertEqual([others.ADDRESSES["tokyo"]], server.ask("demo.test", subnet="133.11.8.0/24").answers)
        self.assertEqual(kept, server.status()["aliases"][0]["networks"])
        self.assertEqual([nobodys], server.ask("demo.test").answers, "still, for whom nothing is told of")

    def told(self, server: DataServer, network: str) -> list[str]:
        server.ask("demo.test", subnet=network)
        told = server.explain("demo.test", network)
        return told["answer"]["A"] if "network" in told["alias"] else []


class AliasTest(DnsDataTest):
    def apex(self) -> list[str]:
        return self.server.ask("demo.test").answers

    def test_apex_has_the_addresses_of_its_alias_beside_its_other_records(self):
        self.assertEqual(["198.51.100.7"], self.apex(), "known before the first answer")
        self.assertEqual(["ns1.demo.test."], self.server.ask("demo.test", "NS").answers)
        no_data = self.server.ask("demo.test", "AAAA")
        self.assertEqual(("NOERROR", []), (no_data.status, no_data.answers), no_data)
        told = self.server.explain("demo.test", "192.0.2.1")
        self.assertEqual({"target": "target.outside.test.", "known": True}, told["alias"], told)
        self.assertEqual(["198.51.100.7"], told["answer"]["A"], told)
        self.assertEqual(("answer", "NOERROR"), (told["kind"], told["rcode"]), told)

    def test_changed_addresses_are_served_and_the_last_ones_stand_when_the_resolver_fails(self):
        self.outside.addresses = ["198.51.100.8", "198.51.100.9"]
        wait_until(lambda: self.apex() == ["198.51.100.8", "198.51.100.9"], "the new addresses are served")
        self.outside.rcode = SERVFAIL
        wait_until(lambda: self.server.status()["aliases"][0]["state"] == "stale", "the failure is told")
        self.assertEqual(["198.51.100.8", "198.51.100.9"], self.apex())
        alias = self.server.status()["aliases"][0]
        self.assertIn("SERVFAIL", alias["error"])
        self.assertEqual(("demo.test.", "target.outside.test."), (alias["name"], alias["target"]))
        metrics = Metrics(fetch_text(self.server.admin_url("/metrics")))
        self.assertGreater(metrics.sum("nearside_dns_alias_lookups_total", result="failed"), 0)
        self.assertGreater(metrics.sum("nearside_dns_alias_lookups_total", result="ok"), 0)
        self.assertIn('nearside_dns_alias_known{name="demo.test."} 1', metrics.text)
        self.assertEqual(1, len(self.server.log_lines("alias_not_resolved")), "said once")
        self.outside.rcode = NOERROR
        wait_until(lambda: self.server.status()["aliases"][0]["state"] == "resolved", "it is well again")

    def test_a_client_gets_what_the_target_has_for_its_network(self):
        self.outside.tailored, self.outside.ttl = {bytes([193, 0, 14]): "198.51.100.9"}, 60
        mine, another = "193.0.14.0/24", "193.0.15.0/24"
        first = self.server.ask("demo.test", subnet=mine)
        self.assertIn(first.answers, (["198.51.100.7"], ["198.51.100.9"]), "no answer waits for its own")
        wait_until(lambda: self.server.ask("demo.test", subnet=mine).answers == ["198.51.100.9"], "its own")
        self.assertEqual(24, self.server.ask("demo.test", subnet=mine).scope)
        self.assertEqual(["198.51.100.7"], self.server.ask("demo.test", subnet=another).answers)
        self.assertEqual(["198.51.100.7"], self.apex())
        self.assertEqual(0, self.server.ask("demo.test", subnet="0.0.0.0/0").scope)
        told = self.server.explain("demo.test", "193.0.14.9")
        self.assertEqual({"target": "target.outside.test.", "known": True, "network": mine}, told["alias"], told)
        self.assertEqual(["198.51.100.9"], told["answer"]["A"], told)
        self.assertGreater(self.server.status()["aliases"][0]["networks"], 0)
        metrics = Metrics(fetch_text(self.server.admin_url("/metrics")))
        self.assertGreater(metrics.sum("nearside_dns_alias_networks", state="kept"), 0)
        self.assertGreater(metrics.sum("nearside_dns_alias_network_lookups_total", result="ok"), 0)
        self.assertLessEqual(set(self.outside.subnets), {bytes([193, 0, 14]), bytes([193, 0, 15])},
                             "loopback, where other queries come from, is told to nobody")

    def test_explain_says_what_is_wrong_with_a_question(self):
        for query, why in (("name=demo.test&client=192.0.2.1/24", "client: "),
                           ("name=demo.test&client=1.2.3.4/33", "client: "),
                           ("name=demo.test&client=" + "1" * 2000, "client: "),
                           ("name=demo.test", "expected /explain?name="),
                           ("name=a..b&client=192.0.2.1", "expected /explain?name="), ("", "expected /explain?name=")):
            with self.subTest(query=query[:60]), self.assertRaises(urllib.error.HTTPError) as refused:
                fetch_text(self.server.admin_url(f"/explain?{query}"))
            self.assertEqual(400, refused.exception.code)
            self.assertIn(why, refused.exception.read().decode())

    def test_subnets_are_told_to_nobody_who_does_not_want_it(self):
        config = self.server.daemon.config_path.read_text()
        self.server.daemon.configure(config.replace("alias_least_ttl", "alias_networks = 0\nalias_least_ttl"))
        self.server.daemon.reload()
        wait_until(lambda: self.server.log_lines("reloaded"), "the reload")
        self.outside.addresses = ["198.51.100.8"]
        answer = self.server.ask("demo.test", subnet="193.0.14.0/24")
        self.assertEqual(0, answer.scope, answer)
        wait_until(lambda: self.apex() == ["198.51.100.8"], "a renewal")
        self.assertEqual([], self.outside.subnets)

    def test_what_does_not_fit_into_a_datagram_comes_over_tcp(self):
        self.outside.addresses = [f"198.51.100.{number}" for number in range(1, 60)]
        self.outside.truncates = True
        wait_until(lambda: self.outside.tcp_queries > 1, "it is asked over TCP")
        wait_until(lambda: len(self.server.ask("demo.test", tcp=True).answers) == 59, "all addresses")
        self.assertEqual("resolved", self.server.status()["aliases"][0]["state"])

    def test_a_restart_while_the_resolver_fails_goes_on_with_what_was_known(self):
        kept = self.folder / "geodns" / "aliases.json"
        wait_until(lambda: kept.exists() and "198.51.100.7" in kept.read_text(), "the addresses are kept")
        self.outside.rcode = SERVFAIL
        self.assertEqual(0, self.server.daemon.stop())
        self.server.start()
        self.assertEqual(["198.51.100.7"], self.apex())
        self.assertEqual("stale", self.server.status()["aliases"][0]["state"])

    def test_alias_of_a_steered_name_is_steered(self):
        for subnet, place in ((TOKYO_UNIVERSITY, "tokyo"), (GERMAN_TELEKOM, "frankfurt")):
            answer = self.server.ask("like.demo.test", subnet=subnet)
            self.assertEqual([self.server.address_of[place]], answer.answers, answer)
            self.assertGreater(answer.scope, 0)


class ReplacedFileTest(DnsDataTest):
    def text(self, name: str = "one.sub.demo.test") -> list[str]:
        return self.server.ask(name, "TXT").answers

    @staticmethod
    def replace(path, content: bytes) -> None:
        partial = path.with_suffix(".part")
        partial.write_bytes(content)
        os.replace(partial, path)

    def database_that_says(self, country: bytes) -> bytes:
        """The same places, but for Japan, whose networks are said to be elsewhere."""
        data = country_database().read_bytes()
        records = len(data) - 100_000  # the country codes stand at the end
        self.assertIn(b"\x42JP", data[records:])
        return data[:records] + data[records:].replace(b"\x42JP", b"\x42" + country)

    def test_zone_files_and_what_they_include_are_noticed(self):
        self.assertEqual(['"first"'], self.text())
        self.replace(self.folder / "more.zone", b"one 300 TXT second\n")
        wait_until(lambda: self.text() == ['"second"'], "the included file is served")
        self.server.daemon.wait_for_log("event=serial_not_raised zone=demo.test. was=2026112001 is=2026112001")
        zone = self.server.zone_path.read_text()
        self.replace(self.server.zone_path, zone.replace("2026112001", "2026112002").replace("hello", "bye").encode())
        wait_until(lambda: self.text("text.demo.test") == ['"bye"'], "the zone file is served")
        self.assertEqual(1, len(self.server.log_lines("serial_not_raised")))

    def test_bad_zone_file_leaves_the_old_zone_in_force(self):
        self.replace(self.folder / "more.zone", b"one 300 TXT second\nbroken 300 A 192.0.2\n")
        self.server.daemon.wait_for_log(f"{self.folder}/more.zone:2: A: expected an IPv4 address")
        self.assertEqual(['"first"'], self.text())
        # Until it is mended it is said once.
        self.replace(self.folder / "more.zone", b"one 300 TXT third\n")
        wait_until(lambda: self.text() == ['"third"'], "the mended file is served")
        self.assertEqual(1, len(self.server.log_lines("reload_refused")))

    def test_replaced_files_do_not_bring_settings_into_force_that_nobody_asked_for(self):
        config = self.server.daemon.config_path.read_text()
        self.server.daemon.configure(config.replace("ttl = 30", "ttl = 17"))
        self.replace(self.folder / "more.zone", b"one 300 TXT second\n")
        wait_until(lambda: self.text() == ['"second"'], "the file is served")
        self.assertRegex(self.server.ask().text, r"www\.demo\.test\.\s+30\s+IN\s+A\s")
        self.server.daemon.reload()
        wait_until(lambda: " 17 " in " ".join(self.server.ask().text.split()), "SIGHUP brings them into force")

    def test_databases_are_replaced_under_load_without_a_failed_query(self):
        stop = threading.Event()
        failures, answered = [], [0, 0]

        def ask(number: int) -> None:
            query = dns_query("www.demo.test", subnet=TOKYO_UNIVERSITY)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(10)
                while not stop.is_set():
                    client.sendto(query, self.server.server)
                    try:
                        reply = client.recv(4096)
                    except TimeoutError:
                        failures.append("no answer")
                        continue
                    if reply[3] & 15 != NOERROR or struct.unpack(">H", reply[6:8])[0] != 1:
                        failures.append(reply.hex())
                    answered[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        try:
            for country, place in ((b"DE", "frankfurt"), (b"US", "virginia"), (b"JP", "tokyo")):
                self.replace(self.server.database, self.database_that_says(country))
                wait_until(lambda place=place: self.server.ask(subnet=TOKYO_UNIVERSITY).answers ==
                           [self.server.address_of[place]], f"{place} is answered")
            refused = len(self.server.log_lines("reload_refused"))
            self.assertEqual(0, refused)
            self.replace(self.server.database, b"no database")
            wait_until(lambda: self.server.log_lines("reload_refused"), "the bad file is refused")
            self.assertIn("places.mmdb: no usable MMDB file", self.server.log_lines("reload_refused")[0])
            self.assertEqual([self.server.address_of["tokyo"]], self.server.ask(subnet=TOKYO_UNIVERSITY).answers)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failures)
        self.assertGreater(min(answered), 0)
        print(f"{sum(answered)} answers while databases were replaced")

    def test_reload_by_signal_takes_the_map_over_when_no_database_changed(self):
        self.server.daemon.reload()
        wait_until(lambda: self.server.log_lines("reloaded"), "the reload is told")
        self.assertIn('databases="as before"', self.server.log_lines("reloaded")[0])
        os.utime(self.server.database)
        wait_until(lambda: "databases=read" in self.server.log_lines("reloaded")[-1], "the touched file is read")
        self.assertEqual([self.server.address_of["tokyo"]], self.server.ask(subnet=TOKYO_UNIVERSITY).answers)


if __name__ == "__main__":
    main()
