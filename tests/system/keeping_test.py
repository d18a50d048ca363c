"""Releases at the edges: what each proves that it serves, and sites that are kept whole for when the origin is gone."""

import json
import random
import re
import time

from fleet import SITE_HOST, CacheTest, Edge, Origin
from nearside_harness import main, wait_until
from scripted_origin import Reply, ScriptedOrigin

BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}


class KeepingTest(CacheTest):
    def setUp(self):
        super().setUp()
        self.origin = Origin(self).start()
        self.site = self.folder / "site"
        self.edges: dict[str, Edge] = {}

    def start_edges(self, *names: str, site: str = "keep_whole = true", **options) -> None:
        for name in names:
            self.edges[name] = Edge(self, name, **{"origins": [self.origin.url], "events": [self.origin.url],
                                                   "site": site, **options}).start()
        wait_until(lambda: len(self.reported()) == len(self.edges), "every edge has reported")

    def reported(self) -> list:
        return json.loads(self.origin.call("GET", "/v1/edges").body)["edges"]

    def write(self, **files: bytes | str) -> None:
        """`docs__index_html` would be awkward: paths come as they are, by write(**{"docs/index.html": …})."""
        for path, content in files.items():
            file = self.site / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def write_site(self) -> None:
        noise = random.Random(17)
        for folder in ("", "docs/", "docs/deep/down/", "blog/"):
            text = "".join(f"<p>{noise.randrange(10 ** 9)} of {folder}</p>\n" for _ in range(200))
            self.write(**{f"{folder}index.html": "<!doctype html>" + text,
                          f"{folder}page.html": "<!doctype html>" + text[::-1],
                          f"{folder}picture {len(folder)}.webp": noise.randbytes(150_000),
                          f"{folder}app.5f3c1b2e.js": f"/* {folder} */" + "let a = 1;\n" * 500,
                          f"{folder}small.txt": folder})

    def publish(self, *options: str, status: int = 0, wait: str = "30s"):
        result = self.origin.client("publish", self.site, "--site", "demo", "--host", SITE_HOST, "--wait", wait,
                                    *options)
        self.assertEqual(status, result.returncode, result.stdout + result.stderr)
        return result

    def receipt_of(self, result) -> dict:
        number = re.search(r"receipt (\d+)", result.stdout)[1]
        return json.loads(self.origin.client("receipt", number, "--json").stdout)

    def urls(self) -> dict[str, bytes]:
        """What a visitor may ask for, and what is there."""
        urls = {}
        for path in (path for path in self.site.rglob("*") if path.is_file()):
            name = path.relative_to(self.site).as_posix()
            if name.startswith("_"):
                continue
            urls["/" + name.replace(" ", "%20")] = path.read_bytes()
            if path.name == "index.html":
                urls["/" + name.removesuffix("index.html")] = path.read_bytes()
        return urls

    def crawl(self, edge: Edge) -> None:
        """Every URL, as browsers and as plain clients ask for it, over TLS and in clear."""
        for url, content in self.urls().items():
            for get in (edge.get, edge.get_clear):
                for fields in ({}, BROWSER, {"Accept-Encoding": "zstd"}):
                    response = self.expect(get(url, fields=fields, options=("--compressed",) if fields else ()), 200)
                    self.assertEqual(content, response.body, f"{edge.name} {url} {fields}")
            if len(content) > 100:
                part = self.expect(edge.get(url, fields={"Range": "bytes=10-19"}), 206)
                self.assertEqual(content[10:20], part.body, f"{edge.name} {url}")
        location = self.expect(edge.get("/docs"), 301).field("location")
        self.assertEqual("/docs/", re.sub(r"^https?://[^/]+", "", location))

    def whole(self, edge: Edge) -> dict:
        return next(site["whole"] for site in edge.status()["releases"] if site["site"] == "demo")

    def test_the_whole_site_goes_on_when_the_origin_is_gone_right_after_a_publish(self):
        self.start_edges("frankfurt", "tokyo", site='keep_whole = true\nstale_if_error = "0s"')
        self.write_site()
        # Stale at once, and to be served all the same.
        self.write(_headers="/*\n  Cache-Control: max-age=1\n")
        result = self.publish()
        self.origin.daemon.kill()
        self.assertEqual(2, result.stdout.count("proved "), result.stdout)
        time.sleep(1.2)  # until everything is stale
        for edge in self.edges.values():
            self.crawl(edge)
            whole = self.whole(edge)
            self.assertEqual(whole["of"], whole["held"], whole)
            self.assertGreaterEqual(whole["of"], len(self.urls()), "and redirects")
            self.assertEqual(whole["held"], edge.metrics().sum("nearside_edge_kept_held_urls", site="demo"))
        # What is kept outlives the process, without anybody to ask.
        edge = self.edges["tokyo"]
        edge.daemon.kill()
        edge.start()
        self.crawl(edge)

    def test_an_edge_that_comes_later_keeps_the_site_as_well(self):
        self.write_site()
        self.publish()
        self.start_edges("frankfurt")
        edge = self.edges["frankfurt"]
        wait_until(lambda: edge.status()["releases"] and self.whole(edge)["walked"], "the whole site has been walked")
        self.assertEqual(self.whole(edge)["of"], self.whole(edge)["held"])
        self.origin.daemon.kill()
        self.crawl(edge)

    def test_the_next_release_takes_the_place_of_the_one_before(self):
        self.start_edges("frankfurt")
        self.write_site()
        first = self.receipt_of(self.publish())
        edge = self.edges["frankfurt"]
        pinned = edge.status()["cache"]["pinned_objects"]
        self.write(**{"index.html": "<!doctype html>second edition", "new.html": "new"})
        for path in ("blog/page.html", "blog/small.txt"):
            (self.site / path).unlink()
        second = self.receipt_of(self.publish())
        self.assertNotEqual(first["id"], second["id"])
        proof = second["edges"][0]
        self.assertEqual(("proved", True, True), (proof["state"], proof["digest_is_ours"], second["complete"]))
        self.assertEqual(5, proof["urls"], "/, /index.html, /new.html and two that are gone")
        self.assertEqual(proof["urls"], proof["same"])
        self.assertEqual(proof["whole"]["held"], proof["whole"]["of"])
        self.assertLessEqual(proof["proof_ms"] - proof["ms"], 30_000)
        # What was purged at the edge itself is fetched again.
        self.expect(edge.purge(urls=["/docs/"]), 200)
        stored = {"Cache-Control": "only-if-cached"}
        wait_until(lambda: edge.get("/docs/", fields=stored).status == 200, "the purged page is held again")
        wait_until(lambda: edge.get_clear("/docs/", fields=stored).status == 200, "and its copy for http")
        self.origin.daemon.kill()
        self.crawl(edge)
        self.assertGreaterEqual(edge.get("/blog/page.html").status, 404)
        wait_until(lambda: edge.status()["cache"]["pinned_objects"] <= pinned, "what is gone is pinned no more")

    def test_what_does_not_fit_is_said(self):
        self.start_edges("frankfurt", disk="64MiB",
                         site=f'keep_whole = true\nkeep_at = ["https://{SITE_HOST}"]')
        noise = random.Random(18)
        for i in range(560):
            self.write(**{f"{i:03}.bin": noise.randbytes(125_000)})
        result = self.publish()
        self.assertIn("does not hold", result.stdout)
        edge = self.edges["frankfurt"]
        whole = self.whole(edge)
        self.assertLess(whole["held"], whole["of"], whole)
        self.assertGreater(whole["held"], 10, whole)
        self.assertEqual({"no room"}, {missing["why"] for missing in whole["missing"]} - {"not stored"}, whole)
        self.assertLess(edge.metrics().sum("nearside_edge_kept_held_urls"),
                        edge.metrics().sum("nearside_edge_kept_wanted_urls"))
        cache = edge.status()["cache"]
        self.assertLessEqual(cache["pinned_bytes"], cache["disk_limit_bytes"] * 0.8)
        proof = self.receipt_of(result)["edges"][0]
        self.assertEqual("proved", proof["state"], "what it serves is right all the same")
        self.assertEqual(whole["held"], proof["whole"]["held"])

    def test_a_release_is_proved_by_edges_that_do_not_keep_it_whole(self):
        self.start_edges("frankfurt", "tokyo", site="")
        self.start_edges("virginia", site="prove_releases = false")
        self.write_site()
        result = self.publish()
        self.assertEqual(2, result.stdout.count("proved "), result.stdout)
        self.assertIn("is not asked to prove", result.stdout)
        receipt = self.receipt_of(result)
        self.assertTrue(receipt["complete"])
        digests = {edge["digest"] for edge in receipt["edges"] if edge["name"] != "virginia"}
        self.assertEqual({receipt["digest"]}, digests)
        again = self.origin.client("receipt", receipt["id"])
        self.assertEqual(0, again.returncode, again.stdout + again.stderr)
        self.assertEqual(result.stdout.split("receipt ")[1], again.stdout.split("receipt ")[1], "it is shown again")
        listed = self.origin.client("receipt", "--site", "demo")
        self.assertIn(receipt["release"], listed.stdout)
        self.assertEqual(0, self.edges["virginia"].status()["requests"]["miss"], "clients alone are counted")
        # A rollback is a switch as well.
        self.write(**{"index.html": "second edition"})
        self.publish()
        back = self.origin.client("rollback", "--site", "demo", "--wait", "30s")
        self.assertEqual(0, back.returncode, back.stdout + back.stderr)
        self.assertEqual(2, back.stdout.count("proved "), back.stdout)

    def test_an_edge_that_serves_something_else_proves_nothing(self):
        address = self.addresses.address()
        other = ScriptedOrigin(address, self.addresses.port(address)).start()
        self.addCleanup(other.stop)
        other.routes["*"] = Reply(body=b"something else", fields={"Cache-Control": "max-age=60"})
        self.start_edges("frankfurt", site="", origins=[other.url])
        self.write(**{"index.html": "the page", "a.txt": "a"})
        result = self.publish(status=3, wait="20s")
        self.assertIn("3 of 3 URLs are not as they should be", result.stdout)
        self.assertIn("frankfurt: differs /a.txt: other bytes", result.stdout)
        self.assertEqual("differs", self.receipt_of(result)["edges"][0]["state"])

    def test_an_edge_that_is_away_is_named_and_proves_it_when_it_is_back(self):
        self.start_edges("frankfurt", "tokyo", site="")
        self.edges["tokyo"].daemon.kill()
        self.write(**{"index.html": "the page"})
        result = self.publish(status=3, wait="3s")
        self.assertRegex(result.stdout, r"tokyo +- +- ")
        self.edges["tokyo"].start()
        wait_until(lambda: self.receipt_of(result)["complete"], "the edge has caught up and proved it")


if __name__ == "__main__":
    main()
