"""What becomes of releases: old chunks and their space, and the rules that a release brings along."""

import random
import re

from fleet import SITE_HOST, CacheTest, FleetTest, Metrics, Origin, fetch_text
from nearside_harness import main, wait_until

CHUNK_BYTES = 300_000
LOGO_BYTES = 50_000
WHOLE_BYTES = 3 * CHUNK_BYTES + LOGO_BYTES  # of three editions, less their pages
KEEP_TWO = '[releases]\nkeep = 2\nkeep_for = "0s"\ncollect_every = "1s"\nblob_grace = "1s"\n'


class RetentionTest(CacheTest):
    """Two origins over one state, both of which collect."""

    def setUp(self):
        super().setUp()
        self.origin = Origin(self, extra=KEEP_TWO).start()
        self.second = Origin(self, extra=KEEP_TWO, name="origin-2").start()
        self.site = self.folder / "site"
        self.site.mkdir()
        (self.site / "logo.png").write_bytes(random.Random(1).randbytes(LOGO_BYTES))

    @staticmethod
    def chunk(edition: int) -> str:
        return f"app.1a2b3c4{edition}.js"

    def publish(self, edition: int, origin: Origin) -> None:
        for old in self.site.glob("app.*.js"):
            old.unlink()
        (self.site / self.chunk(edition)).write_bytes(random.Random(100 + edition).randbytes(CHUNK_BYTES))
        (self.site / "index.html").write_text(f"edition {edition} <script src={self.chunk(edition)}></script>")
        result = origin.client("publish", self.site, "--site", "demo", "--host", SITE_HOST)
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)

    def stored_bytes(self) -> int:
        blobs = self.origin.folder / "blobs"
        return sum(path.stat().st_size for path in blobs.rglob("*") if path.is_file() and len(path.name) == 64)

    def collected(self) -> float:
        return sum(Metrics(fetch_text(origin.admin_url("/metrics"))).sum("nearside_origin_collected_blobs_total")
                   for origin in (self.origin, self.second))

    def wait_for_space(self) -> None:
        wait_until(lambda: self.stored_bytes() < WHOLE_BYTES + CHUNK_BYTES, "the space is given back", 60)

    def status(self, edition: int) -> int:
        return self.origin.visit("/" + self.chunk(edition)).status

    def test_old_chunks_are_served_for_as_many_releases_as_are_kept_and_then_give_their_space_back(self):
        for edition in range(1, 6):
            self.publish(edition, self.origin if edition % 2 else self.second)
            wait_until(lambda: f"edition {edition} ".encode() in self.origin.visit("/").body, "the edition is served")
            for served in range(max(1, edition - 2), edition + 1):
                self.assertEqual(200, self.status(served), f"chunk {served} while {edition} is active")
            if edition > 3:
                self.assertEqual(404, self.status(edition - 3), f"chunk {edition - 3} while {edition} is active")
        wait_until(lambda: self.collected() >= 4, "two chunks and two pages are collected", 60)
        self.assertEqual(WHOLE_BYTES + 3 * len((self.site / "index.html").read_bytes()), self.stored_bytes())
        for edition in (3, 4, 5):
            body = self.expect(self.second.visit("/" + self.chunk(edition)), 200).body
            self.assertEqual(random.Random(100 + edition).randbytes(CHUNK_BYTES), body)
        self.assertEqual(4, self.collected())
        logs = self.origin.daemon.log() + self.second.daemon.log()
        self.assertEqual(2, logs.count("event=release_dropped"), logs)
        self.assertIn("event=collected", logs)
        # A dropped release cannot be returned to, a kept one can.
        self.expect(self.origin.call("POST", "/v1/sites/demo/releases/1/activate"), 404)
        self.expect(self.origin.call("POST", "/v1/sites/demo/releases/3/activate"), 200)
        self.assertIn(b"edition 3 ", self.origin.visit("/").body)

    def test_killed_while_it_collects_an_origin_loses_nothing(self):
        for edition in range(1, 7):
            self.publish(edition, self.second)
            self.origin.daemon.kill()
            self.origin.start()
        self.wait_for_space()
        for edition in (4, 5, 6):
            self.assertEqual(200, self.status(edition))

    def test_a_content_that_comes_back_is_uploaded_again(self):
        self.publish(1, self.origin)
        for edition in (2, 3, 4, 5):
            self.publish(edition, self.origin)
        self.wait_for_space()
        self.publish(1, self.origin)
        self.assertEqual(random.Random(101).randbytes(CHUNK_BYTES), self.origin.visit("/" + self.chunk(1)).body)


class RulesTest(FleetTest):
    """`_headers` and `_redirects`, down to the edges."""

    def setUp(self):
        super().setUp()
        self.site = self.folder / "site"
        (self.site / "docs").mkdir(parents=True)
        (self.site / "index.html").write_text("first edition")
        (self.site / "docs/index.html").write_text("docs")
        (self.site / "sorry.html").write_text("sorry")
        self.rules("/old /docs/ 302\n/blog/:year/* /archive/:year/:splat\n/docs/secret /index.html 404!\n"
                   "/gone/* /sorry.html 404\n/app/* /index.html 200\n",
                   "/*\n  X-Frame-Options: DENY\n"
                   "/docs/*\n  Cache-Control: public, max-age=77\n  Surrogate-Key: guide\n")

    def rules(self, redirects: str, headers: str) -> None:
        (self.site / "_redirects").write_text(redirects)
        (self.site / "_headers").write_text(headers)

    def test_edges_serve_and_keep_what_the_rules_say(self):
        self.publish(self.site)
        edge = self.edges["frankfurt"]
        for expect in (self.expect_miss, self.expect_hit):
            moved = expect(self.expect(edge.get("/old"), 302))
            self.assertEqual("/docs/", moved.field("location"))
            docs = self.expect_hit(self.expect(edge.get("/docs/"), 200))  # the edge has proved it
            self.assertEqual("public, max-age=77", docs.field("cache-control"))
            self.assertEqual("DENY", docs.field("x-frame-options"))
            self.assertIsNone(docs.field("surrogate-key"), "for edges alone")
            self.assertEqual(b"first edition", expect(self.expect(edge.get("/app/some/route"), 200)).body)
            self.assertEqual(b"sorry", expect(self.expect(edge.get("/gone/x"), 404)).body)
        self.assertEqual("/archive/2026/a/b", self.expect(edge.get("/blog/2026/a/b"), 301).field("location"))
        self.expect(edge.get("/docs/secret"), 404)
        for file in ("/_headers", "/_redirects"):
            self.expect(edge.get(file), 404)
        purged = self.origin.client("purge", "--site", "demo", "--tag", "guide")
        self.assertEqual(0, purged.returncode, purged.stdout + purged.stderr)
        self.expect_miss(edge.get("/docs/"))
        self.expect_hit(edge.get("/app/some/route"))

    def test_a_new_page_reaches_those_who_got_it_by_a_rewrite(self):
        self.publish(self.site)
        for edge in self.edges.values():
            edge.get("/app/some/route")
            self.assertTrue(edge.get("/app/some/route").is_hit)
        (self.site / "index.html").write_text("second edition")
        self.publish(self.site)
        for edge in self.edges.values():
            self.assertEqual(b"second edition", edge.get("/app/some/route").body, "once the receipt is there")

    def test_new_rules_hold_at_every_edge_once_the_receipt_is_there(self):
        self.publish(self.site)
        for edge in self.edges.values():
            self.expect(edge.get("/old"), 302)
            self.expect(edge.get("/docs/"), 200)
        self.rules("/old /elsewhere 301\n/docs/* /moved/:splat 301!\n", "")
        self.publish(self.site)
        for edge in self.edges.values():
            self.assertEqual("/elsewhere", self.expect(edge.get("/old"), 301).field("location"))
            self.assertEqual("/moved/", self.expect(edge.get("/docs/"), 301).field("location"))

    def test_a_bad_line_is_told_by_file_and_line_and_nothing_changes(self):
        self.publish(self.site)
        self.rules("/old /docs/ 302\n/a b 301\n", "")
        for options in ((), ("--dry-run",)):
            refused = self.origin.client("publish", self.site, "--site", "demo", *options)
            self.assertNotEqual(0, refused.returncode)
            self.assertTrue(re.search(r"_redirects:2: ", refused.stdout + refused.stderr), refused.stderr)
        self.expect(self.edges["tokyo"].get("/old"), 302)


if __name__ == "__main__":
    main()
