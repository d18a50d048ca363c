"""GeoDNS as resolvers see it: places from the real CC0 database, scopes, static data, and hostile packets."""

import random
import socket
import struct
import time

from clients import DnsAnswer, dns_query, kdig, send_datagram
from fleet import NameServer
from nearside_harness import EXIT_CONFIG, SystemTest, main, run_program, wait_until

# Networks that the CC0 database has in Japan, Germany, the United States, Australia and South Africa.
TOKYO_UNIVERSITY = "133.11.0.0/16"
GERMAN_TELEKOM = "84.128.0.0/16"
CORNELL = "128.84.0.0/16"
AUSTRALIAN = "1.128.0.0/16"
SOUTH_AFRICAN = "105.224.0.0/16"
HEADER_BYTES = 12
FORMERR = 1


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

    def test_service_parameters_are_read_and_served(self):
        answer = self.server.ask("service.demo.test", "HTTPS")
        hint = self.address_of["frankfurt"]
        self.assertEqual([f"1 www.demo.test. alpn=h2,http/1.1 port=8443 ipv4hint={hint}"], answer.answers, answer)

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
        """A question may be lost to a full queue, as any datagram."""
        wait_until(lambda: self.server.ask(subnet=TOKYO_UNIVERSITY).answers == [self.address_of["tokyo"]], "an answer")

    def test_every_short_length_is_survived(self):
        """Less than a header is met with silence, all the rest with an answer that repeats its identity."""
        size = len(dns_query("www.demo.test", subnet=TOKYO_UNIVERSITY))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(self.server.server)
            client.settimeout(10)
            # One socket's datagrams are answered in their order: an answer to these would come before the others.
            for length in range(HEADER_BYTES):
                client.send(self.short_query(length))
            for length in range(HEADER_BYTES, size):
                client.send(self.short_query(length))
                self.expect_format_error(length, client.recv(65536))
            client.send(dns_query("www.demo.test", identity=size, subnet=TOKYO_UNIVERSITY))
            self.assertIn(socket.inet_aton(self.address_of["tokyo"]), client.recv(65536), "the whole query")

    @staticmethod
    def short_query(length: int) -> bytes:
        """The first bytes of a query whose identity is their number."""
        return dns_query("www.demo.test", identity=length, subnet=TOKYO_UNIVERSITY)[:length]

    def expect_format_error(self, length: int, answer: bytes):
        self.assertGreaterEqual(len(answer), HEADER_BYTES, f"{length} bytes: {answer.hex()}")
        self.assertEqual(length, struct.unpack(">H", answer[:2])[0], f"{length} bytes: another's answer {answer.hex()}")
        self.assertTrue(answer[2] & 0x80, f"{length} bytes: no response {answer.hex()}")
        self.assertEqual(FORMERR, answer[3] & 15, f"{length} bytes: {answer.hex()}")
        self.assertLessEqual(len(answer), length + 11, f"{length} bytes: an error must not amplify")

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

    def test_every_short_length_over_tcp(self):
        """What has no header ends its connection without an answer; the rest is told, and the connection goes on."""
        for length in range(HEADER_BYTES):
            with self.subTest(length=length):
                self.assertEqual(b"", self.tcp_reply(struct.pack(">H", length) + self.short_query(length)))
        size = len(dns_query("www.demo.test", subnet=TOKYO_UNIVERSITY))
        with socket.create_connection(self.server.server, timeout=10) as connection:
            stream = connection.makefile("rb")
            for length in range(HEADER_BYTES, size):
                connection.sendall(struct.pack(">H", length) + self.short_query(length))
                self.expect_format_error(length, stream.read(struct.unpack(">H", stream.read(2))[0]))
            query = dns_query("www.demo.test", subnet=TOKYO_UNIVERSITY)
            connection.sendall(struct.pack(">H", len(query)) + query)
            answer = stream.read(struct.unpack(">H", stream.read(2))[0])
            self.assertIn(socket.inet_aton(self.address_of["tokyo"]), answer, "the whole query")

    def test_short_tcp_messages_and_silence_are_survived(self):
        idle = [socket.create_connection(self.server.server, timeout=5) for _ in range(50)]
        for data in (b"", b"\0", b"\0\x20", b"\0\x20" + b"a" * 31):
            with self.subTest(data=data):
                self.assertEqual(b"", self.tcp_reply(data, finish=True), "the end came before the message did")
        self.assertEqual(b"", self.tcp_reply(b"\xff\xff" + b"a" * 100), "longer than any query")
        self.assertEqual([self.address_of["tokyo"]], self.server.ask(subnet=TOKYO_UNIVERSITY, tcp=True).answers)
        for connection in idle:
            connection.close()

    def tcp_reply(self, data: bytes, *, finish: bool = False) -> bytes:
        """All that comes until the server ends the connection, which it must. `finish`: the client ends first."""
        received = b""
        with socket.create_connection(self.server.server, timeout=5) as connection:
            connection.sendall(data)
            if finish:
                connection.shutdown(socket.SHUT_WR)
            try:
                while part := connection.recv(65536):
                    received += part
            except ConnectionResetError:
                pass  # an end as well: bytes of ours were not read
        return received


class ReloadTest(GeoDnsTest):
    def change(self, *changes: tuple[str, str]):
        config = self.server.daemon.config_path.read_text()
        for before, after in changes:
            self.assertEqual(1, config.count(before), f"{before!r} in\n{config}")
            config = config.replace(before, after)
        self.server.daemon.configure(config)

    def ask(self, name: str = "www.demo.test") -> DnsAnswer:
        return self.server.ask(name, subnet=TOKYO_UNIVERSITY)

    def log_lines(self, event: str) -> list[str]:
        return [line for line in self.server.daemon.log().splitlines() if f" event={event} " in line]

    def reload_times(self, number: int):
        """SIGHUP, and waits until so many good reloads have been told."""
        self.server.daemon.reload()
        wait_until(lambda: len(self.log_lines("reloaded")) >= number, f"{number} reloads")

    def test_changed_steering_is_served(self):
        first = self.ask()
        self.assertEqual([self.address_of["tokyo"]], first.answers, first)
        self.assertRegex(first.text, r"www\.demo\.test\.\s+30\s+IN\s+A\s")
        pops = '["frankfurt", "virginia", "tokyo"]'
        self.change((f"pops = {pops}", 'pops = ["virginia"]'), ("ttl = 30", "ttl = 17"),
                    ('names = ["www"]', 'names = ["www", "new"]'))
        self.reload_times(1)
        wait_until(lambda: self.ask().answers == [self.address_of["virginia"]], "the new steering is served")
        self.assertRegex(self.ask().text, r"www\.demo\.test\.\s+17\s+IN\s+A\s")
        self.assertEqual([self.address_of["virginia"]], self.ask("new.demo.test").answers)
        self.assertEqual([], self.log_lines("reload_partial"), "nothing that takes a restart was changed")

    def test_what_takes_a_restart_is_said_and_the_rest_is_served(self):
        """Said at every reload, until the running server is as the file says."""
        host, port = self.server.server
        threads, listen, ttl = "threads = 2", f'listen = ["{host}:{port}"]', "ttl = 30"
        other = f'listen = ["{host}:{self.addresses.port(host)}"]'
        self.change((threads, "threads = 1"), (listen, other), (ttl, "ttl = 17"))
        for number in (1, 2):
            self.reload_times(number)
            wait_until(lambda: len(self.log_lines("reload_partial")) == number, "it is said")
            line = self.log_lines("reload_partial")[-1]
            for text in ("level=warning", 'keys="geodns.listen, geodns.threads"', "need=restart"):
                self.assertIn(text, line)
        wait_until(lambda: "17" in self.ask().text.split(), "the rest is served, at the old port")
        self.change(("threads = 1", threads), (other, listen))
        self.reload_times(3)
        self.server.daemon.stop()
        self.assertEqual(2, len(self.log_lines("reload_partial")), "the file is as the start was")

    def test_reloads_asked_for_all_the_time_are_served_all_the_same(self):
        """A reload that another SIGHUP overtakes is in force before the next one has been read."""
        self.change(("ttl = 30", "ttl = 17"))

        def is_reloaded() -> bool:
            for _ in range(50):
                self.server.daemon.reload()
                time.sleep(0.002)  # less than it takes to read the database
            return bool(self.log_lines("reloaded"))

        wait_until(is_reloaded, "a reload while more are asked for")

    def test_new_place_is_not_answered_before_its_first_check(self):
        moved_to, port = self.addresses.address(), self.addresses.port()
        with socket.create_server((moved_to, port)):  # takes connections and never answers: the check lasts
            check = f'check = {{ url = "http://{moved_to}:{port}/", interval = "1m", timeout = "30s" }}'
            self.change((f'addresses = ["{self.address_of["tokyo"]}"]', f'addresses = ["{moved_to}"]\n{check}'))
            self.reload_times(1)
            wait_until(lambda: self.ask().answers != [self.address_of["tokyo"]], "the new address is in force")
            self.assertEqual([self.address_of["frankfurt"]], self.ask().answers)

    def test_health_stays_in_its_folder_until_a_restart(self):
        self.change((f'state = "{self.folder}/geodns"', f'state = "{self.folder}/elsewhere"'))
        self.reload_times(1)
        self.server.daemon.wait_for_log("keys=geodns.state")
        self.server.daemon.stop()
        self.assertFalse((self.folder / "elsewhere").exists())
        self.assertNotIn("event=state_not_saved", self.server.daemon.log())


class RefusedStartTest(SystemTest):
    """What a start finds taken or unusable is named with file, line and key; the exit code is 78."""

    def setUp(self):
        super().setUp()
        self.server = NameServer(self, {"frankfurt": (self.addresses.address(), 443)})

    def expect_refused(self, key: str, line_start: str, *texts: str, check: bool):
        path = self.server.daemon.config_path
        starts = [number for number, line in enumerate(path.read_text().splitlines(), 1)
                  if line.startswith(line_start)]
        result = run_program("nearside-geodns", *(["--check"] if check else []), "--config", path)
        self.assertEqual(EXIT_CONFIG, result.returncode, result.stderr)
        for text in (f"{path}:{starts[0]}: {key}: ", *texts):
            self.assertIn(text, result.stderr)

    def test_busy_port_of_either_transport(self):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with self.subTest(kind=kind.name), socket.socket(socket.AF_INET, kind) as busy:
                busy.bind(self.server.server)
                if kind == socket.SOCK_STREAM:
                    busy.listen(1)
                host, port = self.server.server
                self.expect_refused("geodns.listen", "listen = ", f"{host}:{port}: another ", check=False)

    def test_port_of_another_name_server(self):
        """Its sockets have SO_REUSEPORT, as ours do."""
        self.server.start()
        self.expect_refused("geodns.listen", "listen = ", "another program uses this UDP port", check=False)

    def test_busy_admin_port(self):
        with socket.socket() as busy:
            busy.bind(self.server.admin)
            busy.listen(1)
            host, port = self.server.admin
            self.expect_refused("admin.address", "address = ", f"{host}:{port}", check=False)

    def test_files_and_folders(self):
        config = self.server.daemon.config_path.read_text()
        (self.folder / "plain-file").write_text("")
        for key, line_start, before, after, expected in (
                ("geodns.state", "state = ", f'state = "{self.folder}/geodns"',
                 f'state = "{self.folder}/plain-file/geodns"', "expected a folder"),
                ("geo.databases", "databases = ", 'databases = ["', 'databases = ["/nowhere', "expected an MMDB file"),
                ("pop.check.ca", "check = ", 'ca = "', 'ca = "/nowhere', "PEM file of trusted authorities"),
                ("zone.file", "file = ", 'file = "', 'file = "/nowhere', "expected a zone file")):
            self.assertIn(before, config)
            self.server.daemon.configure(config.replace(before, after, 1))
            for check in (True, False):
                with self.subTest(key=key, check=check):
                    self.expect_refused(key, line_start, expected, check=check)


if __name__ == "__main__":
    main()
