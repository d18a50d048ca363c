"""What survives kill -9: the content on disk is whole or absent, and bad content never stops a start."""

import hashlib
import json
import os
import random

from fleet import EdgeTest
from nearside_harness import LONG, main, wait_until
from scripted_origin import Reply

LONG_LIVED = {"Cache-Control": "max-age=3600"}
KILLS = 300 if LONG else 20


def body_of(number: int) -> bytes:
    """Sizes around the store's borders: in the head, one chunk, several chunks."""
    sizes = (0, 1, 1500, 2048, 65_519, 65_520, 65_521, 200_000)
    return random.Random(number).randbytes(sizes[number % len(sizes)])


class RestartTest(EdgeTest):
    def serve_numbers(self, seen):
        return Reply(body=body_of(int(seen.target[1:])), fields={**LONG_LIVED, "Content-Type": "application/x-test"})

    def test_second_hit_comes_from_disk_after_kill_with_the_origin_stopped(self):
        self.origin.routes["*"] = self.serve_numbers
        edge = self.start_edge()
        for number in range(16):
            self.expect_miss(edge.get(f"/{number}"))
            self.expect_hit(edge.get(f"/{number}"))
        edge.wait_until_stored(16)
        edge.daemon.kill()
        self.origin.stop()
        edge.start()
        for number in range(16):
            response = self.expect_hit(edge.get(f"/{number}"))
            self.assertEqual((200, body_of(number)), (response.status, response.body), number)
            self.assertEqual("application/x-test", response.field("content-type"))

    def test_orderly_restart_keeps_all(self):
        self.origin.routes["*"] = self.serve_numbers
        edge = self.start_edge()
        for number in range(16):
            edge.get(f"/{number}")
        self.assertEqual(0, edge.daemon.stop())
        self.origin.stop()
        edge.start()
        for number in range(16):
            self.assertEqual(body_of(number), self.expect_hit(edge.get(f"/{number}")).body)

    def test_small_objects_go_to_disk_when_they_are_asked_for_again(self):
        self.origin.routes["*"] = self.serve_numbers
        edge = self.start_edge(cache="disk_min_uses = 2")
        wait_until(lambda: edge.metrics().sum("nearside_cache_walked") == 1, "the empty store has been walked")
        for number in range(16):
            self.expect_miss(edge.get(f"/{number}"))
        again = range(8, 16)
        for number in again:
            self.assertEqual(body_of(number), self.expect_hit(edge.get(f"/{number}")).body)
        on_disk = {6, 7, *again}  # of several chunks, or wanted twice
        edge.wait_until_stored(len(on_disk))
        metrics = edge.metrics()
        self.assertEqual(12, metrics.sum("nearside_cache_unwritten_total"))
        self.assertEqual(6, metrics.sum("nearside_cache_written_later_total"))
        self.assertEqual(len(on_disk), metrics.sum("nearside_cache_objects", tier="disk"))
        edge.daemon.kill()
        edge.start()
        for number in range(16):
            response = edge.get(f"/{number}")
            self.assertEqual(body_of(number), response.body)
            (self.expect_hit if number in on_disk else self.expect_miss)(response)

    def test_kills_in_the_middle_of_filling_leave_nothing_half(self):
        self.origin.routes["*"] = self.serve_numbers
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}")
        dice = random.Random(seed)
        edge = self.start_edge()
        for _ in range(KILLS):
            for _ in range(dice.randint(1, 12)):
                number = dice.randrange(200)
                response = edge.get_clear(f"/{number}")
                self.assertEqual(hashlib.sha256(body_of(number)).hexdigest(),
                                 hashlib.sha256(response.body).hexdigest(), response)
            edge.daemon.kill()
            edge.start()
        self.assertEqual(0, edge.status()["cache"]["checksum_failures"])

    def test_purged_object_does_not_come_back_after_kill(self):
        self.origin.routes["*"] = self.serve_numbers
        edge = self.start_edge()
        edge.get("/7")
        edge.wait_until_stored()
        purged = self.expect(edge.purge(urls=["/7"]), 200)
        self.assertTrue(json.loads(purged.body)["durable"])
        edge.daemon.kill()
        edge.start()
        self.expect_miss(edge.get("/7"))


class CorruptStoreTest(EdgeTest):
    def corrupt(self, edge, change):
        """Applies `change` to every file of the stopped edge's cache; returns how many there were."""
        files = [path for path in edge.folder.rglob("*") if path.is_file() and path.stat().st_size > 0]
        for path in files:
            change(path)
        return len(files)

    def expect_served_on(self, change):
        self.origin.routes["/page"] = Reply(body=b"still here", fields=LONG_LIVED)
        edge = self.start_edge()
        edge.get("/page")
        edge.wait_until_stored()
        edge.daemon.kill()
        self.assertGreater(self.corrupt(edge, change), 0)
        edge.start()
        self.assertEqual(b"still here", self.expect(edge.get("/page"), 200).body)
        edge.wait_until_stored()
        self.assertEqual(b"still here", self.expect_hit(edge.get("/page")).body)
        return edge

    def test_garbage_is_moved_aside(self):
        def fill_with_garbage(path):
            with open(path, "r+b") as file:
                file.write(random.Random(6).randbytes(min(path.stat().st_size, 1 << 20)))

        edge = self.expect_served_on(fill_with_garbage)
        self.assertIn("moved", edge.daemon.log())

    def test_files_cut_short_are_survived(self):
        self.expect_served_on(lambda path: os.truncate(path, 100))

    def test_flipped_bytes_in_bodies_are_never_served(self):
        body = random.Random(7).randbytes(500_000)
        self.origin.routes["/big"] = Reply(body=body, fields=LONG_LIVED)
        edge = self.start_edge()
        edge.get("/big")
        edge.wait_until_stored()
        self.assertEqual(0, edge.daemon.stop())

        flipped = 0
        for path in (path for path in edge.folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            at = content.find(body[100_000:100_064])
            if at >= 0:
                flipped += 1
                with open(path, "r+b") as file:
                    file.seek(at)
                    file.write(bytes([content[at] ^ 0xFF]))
        self.assertEqual(1, flipped, "the body's bytes stand in one file of the cache")
        edge.start()
        for _ in range(2):
            response = edge.get("/big")
            self.assertTrue(response.exit_code != 0 or response.body == body, "wrong bytes were passed off as right")
        self.assertEqual(body, edge.get("/big").body)


if __name__ == "__main__":
    main()
