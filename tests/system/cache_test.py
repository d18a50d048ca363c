"""The cache's disk as users meet it: it hangs, it is small, it fills, it is cleaned up without being asked."""

import concurrent.futures
import hashlib
import random
import subprocess

from fleet import EdgeTest
from nearside_harness import LONG, main, require, run_program, wait_until
from paused_threads import PausedThreads
from scripted_origin import Reply

LONG_LIVED = {"Cache-Control": "max-age=3600"}
MEBI = 1 << 20


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


class HangingDiskTest(EdgeTest):
    def start_cold_edge(self, timeout: str):
        """An edge that has /cold on disk alone and /hot in memory."""
        self.origin.routes["/cold"] = Reply(body=noise(1, 300_000), fields=LONG_LIVED)
        self.origin.routes["/hot"] = Reply(body=b"hot", fields=LONG_LIVED)
        self.origin.routes["/other"] = Reply(body=b"other", fields=LONG_LIVED)
        edge = self.start_edge(cache=f'read_timeout = "{timeout}"')
        for target in ("/cold", "/hot"):
            edge.get(target)
        edge.wait_until_stored(2)
        self.assertEqual(0, edge.daemon.stop())
        edge.start()
        self.expect_hit(edge.get("/hot"))
        return edge

    def test_other_requests_are_served_while_reads_hang(self):
        edge = self.start_cold_edge(timeout="30s")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            with PausedThreads(edge.daemon.pid, "cache-reader") as paused:
                self.assertEqual(2, len(paused.threads))
                cold = pool.submit(edge.get, "/cold", timeout=60)
                wait_until(lambda: edge.metrics().sum("nearside_cache_read_queue_length") > 0, "the read waits")
                for _ in range(20):
                    self.assertEqual(b"hot", self.expect_hit(edge.get("/hot")).body)
                self.assertEqual(b"other", self.expect_miss(edge.get("/other")).body)
                self.assertFalse(cold.done())
            self.assertEqual(noise(1, 300_000), self.expect_hit(cold.result()).body)
        self.assertEqual(1, self.origin.count("/cold"))

    def test_what_cannot_be_read_in_time_comes_from_the_origin(self):
        edge = self.start_cold_edge(timeout="2s")
        with PausedThreads(edge.daemon.pid, "cache-reader"):
            response = self.expect_miss(edge.get("/cold"))
            self.assertEqual(noise(1, 300_000), response.body)
            self.assertEqual(noise(1, 300_000), self.expect_hit(edge.get("/cold")).body)
        self.assertEqual(2, self.origin.count("/cold"))
        self.assertGreaterEqual(edge.metrics().sum("nearside_cache_reads_failed_total", reason="timeout"), 1)


class SpaceTest(EdgeTest):
    def test_more_than_fits_passes_through_the_limit_and_every_byte_is_right(self):
        sizes = {number: random.Random(number).choice((300, 3_000, 100_000, 1_000_000)) for number in range(600)}
        self.origin.routes["*"] = lambda seen: Reply(
            body=noise(int(seen.target[1:]), sizes[int(seen.target[1:])]), fields=LONG_LIVED)
        edge = self.start_edge(disk="64MiB")
        dice = random.Random(3)
        for number in [*range(600), *(dice.randrange(600) for _ in range(200))]:
            response = edge.get_clear(f"/{number}")
            self.assertEqual(hashlib.sha256(noise(number, sizes[number])).digest(),
                             hashlib.sha256(response.body).digest(), number)
        metrics = edge.metrics()
        self.assertGreater(metrics.sum("nearside_cache_evicted_total", tier="disk", short_of="bodies"), 50)
        self.assertEqual(0, metrics.sum("nearside_cache_not_stored_total"))
        self.assertEqual(0, metrics.sum("nearside_cache_write_errors_total"))
        self.assertLessEqual(metrics.sum("nearside_cache_bytes", tier="disk"), 64 * MEBI)
        self.assertLessEqual(sum(path.stat().st_size for path in edge.folder.glob("*.mdb")), 64 * MEBI)

    def test_object_larger_than_memory_is_kept_and_served_from_disk(self):
        body = noise(5, 24 * MEBI + 7)
        self.origin.routes["/large"] = Reply(body=body, fields=LONG_LIVED)
        edge = self.start_edge()
        self.assertEqual(body, self.expect_miss(edge.get("/large")).body)
        edge.wait_until_stored()
        self.origin.stop()
        self.assertEqual(body, self.expect_hit(edge.get("/large")).body)
        part = edge.get("/large", fields={"Range": f"bytes={20 * MEBI}-{20 * MEBI + 99_999}"})
        self.assertEqual((206, body[20 * MEBI:20 * MEBI + 100_000]), (part.status, part.body))

    def test_object_larger_than_half_the_store_passes_through(self):
        body = noise(6, 33 * MEBI)
        for target, chunked in (("/told", False), ("/untold", True)):
            self.origin.routes[target] = Reply(body=body, fields=LONG_LIVED, chunked=chunked)
        edge = self.start_edge(disk="64MiB")
        for target in ("/told", "/untold"):
            for _ in range(2):
                self.assertEqual(body, self.expect_miss(edge.get(target)).body)
            self.assertEqual(2, self.origin.count(target))
        # Remembered for a while: the second request for each is not even tried.
        self.assertEqual(2, edge.metrics().sum("nearside_cache_not_stored_total", reason="too_large"))

    def test_a_disk_that_is_too_small_refuses_to_start_and_says_so(self):
        mount = self.folder / "small"
        mount.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", mount], check=False)
        require(mounted.returncode == 0, "no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", mount], check=True)
        config = self.folder / "small.toml"
        config.write_text(f'[edge]\nname = "small"\n[[listen]]\naddress = "127.0.0.1:{self.addresses.port()}"\n'
                          f'[cache]\npath = "{mount}/cache"\ndisk = "64MiB"\nmemory = "16MiB"\n'
                          f'[[site]]\nname = "demo"\nhosts = ["*"]\norigins = ["http://127.0.0.1:1"]\n')
        result = run_program("nearside-edge", "--config", config)
        self.assertNotEqual(0, result.returncode)
        self.assertIn("make room, or lower cache.disk", result.stderr)
        self.assertIn(str(mount), result.stderr)

    def test_huge_object_is_stored_and_read_by_ranges_in_little_memory(self):
        size, disk = (2 << 30, "5GiB") if LONG else (64 * MEBI, "160MiB")
        body = noise(9, MEBI) * (size // MEBI)
        self.origin.routes["/huge"] = Reply(body=body, fields=LONG_LIVED)
        edge = self.start_edge(disk=disk)
        before = edge.daemon.resident_kib("RssAnon")
        whole = hashlib.sha256(edge.get("/huge", timeout=300).body).digest()
        self.assertEqual(hashlib.sha256(body).digest(), whole)
        edge.wait_until_stored()
        self.origin.stop()
        for first in (0, size // 3, size - 100_000):
            part = self.expect_hit(edge.get("/huge", fields={"Range": f"bytes={first}-{first + 99_999}"}))
            self.assertEqual((206, body[first:first + 100_000]), (part.status, part.body), first)
        grown = edge.daemon.resident_kib("RssAnon") - before
        print(f"{size // MEBI} MiB stored, {grown >> 10} MiB of memory more")
        if not edge.daemon.is_sanitized():
            self.assertLess(grown, (16 + 64 + 64 + 32) << 10, "memory, write queue, fills, and some")


class ExpiryTest(EdgeTest):
    def test_what_is_past_its_time_goes_without_being_asked_for(self):
        self.origin.routes["*"] = lambda seen: Reply(
            body=noise(1, 100_000), fields=LONG_LIVED if "stays" in seen.target else {"Cache-Control": "max-age=10"})
        edge = self.start_edge(site='stale_if_error = "0s"\nkeep = "0s"')
        for number in range(5):
            edge.get(f"/goes/{number}")
            edge.get(f"/stays/{number}")
        edge.wait_until_stored(5)
        wait_until(lambda: edge.metrics().sum("nearside_cache_removed_total", reason="expired") == 5, "five expired")
        metrics = edge.metrics()
        self.assertEqual(5, metrics.sum("nearside_cache_objects", tier="disk"))
        self.assertEqual(5, metrics.sum("nearside_cache_objects", tier="memory"))
        used = metrics.sum("nearside_cache_bytes", tier="disk")
        wait_until(lambda: edge.metrics().sum("nearside_cache_bytes", tier="disk") <= used, "space is given back")
        self.assertLess(edge.metrics().sum("nearside_cache_bytes", tier="disk"), 5 * 100_000 + MEBI)
        self.expect_miss(edge.get("/goes/0"))
        self.expect_hit(edge.get("/stays/0"))


class MetricsTest(EdgeTest):
    def test_the_cache_tells_of_itself(self):
        self.origin.routes["/page"] = Reply(body=noise(1, 100_000), fields=LONG_LIVED)
        edge = self.start_edge()
        edge.get("/page")
        edge.wait_until_stored()
        self.assertEqual(0, edge.daemon.stop())
        edge.start()
        edge.get("/page")
        edge.get("/page")
        metrics = edge.metrics()
        self.assertEqual(1, metrics.sum("nearside_cache_heads_total", found="disk"))
        self.assertGreaterEqual(metrics.sum("nearside_cache_heads_total", found="memory"), 1)
        self.assertGreaterEqual(metrics.sum("nearside_cache_cold_read_seconds_count"), 1)
        self.assertGreaterEqual(metrics.sum("nearside_cache_batch_seconds_count"), 0)
        for name in ("bytes", "objects", "evicted_total", "removed_total", "slab_dead_bytes", "free_list_pages",
                     "pinned_pages", "oldest_read_seconds", "checksum_failures_total", "write_queue_bytes",
                     "read_queue_length", "pass_through", "batch_seconds_bucket"):
            self.assertTrue(metrics.has(f"nearside_cache_{name}"), name)


if __name__ == "__main__":
    main()
