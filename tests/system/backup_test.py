"""nearside-origin backup and restore: what was there is there again, and no edge serves what was purged since."""

import json
import os
import pathlib
import shutil
import subprocess
import threading

from fleet import SITE_HOST, CacheTest, Edge, Origin
from nearside_harness import main, run_program, wait_until

PAGES = 40


class BackupTest(CacheTest):
    def setUp(self):
        super().setUp()
        self.origin = Origin(self).start()
        self.site = self.folder / "site"
        self.backup = self.folder / "backup"

    def publish(self, text: str) -> str:
        shutil.rmtree(self.site, ignore_errors=True)
        self.site.mkdir()
        for number in range(PAGES):
            (self.site / f"page-{number}.html").write_text(f"{text} {number}\n" * 200)
        done = self.origin.client("publish", self.site, "--site", "demo", "--host", SITE_HOST, "--wait", "1s")
        self.assertIn(done.returncode, (0, 3), done.stderr)
        releases = json.loads(self.origin.client("releases", "--site", "demo", "--json").stdout)["releases"]
        return next(release["id"] for release in releases if release["state"] == "active")

    def run_origin(self, *arguments: str | pathlib.Path) -> subprocess.CompletedProcess:
        return run_program("nearside-origin", arguments[0], "--config", self.origin.daemon.config_path, *arguments[1:])

    def back_up(self) -> str:
        done = self.run_origin("backup", "--to", self.backup)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def restore(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run_origin("restore", "--from", self.backup, *arguments)

    def page(self, number: int = 7) -> bytes:
        return self.expect(self.origin.visit(f"/page-{number}.html"), 200).body

    def test_what_was_there_is_there_again_on_an_empty_machine(self):
        release = self.publish("first")
        token = json.loads(self.origin.client("token", "create", "ci", "--site", "demo", "--json").stdout)
        key = (self.origin.folder / "s3.key").read_bytes()
        self.assertIn(f"{PAGES} copied", self.back_up())
        self.origin.daemon.stop()
        shutil.rmtree(self.origin.folder)
        restored = self.restore()
        self.assertEqual(0, restored.returncode, restored.stderr)
        self.origin.daemon.start()
        self.assertTrue(self.page().startswith(b"first 7\n"))
        self.assertEqual(key, (self.origin.folder / "s3.key").read_bytes())
        listed = json.loads(self.origin.client("token", "list", "--json").stdout)["tokens"]
        self.assertEqual([token["id"]], [each["id"] for each in listed])
        self.publish("second")
        self.assertEqual(0, self.origin.client("rollback", release, "--site", "demo", "--wait", "0s").returncode)
        self.assertTrue(self.page().startswith(b"first 7\n"))

    def test_a_second_backup_copies_what_is_new_and_one_while_publishing_is_whole(self):
        self.publish("first")
        self.back_up()
        self.assertIn(", 0 copied", self.back_up())
        stop = threading.Event()

        def keep_publishing() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                self.publish(f"version {number}")

        publisher = threading.Thread(target=keep_publishing)
        publisher.start()
        try:
            for _ in range(5):
                self.back_up()
        finally:
            stop.set()
            publisher.join()
        self.origin.daemon.stop()
        shutil.rmtree(self.origin.folder)
        self.assertEqual(0, self.restore().returncode)
        self.origin.daemon.start()
        bodies = {b" ".join(self.page(number).split(b"\n")[0].split()[:-1]) for number in range(PAGES)}
        self.assertEqual(1, len(bodies), f"all pages of one release, not of {bodies}")

    def test_no_edge_takes_the_restored_log_for_the_one_it_knows(self):
        self.publish("first")
        self.back_up()
        edge = Edge(self, "frankfurt", origins=[self.origin.url], events=[self.origin.url]).start()
        self.publish("second")
        wait_until(lambda: edge.get("/page-7.html").body.startswith(b"second"), "the edge has the second release")
        known = edge.status()["fleet"]["applied"]
        self.assertGreater(known, 0)
        edge.daemon.stop()
        self.origin.daemon.stop()
        refused = self.restore()
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("--replace", refused.stderr)
        self.assertEqual(0, self.restore("--replace").returncode)
        self.assertTrue((self.origin.folder / "meta.db.before-restore").exists())
        self.origin.daemon.start()
        # The log grows to where it was, by other events, before the edge is back.
        while self.log_sequence() <= known + 1:
            self.origin.call("POST", "/v1/purge", json.dumps({"site": "demo", "urls": ["/nothing"]}).encode())
        edge.daemon.start()
        wait_until(lambda: edge.status()["fleet"]["following"], "the edge follows the log again")
        self.assertEqual(1, edge.status()["fleet"]["log_cuts"])
        self.assertTrue(edge.get("/page-7.html").body.startswith(b"first"), "what was restored, not what was cached")

    def log_sequence(self) -> int:
        return json.loads(self.origin.call("GET", "/v1/edges").body)["seq"]

    def test_a_restore_under_a_running_origin_is_refused(self):
        self.publish("first")
        self.back_up()
        refused = self.restore("--replace")
        self.assertNotEqual(0, refused.returncode)
        self.assertIn("stop every origin", refused.stderr)
        self.assertTrue(self.page().startswith(b"first"))

    def test_what_was_put_aside_stays_until_something_takes_its_place(self):
        self.publish("first")
        self.back_up()
        self.publish("second")
        self.origin.daemon.stop()
        database, aside = (self.origin.folder / name for name in ("meta.db", "meta.db.before-restore"))
        self.assertEqual(0, self.restore("--replace").returncode)
        kept = aside.read_bytes()
        database.unlink()
        self.assertEqual(0, self.restore().returncode)
        self.assertEqual(kept, aside.read_bytes(), "the only copy of what was there")
        self.origin.daemon.start()
        self.assertTrue(self.page().startswith(b"first"))

    def test_what_is_missing_or_damaged_is_told_and_nothing_changes(self):
        none = self.restore()
        self.assertNotEqual(0, none.returncode)
        self.assertIn("expected the folder of a backup", none.stderr)
        self.publish("first")
        self.back_up()
        one = next(path for path in (self.backup / "blobs").rglob("*") if path.is_file() and len(path.name) == 64)
        os.truncate(one, 5)
        self.origin.daemon.stop()
        before = (self.origin.folder / "meta.db").read_bytes()
        whole = (self.backup / "meta.db").read_bytes()
        holed = whole[:9000] + bytes(5000) + whole[14000:]
        for wrong in (b"", b"no database at all" * 500, whole[:len(whole) // 2], holed):
            (self.backup / "meta.db").write_bytes(wrong)
            refused = self.restore("--replace")
            self.assertNotEqual(0, refused.returncode, refused.stdout)
            self.assertIn(str(self.backup / "meta.db"), refused.stderr)
            self.assertEqual(before, (self.origin.folder / "meta.db").read_bytes())
        (self.backup / "meta.db").write_bytes(whole)
        shutil.rmtree(self.origin.folder / "blobs")
        damaged = self.restore("--replace")
        self.assertNotEqual(0, damaged.returncode)
        self.assertIn(one.name, damaged.stderr)
        self.assertEqual(before, (self.origin.folder / "meta.db").read_bytes())


if __name__ == "__main__":
    main()
