"""What the name server says beside answers, and what it lets strangers take: cookies, NSID, class CH, limits, TCP."""

import contextlib
import re
import socket
import struct
import time

from clients import curl, dns_query, kdig, send_datagram
from fleet import NameServer
from nearside_harness import SystemTest, main, run_program, wait_until

SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
OTHER_SECRET = "445536bcd2513298075a5d379663c962"
TRUNCATED = 0x02


class ProtocolTest(SystemTest):
    server_keys = ""
    limits = ""

    def setUp(self):
        super().setUp()
        self.server = NameServer(self, {"frankfurt": (self.addresses.address(), 443)}, checks=False,
                                 extra=f"[limits]\n{self.limits}" if self.limits else "")
        self.token_file = self.folder / "token"
        self.token_file.write_text("0123456789abcdef\n")
        self.change("[geodns]", f"[geodns]\n{self.server_keys}")
        self.change("[admin]", f'[admin]\ntoken_file = "{self.token_file}"')
        self.prepare()
        self.server.start()

    def prepare(self):
        pass

    def change(self, before: str, after: str):
        config = self.server.daemon.config_path.read_text()
        self.assertEqual(1, config.count(before), config)
        self.server.daemon.configure(config.replace(before, after))

    def metric(self, series: str) -> float:
        text = curl(self.server.admin_url("/metrics")).body.decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0

    def ask_tcp(self, packet: bytes) -> bytes:
        with socket.create_connection(self.server.server, timeout=10) as connection:
            connection.sendall(struct.pack(">H", len(packet)) + packet)
            stream = connection.makefile("rb")
            return stream.read(struct.unpack(">H", stream.read(2))[0])


def with_options(query: bytes, *options: tuple[int, bytes]) -> bytes:
    """The query with an OPT record."""
    data = b"".join(struct.pack(">HH", code, len(content)) + content for code, content in options)
    return query[:11] + b"\x01" + query[12:] + b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(data)) + data


class DefaultsTest(ProtocolTest):
    def test_nothing_is_told_that_no_setting_says(self):
        for name in ("version.bind", "version.server", "id.server", "hostname.bind", "authors.bind"):
            with self.subTest(name=name):
                self.assertEqual("REFUSED", self.server.ask(name, "TXT", "-c", "CH").status)
        answer = self.server.ask("text.demo.test", "TXT", "+nsid")
        self.assertEqual("NOERROR", answer.status)
        self.assertNotIn("NSID", answer.text)

    def test_a_cookie_is_given_without_being_asked_twice(self):
        answer = self.server.ask("text.demo.test", "TXT", "+cookie=0102030405060708")
        self.assertEqual("NOERROR", answer.status)
        self.assertRegex(answer.text, r"COOKIE: 0102030405060708[0-9a-fA-F]{32}")

    def test_transfers_are_refused_over_both_transports(self):
        for kind in (252, 251):
            query = dns_query("demo.test", kind)
            self.assertEqual(5, send_datagram(self.server.server, query)[3] & 15)
            self.assertEqual(5, self.ask_tcp(query)[3] & 15)

    def test_loopback_is_free_of_the_rate(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(self.server.server)
            client.settimeout(10)
            for number in range(3000):
                client.send(dns_query("text.demo.test", 16, identity=number))
                self.assertEqual(number, struct.unpack(">H", client.recv(2048)[:2])[0])
        self.assertEqual(0, self.metric('nearside_dns_rate_limited_total{outcome="dropped",of="network"}'))
        wait_until(lambda: self.metric('nearside_dns_answer_seconds_count{transport="udp"}') == 3000, "each is timed")
        self.assertEqual(3000, self.metric('nearside_dns_zone_queries_total{zone="demo.test."}'))


class IdentityTest(ProtocolTest):
    server_keys = 'nsid = "ns1.fra"\nversion = "a name server"\nidentity = "fra-1"\ntcp_idle_timeout = "7s"'

    def test_nsid(self):
        self.assertIn("ns1.fra", self.server.ask("text.demo.test", "TXT", "+nsid").text)
        self.assertIn("ns1.fra", self.server.ask("text.demo.test", "TXT", "+nsid", tcp=True).text)

    def test_class_chaos(self):
        for name, text in (("version.bind", "a name server"), ("version.server", "a name server"),
                           ("id.server", "fra-1"), ("hostname.bind", "fra-1")):
            with self.subTest(name=name):
                self.assertEqual([f'"{text}"'], self.server.ask(name, "TXT", "-c", "CH").answers)
        self.assertEqual("REFUSED", self.server.ask("demo.test", "TXT", "-c", "CH").status)

    def test_a_client_by_tcp_hears_how_long_it_may_be_idle(self):
        query = with_options(dns_query("text.demo.test", 16), (11, b""))
        self.assertIn(struct.pack(">HHH", 11, 2, 70), self.ask_tcp(query))
        self.assertNotIn(struct.pack(">HH", 11, 2), send_datagram(self.server.server, query))


class CookieTest(ProtocolTest):
    def prepare(self):
        self.secret_file = self.folder / "cookies"
        self.secret_file.write_text(SECRET + "\n")
        self.change("[geodns]", f'[geodns]\ncookie_secret_file = "{self.secret_file}"')

    def cookie_of(self, server: NameServer, *options: str) -> str:
        answer = server.ask("text.demo.test", "TXT", *options)
        found = re.search(r"COOKIE: ([0-9a-fA-F]+)", answer.text)
        self.assertIsNotNone(found, answer)
        return found[1].lower()

    def test_servers_with_one_secret_take_each_others_cookies(self):
        twin = NameServer(self, {"frankfurt": (self.addresses.address(), 443)}, checks=False)
        config = twin.daemon.config_path.read_text()
        twin.daemon.name, twin.daemon.log_path = "twin", self.folder / "twin.log"
        twin.daemon.config_path = self.folder / "twin.toml"
        twin.daemon.configure(config.replace("[geodns]", f'[geodns]\ncookie_secret_file = "{self.secret_file}"'))
        twin.start()
        cookie = self.cookie_of(self.server, "+cookie=0102030405060708")
        self.assertEqual(cookie, self.cookie_of(twin, f"+cookie={cookie}"), "young and good: it stays")

    def test_a_secret_is_changed_without_a_restart(self):
        first = self.cookie_of(self.server, "+cookie=0102030405060708")
        self.secret_file.write_text(f"{OTHER_SECRET}\n{SECRET}\n")
        self.server.daemon.reload()
        self.server.daemon.wait_for_log("event=reloaded")
        wait_until(lambda: self.cookie_of(self.server, f"+cookie={first}") != first, "a cookie of the new secret")
        self.assertGreater(self.metric('nearside_dns_cookies_total{state="good"}'), 0)
        self.assertEqual(0, self.metric('nearside_dns_cookies_total{state="bad"}'))

    def test_a_secret_that_is_none_is_refused_on_reload(self):
        self.secret_file.write_text("not hexadecimal\n")
        self.server.daemon.reload()
        self.server.daemon.wait_for_log("event=reload_refused")
        self.assertIn(f"{self.secret_file}: line 1: expected 32 hexadecimal digits", self.server.daemon.log())
        self.assertNotIn("not hexadecimal", self.server.daemon.log())


class RateTest(ProtocolTest):
    limits = 'answers_per_second = 1\nslip = 2\nspare_loopback = false'

    def flood(self, query: bytes, count: int) -> list[bytes]:
        """Answers to so many queries at once, of one source port and so of one thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(self.server.server)
            for _ in range(count):
                client.send(query)
            # Behind them in the same queue, and errors go out even where answers slip: of two, one is answered.
            client.settimeout(10)
            for _ in range(2):
                client.send(b"\0" * 12)
            answers = []
            while len(answer := client.recv(2048)) > 12:
                answers.append(answer)
            return answers

    def test_a_flood_gets_little_and_tcp_and_cookies_go_through(self):
        answers = self.flood(dns_query("text.demo.test", 16), 400)
        cut = [answer for answer in answers if answer[2] & TRUNCATED]
        whole = len(answers) - len(cut)
        self.assertLess(whole, 100, "one a second, and the test takes no minutes")
        self.assertEqual((400 - whole) // 2, len(cut), "every second is slipped")
        counted = self.metric('nearside_dns_rate_limited_total{outcome="slipped",of="network"}')
        self.assertIn(counted - len(cut), (0, 1), "perhaps the mark at the end as well")
        for answer in cut:
            self.assertLessEqual(len(answer), len(dns_query("text.demo.test", 16)))
        self.assertEqual(['"hello"'], self.server.ask("text.demo.test", "TXT", tcp=True).answers)

    def test_badcookie_leads_a_client_out_of_the_limit(self):
        query = with_options(dns_query("text.demo.test", 16), (10, b"12345678"))
        answers = [answer for answer in self.flood(query, 40) if answer[3] & 15 == 7]  # BADCOOKIE is 23: 1, 7
        self.assertGreater(len(answers), 0)
        cookie = answers[0][-24:]
        self.assertEqual(b"12345678", cookie[:8])
        good = with_options(dns_query("text.demo.test", 16), (10, cookie))
        for answer in self.flood(good, 40):
            self.assertEqual(0, answer[3] & 15)
            self.assertIn(b"hello", answer)


class WideRateTest(ProtocolTest):
    limits = "wide_answers_per_second = 20\nwide_ipv4_prefix = 8\nspare_loopback = false"

    def prepare(self):
        self.change("threads = 2", "threads = 1")

    def test_addresses_all_over_a_large_network_share_a_rate(self):
        clients = []
        began = time.monotonic()
        for network in range(100):  # one query of each, far below the rate of each
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(client.close)
            client.bind((f"127.77.{network}.1", 0))
            client.connect(self.server.server)
            client.send(dns_query("text.demo.test", 16))
            clients.append(client)

        received = []

        def all_told() -> bool:
            for client in list(clients):
                with contextlib.suppress(BlockingIOError):
                    received.append(client.recv(2048, socket.MSG_DONTWAIT))
                    clients.remove(client)
            return len(clients) == self.metric('nearside_dns_rate_limited_total{outcome="dropped",of="wide"}')

        wait_until(all_told, "each is answered or dropped")
        whole = [answer for answer in received if not answer[2] & TRUNCATED]
        self.assertGreaterEqual(len(whole), 20, "so many at once")
        self.assertLessEqual(len(whole), 20 + 20 * (time.monotonic() - began), "and as many a second")
        self.assertEqual((100 - len(whole)) // 2, len(received) - len(whole), "every second is shown the way to TCP")
        self.assertEqual(0, self.metric('nearside_dns_rate_limited_total{outcome="dropped",of="network"}'))


class AmplificationTest(ProtocolTest):
    limits = "most_amplification = 4"

    def prepare(self):
        zone = self.server.zone_path.read_text()
        self.server.zone_path.write_text(zone + "".join(f'big IN TXT "{c * 200}"\n' for c in "abcd"))

    def test_a_long_answer_takes_tcp_or_a_cookie(self):
        query = with_options(dns_query("big.demo.test", 16))
        answer = send_datagram(self.server.server, query)
        self.assertTrue(answer[2] & TRUNCATED)
        self.assertLessEqual(len(answer), 4 * len(query))
        self.assertEqual(1, self.metric("nearside_dns_kept_small_total"))
        self.assertGreater(len(self.ask_tcp(query)), 800)
        asked = send_datagram(self.server.server, with_options(dns_query("text.demo.test", 16), (10, b"12345678")))
        whole = send_datagram(self.server.server, with_options(dns_query("big.demo.test", 16), (10, asked[-24:])))
        self.assertFalse(whole[2] & TRUNCATED)
        self.assertGreater(len(whole), 800)


class ConnectionsTest(ProtocolTest):
    limits = "tcp_connections_per_client = 2\nspare_loopback = false\nipv4_prefix = 32"

    def prepare(self):
        self.change("threads = 2", "threads = 1")

    def connect(self, source: str = "") -> socket.socket:
        connection = socket.create_connection(self.server.server, timeout=10, source_address=(source, 0))
        self.addCleanup(connection.close)
        return connection

    def answers(self, connection: socket.socket) -> bool:
        query = dns_query("text.demo.test", 16)
        try:
            connection.sendall(struct.pack(">H", len(query)) + query)
            return len(connection.recv(2048)) > 12
        except (ConnectionResetError, BrokenPipeError):
            return False

    def test_a_client_has_its_share(self):
        mine, other = self.addresses.address(), self.addresses.address()
        first, second = self.connect(mine), self.connect(mine)
        self.assertTrue(self.answers(first) and self.answers(second))
        self.assertFalse(self.answers(self.connect(mine)), "the third is closed")
        self.assertTrue(self.answers(self.connect(other)), "another client has a share of its own")
        self.assertEqual(1, self.metric("nearside_dns_tcp_refused_client_total"))
        first.close()
        wait_until(lambda: self.answers(self.connect(mine)), "a place is free again")


class FullHouseTest(ConnectionsTest):
    limits = ""
    server_keys = "tcp_connections = 3"
    test_a_client_has_its_share = None

    def test_the_one_longest_idle_gives_way(self):
        first, second, third = (self.connect() for _ in range(3))
        for connection in (first, second, third, first):
            self.assertTrue(self.answers(connection))
        self.assertEqual(['"hello"'], self.server.ask("text.demo.test", "TXT", tcp=True).answers)
        self.assertEqual(b"", second.recv(1), "whose query was longest ago")
        self.assertTrue(self.answers(third) and self.answers(first))
        self.assertEqual(1, self.metric("nearside_dns_tcp_displaced_total"))


class AdminPostTest(ProtocolTest):
    """POST at the admin listener, and `nearside reload`, which uses it."""

    def post(self, path: str = "/reload", token: str = "0123456789abcdef", host: str = "", data: bytes | None = None):
        fields = {"Authorization": f"Bearer {token}"} | ({"Host": host} if host else {})
        return curl(self.server.admin_url(path), method="POST", fields=fields, data=data)

    def test_every_refusal_has_its_status(self):
        for want, arguments in ((401, {"token": "wrong"}), (421, {"host": "evil.example"}), (404, {"path": "/nothing"}),
                                (413, {"data": b"x" * 70000}), (200, {"host": "localhost"}), (200, {"data": b"x"})):
            with self.subTest(arguments=arguments):
                response = self.post(**arguments)
                self.assertEqual(want, response.status, response)
                self.assertIn(b'"error"' if want != 200 else b'"reloaded":true', response.body)

    def test_without_a_token_file_there_is_no_post(self):
        self.change(f'token_file = "{self.token_file}"', "")
        self.assertEqual(200, self.post().status)
        self.assertEqual(403, self.post().status)

    def reload(self, *options: str):
        return run_program("nearside", "reload", "--geodns", self.server.admin_url(""), "--token-file", self.token_file,
                           *options)

    def test_reload_says_what_came_of_it(self):
        self.change("threads = 2", "threads = 1")
        result = self.reload()
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertRegex(result.stdout, r"^reloaded: 1 zone, \d+ places\n.*needs a restart: geodns\.threads\n$")
        self.assertIn('"need_restart": [', self.reload("--json").stdout)

    def test_a_bad_file_is_named_and_the_old_one_stays(self):
        self.server.zone_path.write_text("@ SOA\n")
        result = self.reload()
        self.assertEqual(1, result.returncode)
        self.assertIn(f"{self.server.zone_path}:1", result.stderr)
        self.assertEqual(['"hello"'], self.server.ask("text.demo.test", "TXT").answers)

    def test_who_is_not_told_where_is_told_how(self):
        result = run_program("nearside", "reload", env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"})
        self.assertEqual(2, result.returncode)
        self.assertIn("--geodns", result.stderr)
        result = run_program("nearside", "reload", "--geodns", self.server.admin_url(""),
                             env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"})
        self.assertEqual(1, result.returncode)
        self.assertIn("geodns_token_file", result.stderr)


if __name__ == "__main__":
    main()
