"""Releases whose contents are at the edges before the switch: what travels when, and what goes wrong meanwhile."""

import hashlib
import json
import random

from fleet import SITE_HOST, CacheTest, Edge, Metrics, Origin, fetch_text
from nearside_harness import main, wait_until

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}


class PreparingTest(CacheTest):
    def setUp(self):
        super().setUp()
        # Without jobs: what they have encoded would be another body, as soon as they are done.
        self.origin = Origin(self, role="api").start()
        self.site = self.folder / "site"
        self.noise = random.Random(23)
        self.edges: dict[str, Edge] = {}
        self.write("index.html", b"<!doctype html><p>first</p>" * 200)
        self.write("large.bin", self.noise.randbytes(3_000_000))
        self.write("stays.bin", self.noise.randbytes(500_000))

    def write(self, path: str, content: bytes) -> None:
        self.site.mkdir(exist_ok=True)
        (self.site / path).write_bytes(content)

    def write_second(self) -> None:
        self.write("index.html", b"<!doctype html><p>second</p>" * 200)
        self.write("large.bin", self.noise.randbytes(4_000_000))
        self.write("new.bin", self.noise.randbytes(2_000_000))

    def start_edges(self, *names: str, **options) -> None:
        for name in names:
            self.edges[name] = Edge(self, name, **{"origins": [self.origin.url], "events": [self.origin.url],
                                                   "disk": "128MiB", **options}).start()
        wait_until(lambda: len(self.fleet()) == len(self.edges), "every edge has reported")

    def fleet(self) -> list:
        return json.loads(self.origin.call("GET", "/v1/edges").body)["edges"]

    def publish(self, *options: str, status: int = 0):
        result = self.origin.client("publish", self.site, "--site", "demo", "--host", SITE_HOST, "--wait", "30s",
                                    *options, timeout=120)
        self.assertEqual(status, result.returncode, result.stdout + result.stderr)
        return result

    def newest_receipt(self) -> dict:
        newest = json.loads(self.origin.call("GET", "/v1/receipts?site=demo&limit=1").body)["receipts"][0]
        return json.loads(self.origin.call("GET", f"/v1/receipts/{newest['id']}").body)

    def prepared(self, receipt: dict) -> dict:
        return {edge["name"]: edge.get("prepared", {}) for edge in receipt["edges"]}

    def bodies_sent(self) -> int:
        """Answers of the origin to requests for URLs of the site that had a body."""
        metrics = Metrics(fetch_text(self.origin.admin_url("/metrics")))
        return metrics.sum("nearside_origin_requests_total", kind="visitor", status="2xx")

    def make_release(self) -> str:
        """Uploaded, and not made active."""
        assets = []
        for path in sorted(self.site.iterdir()):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            self.origin.call("PUT", f"/v1/blobs/{digest}", path)
            assets.append({"path": path.name, "sha256": digest, "bytes": len(content)})
        made = self.origin.call("POST", "/v1/sites/demo/releases", json.dumps({"assets": assets}).encode())
        return json.loads(self.expect(made, 201).body)["id"]

    def prepare(self, release: str) -> dict:
        path = f"/v1/sites/demo/releases/{release}/prepare"
        asked = json.loads(self.expect(self.origin.call("POST", path), 200).body)
        path += f"?seq={asked['seq']}"

        def state() -> dict:
            told = json.loads(self.expect(self.origin.call("GET", path), 200).body)
            return told if told["complete"] else {}
        return wait_until(state, "every edge has prepared the release")

    def expect_site(self, edge: Edge, fields: dict | None = None) -> None:
        for path in self.site.iterdir():
            response = self.expect(edge.get(f"/{path.name}", fields=fields or {},
                                            options=("--compressed",) if fields else ()), 200)
            self.assertEqual(path.read_bytes(), response.body, f"{edge.name} {path.name}\n{response.cache_status}")

    def test_after_the_switch_no_body_leaves_the_origin(self):
        self.start_edges("frankfurt", "tokyo")
        self.publish()
        self.write_second()
        before = self.bodies_sent()
        received = {edge.name: edge.metrics().sum("nearside_edge_origin_body_bytes_total")
                    for edge in self.edges.values()}
        result = self.publish()
        self.assertIn("contents at the edges before the switch: frankfurt 3 of 3, tokyo 3 of 3", result.stdout)
        for edge in self.edges.values():
            self.expect_site(edge)
            self.expect_hit(edge.get("/large.bin"))
            self.assertEqual(received[edge.name], edge.metrics().sum("nearside_edge_origin_body_bytes_total"))
            self.assertGreaterEqual(edge.metrics().sum("nearside_edge_prepared_used_total"), 4)
        self.assertEqual(before, self.bodies_sent(), "304s alone, for the proof and for visitors")
        # What a browser takes is encoded here, of the same bytes.
        for edge in self.edges.values():
            self.expect_site(edge, BROWSER)
        self.assertEqual(before, self.bodies_sent())
        response = self.edges["tokyo"].get("/index.html")
        direct = self.origin.visit("/index.html")
        for name in ("content-type", "etag", "last-modified", "cache-control", "accept-ranges", "content-length"):
            self.assertEqual(direct.field(name), response.field(name), name)
        receipt = self.newest_receipt()
        for prepared in self.prepared(receipt).values():
            self.assertEqual(("prepared", 3, 3), (prepared["state"], prepared["held"], prepared["of"]))
            self.assertGreater(prepared["bytes"], 6_000_000)
            self.assertLess(prepared["ms"], 60_000)
        shown = self.origin.client("receipt", receipt["id"])
        self.assertRegex(shown.stdout, r"frankfurt +3/3 ")

    def test_an_edge_that_dies_between_has_the_bodies_all_the_same(self):
        self.start_edges("frankfurt", "tokyo")
        self.publish()
        self.write_second()
        release = self.make_release()
        self.assertEqual(["prepared"] * 2, [edge["state"] for edge in self.prepare(release)["edges"]])
        # What a kill -9 is to leave is on disk: a purge is confirmed when it is, and heads that came before it with
        # the one after it.
        for _ in range(2):
            purged = self.origin.client("purge", f"https://{SITE_HOST}/nothing", "--wait", "30s")
            self.assertEqual(0, purged.returncode, purged.stderr)
        before = self.bodies_sent()
        for edge in self.edges.values():
            edge.daemon.kill()
            edge.start()
        told = f"/v1/sites/demo/releases/{release}/prepare"
        wait_until(lambda: [edge.get("state") for edge in json.loads(self.origin.call("GET", told).body)["edges"]]
                   == ["prepared"] * 2, "they know what they have")
        # One is away at the switch itself.
        self.edges["tokyo"].daemon.kill()
        self.expect(self.origin.call("POST", f"/v1/sites/demo/releases/{release}/activate"), 200)
        self.edges["tokyo"].start()
        wait_until(lambda: self.newest_receipt()["complete"], "the edges have proved it")
        for edge in self.edges.values():
            self.expect_site(edge)
            self.assertGreaterEqual(edge.metrics().sum("nearside_edge_prepared_used_total"), 3, edge.name)
            self.assertEqual(0, edge.metrics().sum("nearside_edge_origin_body_bytes_total"), edge.name)
        self.assertEqual(before, self.bodies_sent(), "304s alone, though the edges have been started again")

    def test_before_the_switch_visitors_get_the_release_that_is_active(self):
        self.start_edges("frankfurt")
        self.publish()
        edge = self.edges["frankfurt"]
        first = {path.name: path.read_bytes() for path in self.site.iterdir()}
        self.write_second()
        release = self.make_release()
        self.assertEqual("prepared", self.prepare(release)["edges"][0]["state"])
        self.expect(edge.purge(all=True), 200)
        for name, content in first.items():
            self.assertEqual(content, self.expect(edge.get(f"/{name}"), 200).body)
        self.expect(edge.get("/new.bin"), 404)
        # One that is never made active is replaced by the next, and does no harm.
        self.write("large.bin", self.noise.randbytes(1_000_000))
        self.publish()
        self.expect_site(edge)
        self.assertEqual(3, self.prepared(self.newest_receipt())["frankfurt"]["of"])

    def test_an_edge_that_is_cut_off_meanwhile_is_not_waited_for(self):
        self.start_edges("frankfurt", "tokyo")
        self.publish()
        self.write_second()
        self.edges["tokyo"].daemon.kill()
        wait_until(lambda: not all(edge["reachable"] for edge in self.fleet()), "the origin has seen that it is gone")
        result = self.publish("--prepare", "20s", status=3)
        self.assertIn("frankfurt 3 of 3", result.stdout)
        self.assertIn("tokyo not reachable", result.stdout)
        self.expect_site(self.edges["frankfurt"])
        # Back, it hears of both at once, and fetches as ever.
        self.edges["tokyo"].start()
        wait_until(lambda: self.newest_receipt()["complete"], "the edge has caught up and proved it")
        self.expect_site(self.edges["tokyo"])

    def test_a_switch_that_does_not_wait_is_right_all_the_same(self):
        self.start_edges("frankfurt")
        self.publish()
        self.write_second()
        release = self.make_release()
        self.expect(self.origin.call("POST", f"/v1/sites/demo/releases/{release}/prepare"), 200)
        self.expect(self.origin.call("POST", f"/v1/sites/demo/releases/{release}/activate"), 200)
        wait_until(lambda: self.newest_receipt()["complete"], "the edge has proved it")
        self.expect_site(self.edges["frankfurt"])
        self.write("large.bin", self.noise.randbytes(700_000))
        result = self.publish("--no-prepare")
        self.assertNotIn("before the switch", result.stdout)
        self.expect_site(self.edges["frankfurt"])
        self.assertEqual({}, self.prepared(self.newest_receipt())["frankfurt"])

    def test_what_travels_before_the_switch_has_a_bounded_rate(self):
        self.start_edges("frankfurt", extra='keep_rate = "2MiB"')  # these lines end the table of the fleet
        self.publish()
        self.write("large.bin", self.noise.randbytes(4 << 20))
        self.publish()
        prepared = self.prepared(self.newest_receipt())["frankfurt"]
        self.assertEqual(("prepared", 4 << 20), (prepared["state"], prepared["bytes"]))
        self.assertGreater(prepared["ms"], 1500, "4 MiB at 2 MiB a second, less what the bucket holds")
        self.expect_site(self.edges["frankfurt"])

    def test_what_is_larger_than_may_be_prepared_comes_with_the_switch(self):
        self.start_edges("frankfurt", disk="64MiB")
        self.publish()
        self.write("huge.bin", self.noise.randbytes(17_000_000))  # a quarter of the disk is 16 MiB
        self.write("index.html", b"third")
        result = self.publish()
        self.assertIn("frankfurt 1 of 2 (no room)", result.stdout)
        self.expect_site(self.edges["frankfurt"])


if __name__ == "__main__":
    main()
