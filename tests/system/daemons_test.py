"""What every daemon does alike: --check, --version, --help, ready, health, metrics, reload, end; bad settings."""

import json
import re
import signal
import socket
import subprocess
import threading

from clients import curl
from fleet import SITE_HOST, Edge, EdgeTest, NameServer, Origin, fetch_text
from http2_frames import NO_ERROR, Download, goaway_codes, open_session, read_to_end
from nearside_harness import EXIT_CONFIG, authority, main, run_program, wait_until
from scripted_origin import Reply

DAEMONS = ("nearside-edge", "nearside-geodns", "nearside-origin")


class DaemonTest(EdgeTest):
    def make(self, program: str):
        """A configured one of each, not started."""
        if program == "nearside-edge":
            return Edge(self, "frankfurt", origins=[self.origin.url])
        if program == "nearside-origin":
            return Origin(self)
        return NameServer(self, {"frankfurt": (self.addresses.address(), 1)}, checks=False)


class CommandLineTest(DaemonTest):
    def test_version_and_help(self):
        for program in (*DAEMONS, "nearside"):
            with self.subTest(program):
                version = run_program(program, "--version")
                self.assertEqual(0, version.returncode)
                self.assertRegex(version.stdout, r"\b\d+\.\d+\.\d+\b")
                usage = run_program(program, "--help")
                self.assertEqual(0, usage.returncode)
                self.assertGreater(len(usage.stdout.splitlines()), 5)

    def test_wrong_arguments_are_refused(self):
        for program in (*DAEMONS, "nearside"):
            with self.subTest(program):
                needed = ("--config", "any.toml") if program in DAEMONS else ("status",)
                result = run_program(program, *needed, "--no-such-option")
                self.assertNotEqual(0, result.returncode)
                self.assertIn("--no-such-option", result.stderr + result.stdout)

    def test_good_settings_pass_the_check_and_nothing_is_started(self):
        for program in DAEMONS:
            with self.subTest(program):
                thing = self.make(program)
                result = run_program(program, "--check", "--config", thing.daemon.config_path)
                self.assertEqual((0, ""), (result.returncode, result.stderr), result.stdout)


class BadSettingsTest(DaemonTest):
    def expect_refused(self, program: str, config: str, *expected: str):
        """Both --check and a start say why, with exit code 78."""
        path = self.folder / "bad.toml"
        path.write_text(config)
        for mode in (("--check",), ()):
            result = run_program(program, *mode, "--config", path)
            self.assertEqual(EXIT_CONFIG, result.returncode, f"{mode}: {result.stdout}{result.stderr}")
            for text in expected:
                self.assertIn(text, result.stderr, mode)

    def test_missing_file(self):
        for program in DAEMONS:
            with self.subTest(program):
                result = run_program(program, "--config", self.folder / "none.toml")
                self.assertEqual(EXIT_CONFIG, result.returncode)
                self.assertIn("none.toml", result.stderr)

    def test_broken_toml_names_file_and_line(self):
        for program in DAEMONS:
            with self.subTest(program):
                thing = self.make(program)
                config = "\n[broken\n" + thing.daemon.config_path.read_text()
                self.expect_refused(program, config, "bad.toml:2")

    def test_unknown_key_names_file_line_and_key(self):
        for program in DAEMONS:
            with self.subTest(program):
                thing = self.make(program)
                lines = thing.daemon.config_path.read_text().splitlines()
                at = next(number for number, line in enumerate(lines) if line.startswith("[admin]"))
                lines.insert(at + 1, 'colour = "blue"')
                self.expect_refused(program, "\n".join(lines), f"bad.toml:{at + 2}", "colour")

    # Program; what of its file is replaced, and by what; the key that is told, and what was expected. FILE is a file
    # where a folder should be, which stops root as well.
    WRONG = (
        ("nearside-edge", 'disk = "64MiB"', 'disk = "64 potatoes"', "cache.disk", 'expected a size like "1GiB"'),
        ("nearside-edge", 'disk = "64MiB"', "disk = 64", "cache.disk", 'expected a size like "1GiB"'),
        ("nearside-edge", 'name = "demo"', 'name = "demo"\ndefault_ttl = "5 lightyears"', "site.default_ttl",
         "expected a duration"),
        ("nearside-edge", "cert.pem", "none.pem", "certificate.chain", "expected a PEM file"),
        ("nearside-edge", "/key.pem", "/none.pem", "certificate.key", "expected a PEM file"),
        ("nearside-edge", "/key.pem", "/ca.key", "certificate.key", "is the key of another certificate"),
        ("nearside-edge", r'path = "[^"]*"', 'path = "FILE/cache"', "cache.path", "expected a folder"),
        ("nearside-edge", r'token_file = "[^"]*edge.token"', 'token_file = "/none"', "admin.token_file",
         "No such file"),
        ("nearside-origin", "cert.pem", "none.pem", "certificate.chain", "expected a PEM file"),
        ("nearside-origin", "/key.pem", "/none.pem", "certificate.key", "expected a PEM file"),
        ("nearside-origin", r'metadata = "[^"]*"', 'metadata = "sqlite:FILE/meta.db"', "storage.metadata",
         "expected a folder"),
        ("nearside-origin", r'blobs = "[^"]*"', 'blobs = "file:FILE/blobs"', "storage.blobs", "expected a folder"),
        ("nearside-origin", r'sessions = "[^"]*"', 'sessions = "lmdb:FILE/s"', "storage.sessions", "expected a folder"),
        ("nearside-origin", r'api = \["[^"]*"\]', 'api = "here"', "origin.api", "expected a list"),
        ("nearside-geodns", "ttl = 30", 'ttl = "30 days"', "zone.steer.ttl", "expected a whole number"),
        ("nearside-geodns", r"databases = .*", 'databases = ["/none.mmdb"]', "geo.databases", "No such file"),
        ("nearside-geodns", r'state = "[^"]*"', 'state = "FILE/state"', "geodns.state", "expected a folder"),
        ("nearside-geodns", r'file = "[^"]*"', 'file = "/none.zone"', "zone.file", "No such file"),
    )

    def test_what_is_wrong_is_told_by_file_line_key_and_expectation(self):
        (self.folder / "plain-file").write_text("")
        for program, before, after, key, expected in self.WRONG:
            with self.subTest(program=program, after=after):
                text, count = re.subn(before, after.replace("FILE", f"{self.folder}/plain-file"),
                                      self.make(program).daemon.config_path.read_text(), count=1)
                self.assertEqual(1, count, "the file has such a line")
                last = after.splitlines()[-1].replace("FILE", f"{self.folder}/plain-file")
                line = next(number for number, line in enumerate(text.splitlines(), 1) if last in line)
                self.expect_refused(program, text, f"bad.toml:{line}: {key}: ", expected)

    def test_bad_zone_names_file_and_line(self):
        server = self.make("nearside-geodns")
        server.zone_path.write_text(NameServer.ZONE + "bad IN A 300.1.2.3\n")
        line = (NameServer.ZONE + "x").count("\n") + 1
        self.expect_refused("nearside-geodns", server.daemon.config_path.read_text(), f"demo.test.zone:{line}")

    def test_bad_database_is_named(self):
        server = self.make("nearside-geodns")
        bad = self.folder / "bad.mmdb"
        bad.write_bytes(b"this is no database" * 100)
        text = re.sub(r'databases = .*', f'databases = ["{bad}"]', server.daemon.config_path.read_text())
        self.expect_refused("nearside-geodns", text, "bad.mmdb", "geo.databases")

    # Program, which of its ports, by which protocol, and the key that is told.
    PORTS = (
        ("nearside-edge", "clear", socket.SOCK_STREAM, "listen.address"),
        ("nearside-edge", "tls", socket.SOCK_STREAM, "listen.address"),
        ("nearside-edge", "admin", socket.SOCK_STREAM, "admin.address"),
        ("nearside-origin", "api", socket.SOCK_STREAM, "origin.api"),
        ("nearside-origin", "tls", socket.SOCK_STREAM, "listen.address"),
        ("nearside-origin", "admin", socket.SOCK_STREAM, "admin.address"),
        ("nearside-geodns", "server", socket.SOCK_DGRAM, "geodns.listen"),
        ("nearside-geodns", "server", socket.SOCK_STREAM, "geodns.listen"),
        ("nearside-geodns", "admin", socket.SOCK_STREAM, "admin.address"),
    )

    def test_busy_port_is_told_by_file_line_key_and_address(self):
        for program, name, protocol, key in self.PORTS:
            with self.subTest(program=program, port=name, protocol=protocol.name):
                thing = self.make(program)
                host, port = getattr(thing, name)
                text = thing.daemon.config_path.read_text()
                line = next(number for number, line in enumerate(text.splitlines(), 1) if f"{host}:{port}" in line)
                with socket.socket(socket.AF_INET, protocol) as busy:
                    busy.bind((host, port))
                    if protocol == socket.SOCK_STREAM:
                        busy.listen(1)
                    result = run_program(program, "--config", thing.daemon.config_path)
                self.assertEqual(EXIT_CONFIG, result.returncode, result.stderr)
                self.assertIn(f"{thing.daemon.config_path}:{line}: {key}: ", result.stderr)
                self.assertIn(f"{host}:{port}", result.stderr)


class LifeTest(DaemonTest):
    def test_ready_once_then_health_metrics_status(self):
        for program in DAEMONS:
            with self.subTest(program):
                thing = self.make(program)
                thing.start()
                self.assertEqual(1, thing.daemon.log().count("event=ready"))
                self.assertIn("ok", fetch_text(thing.admin_url("/healthz")))
                json.loads(fetch_text(thing.admin_url("/status")))
                self.expect_exposition(fetch_text(thing.admin_url("/metrics")))

    def expect_exposition(self, text: str):
        """Prometheus' text format 0.0.4: each family has a TYPE before its samples, every line parses."""
        families = dict(re.findall(r"^# TYPE (\S+) (counter|gauge|histogram|summary)$", text, re.MULTILINE))
        self.assertGreater(len(families), 3, text)
        for line in text.splitlines():
            if line.startswith("#"):
                self.assertRegex(line, r"^# (HELP|TYPE) [a-zA-Z_:][\w:]* ")
                continue
            sample = re.fullmatch(r'([a-zA-Z_:][\w:]*)(?:\{(?:\w+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)', line)
            self.assertIsNotNone(sample, line)
            float(sample[2])
            family = re.sub(r"_(bucket|sum|count)$", "", sample[1])
            self.assertTrue(sample[1] in families or family in families, line)

    def test_posts_want_a_token_even_on_loopback(self):
        edge = self.start_edge()
        self.expect(curl(edge.admin_url("/purge"), data=b"{}"), 401)
        self.expect(curl(edge.admin_url("/purge"), data=b"{}", fields={"Host": "attacker.example.org"}), 421)

    def test_public_health_by_address_and_by_name(self):
        edge = self.start_edge()
        health = self.expect(curl(f"http://{edge.clear[0]}:{edge.clear[1]}/healthz"), 200)
        for name in ("nearside-load", "nearside-drain", "nearside-lag"):
            self.assertIsNotNone(health.field(name), health)
        self.expect(edge.get_clear("/healthz", host="frankfurt"), 200)
        self.origin.routes["/healthz"] = Reply(body=b"the site's own")
        self.assertEqual(b"the site's own", edge.get_clear("/healthz").body)

    def test_sigterm_ends_with_zero(self):
        for program in DAEMONS:
            with self.subTest(program):
                thing = self.make(program)
                thing.start()
                self.assertEqual(0, thing.daemon.stop())

    def test_sigterm_lets_running_responses_finish(self):
        edge = self.start_edge()
        gate = threading.Event()
        self.addCleanup(gate.set)
        self.origin.routes["/slow"] = Reply(body=b"#" * 200_000, fields={"Cache-Control": "max-age=60"}, body_gate=gate)
        with socket.create_connection(edge.clear, timeout=20) as connection:
            connection.sendall(f"GET /slow HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode())
            received = connection.recv(65536)
            edge.daemon.signal(signal.SIGTERM)
            wait_until(lambda: not self.accepts(edge.clear), "no new connections are taken")
            gate.set()
            while part := connection.recv(65536):
                received += part
        self.assertEqual(200_000, received.count(b"#"), "the response under way came whole")
        self.assertEqual(0, edge.daemon.wait())

    def test_sigterm_says_goaway_to_http2(self):
        for program in ("nearside-edge", "nearside-origin"):
            with self.subTest(program):
                thing = self.make(program).start()
                connection = open_session(thing.tls, SITE_HOST, authority() / "ca.pem")
                self.addCleanup(connection.close)
                connection.recv(65536)  # its settings: the session is up
                thing.daemon.signal(signal.SIGTERM)
                codes = goaway_codes(read_to_end(connection))
                self.assertEqual({NO_ERROR}, set(codes), "an orderly end, and it is said")
                self.assertEqual(0, thing.daemon.wait())

    def test_sigterm_lets_an_http2_download_finish(self):
        self.origin.routes["/slow"] = Reply(body=b"#" * 1_000_000, fields={"Cache-Control": "max-age=60"})
        edge = self.start_edge()
        download = Download(edge.tls, SITE_HOST, "/slow", authority() / "ca.pem")
        self.addCleanup(download.close)
        download.read(lambda one: one.body_bytes == 65535)
        edge.daemon.signal(signal.SIGTERM)
        download.read(lambda one: one.goaway is not None)
        self.assertEqual(NO_ERROR, download.goaway)
        self.assertFalse(download.ended)
        download.open_windows(1_000_000)
        download.read(lambda one: one.ended)
        self.assertEqual(1_000_000, download.body_bytes, "the response under way came whole")
        self.assertEqual(0, edge.daemon.wait())

    @staticmethod
    def accepts(address: tuple[str, int]) -> bool:
        try:
            socket.create_connection(address, timeout=1).close()
            return True
        except OSError:
            return False

    def test_sighup_keeps_pid_connections_and_content(self):
        self.origin.routes["/page"] = Reply(body=b"x", fields={"Cache-Control": "max-age=60"})
        edge = self.start_edge()
        edge.get("/page")
        with socket.create_connection(edge.clear, timeout=20) as connection:
            request = f"GET /page HTTP/1.1\r\nHost: {SITE_HOST}\r\n\r\n".encode()
            self.assertIn(b"200 OK", self.ask_on(connection, request))
            config = edge.daemon.config_path.read_text()
            edge.daemon.configure(config.replace(f'["{SITE_HOST}"]', f'["{SITE_HOST}", "new.demo.test"]'))
            edge.daemon.reload()
            wait_until(lambda: edge.get_clear("/page", host="new.demo.test").status == 200, "the new host is served")
            self.assertIn(b"200 OK", self.ask_on(connection, request), "the old connection lives on")
        self.expect_hit(edge.get("/page"))

    @staticmethod
    def ask_on(connection: socket.socket, request: bytes) -> bytes:
        """One request whose answer's body is "x"."""
        connection.sendall(request)
        answer = b""
        while not answer.endswith(b"\r\n\r\nx"):
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return answer

    def test_bad_reload_keeps_the_old_settings_and_says_so(self):
        for program in DAEMONS:
            with self.subTest(program):
                thing = self.make(program)
                thing.start()
                text = thing.daemon.config_path.read_text()
                thing.daemon.configure(text + "\n[nonsense]\na = 1\n")
                thing.daemon.reload()
                thing.daemon.wait_for_log("nonsense")
                self.assertIn("ok", fetch_text(thing.admin_url("/healthz")))
                thing.daemon.configure(text)

    def test_reload_tells_what_takes_a_restart(self):
        for program, name, key in (("nearside-edge", "clear", "listen.address"),
                                   ("nearside-origin", "api", "origin.api"),
                                   ("nearside-geodns", "server", "geodns.listen")):
            with self.subTest(program):
                thing = self.make(program).start()
                host, port = getattr(thing, name)
                text = thing.daemon.config_path.read_text()
                thing.daemon.configure(text.replace(f"{host}:{port}", f"{host}:1"))
                thing.daemon.reload()
                thing.daemon.wait_for_log("event=reloaded")
                self.assertRegex(thing.daemon.log(), rf"event=reload_partial keys={re.escape(key)} need=restart")
                thing.daemon.configure(text)

    def test_tokens_are_read_again(self):
        origin = self.make("nearside-origin").start()
        self.expect(origin.call("GET", "/v1/sites"), 200)
        origin.token_path.write_text("another-token-0123456789abcdef\n")
        origin.daemon.reload()
        wait_until(lambda: origin.call("GET", "/v1/sites").status == 401, "the old token is refused")
        self.expect(origin.call("GET", "/v1/sites", token="another-token-0123456789abcdef"), 200)

    def test_certificates_are_read_again(self):
        edge = self.make("nearside-edge")
        chain, key = self.folder / "site.pem", self.folder / "site.key"
        chain.write_bytes((authority() / "cert.pem").read_bytes())
        key.write_bytes((authority() / "key.pem").read_bytes())
        text = edge.daemon.config_path.read_text()
        edge.daemon.configure(text.replace(f"{authority()}/cert.pem", str(chain)).replace(f"{authority()}/key.pem",
                                                                                           str(key)))
        edge.start()
        self.origin.routes["/page"] = Reply(body=b"x")
        self.expect(edge.get("/page"), 200)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=new",
                        "-addext", f"subjectAltName=DNS:{SITE_HOST}"], check=True, capture_output=True)
        edge.daemon.reload()
        wait_until(lambda: curl(f"https://{SITE_HOST}/page", to=edge.tls, ca=chain).status == 200,
                   "the new certificate is shown")

    def test_zone_is_reloaded(self):
        server = self.make("nearside-geodns").start()
        self.assertEqual(['"hello"'], server.ask("text.demo.test", "TXT").answers)
        server.zone_path.write_text(NameServer.ZONE.replace('"hello"', '"reloaded"'))
        server.daemon.reload()
        wait_until(lambda: server.ask("text.demo.test", "TXT").answers == ['"reloaded"'], "the new zone is served")
        server.zone_path.write_text("garbage in the zone\n")
        server.daemon.reload()
        server.daemon.wait_for_log("demo.test.zone")
        self.assertEqual(['"reloaded"'], server.ask("text.demo.test", "TXT").answers)

    def test_no_descriptors_are_leaked_by_thousand_connections(self):
        edge = self.start_edge()
        self.origin.routes["/page"] = Reply(body=b"x", fields={"Cache-Control": "max-age=60"})
        edge.get("/page")
        before = edge.daemon.descriptors()
        for _ in range(1000):
            socket.create_connection(edge.clear, timeout=20).close()
        wait_until(lambda: edge.daemon.descriptors() <= before + 2, "all connections are closed")


if __name__ == "__main__":
    main()
