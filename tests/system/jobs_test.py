"""Jobs that need no answer: two origins that serve, workers that die, and what edges get of their work."""

import json
import random
import socket
import sqlite3

from clients import Response
from fleet import SITE_HOST, CacheTest, Edge, Metrics, Origin, fetch_text
from nearside_harness import main, wait_until

JOBS = '[jobs]\nlease = "1m"\nbackoff = "100ms"\nbackoff_most = "200ms"\nattempts = 3\npoll = "50ms"\n'
# Of workers that are killed: the lease is what is waited for. One that is stalled loses its job, too.
SHORT_LEASE = JOBS.replace('"1m"', '"2s"').replace("attempts = 3", "attempts = 20")
CODINGS = ("br", "zstd", "gzip")
BROWSER = "gzip, deflate, br, zstd"
SMALL = 12


def words(about: str, size: int) -> bytes:
    """Text that shrinks to a third or so, and takes its time."""
    dice = random.Random(about)
    vocabulary = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 9))) for _ in range(3000)]
    text = f"{about}: ".encode()
    while len(text) < size:
        text += " ".join(dice.choices(vocabulary, k=2000)).encode() + b"\n"
    return text[:size]


class JobsTest(CacheTest):
    def setUp(self) -> None:
        super().setUp()
        self.origin = Origin(self, extra=JOBS, role="api").start()
        self.second = Origin(self, extra=JOBS, role="api", name="origin-2").start()
        self.worker = Origin(self, extra=JOBS, role="worker", name="worker")
        self.files = {f"page-{number}.html": words(f"page {number}", 20_000) for number in range(SMALL)}

    def publish(self, origin: Origin | None = None) -> None:
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (site / name).write_bytes(content)
        done = (origin or self.origin).client("publish", site, "--site", "demo", "--host", SITE_HOST, "--wait", "1s")
        self.assertIn(done.returncode, (0, 3), done.stdout + done.stderr)

    def jobs(self, *arguments: str) -> dict:
        done = self.second.client("jobs", "--json", *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def counts(self) -> tuple[int, int, int]:
        """Waiting, running, dead; (-1, 0, 0) before there was any job."""
        for count in self.jobs()["counts"]:
            return count["waiting"], count["running"], count["dead"]
        return -1, 0, 0

    def wait_for_counts(self, *expected: int) -> None:
        wait_until(lambda: self.counts() == expected, f"the jobs that wait, run and are dead are {expected}", 180)

    def variants(self) -> list[tuple[str, str]]:
        """Content and coding of every row."""
        with sqlite3.connect(self.origin.folder / "meta.db") as database:
            return database.execute("SELECT content, coding FROM blob_variants").fetchall()

    def blob_files(self) -> int:
        return sum(1 for path in (self.origin.folder / "blobs").rglob("*") if path.is_file() and len(path.name) == 64)

    def get(self, origin: Origin, name: str, codings: str) -> Response:
        return origin.visit(f"/{name}", fields={"Accept-Encoding": codings}, options=("--compressed",))

    def expect_all_encoded(self) -> None:
        for name, content in self.files.items():
            for origin in (self.origin, self.second):
                for codings, coding in (*((each, each) for each in CODINGS), ("identity", None)):
                    response = self.expect(self.get(origin, name, codings), 200)
                    self.assertEqual(coding, response.field("Content-Encoding"), f"{name}\n{response}")
                    self.assertEqual(content, response.body, f"{name} in {coding}")
                    self.assertEqual("Accept-Encoding", response.field("Vary"))

    def test_a_worker_that_is_killed_in_the_middle_of_a_job_costs_nothing_but_time(self):
        self.files |= {f"big-{number}.txt": words(f"big {number}", 1_500_000) for number in range(3)}
        self.worker = Origin(self, extra=SHORT_LEASE, role="worker", name="short-lease").start()
        self.publish(self.second)
        for _ in range(2):
            wait_until(lambda: any(job["state"] == "running" and job["payload"]["path"].startswith("big-")
                                   for job in self.jobs("--limit", "1000")["jobs"]), "a long job is under way")
            self.worker.daemon.kill()
            self.assertGreater(self.counts()[1], 0, "nobody has said what became of it")
            self.worker.start()
        self.wait_for_counts(0, 0, 0)
        rows = self.variants()
        self.assertEqual(3 * len(self.files), len(rows))
        self.assertEqual(len(rows), len(set(rows)), "one a content and coding")
        self.assertEqual(4 * len(self.files), self.blob_files(), "and a file each, beside the contents")
        self.expect_all_encoded()
        # Published again, there is nothing to do.
        self.publish()
        done = Metrics(fetch_text(self.worker.admin_url("/metrics"))).sum("nearside_origin_jobs_done_total")
        self.worker.daemon.stop()
        self.worker.start()
        self.wait_for_counts(0, 0, 0)
        self.assertGreater(done, 0)
        metrics = Metrics(fetch_text(self.worker.admin_url("/metrics")))
        self.assertEqual(0, metrics.sum("nearside_origin_jobs_done_total"))
        self.assertEqual(3 * len(self.files), len(self.variants()))

    def test_a_poisonous_job_is_listed_as_dead_and_stops_no_other(self):
        self.publish()
        content = self.files["page-3.html"]
        victim = next(path for path in (self.origin.folder / "blobs").rglob("*")
                      if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content)
        away = self.folder / "away"
        victim.rename(away)
        self.worker.start()
        self.wait_for_counts(0, 0, 1)
        self.assertEqual(3 * (SMALL - 1), len(self.variants()))
        dead = self.jobs("--dead")["jobs"]
        self.assertEqual(["page-3.html"], [job["payload"]["path"] for job in dead])
        self.assertEqual(3, dead[0]["attempts"])
        shown = self.second.client("jobs", "--dead").stdout
        self.assertIn("demo page-3.html", shown)
        self.assertIn(victim.name, shown)
        self.assertIn("event=job_dead", self.worker.daemon.log())
        for origin in (self.origin, self.second, self.worker):
            metrics = Metrics(fetch_text(origin.admin_url("/metrics")))
            self.assertEqual(1, metrics.sum("nearside_origin_jobs", kind="compress", state="dead"))
        # The reason goes, and it is told to begin anew.
        away.rename(victim)
        retried = self.origin.client("jobs", "retry", dead[0]["id"])
        self.assertEqual(0, retried.returncode, retried.stderr)
        self.wait_for_counts(0, 0, 0)
        self.expect_all_encoded()
        self.assertIn("job_retried", self.origin.client("audit").stdout)

    def test_a_worker_gives_back_what_is_under_way_and_listens_nowhere(self):
        self.files = {"big.txt": words("big", 4_000_000)}
        self.worker.start()
        for address in (self.worker.api, self.worker.tls):
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(address, timeout=10)
        self.assertEqual("ok\n", fetch_text(self.worker.admin_url("/healthz")))
        self.publish()
        self.wait_for_counts(0, 1, 0)
        self.assertEqual(0, self.worker.daemon.stop())
        self.assertEqual((1, 0, 0), self.counts())
        self.assertEqual(0, self.jobs()["jobs"][0]["attempts"])
        # Those that serve do none of it.
        self.assertEqual(0, sum(Metrics(fetch_text(origin.admin_url("/metrics"))).sum("nearside_origin_jobs_done_total")
                                for origin in (self.origin, self.second)))

    def test_one_process_does_it_all_where_nobody_says_otherwise(self):
        alone = Origin(self, extra=JOBS, name="alone").start()
        self.publish(alone)
        self.wait_for_counts(0, 0, 0)
        self.expect_all_encoded()

    def test_an_edge_stores_what_was_encoded_and_encodes_nothing_itself(self):
        self.worker.start()
        self.publish()
        self.wait_for_counts(0, 0, 0)
        edge = Edge(self, "frankfurt", origins=[self.origin.url], events=[self.origin.url]).start()
        content = self.files["page-1.html"]
        for codings, coding in ((BROWSER, "br"), ("zstd", "zstd"), ("gzip", "gzip"), ("identity", None)):
            with self.subTest(codings):
                direct = self.get(self.origin, "page-1.html", codings)
                # The identity is what the edge has proved.
                for expect in (self.expect_miss if coding else self.expect_hit, self.expect_hit):
                    response = expect(self.expect(edge.get("/page-1.html", fields={"Accept-Encoding": codings},
                                                           options=("--compressed",)), 200))
                    self.assertEqual(coding, response.field("Content-Encoding"))
                    self.assertEqual(content, response.body)
                    self.assertEqual("Accept-Encoding", response.field("Vary"))
                    self.assertEqual(direct.field("ETag"), response.field("ETag"))
                    self.assertFalse(response.field("ETag").startswith("W/"))
                    self.assertEqual(direct.field("Content-Length"), response.field("Content-Length"))
        self.assertEqual(0, edge.metrics().sum("nearside_edge_encoded_total"))
        # Parts are of the identity, and a browser's own copy is validated with the tag of its coding.
        part = self.expect(edge.get("/page-1.html", fields={"Accept-Encoding": BROWSER, "Range": "bytes=100-199"}), 206)
        self.assertEqual(content[100:200], part.body)
        self.assertIsNone(part.field("Content-Encoding"))
        tag = self.get(self.origin, "page-1.html", BROWSER).field("ETag")
        same = edge.get("/page-1.html", fields={"Accept-Encoding": BROWSER, "If-None-Match": tag})
        self.expect_hit(self.expect(same, 304))
        # After a soft purge the edge asks with that tag, and what it holds stays.
        self.expect(edge.purge(urls=["/page-1.html"], soft=True), 200)
        validated = self.expect(edge.get("/page-1.html", fields={"Accept-Encoding": BROWSER},
                                         options=("--compressed",)), 200)
        self.assertIn("fwd-status=304", validated.cache_status)
        self.assertEqual("br", validated.field("Content-Encoding"))
        self.assertEqual(content, validated.body)

    def test_an_edge_that_was_first_gets_the_better_copy_when_it_validates(self):
        self.publish()
        edge = Edge(self, "frankfurt", origins=[self.origin.url], events=[self.origin.url]).start()

        def fetch() -> Response:
            return self.expect(edge.get("/page-2.html", fields={"Accept-Encoding": BROWSER},
                                        options=("--compressed",)), 200)

        first = fetch()
        self.assertTrue(first.field("ETag").endswith('-br"'), "the edge's own")
        self.worker.start()
        self.wait_for_counts(0, 0, 0)
        self.expect_hit(fetch())
        self.expect(edge.purge(urls=["/page-2.html"], soft=True), 200)
        second = fetch()
        self.assertFalse(second.field("ETag").startswith("W/"), f"\n{second}")
        self.assertEqual(self.files["page-2.html"], second.body)
        self.assertLess(int(second.field("Content-Length")), int(first.field("Content-Length") or 1 << 30))

    def test_receipts_prove_the_identity_whatever_is_encoded(self):
        self.worker.start()
        edge = Edge(self, "frankfurt", origins=[self.origin.url], events=[self.origin.url]).start()
        self.publish()
        self.wait_for_counts(0, 0, 0)
        self.files["page-0.html"] = words("another page", 20_000)
        site = self.folder / "site"
        (site / "page-0.html").write_bytes(self.files["page-0.html"])
        done = self.origin.client("publish", site, "--site", "demo", "--host", SITE_HOST)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.wait_for_counts(0, 0, 0)
        for _ in range(2):  # a miss, and then what the edge has stored
            response = edge.get("/page-0.html", fields={"Accept-Encoding": BROWSER}, options=("--compressed",))
            self.assertEqual(self.files["page-0.html"], self.expect(response, 200).body)
        self.assertRegex(done.stdout, r"frankfurt +.*proved")


if __name__ == "__main__":
    main()
