"""An origin that is killed (SIGKILL) while it takes uploads and switches releases: what it has acknowledged is there,
metadata and contents agree, and each switch has its receipt."""

import base64
import hashlib
import json
import os
import random
import sqlite3
import threading
import time

from fleet import SITE_HOST, CacheTest, Origin
from nearside_harness import LONG, main

KILLS = 100 if LONG else 10
SEED = int(os.environ.get("NEARSIDE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
FILES = 8


def content(what: str, number: int) -> bytes:
    """Of some length between nothing and 300 KB, the same for the same arguments."""
    draws = random.Random(f"{what} {number}")
    return f"{what} {number} ".encode() + draws.randbytes(draws.randrange(300_000))


class Writer(threading.Thread):
    """Does one thing after the other until it is told to end; an origin that is gone is asked again."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(daemon=True)
        self.origin = origin
        self.number = 0
        self.acknowledged = 0
        self.over = threading.Event()
        self.unexpected: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            self.number += 1
            if self.write(self.number):
                self.acknowledged = self.number

    def write(self, number: int) -> bool:
        raise NotImplementedError

    def call(self, method: str, path: str, data: bytes | None, *expected: int):
        """The answer; None when the origin has died meanwhile."""
        answer = self.origin.call(method, path, data)
        if answer.exit_code != 0:
            time.sleep(0.02)
            return None
        if answer.status not in expected:
            self.unexpected.append(f"{method} {path}: {answer}")
        return answer if answer.status in expected else None


class Publisher(Writer):
    """Releases of a few files, number by number."""

    def write(self, number: int) -> bool:
        files = {f"{each}.txt": content(f"file {each}", number) for each in range(FILES)}
        rows = [{"path": path, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for path, data in files.items()]
        made = self.call("POST", "/v1/sites/demo/releases", json.dumps({"assets": rows}).encode(), 201)
        if made is None:
            return False
        for row, data in zip(rows, files.values()):
            if self.call("PUT", f"/v1/blobs/{row['sha256']}", data, 200, 201) is None:
                return False
        release = json.loads(made.body)["id"]
        return self.call("POST", f"/v1/sites/demo/releases/{release}/activate", b"", 200) is not None


class Uploader(Writer):
    """One asset of another site, again and again."""

    def write(self, number: int) -> bool:
        return self.call("PUT", "/v1/sites/other/assets/one.bin", content("upload", number), 200, 201) is not None


class KilledOriginTest(CacheTest):
    def setUp(self) -> None:
        super().setUp()
        print(f"NEARSIDE_SEED={SEED}", flush=True)
        self.origin = Origin(self, extra='[releases]\nkeep = 2\nkeep_for = "0s"\ncollect_every = "1s"\n'
                                         'blob_grace = "10s"\n').start()
        for name, host in (("demo", SITE_HOST), ("other", "other.test")):
            site = json.dumps({"name": name, "hosts": [host]}).encode()
            self.expect(self.origin.call("POST", "/v1/sites", site), 201)

    def test_nothing_acknowledged_is_lost_and_nothing_half_done_is_seen(self):
        draws = random.Random(SEED)
        writers = [Publisher(self.origin), Uploader(self.origin)]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            time.sleep(0.1 + draws.random() * 0.9)
            known = [writer.acknowledged for writer in writers]
            self.origin.daemon.kill()
            self.origin.start()
            self.check_release(least=known[0])
            self.check_upload(least=known[1])
        for writer in writers:
            writer.over.set()
            writer.join()
            self.assertEqual([], writer.unexpected)
            self.assertGreater(writer.acknowledged, KILLS // 2)
        self.origin.daemon.stop()
        self.check_agreement()

    def check_release(self, least: int) -> None:
        """All files are of one release, none older than what was acknowledged before the kill."""
        for _ in range(20):
            listed = self.origin.call("GET", "/v1/sites/demo/assets?limit=100")
            if listed.status == 404 and least == 0:
                return  # nothing has ever been active
            rows = json.loads(self.expect(listed, 200).body)["assets"]
            numbers = set()
            for row in rows:
                got = self.origin.call("GET", f"/v1/sites/demo/assets/{row['path']}")
                if got.status == 200:
                    self.assertEqual(f"sha-256=:{self.encoded_digest(got.body)}:", got.field("repr-digest"), row)
                    numbers.add(int(got.body.split(b" ", 3)[2]))
            if len(numbers) <= 1:  # else it was switched while we looked
                if numbers:
                    self.assertEqual(FILES, len(rows))
                    self.assertGreaterEqual(numbers.pop(), least)
                else:
                    self.assertEqual(0, least)
                return
        self.fail("no moment without a switch")

    def check_upload(self, least: int) -> None:
        got = self.origin.call("GET", "/v1/sites/other/assets/one.bin")
        if got.status == 404 and least == 0:
            return
        number = int(self.expect(got, 200).body.split(b" ", 2)[1])
        self.assertGreaterEqual(number, least)
        self.assertEqual(content("upload", number), got.body)

    @staticmethod
    def encoded_digest(body: bytes) -> str:
        return base64.b64encode(hashlib.sha256(body).digest()).decode()

    def check_agreement(self) -> None:
        """Every content that the metadata name is there, whole; each switch has its receipt."""
        folder = self.origin.folder
        with sqlite3.connect(folder / "meta.db") as database:
            stored = dict(database.execute("SELECT sha256, bytes FROM blobs").fetchall())
            named = dict(database.execute("SELECT a.blob, a.bytes FROM assets a JOIN sites s ON s.active = a.release"))
            active, = database.execute("SELECT active FROM sites WHERE name = 'demo'").fetchone()
            receipt, = database.execute("SELECT release FROM receipts WHERE site = 'demo' ORDER BY id DESC").fetchone()
        self.assertEqual(active, receipt, "the last switch has its receipt")
        files = {path.name: path for path in (folder / "blobs").rglob("*") if path.is_file() and len(path.name) == 64}
        self.assertEqual(FILES + 1, len(named))
        for name, size in named.items():
            self.assertEqual(size, stored.get(name))
            self.assertEqual(size, files[name].stat().st_size)
        for name in stored:
            self.assertIn(name, files, "what the metadata say is stored is there")
            self.assertEqual(name, hashlib.sha256(files[name].read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
