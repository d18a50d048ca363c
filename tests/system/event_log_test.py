"""What edges learn from the origin's log when the line to it mangles and cuts, and when either end is killed."""

import hashlib
import json
import os
import random
import re
import socket
import threading
import time

from fleet import SITE_HOST, CacheTest, Edge, Origin
from nearside_harness import LONG, main, wait_until

ROUNDS = 400 if LONG else 40
SWITCHES = 100
SEED = int(os.environ.get("NEARSIDE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)


class MangledLine:
    """A TCP relay to the origin's API. Of the log it doubles, swaps and cuts events; reports pass whole.

    What TCP carries is not lost without an end to its connection, so neither is anything here."""

    def __init__(self, address: str, port: int, origin: tuple[str, int], draws: random.Random) -> None:
        self._listener = socket.create_server((address, port), backlog=64)
        self._origin = origin
        self._draws = draws
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.faults = 0.0  # of the events
        self.mangled = 0
        self.is_cut = False
        self.url = f"http://{address}:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing gets through any more."""
        with self._lock:
            self.is_cut = True
            for end in self._open:
                end.close()
            self._open.clear()

    def mend(self) -> None:
        self.is_cut = False

    def stop(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry_both, args=(client,), daemon=True).start()

    def _carry_both(self, client: socket.socket) -> None:
        with client:
            try:
                if self.is_cut:
                    return
                server = socket.create_connection(self._origin, timeout=5)
                server.settimeout(None)
            except OSError:
                return
            with server:
                with self._lock:
                    self._open |= {client, server}
                up = threading.Thread(target=self._carry_up, args=(client, server), daemon=True)
                up.start()
                self._carry_down(server, client)
                for end in (server, client):
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
                up.join()
                with self._lock:
                    self._open -= {client, server}

    @staticmethod
    def _carry_up(client: socket.socket, server: socket.socket) -> None:
        try:
            while part := client.recv(1 << 16):
                server.sendall(part)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _carry_down(self, server: socket.socket, client: socket.socket) -> None:
        rest, is_log = b"", False
        try:
            while part := server.recv(1 << 16):
                rest += part
                if not is_log and b"text/event-stream" in rest.lower() and b"\r\n\r\n" in rest:
                    end = rest.index(b"\r\n\r\n") + 4
                    client.sendall(rest[:end])
                    rest, is_log = rest[end:], True
                if not is_log:
                    client.sendall(rest)
                    rest = b""
                    continue
                *events, rest = rest.split(b"\n\n")
                if not self._send(client, [event + b"\n\n" for event in events]):
                    return
        except OSError:
            pass

    def _send(self, client: socket.socket, events: list[bytes]) -> bool:
        """False: it has been cut."""
        while events:
            event = events.pop(0)
            fault = None
            with self._lock:
                if self._draws.random() < self.faults:
                    self.mangled += 1
                    fault = self._draws.choice(("doubled", "swapped", "cut"))
                    place = self._draws.randrange(len(event))
            if fault == "cut":
                client.sendall(event[:place])
                return False
            if fault == "doubled":
                event += event
            if fault == "swapped" and events:
                event = events.pop(0) + event
            client.sendall(event)
        return True


class EventLogTest(CacheTest):
    """One origin, one edge that follows it through the line."""

    def setUp(self) -> None:
        super().setUp()
        self.draws = random.Random(SEED)
        print(f"NEARSIDE_SEED={SEED}", flush=True)
        self.origin = Origin(self, extra='[events]\nheartbeat = "1s"\n').start()
        self.expect(self.origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode()),
                    201)
        address = self.addresses.address()
        self.line = MangledLine(address, self.addresses.port(address), self.origin.api, self.draws)
        self.addCleanup(self.line.stop)
        self.edge = Edge(self, "frankfurt", origins=[self.origin.url], events=[self.line.url],
                         site='max_event_lag = "2s"').start()
        self.wait_until_followed()

    def wait_until_followed(self) -> None:
        wait_until(lambda: self.edge.status()["fleet"]["lag_ms"] == 0, "the edge follows the log")

    def put(self, path: str, text: str, wait: str = "30s") -> dict:
        """The receipt."""
        put = self.origin.call("PUT", f"/v1/sites/demo/assets{path}?wait={wait}", text.encode(), timeout=60)
        self.assertIn(put.status, (200, 201), put)
        return json.loads(put.body)

    def test_whatever_the_line_does_a_receipt_means_that_the_old_is_gone(self):
        for number in range(ROUNDS):
            self.line.faults = 0.3
            path = f"/{self.draws.randrange(5)}.txt"
            receipt = self.put(path, f"content {number}")
            edge, = receipt["edges"]
            self.assertTrue(edge["applied"], receipt)
            self.assertEqual(f"content {number}", self.edge.get(path).body.decode(), receipt)
            if number % 13 == 12:
                self.origin.daemon.kill()
                self.origin.start()
            if number % 17 == 16:
                self.edge.daemon.kill()
                self.edge.start()
        self.assertGreater(self.line.mangled, ROUNDS // 10)
        self.assertGreater(self.edge.status()["fleet"]["reconnects"], 0)

    def health(self, name: str) -> str:
        response = self.edge.get_clear("/healthz", host="frankfurt")
        self.assertEqual(200, response.status, response)
        return response.field(name)

    def test_who_is_cut_off_validates_everything_and_tells_how_far_behind_it_is(self):
        self.put("/a.txt", "old")
        self.edge.get("/a.txt")
        self.expect_hit(self.edge.get("/a.txt"))
        self.assertEqual("0.0", self.health("nearside-lag"))
        self.line.cut()
        wait_until(lambda: float(self.health("nearside-lag")) > 2, "health tells the lag")
        self.assertGreater(self.edge.metrics().sum("nearside_edge_event_lag_seconds"), 2)
        self.assertGreater(self.edge.status()["fleet"]["lag_ms"], 2000)
        receipt = self.put("/a.txt", "new", wait="1s")
        self.assertFalse(receipt["edges"][0]["applied"], receipt)
        response = self.edge.get("/a.txt")
        self.assertEqual(b"new", response.body, "what was purged meanwhile is not shown")
        self.assertFalse(response.is_hit, response)
        self.line.mend()
        self.wait_until_followed()
        self.assertEqual("0.0", self.health("nearside-lag"))
        self.edge.get("/a.txt")
        self.expect_hit(self.edge.get("/a.txt"))

    def purge(self, **order) -> None:
        data = json.dumps({"site": "demo", **order}).encode()
        done = self.expect(self.origin.call("POST", "/v1/purge?wait=30s", data), 200)
        self.assertTrue(json.loads(done.body)["complete"], done)

    def test_purges_by_prefix_and_soft_ones_reach_the_edge(self):
        paths = ("/d/a.txt", "/d/e/b.txt", "/c.txt")
        for path in paths:
            self.put(path, path)
            self.edge.get(path)
            self.expect_hit(self.edge.get(path))
        self.purge(prefixes=["/d/"])
        self.expect_miss(self.edge.get("/d/a.txt"))
        self.expect_miss(self.edge.get("/d/e/b.txt"))
        self.expect_hit(self.edge.get("/c.txt"))
        # A soft one is validated, and stands in for an origin that is gone; a hard one does not.
        self.purge(urls=["/c.txt", "/d/a.txt"], soft=True)
        validated = self.edge.get("/c.txt")
        self.assertEqual((200, b"/c.txt"), (validated.status, validated.body), validated)
        self.assertIn("fwd-status=304", validated.cache_status)
        self.purge(urls=["/d/e/b.txt"], soft=False)
        self.origin.daemon.stop()
        stale = self.edge.get("/d/a.txt")
        self.assertEqual((200, b"/d/a.txt"), (stale.status, stale.body), stale)
        self.assertIn(self.edge.get("/d/e/b.txt").status, (502, 504))

    def test_who_was_away_for_days_shows_nothing_unasked_before_it_has_caught_up(self):
        """Its log is not within reach when it starts again; its visitors' origin is."""
        self.put("/a.txt", "old")
        self.edge.get("/a.txt")
        self.edge.wait_until_stored()
        seen = self.edge.folder / "log.seen"
        wait_until(seen.exists, "it notes that it has the log whole")
        self.edge.daemon.stop()
        away = time.time() - 3 * 86400
        os.utime(seen, (away, away))
        self.line.cut()
        self.edge.start()
        self.assertGreater(float(self.health("nearside-lag")), 2 * 86400)
        response = self.edge.get("/a.txt")
        self.assertFalse(response.is_hit, response)
        self.assertEqual(b"old", response.body)
        self.line.mend()
        self.wait_until_followed()
        self.expect_hit(self.edge.get("/a.txt"))

    def test_a_hundred_switches_under_load_and_no_response_goes_back(self):
        releases = []
        for number in range(SWITCHES):
            text = f"edition {number} ".encode()
            blob = self.sha256(text)
            self.assertIn(self.origin.call("PUT", f"/v1/blobs/{blob}", text).status, (200, 201))
            files = [{"path": path, "sha256": blob, "bytes": len(text)} for path in ("a.html", "b.html")]
            made = self.expect(self.origin.call("POST", "/v1/sites/demo/releases",
                                                json.dumps({"assets": files}).encode()), 201)
            releases.append(json.loads(made.body)["id"])
        self.switch(releases[0])
        over = threading.Event()
        seen: list[list[tuple[str, int, int]]] = [[] for _ in range(3)]

        def visit(answers: list) -> None:
            while not over.is_set():
                for path in ("/a.html", "/b.html"):
                    response = self.edge.get(path)
                    edition = re.search(rb"edition (\d+) ", response.body)
                    answers.append((path, response.status, int(edition[1]) if edition else -1))

        visitors = [threading.Thread(target=visit, args=(answers,)) for answers in seen]
        for visitor in visitors:
            visitor.start()
        self.line.faults = 0.1
        for release in releases[1:]:
            self.switch(release)
            time.sleep(self.draws.random() * 0.05)
        self.line.faults = 0
        wait_until(lambda: self.edge.get("/a.html").body == f"edition {SWITCHES - 1} ".encode(), "the last is shown")
        over.set()
        for visitor in visitors:
            visitor.join()
        for answers in seen:
            self.assertEqual({200}, {status for _, status, _ in answers})
            for path in ("/a.html", "/b.html"):
                editions = [edition for asked, _, edition in answers if asked == path]
                self.assertEqual(sorted(editions), editions, f"{path} went back")
            self.assertGreater(len({edition for _, _, edition in answers}), 5, "switches were seen under way")

    def switch(self, release: str) -> None:
        self.expect(self.origin.call("POST", f"/v1/sites/demo/releases/{release}/activate"), 200)

    @staticmethod
    def sha256(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
