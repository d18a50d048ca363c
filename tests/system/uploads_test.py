"""Uploads in several goes with the client that people use, tus-js-client, through a line that breaks, and with curl."""

import base64
import hashlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time

import npm_modules
from clients import curl
from fleet import SITE_HOST, TOKEN, CacheTest, Origin
from nearside_harness import LONG, main, require_program, run_program, wait_until

CLIENT = "tus-js-client@4.3.1"
HERE = pathlib.Path(__file__).resolve().parent
MEBI = 1 << 20
SIZE = (1024 if LONG else 24) * MEBI
CUTS = 10
KILLS = 100 if LONG else 5
MOST_GROWTH_KIB = 48 << 10


class BreakingLine:
    """A TCP relay that breaks a connection, both ways, when `next_cut` bytes have gone to the server in all."""

    def __init__(self, address: str, port: int, server: tuple[str, int]) -> None:
        self._listener = socket.create_server((address, port), backlog=16)
        self._server = server
        self._lock = threading.Lock()
        self.sent = 0
        self._cuts: list[int] = []
        self.cut = 0
        self.url = f"http://{address}:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, places: list[int]) -> None:
        with self._lock:
            self.sent, self._cuts, self.cut = 0, sorted(places), 0

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            threading.Thread(target=self._carry_both, args=(client, server), daemon=True).start()

    def _carry_both(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            down = threading.Thread(target=self._carry, args=(server, client, False), daemon=True)
            down.start()
            self._carry(client, server, up=True)
            down.join()

    def _passes(self, size: int) -> tuple[int, bool]:
        """How many of `size` bytes go through, and whether the line breaks behind them."""
        with self._lock:
            breaks = bool(self._cuts) and self.sent + size >= self._cuts[0]
            if breaks:
                size = max(0, self._cuts.pop(0) - self.sent)
                self.cut += 1
            self.sent += size
            return size, breaks

    def _carry(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        try:
            while part := source.recv(1 << 16):
                passing, breaks = self._passes(len(part)) if up else (len(part), False)
                sink.sendall(part[:passing])
                if breaks:
                    break
            else:
                sink.shutdown(socket.SHUT_WR)
                return
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class UploadsTest(CacheTest):
    def setUp(self):
        super().setUp()
        for program in ("node", "npm"):
            require_program(program)
        self.module = npm_modules.install(CLIENT, "uploads")
        address = self.addresses.address()
        self.page = f"http://{address}:{self.addresses.port(address)}"
        self.origin = Origin(self, extra=f'[uploads]\ncors_origins = ["{self.page}"]\n').start()
        made = self.origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode())
        self.expect(made, 201)

    def make_file(self, size: int, seed: int = 1) -> tuple[pathlib.Path, str]:
        """A file that repeats itself nowhere, and its SHA-256."""
        path, digest = self.folder / f"file-{seed}", hashlib.sha256()
        dice = random.Random(seed)
        with open(path, "wb") as file:
            for begin in range(0, size, MEBI):
                piece = dice.randbytes(min(MEBI, size - begin))
                digest.update(piece)
                file.write(piece)
        return path, digest.hexdigest()

    def start_client(self, path: pathlib.Path, *, url: str = "", name: str = "file.bin", **task) -> subprocess.Popen:
        task = {"module": str(self.module), "endpoint": f"{url or self.origin.url}/v1/sites/demo/uploads/",
                "token": TOKEN, "file": str(path), "metadata": {"filename": name, "filetype": "text/x-own"}, **task}
        client = subprocess.Popen(["node", str(HERE / "upload.js"), json.dumps(task)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.kill)
        return client

    def finish(self, client: subprocess.Popen) -> list[dict]:
        """What the client said, when it has ended well."""
        output, _ = client.communicate(timeout=1800)
        self.assertEqual(0, client.returncode, f"{output[-3000:]}\n{self.origin.daemon.log()[-3000:]}")
        return [json.loads(line) for line in output.splitlines()]

    def upload(self, path: pathlib.Path, **task) -> list[dict]:
        return self.finish(self.start_client(path, **task))

    def expect_stored(self, digest: str, name: str = "file.bin") -> None:
        listing = self.expect(self.origin.call("GET", "/v1/sites/demo/assets"), 200)
        stored = {asset["path"]: asset for asset in json.loads(listing.body)["assets"]}
        self.assertEqual(digest, stored[name]["sha256"])
        self.assertEqual("text/x-own", stored[name]["content_type"])
        back = subprocess.run(["sha256sum", self.origin.folder / "blobs" / digest[:2] / digest[2:4] / digest],
                              capture_output=True, text=True, check=True, timeout=600)
        self.assertEqual(digest, back.stdout.split()[0].lstrip("\\"))
        self.assertEqual([], list((self.origin.folder / "blobs/partial").iterdir()))

    def test_every_way_of_the_client_arrives_whole(self):
        path, digest = self.make_file(3 * MEBI + 17)
        ways = {"one request": {}, "chunks": {"chunkSize": MEBI}, "with the creation": {"withCreation": True},
                "chunks with the creation": {"withCreation": True, "chunkSize": MEBI},
                "length at the end": {"deferLength": True, "chunkSize": MEBI},
                "POST for PATCH": {"override": True, "chunkSize": 2 * MEBI},
                "the draft": {"protocol": "ietf-draft-05"},
                "the draft in chunks": {"protocol": "ietf-draft-05", "chunkSize": MEBI}}
        for way, task in ways.items():
            with self.subTest(way=way):
                said = self.upload(path, name=f"{way}.bin", **task)
                self.assertEqual("success", said[-1]["event"])
                self.expect_stored(digest, f"{way}.bin")
                last = [line for line in said if line["event"] == "answer"][-1]
                self.assertEqual(str(path.stat().st_size), last["offset"])
                if "protocol" not in task:
                    expected = base64.b64encode(bytes.fromhex(digest)).decode()
                    self.assertEqual(f"sha-256=:{expected}:", last["digest"])

    def test_an_empty_file_is_one_too(self):
        path, digest = self.make_file(0)
        self.upload(path)
        self.expect_stored(digest)

    def test_a_line_that_breaks_ten_times(self):
        address = self.addresses.address()
        line = BreakingLine(address, self.addresses.port(address), self.origin.api)
        self.addCleanup(line.stop)
        path, digest = self.make_file(SIZE)
        self.upload(self.make_file(MEBI, seed=2)[0], url=line.url, name="warm-up")
        before = self.origin.daemon.resident_kib("VmHWM")
        dice = random.Random(3)
        line.cut_at([SIZE * (i + 1) // (CUTS + 1) + dice.randint(-MEBI // 2, MEBI // 2) for i in range(CUTS)])
        began = time.monotonic()
        said = self.upload(path, url=line.url, retryDelays=[50] * 20)
        took = time.monotonic() - began
        self.assertEqual(CUTS, line.cut)
        heads = [entry for entry in said if entry["event"] == "answer" and entry["method"] == "HEAD"]
        self.assertEqual(CUTS, len(heads))
        offsets = [int(entry["offset"]) for entry in heads]
        self.assertEqual(sorted(offsets), offsets)
        # All that had come counted: nothing is sent twice but what the line itself swallowed.
        self.assertGreater(offsets[-1], SIZE * CUTS // (CUTS + 1) - 4 * MEBI)
        self.expect_stored(digest)
        grown = self.origin.daemon.resident_kib("VmHWM") - before
        print(f"{SIZE // MEBI} MiB cut {CUTS} times: {took:.1f} s, {grown} KiB of memory more")
        if not self.origin.daemon.is_sanitized():
            self.assertLess(grown, MOST_GROWTH_KIB)

    def test_an_origin_that_is_killed_in_the_middle(self):
        """SIGKILL during a PATCH, again and again; the client waits for the origin that comes back, and goes on."""
        path, digest = self.make_file(SIZE)
        dice = random.Random(4)
        client = self.start_client(path, retryDelays=[200] * 1000, chunkSize=SIZE // 48)
        wait_until(lambda: list((self.origin.folder / "blobs/partial").glob("*")), "the upload has begun")
        told = kills = 0
        while kills < KILLS and client.poll() is None:
            time.sleep(dice.uniform(0.0, 0.2))  # where the blow falls is up to chance
            self.origin.daemon.kill()
            self.origin.start()
            kills += 1
            offset = self.offset_told()
            self.assertTrue(offset is None or offset >= told, f"{told} had been told, then {offset}")
            told = offset or told
        print(f"{SIZE // MEBI} MiB, the origin killed {kills} times")
        self.assertGreater(kills, 0)
        said = self.finish(client)
        accepted = [entry["accepted"] for entry in said if entry["event"] == "chunk"]
        self.assertEqual(sorted(accepted), accepted)
        self.assertEqual(SIZE, accepted[-1])
        self.expect_stored(digest)

    def offset_told(self) -> int | None:
        """Of the one upload that is there; None when it is whole, or the client was faster than we."""
        partial = list((self.origin.folder / "blobs/partial").glob("*"))
        if not partial:
            return None
        answer = self.origin.call("HEAD", f"/v1/sites/demo/uploads/{partial[0].name}",
                                  fields={"Tus-Resumable": "1.0.0"})
        return None if answer.status == 423 else int(self.expect(answer, 204).field("upload-offset"))

    def test_another_origin_goes_on(self):
        second = Origin(self, name="second").start()
        path, digest = self.make_file(4 * MEBI)
        metadata = base64.b64encode(b"file.bin").decode()
        kind = base64.b64encode(b"text/x-own").decode()
        tus = {"Tus-Resumable": "1.0.0"}
        begun = self.origin.call("POST", "/v1/sites/demo/uploads/", fields={
            **tus, "Upload-Length": str(4 * MEBI), "Upload-Metadata": f"filename {metadata},filetype {kind}"})
        self.expect(begun, 201)
        first = self.origin.call("PATCH", begun.field("location"), path.read_bytes()[:MEBI], fields={
            **tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"})
        self.expect(first, 204)
        self.origin.daemon.kill()
        said = self.upload(path, url=second.url, uploadUrl=second.url + begun.field("location"))
        self.assertEqual(str(MEBI), said[0]["offset"])
        self.origin.start()
        self.expect_stored(digest)

    def test_the_client_removes_what_it_no_longer_wants(self):
        path, _ = self.make_file(MEBI)
        begun = self.origin.call("POST", "/v1/sites/demo/uploads/", fields={
            "Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": "path YQ=="})
        self.expect(begun, 201)
        self.upload(path, uploadUrl=self.origin.url + begun.field("location"), terminate=True)
        self.expect(self.origin.call("HEAD", begun.field("location"), fields={"Tus-Resumable": "1.0.0"}), 404)

    def test_a_page_of_another_origin_uploads_from_a_browser(self):
        require_program("chromium")
        playwright = npm_modules.install(npm_modules.PLAYWRIGHT, "browser")

        def upload(page: str) -> subprocess.CompletedProcess:
            self.serve_page(page)
            return subprocess.run(
                ["node", HERE / "upload_page.js", f"{page}/", f"{self.origin.url}/v1/sites/demo/uploads/", TOKEN,
                 str(3 * MEBI + 17)], env={**os.environ, "NODE_PATH": str(playwright.parent)}, capture_output=True,
                text=True, timeout=120, check=False)

        done = upload(self.page)
        self.assertEqual(0, done.returncode, done.stderr[-3000:] + self.origin.daemon.log()[-2000:])
        report = json.loads(done.stdout)
        asset = self.expect(self.origin.call("HEAD", "/v1/sites/demo/assets/page/file.bin"), 200)
        self.assertEqual(asset.field("etag"), report["readable"]["ETag"])
        self.assertEqual(asset.field("repr-digest"), report["readable"]["Repr-Digest"])
        self.assertEqual(base64.b64encode(bytes.fromhex(report["sha256"])).decode(),
                         asset.field("repr-digest").split(":")[1])
        self.assertIn("Upload-Expires", report["readable"])
        # The same page at another address is of an origin that nobody has allowed.
        address = self.addresses.address()
        other = upload(f"http://{address}:{self.addresses.port(address)}")
        self.assertNotEqual(0, other.returncode)
        self.assertIn("tus: failed to create upload", other.stderr)

    def serve_page(self, url: str) -> None:
        """A page with the client's script, and nothing more."""
        folder = self.folder / "page"
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text('<!doctype html><title>Upload</title><script src="tus.min.js"></script>')
        shutil.copy(self.module / "dist/tus.min.js", folder)
        address, _, port = url.removeprefix("http://").partition(":")
        server = subprocess.Popen(
            ["/usr/bin/python3", "-m", "http.server", "--bind", address, "--directory", str(folder), port],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        wait_until(lambda: curl(f"{url}/").status == 200, "the page is served")

    def test_curl_goes_on_with_a_put(self):
        """The draft as docs/origin.md has it: a PUT that breaks, HEAD, and the rest."""
        path, digest = self.make_file(MEBI)
        begun = self.origin.call("PUT", "/v1/sites/demo/assets/file.bin", path.read_bytes()[:1000],
                                 fields={"Upload-Complete": "?0", "Content-Type": "text/x-own"})
        self.expect(begun, 201)
        upload = begun.field("location")
        self.assertEqual("1000", self.origin.call("HEAD", upload).field("upload-offset"))
        rest = self.folder / "rest"
        rest.write_bytes(path.read_bytes()[1000:])
        last = self.origin.call("PATCH", upload, rest, fields={
            "Upload-Complete": "?1", "Upload-Offset": "1000", "Content-Type": "application/partial-upload"})
        self.expect(last, 201)
        self.assertEqual(digest, json.loads(last.body)["sha256"])
        self.expect_stored(digest)
        told = curl(f"{self.origin.url}/v1/sites/demo/assets/other.bin", data=path, http="1.1", fields={
            "Authorization": f"Bearer {TOKEN}", "Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"})
        self.expect(told, 201)
        self.assertIn(104, [status for status, _ in told.interims])


class BrokenPublishTest(CacheTest):
    """`nearside publish` over a line that breaks while contents are sent."""

    def setUp(self):
        super().setUp()
        self.origin = Origin(self).start()
        self.site = self.folder / "site"
        self.site.mkdir()
        for number in range(20):
            (self.site / f"{number}.bin").write_bytes(random.Random(number).randbytes(200_000))
        address = self.addresses.address()
        self.line = BreakingLine(address, self.addresses.port(address), self.origin.api)
        self.addCleanup(self.line.stop)

    def publish(self) -> subprocess.CompletedProcess:
        return run_program("nearside", "--origin", self.line.url, "--token-file", str(self.origin.token_path),
                           "publish", self.site, "--site", "demo", "--host", SITE_HOST, timeout=120)

    def test_it_sends_again_what_has_not_arrived(self):
        self.line.cut_at([300_000, 1_000_000, 2_500_000])
        result = self.publish()
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        self.assertEqual(3, self.line.cut)
        for number in range(20):
            body = self.expect(self.origin.visit(f"/{number}.bin"), 200).body
            self.assertEqual(random.Random(number).randbytes(200_000), body)

    def test_a_second_one_goes_on_where_the_first_was_given_up(self):
        self.line.cut_at([2_000_000 + 1000 * each for each in range(200)])  # the end of that line
        first = self.publish()
        self.assertNotEqual(0, first.returncode, first.stdout)
        self.assertIn(".bin", first.stderr, "it says which file")
        self.line.cut_at([])
        second = self.publish()
        self.assertEqual(0, second.returncode, second.stdout + second.stderr)
        self.assertLess(self.line.sent, 3_900_000, "what has arrived is not sent again")


if __name__ == "__main__":
    main()
