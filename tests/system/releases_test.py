"""What becomes of releases: old chunks and their space."""

import random

from fleet import SITE_HOST, CacheTest, Metrics, Origin, fetch_text
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


if __name__ == "__main__":
    main()
