"""GeoDNS as resolvers see it: places from the real CC0 database, scopes, static data, and hostile packets."""

import random
import socket
import struct

from clients import dns_query, kdig, send_datagram
from fleet import NameServer
from nearside_harness import SystemTest, main

# Networks that the CC0 database has in Japan, Germany, the United States, Australia and South Africa.
TOKYO_UNIVERSITY = "133.11.0.0/16"
GERMAN_TELEKOM = "84.128.0.0/16"
CORNELL = "128.84.0.0/16"
AUSTRALIAN = "1.128.0.0/16"
SOUTH_AFRICAN = "105.224.0.0/16"


class GeoDnsTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.pops = {name: (self.addresses.address(), 443) for name in ("frankfurt", "virginia", "tokyo")}
        self.address_of = {name: address for name, (address, _) in self.pops.items()}
        self.server = NameServer(self, self.pops, checks=False).start()


class SteeringTest(GeoDnsTest):
    def test_clients_are_led_to_the_nearest(self):
        for subnet, place in ((TOKYO_UNIVERSITY, "tokyo"), (GERMAN_TELEKOM, "frankfurt"), (CORNELL, "virginia"),
                              (AUSTRALIAN, "tokyo"), (SOUTH_AFRICAN, "frankfurt")):
            for tcp in (False, True):
                with self.subTest(subnet=subnet, tcp=tcp):
                    answer = self.server.ask(subnet=subnet, tcp=tcp)
                    self.assertEqual("NOERROR", answer.status, answer)
                    self.assertEqual([self.address_of[place]], answer.answers, answer)
                    self.assertIn("aa", answer.flags, answer)

    def test_scope_is_told_and_never_longer_than_the_source(self):
        for subnet in ("133.11.0.0/16", "133.11.5.0/24", "133.11.5.7/32", "0.0.0.0/0", "2001:200::/32"):
            with self.subTest(subnet=subnet):
                answer = self.server.ask(subnet=subnet)
                self.assertEqual("NOERROR", answer.status, answer)
                self.assertIsNotNone(answer.scope, answer)
                self.assertLessEqual(answer.scope, int(subnet.partition("/")[2]), answer)

    def test_scope_is_the_width_of_the_decision(self):
        """Everything inside the scope that was told gets the same answer; so a resolver may keep it for all."""
        dice = random.Random(20)
        for subnet in (TOKYO_UNIVERSITY, GERMAN_TELEKOM, CORNELL):
            told = self.server.ask(subnet=subnet.replace("/16", "/24"))
            self.assertGreater(told.scope, 0, told)
            free_bits = 32 - told.scope
            network = struct.unpack(">I", socket.inet_aton(subnet.partition("/")[0]))[0] >> free_bits << free_bits
            for _ in range(6):
                inside = network | dice.getrandbits(free_bits)
                client = socket.inet_ntoa(struct.pack(">I", inside))
                with self.subTest(subnet=subnet, scope=told.scope, client=client):
                    self.assertEqual(told.answers, self.server.ask(subnet=f"{client}/32").answers)

    def test_without_a_client_subnet_none_is_told(self):
        answer = self.server.ask()
        self.assertEqual("NOERROR", answer.status, answer)
        self.assertIsNone(answer.scope, answer)
        self.assertEqual([self.address_of["frankfurt"]], answer.answers, "loopback has no place: the `unknown` list")

    def test_static_names_have_scope_zero(self):
        answer = self.server.ask("text.demo.test", "TXT", subnet=TOKYO_UNIVERSITY)
        self.assertEqual(0, answer.scope, answer)

    def test_alias_to_a_steered_name_is_followed(self):
        answer = self.server.ask("alias.demo.test", subnet=TOKYO_UNIVERSITY)
        self.assertEqual(["www.demo.test.", self.address_of["tokyo"]], answer.answers, answer)


class StaticDataTest(GeoDnsTest):
    def test_soa_and_ns_of_the_zone(self):
        soa = self.server.ask("demo.test", "SOA")
        self.assertEqual(["ns1.demo.test. hostmaster.demo.test. 2026112001 3600 600 604800 60"], soa.answers, soa)
        name_servers = self.server.ask("demo.test", "NS")
        self.assertEqual(["ns1.demo.test."], name_servers.answers, name_servers)

    def test_name_without_the_type_is_nodata_with_soa(self):
        for name, kind in (("ns1.demo.test", "TXT"), ("www.demo.test", "MX"), ("www.demo.test", "HTTPS")):
            with self.subTest(name=name, kind=kind):
                answer = self.server.ask(name, kind)
                self.assertEqual(("NOERROR", []), (answer.status, answer.answers), answer)
                self.assertTrue(answer.authority[0].startswith("demo.test. SOA "), answer)

    def test_unknown_name_is_nxdomain_with_soa(self):
        answer = self.server.ask("nothing.demo.test")
        self.assertEqual(("NXDOMAIN", []), (answer.status, answer.answers), answer)
        self.assertTrue(answer.authority[0].startswith("demo.test. SOA "), answer)

    def test_wildcard_covers_what_is_below_it(self):
        self.assertEqual(["192.0.2.77"], self.server.ask("a.b.wild.demo.test").answers)

    def test_foreign_zone_is_refused(self):
        for name in ("example.org", "test", "."):
            with self.subTest(name=name):
                self.assertEqual("REFUSED", self.server.ask(name).status)

    def test_names_are_compared_without_case(self):
        self.assertEqual([self.address_of["tokyo"]], self.server.ask("wWw.DeMo.TeSt", subnet=TOKYO_UNIVERSITY).answers)

    def test_hundred_queries_on_one_tcp_connection(self):
        queries = [dns_query("www.demo.test", identity=number, subnet=TOKYO_UNIVERSITY) for number in range(100)]
        with socket.create_connection(self.server.server, timeout=10) as connection:
            connection.sendall(b"".join(struct.pack(">H", len(query)) + query for query in queries))
            stream = connection.makefile("rb")
            seen = set()
            for _ in queries:
                answer = stream.read(struct.unpack(">H", stream.read(2))[0])
                seen.add(struct.unpack(">H", answer[:2])[0])
                self.assertIn(socket.inet_aton(self.address_of["tokyo"]), answer)
        self.assertEqual(set(range(100)), seen)


class BadPacketTest(GeoDnsTest):
    def expect_alive(self):
        self.assertEqual([self.address_of["tokyo"]], self.server.ask(subnet=TOKYO_UNIVERSITY).answers)

    def test_every_short_length_is_survived(self):
        query = dns_query("www.demo.test", subnet=TOKYO_UNIVERSITY)
        for length in range(len(query)):
            answer = send_datagram(self.server.server, query[:length], seconds=0.05)
            if length < 12:
                self.assertIsNone(answer, f"{length} bytes are no message and must not be answered")
            elif answer is not None:
                self.assertEqual(1, answer[3] & 15, f"{length} bytes: FORMERR, got {answer.hex()}")
                self.assertLessEqual(len(answer), max(length, 12) + 11, "an error must not amplify")
        self.expect_alive()

    def test_garbage_is_survived(self):
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}")
        dice = random.Random(seed)
        query = bytearray(dns_query("www.demo.test", subnet=TOKYO_UNIVERSITY))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3000):
                packet = bytearray(query)
                for _ in range(dice.randint(1, 8)):
                    packet[dice.randrange(len(packet))] = dice.getrandbits(8)
                sender.sendto(bytes(packet[:dice.randint(1, len(packet))]) + dice.randbytes(dice.choice((0, 0, 40))),
                              self.server.server)
        self.expect_alive()

    def test_responses_are_never_answered(self):
        query = bytearray(dns_query("www.demo.test"))
        query[2] |= 0x80
        self.assertIsNone(send_datagram(self.server.server, bytes(query), seconds=0.3))

    def test_unknown_opcode_class_and_version_are_named(self):
        def code_of(change) -> int:
            query = bytearray(dns_query("www.demo.test"))
            change(query)
            answer = send_datagram(self.server.server, bytes(query))
            self.assertIsNotNone(answer)
            return answer[3] & 15

        self.assertEqual(4, code_of(lambda query: query.__setitem__(2, 0x28)), "opcode UPDATE: NOTIMP")
        self.assertEqual(5, code_of(lambda query: query.__setitem__(len(query) - 1, 3)), "class CH: REFUSED")
        self.assertEqual("BADVERS", kdig(self.server.server, "www.demo.test", "A", "+edns=1").status)

    def test_short_tcp_messages_and_silence_are_survived(self):
        idle = [socket.create_connection(self.server.server, timeout=5) for _ in range(50)]
        for data in (b"\0", b"\0\0", b"\0\x01a", b"\xff\xff" + b"a" * 100, struct.pack(">H", 11) + b"x" * 11):
            with socket.create_connection(self.server.server, timeout=5) as connection:
                connection.sendall(data)
        self.assertEqual([self.address_of["tokyo"]], self.server.ask(subnet=TOKYO_UNIVERSITY, tcp=True).answers)
        for connection in idle:
            connection.close()


if __name__ == "__main__":
    main()
