"""Uploads, releases and purges, by the API and by the command-line client, down to the edges."""

import base64
import hashlib
import json
import os
import pathlib
import pty
import random
import re
import socket
import subprocess
import time

from fleet import SITE_HOST, TOKEN, CacheTest, Edge, FleetTest, Origin
from nearside_harness import BIN, authority, main, run_program, wait_until

# A sparse file costs no time to make; only the size counts here.
UPLOAD_BYTES = 1 << 30
MOST_GROWTH_KIB = 48 << 10


class UploadTest(CacheTest):
    def setUp(self):
        super().setUp()
        self.origin = Origin(self).start()
        created = self.origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode())
        self.assertIn(created.status, (200, 201), created)

    def put(self, path: str, body: bytes, **options):
        return self.origin.call("PUT", f"/v1/sites/demo/assets/{path}", body, **options)

    def get(self, path: str, **options):
        return self.origin.call("GET", f"/v1/sites/demo/assets/{path}", **options)

    def test_uploaded_asset_comes_back_byte_for_byte(self):
        body = random.Random(11).randbytes(300_000)
        self.assertIn(self.put("a/picture.webp", body).status, (200, 201, 204))
        self.assertEqual(body, self.expect(self.get("a/picture.webp"), 200).body)
        visited = self.expect(self.origin.visit("/a/picture.webp"), 200)
        self.assertEqual((body, "image/webp"), (visited.body, visited.field("content-type")))
        self.assertIsNotNone(visited.field("etag"))
        head = self.expect(self.origin.call("HEAD", "/v1/sites/demo/assets/a/picture.webp"), 200)
        self.assertEqual(str(len(body)), head.field("content-length"))

    def test_without_the_token_nothing_is_stored(self):
        for token in (None, "wrong", TOKEN + "x", ""):
            with self.subTest(token=token):
                refused = self.expect(self.put("secret.txt", b"x", token=token), 401)
                self.assertIn("application/problem+json", refused.field("content-type"))
        self.expect(self.get("secret.txt"), 404)

    def test_replaced_and_deleted(self):
        self.put("page.html", b"one")
        self.put("page.html", b"two")
        self.assertEqual(b"two", self.get("page.html").body)
        self.assertIn(self.origin.call("DELETE", "/v1/sites/demo/assets/page.html").status, (200, 204))
        self.expect(self.get("page.html"), 404)
        self.expect(self.origin.visit("/page.html"), 404)

    def test_large_upload_needs_constant_memory(self):
        large = self.folder / "large.iso"
        with open(large, "wb") as file:
            file.truncate(UPLOAD_BYTES)
        self.put("warm-up", b"x" * (4 << 20))
        before = self.origin.daemon.resident_kib("VmHWM")
        stored = self.origin.call("PUT", "/v1/sites/demo/assets/large.iso", large, timeout=300)
        self.assertIn(stored.status, (200, 201, 204), stored)
        self.assertLess(self.origin.daemon.resident_kib("VmHWM") - before, MOST_GROWTH_KIB)
        self.assertEqual(str(UPLOAD_BYTES), self.origin.visit("/large.iso", method="HEAD").field("content-length"))

    def listing(self) -> list:
        listing = self.expect(self.origin.call("GET", "/v1/sites/demo/assets"), 200)
        return [asset["path"] for asset in json.loads(listing.body)["assets"]]

    def test_paths_that_lead_elsewhere_are_refused(self):
        self.put("inside.txt", b"x")
        for path in ("../etc/passwd", "a/../../b", "a/%2e%2e/b", "a%00b", "a%0ab", "./a", "a//b", "a/", "%2e%2e/x",
                     "a" * 10_000):
            with self.subTest(path=path[:40]):
                response = self.put(path, b"x", options=("--path-as-is",))
                self.assertIn(response.status, (400, 414, 422), response)
                self.assertEqual("application/problem+json", response.field("content-type"))
                self.assertEqual(response.status, json.loads(response.body)["status"])
        self.assertEqual(["inside.txt"], self.listing())

    def test_wrong_digest_is_refused_and_the_right_one_is_stored(self):
        def digest(body: bytes) -> dict:
            return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}

        refused = self.put("digest.txt", b"hello", fields=digest(b"other"))
        self.assertIn(refused.status, (400, 422), refused)
        self.expect(self.get("digest.txt"), 404)
        self.assertIn(self.put("digest.txt", b"hello", fields=digest(b"hello")).status, (200, 201, 204))

    def begin_upload(self, connection: socket.socket, framing: bytes):
        """Half of a body of 100,000 bytes, and no more."""
        connection.sendall(b"PUT /v1/sites/demo/assets/half.bin HTTP/1.1\r\nHost: origin\r\n"
                           b"Authorization: Bearer " + TOKEN.encode() + b"\r\n" + framing)

    def half_files(self) -> list:
        return [path for path in self.origin.folder.rglob("*") if path.is_file() and path.stat().st_size == 50_000]

    def test_upload_cut_off_half_way_stores_nothing(self):
        for framing in (b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000,
                        b"Transfer-Encoding: chunked\r\n\r\nc350\r\n" + b"x" * 50_000 + b"\r\n"):
            with self.subTest(framing[:20]):
                with socket.create_connection(self.origin.api, timeout=20) as connection:
                    self.begin_upload(connection, framing)
                self.put("after.txt", b"x")
                self.expect(self.get("half.bin"), 404)
        wait_until(lambda: not self.half_files(), "nothing half is left on disk")

    def test_killed_in_an_upload_the_origin_starts_clean(self):
        self.put("before.txt", b"kept")
        with socket.create_connection(self.origin.api, timeout=20) as connection:
            self.begin_upload(connection, b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)
            self.origin.daemon.kill()
        self.origin.start()
        self.assertEqual(b"kept", self.get("before.txt").body)
        self.expect(self.get("half.bin"), 404)


class PublishTest(FleetTest):
    def setUp(self):
        super().setUp()
        self.site = self.folder / "site"
        (self.site / "styles").mkdir(parents=True)
        (self.site / "docs").mkdir()
        (self.site / "index.html").write_text("<!doctype html><title>first edition</title>")
        (self.site / "docs/index.html").write_text("<!doctype html><title>docs</title>")
        (self.site / "styles/site.3f9a1c2e.css").write_text("body { color: black }")
        (self.site / "picture.webp").write_bytes(random.Random(12).randbytes(200_000))

    def test_folder_is_published_and_served_by_every_edge(self):
        self.publish(self.site)
        for edge in self.edges.values():
            for path in (path for path in self.site.rglob("*") if path.is_file()):
                target = "/" + path.relative_to(self.site).as_posix()
                response = self.expect_hit(self.expect(edge.get(target), 200))  # it has proved that it has it
                self.assertEqual(path.read_bytes(), response.body, target)
            self.assertIn(b"first edition", edge.get("/").body)
            self.assertIn(b"docs", edge.get("/docs/").body)
            self.expect(edge.get("/nothing.html"), 404)

    def test_content_types_and_lifetimes_are_sensible(self):
        self.publish(self.site)
        edge = self.edges["frankfurt"]
        page, style = edge.get("/"), edge.get("/styles/site.3f9a1c2e.css")
        self.assertIn("text/html", page.field("content-type"))
        self.assertIn("text/css", style.field("content-type"))
        self.assertIn("immutable", style.field("cache-control"))
        self.assertGreaterEqual(int(re.search(r"max-age=(\d+)", style.field("cache-control"))[1]), 31_536_000)
        page_age = re.search(r"max-age=(\d+)", page.field("cache-control") or "")
        self.assertTrue(page_age is None or int(page_age[1]) <= 3600, page)

    def test_second_publish_sends_only_what_is_new_and_reaches_the_edges(self):
        self.publish(self.site)
        edge = self.edges["tokyo"]
        self.assertIn(b"first edition", edge.get("/").body)
        (self.site / "index.html").write_text("<!doctype html><title>second edition</title>")
        self.publish(self.site)
        for edge in self.edges.values():
            wait_until(lambda: b"second edition" in edge.get("/").body, f"{edge.name} has the second edition")

    def test_what_no_edge_serves_is_no_success(self):
        result = self.origin.client("publish", self.site, "--site", "dmo", "--host", "dmo.test")
        self.assertEqual(3, result.returncode, result.stdout + result.stderr)
        self.assertIn('no edge serves this site yet: each needs [[site]] name = "dmo"', result.stderr)

    def test_wrong_token_publishes_nothing(self):
        wrong = self.folder / "wrong.token"
        wrong.write_text("wrong\n")
        self.origin.token_path = wrong
        result = self.origin.client("publish", self.site, "--site", "demo", "--host", SITE_HOST)
        self.assertNotEqual(0, result.returncode)
        self.assertTrue(re.search("401|token", result.stdout + result.stderr), result.stdout + result.stderr)

    def test_purge_reaches_every_edge_and_tells_who_confirmed(self):
        self.publish(self.site)
        for edge in self.edges.values():
            edge.get("/picture.webp")
            self.expect_hit(edge.get("/picture.webp"))
        result = self.origin.client("purge", "--site", "demo", f"https://{SITE_HOST}/picture.webp")
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        for name, edge in self.edges.items():
            self.assertRegex(result.stdout, rf"{name}.*\d+(\.\d+)? ?ms")
            self.expect_miss(edge.get("/picture.webp"))
            self.expect_hit(edge.get("/picture.webp"))

    def test_purge_while_an_edge_is_away_counts_when_it_is_back(self):
        self.publish(self.site)
        tokyo = self.edges["tokyo"]
        tokyo.get("/picture.webp")
        tokyo.wait_until_stored()
        tokyo.daemon.kill()
        result = self.origin.client("purge", "--site", "demo", f"https://{SITE_HOST}/picture.webp")
        self.assertIn("tokyo", result.stdout + result.stderr, "the one that has not confirmed is named")
        tokyo.start()
        self.expect_miss(tokyo.get("/picture.webp"))

    def test_receipt_of_the_api(self):
        self.publish(self.site)
        order = json.dumps({"site": "demo", "urls": ["/picture.webp"]}).encode()
        purged = self.expect(self.origin.call("POST", "/v1/purge?wait=5s", order), 200)
        receipt = json.loads(purged.body)
        self.assertGreater(receipt["seq"], 0)
        self.assertEqual(set(self.edges), {edge["name"] for edge in receipt["edges"]}, receipt)

    def test_status_shows_the_fleet_on_one_screen(self):
        self.publish(self.site)
        for _ in range(3):
            self.edges["tokyo"].get("/")
        result = self.origin.client("status")
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        for name in self.edges:
            self.assertIn(name, result.stdout)
        self.assertLessEqual(len(result.stdout.splitlines()), 40)
        self.assertLessEqual(max(map(len, result.stdout.splitlines())), 120)

    def test_progress_is_shown_on_a_terminal(self):
        terminal, far_end = pty.openpty()
        self.addCleanup(os.close, terminal)
        arguments = self.origin.client_arguments("publish", self.site, "--site", "demo", "--host", SITE_HOST)
        client = subprocess.Popen([BIN / "nearside", *arguments], stdin=far_end, stdout=far_end, stderr=far_end,
                                  env={**os.environ, "TERM": "xterm"})
        os.close(far_end)
        shown = b""
        try:
            while part := os.read(terminal, 65536):
                shown += part
        except OSError:
            pass  # the client has closed its end
        self.assertEqual(0, client.wait(), shown.decode())
        self.assertIn(b"\r", shown, "a line that moves")
        self.assertRegex(shown, rb"uploading +4/4 files")

    def test_no_progress_bar_and_no_colour_in_a_pipe(self):
        output = self.publish(self.site)
        self.assertNotIn("\x1b", output.stdout + output.stderr)
        self.assertNotIn("\r", output.stdout + output.stderr)


class ClientTest(CacheTest):
    def test_unreachable_origin_is_a_clear_error(self):
        origin = Origin(self)
        (self.folder / "site").mkdir()
        (self.folder / "site/index.html").write_text("a page")
        result = origin.client("publish", self.folder / "site", "--site", "demo")
        self.assertNotEqual(0, result.returncode)
        self.assertIn(origin.api[0], result.stdout + result.stderr)


class ApiOverTlsTest(CacheTest):
    """Tokens must not cross a foreign network in the clear: edges and whoever publishes come by tls_api."""

    def setUp(self):
        super().setUp()
        self.port = self.addresses.port("127.0.0.1")
        self.url = f"https://localhost:{self.port}"
        self.ca = authority() / "ca.pem"
        self.origin = Origin(self, node=f'tls_api = ["127.0.0.1:{self.port}"]').start()

    def make_edge(self, ca: str) -> Edge:
        edge = Edge(self, "frankfurt", origins=[self.url], events=[self.url], site=f'origin_ca = "{self.ca}"')
        edge.daemon.configure(edge.daemon.config_path.read_text().replace("[fleet]", f"[fleet]\n{ca}"))
        return edge.start()

    def nearside(self, *arguments: str | pathlib.Path) -> subprocess.CompletedProcess:
        return run_program("nearside", "--origin", self.url, "--ca", self.ca, "--token-file", self.origin.token_path,
                           *arguments)

    def test_publish_serve_and_purge_with_a_receipt(self):
        edge = self.make_edge(f'ca = "{self.ca}"')
        wait_until(lambda: edge.status()["fleet"]["following"], "the log is followed")
        site = self.folder / "site"
        site.mkdir()
        (site / "index.html").write_text("by TLS")
        (site / "large.bin").write_bytes(random.Random(5).randbytes(20_000_000))
        for arguments in (("publish", site, "--site", "demo", "--host", SITE_HOST, "--wait", "10s"),
                          ("purge", "--all", "--site", "demo", "--wait", "10s")):
            done = self.nearside(*arguments)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(b"by TLS", self.expect(edge.get("/"), 200).body)
        self.assertEqual((site / "large.bin").read_bytes(), self.expect(edge.get("/large.bin"), 200).body)
        self.assertEqual(0, self.origin.daemon.stop(), "a follower over TLS does not hold up the end")

    def test_nobody_is_believed_without_a_certificate_that_counts(self):
        edge = self.make_edge("")
        self.assertFalse(edge.status()["fleet"]["following"])
        self.assertIn("issuer", str(edge.status()["fleet"]))
        refused = run_program("nearside", "--origin", self.url, "--token-file", self.origin.token_path, "sites", "ls")
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("its certificate is not accepted", refused.stderr)
        self.assertIn("--ca", refused.stderr)


class SlowReaderTest(CacheTest):
    def test_who_reads_slowly_gets_every_byte(self):
        # Slower than `send_timeout` allows for one piece, and never silent: a send that took a part is no whole one.
        origin = Origin(self, extra='[limits]\nsend_timeout = "3s"').start()
        origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode())
        body = random.Random(5).randbytes(8 << 20)
        self.expect(origin.call("PUT", "/v1/sites/demo/assets/film", body), 201)
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
            connection.settimeout(10)
            connection.connect(origin.api)
            connection.sendall(f"GET /v1/sites/demo/assets/film HTTP/1.1\r\nHost: origin\r\n"
                               f"Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode())
            received = b""
            began = time.monotonic()
            while part := connection.recv(64 << 10 if time.monotonic() - began > 6 else 4 << 10):
                received += part
                if time.monotonic() - began < 6:
                    time.sleep(0.06)
        self.assertIn(b" 200 ", received[:20])
        content = received[received.index(b"\r\n\r\n") + 4:]
        self.assertEqual((len(body), hashlib.sha256(body).hexdigest()),
                         (len(content), hashlib.sha256(content).hexdigest()))


class RequestIdTest(CacheTest):
    def lines_of(self, name: str, target: str) -> list[dict]:
        lines = map(json.loads, (self.folder / name).read_text().splitlines())
        return [line for line in lines if line["target"] == target]

    def test_one_id_finds_a_request_in_the_logs_of_edge_and_origin(self):
        origin = Origin(self, node='access_log = "origin.access"').start()
        origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode())
        origin.call("PUT", "/v1/sites/demo/assets/page.html", b"page")
        edge = Edge(self, "frankfurt", origins=[origin.url], edge='access_log = "edge.access"').start()
        self.expect_miss(edge.get("/page.html", fields={"X-Request-ID": "of-a-client"}))
        self.expect_hit(edge.get("/page.html"))
        missing = self.expect(edge.get("/none.html"), 404)
        self.assertIsNone(missing.field("x-request-id"))
        self.expect(origin.visit("/page.html"), 200)
        for daemon in self.daemons:
            daemon.stop()
        miss, hit = self.lines_of("edge.access", "/page.html")
        through_edge, direct = self.lines_of("origin.access", "/page.html")
        self.assertEqual(("uri_miss", "fresh"), (miss["reason"], hit["reason"]))
        self.assertEqual(("visitor", miss["id"]), (through_edge["kind"], through_edge["id"]))
        self.assertEqual((200, 4, True), (direct["status"], direct["bytes"], direct["complete"]))
        self.assertEqual(4, len({miss["id"], hit["id"], direct["id"], "of-a-client"}))
        [lost] = self.lines_of("origin.access", "/none.html")
        self.assertEqual(self.lines_of("edge.access", "/none.html")[0]["id"], lost["id"])
        [put] = self.lines_of("origin.access", "/v1/sites/demo/assets/page.html")
        self.assertEqual(("upload", 201, 4), (put["kind"], put["status"], put["received_bytes"]))


if __name__ == "__main__":
    main()
