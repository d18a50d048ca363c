"""People who sign in through an edge: two origins over one state, whose pages nobody else gets, and which may die."""

import html.parser
import http.client
import json
import pathlib
import re
import socket
import ssl
import threading
import time
import urllib.parse

from fleet import SITE_HOST, CacheTest, Edge, Metrics, Origin, fetch_text
from nearside_harness import authority, main, run_program, wait_until

HOST = "account.demo.test"
PASSWORD = "correct horse battery staple"
# Quick hashes: what is tried here is not how hard a password is to guess.
ACCOUNTS = f"""
[accounts]
hosts = ["{HOST}"]
hash_memory = "64KiB"
hash_passes = 1
sign_up = "open"
"""


class FormToken(html.parser.HTMLParser):
    """The token of a page's first form."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.token = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        if tag == "input" and fields.get("name") == "form_token" and not self.token:
            self.token = fields["value"] or ""


class Browser:
    """Cookies, forms, and one connection by TLS to an edge that is kept: as a browser has it."""

    def __init__(self, to: tuple[str, int]) -> None:
        self.to = to
        self.cookies: dict[str, str] = {}
        self.page = ""
        self.status = 0
        self.fields: http.client.HTTPMessage | None = None
        self.connection: http.client.HTTPSConnection | None = None

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(authority() / "ca.pem"))
        made = http.client.HTTPSConnection(HOST, self.to[1], context=context, timeout=30)
        plain = socket.create_connection(self.to, timeout=30)
        made.sock = context.wrap_socket(plain, server_hostname=HOST)
        return made

    def ask(self, method: str, path: str, body: str = "") -> str:
        if self.connection is None:
            self.connection = self.connect()
        fields = {"Host": HOST, "User-Agent": "test browser"}
        if self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            fields |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{HOST}",
                       "Sec-Fetch-Site": "same-origin"}
        try:
            self.connection.request(method, path, body or None, fields)
            reply = self.connection.getresponse()
            page = reply.read().decode()
        except (http.client.HTTPException, OSError):
            self.close()
            raise
        self.status, self.fields = reply.status, reply.headers
        for line in reply.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        if page:
            self.page = page
        if reply.headers.get("Connection", "").lower() == "close":
            self.close()
        return page

    def get(self, path: str) -> str:
        return self.ask("GET", path)

    def submit(self, page: str, action: str, **fields: str) -> str:
        """What the form on `page` sends."""
        token = FormToken(self.get(page)).token
        return self.ask("POST", action, urllib.parse.urlencode({"form_token": token, **fields}))

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        self.submit("/account/sign-in", "/account/sign-in", name=name, password=password)
        assert self.status == 303 and self.location == "/account", f"{name}: {self.status}\n{self.page}"

    @property
    def location(self) -> str:
        return self.fields.get("Location", "") if self.fields else ""

    def signed_in_as(self) -> str:
        """The name on the account's page; "" when it leads to signing in."""
        page = self.get("/account")
        if self.status == 303 and self.location == "/account/sign-in":
            return ""
        assert self.status == 200, f"{self.status}\n{page}"
        names = re.findall(r"<header>.*?<span>(.*?)</span>", page, re.DOTALL)
        assert len(names) == 1, page
        return names[0]

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class AccountsTest(CacheTest):
    """Two origins that share their state, and one edge in front of both."""

    def setUp(self) -> None:
        super().setUp()
        self.first = Origin(self, extra=ACCOUNTS).start()
        self.second = Origin(self, name="replica", extra=ACCOUNTS).start()
        self.edge = self.start_edge("frankfurt", [self.first, self.second])
        for name in ("alice", "bob"):
            self.make(name)

    def start_edge(self, name: str, origins: list[Origin]) -> Edge:
        return Edge(self, name, origins=[origin.url for origin in origins], hosts=(HOST,),
                    site='eject_for = "500ms"').start()

    def make(self, name: str, *grants: dict) -> None:
        body = json.dumps({"name": name, "password": PASSWORD, "grants": grants}).encode()
        self.expect(self.first.call("POST", "/v1/accounts", body), 201)

    def browser(self, edge: Edge | None = None) -> Browser:
        made = Browser((edge or self.edge).tls)
        self.addCleanup(made.close)
        return made

    def test_two_browsers_never_get_each_others_page(self):
        alice, bob, nobody = self.browser(), self.browser(), self.browser()
        alice.sign_in("alice")
        bob.sign_in("bob")
        for turn in range(100):
            self.assertEqual("alice", alice.signed_in_as(), turn)
            self.assertEqual("bob", bob.signed_in_as(), turn)
            if turn % 10 == 0:
                self.assertEqual("", nobody.signed_in_as(), turn)
            for browser in (alice, bob):
                self.assertEqual("no-store, private", browser.fields["Cache-Control"])
                self.assertNotIn("hit", browser.fields["Cache-Status"])
        self.assertEqual(0, self.edge.status()["cache"]["disk_objects"])

    def test_nor_when_they_ask_at_the_same_time(self):
        """Requests for one URL that come together share one fetch, unless what it brings is private."""
        alice, bob = self.browser(), self.browser()
        alice.sign_in("alice")
        bob.sign_in("bob")
        wrong: list[str] = []
        start = threading.Barrier(8)

        def ask(cookies: dict[str, str], name: str) -> None:
            browser = self.browser()
            browser.cookies = dict(cookies)
            start.wait()
            for _ in range(25):
                got = browser.signed_in_as()
                if got != name:
                    wrong.append(f"{name} got the page of {got or 'nobody'}")

        threads = [threading.Thread(target=ask, args=(one.cookies, name))
                   for one, name in [(alice, "alice"), (bob, "bob")] * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)

    def test_a_session_is_every_replicas_and_ends_on_all_at_once(self):
        edges = [self.start_edge("virginia", [self.first]), self.start_edge("tokyo", [self.second])]
        here, there = (self.browser(edge) for edge in edges)
        here.sign_in("alice")
        there.cookies = dict(here.cookies)
        self.assertEqual("alice", there.signed_in_as())
        other = self.browser(edges[1])
        other.sign_in("alice")
        bob = self.browser(edges[1])
        bob.sign_in("bob")
        there.submit("/account", "/account/sign-out-everywhere")
        self.assertEqual(303, there.status)
        # No waiting: the answer is the moment from which on it holds.
        self.assertEqual("", here.signed_in_as())
        self.assertEqual("", other.signed_in_as())
        self.assertEqual("bob", bob.signed_in_as())
        # By the operator, on the other replica.
        self.assertEqual(0, self.first.client("account", "sign-out", "bob").returncode)
        self.assertEqual("", bob.signed_in_as())

    def test_another_password_ends_the_other_sessions(self):
        here, there = self.browser(), self.browser()
        here.sign_in("alice")
        there.sign_in("alice")
        here.submit("/account/password", "/account/password", password=PASSWORD, new_password="another long password")
        self.assertEqual((303, "/account"), (here.status, here.location))
        self.assertEqual("alice", here.signed_in_as())
        self.assertEqual("", there.signed_in_as())
        there.submit("/account/sign-in", "/account/sign-in", name="alice", password=PASSWORD)
        self.assertEqual(403, there.status)
        there.sign_in("alice", "another long password")

    def test_a_replica_is_killed_under_load_and_nobody_sees_it(self):
        names = ["alice", "bob"]
        browsers = [self.browser() for _ in range(6)]
        for place, browser in enumerate(browsers):
            browser.sign_in(names[place % 2])
        failed: list[str] = []
        asked = [0] * len(browsers)
        stop = threading.Event()

        def load(place: int) -> None:
            while not stop.is_set():
                try:
                    got = browsers[place].signed_in_as()
                    if got != names[place % 2]:
                        failed.append(f"{names[place % 2]} got the page of {got or 'nobody'}")
                except (AssertionError, OSError, http.client.HTTPException) as error:
                    failed.append(f"{time.monotonic():.3f} {error!r}"[:300])
                asked[place] += 1

        threads = [threading.Thread(target=load, args=(place,)) for place in range(len(browsers))]
        for thread in threads:
            thread.start()

        def served(more: int = 20) -> None:
            goal = [count + more for count in asked]
            wait_until(lambda: failed or all(count >= wanted for count, wanted in zip(asked, goal)), "the load goes on")

        try:
            for victim in (self.first, self.second, self.first):
                served()
                victim.daemon.kill()
                served()
                victim.start()
                # The next one may die when the edge has taken this one back.
                wait_until(lambda: failed or self.pages_of(victim) > 0, "the edge asks it again")
        finally:
            served()
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual([], failed)
        # Who is signed in is so after all of that, and can sign out and in again.
        browsers[0].submit("/account", "/account/sign-out")
        self.assertEqual("", browsers[0].signed_in_as())
        browsers[0].sign_in("alice")

    @staticmethod
    def pages_of(origin: Origin) -> float:
        return Metrics(fetch_text(origin.admin_url("/metrics"))).sum(
            "nearside_origin_requests_total", kind="account", status="2xx")

    def test_sessions_outlive_kills_of_all_replicas(self):
        alice = self.browser()
        alice.sign_in("alice")
        for origin in (self.first, self.second):
            origin.daemon.kill()
        for origin in (self.first, self.second):
            origin.start()
        self.assertEqual("alice", wait_until(lambda: self.answered(alice), "the edge finds them again"))

    def answered(self, browser: Browser) -> str:
        try:
            return browser.signed_in_as()
        except (AssertionError, OSError, http.client.HTTPException):
            return ""

    def test_when_no_edge_is_left_the_origins_serve_the_pages(self):
        through = self.browser()
        through.sign_in("alice")
        self.edge.daemon.kill()
        for origin in (self.first, self.second):
            straight = Browser(origin.tls)
            self.addCleanup(straight.close)
            straight.cookies = dict(through.cookies)
            self.assertEqual("alice", straight.signed_in_as())
            straight.submit("/account/sign-in", "/account/sign-in", name="bob", password="not the password")
            self.assertEqual(403, straight.status)
        other = Browser(self.second.tls)
        self.addCleanup(other.close)
        other.sign_in("bob")
        self.assertEqual("bob", other.signed_in_as())

    def test_who_signs_up_sees_what_is_granted(self):
        self.expect(self.first.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode()),
                    201)
        for text in ("one", "two"):
            site = self.folder / "site"
            site.mkdir(exist_ok=True)
            (site / "index.html").write_text(text)
            done = self.first.client("publish", site, "--site", "demo")
            self.assertEqual(0, done.returncode, done.stderr)
        carol = self.browser()
        carol.submit("/account/sign-up", "/account/sign-up", name="Carol@example.org", new_password=PASSWORD)
        self.assertEqual((303, "/account"), (carol.status, carol.location), carol.page)
        self.assertIn("No site yet", carol.get("/account"))
        carol.get("/account/sites/demo")
        self.assertEqual(404, carol.status)
        granted = self.first.client("account", "grant", "carol@example.org", "--site", "demo",
                                    "--scope", "read,publish")
        self.assertEqual(0, granted.returncode, granted.stderr)
        page = carol.get("/account/sites/demo")
        self.assertEqual(200, carol.status)
        release = re.search(r'name="release" value="(\d+)"', page)
        self.assertIsNotNone(release, page)
        carol.submit("/account/sites/demo", "/account/sites/demo/activate", release=release[1])
        self.assertEqual(303, carol.status, carol.page)
        self.assertEqual(b"one", self.first.visit("/").body)
        audit = json.loads(self.first.call("GET", "/v1/audit").body)["audit"]
        self.assertEqual(("release_activated", "account:carol@example.org"), (audit[-1]["action"], audit[-1]["name"]))

    def test_pages_are_for_https_and_guessers_are_counted_by_their_own_address(self):
        plain = self.edge.get_clear("/account/sign-in", host=HOST)
        self.assertEqual(403, plain.status, f"\n{plain}")
        self.assertIsNone(plain.field("set-cookie"))
        name = "nobody@example.org"
        guesser = self.browser()
        for _ in range(10):
            guesser.submit("/account/sign-in", "/account/sign-in", name=name, password="a wrong password")
            if guesser.status == 429:
                break
            self.assertEqual(403, guesser.status)
        # Which replica is asked is the edge's choice, and each counts for itself: all have had ten by then.
        for _ in range(60):
            guesser.submit("/account/sign-in", "/account/sign-in", name=name, password="a wrong password")
        self.assertEqual(429, guesser.status)
        self.assertGreater(int(guesser.fields["Retry-After"]), 0)
        self.browser().sign_in("alice")

    def test_passwords_come_from_a_file_or_a_pipe_and_are_nowhere_in_clear(self):
        path = pathlib.Path(self.folder / "password")
        path.write_text("a password of dave\n")
        made = self.first.client("account", "create", "dave", "--password-file", path)
        self.assertEqual(0, made.returncode, made.stderr)
        self.browser().sign_in("dave", "a password of dave")
        short = self.first.client("account", "create", "erin")
        self.assertEqual(1, short.returncode)
        self.assertIn("expected a password", short.stderr)
        listed = json.loads(self.first.client("account", "list", "--json").stdout)["accounts"]
        self.assertEqual(["alice", "bob", "dave"], [account["name"] for account in listed])
        for origin in (self.first, self.second):
            origin.daemon.stop()
        for file in [*self.first.folder.rglob("*"), *self.folder.glob("*.log")]:
            if file.is_file():
                content = file.read_bytes()
                for secret in (b"a password of dave", PASSWORD.encode()):
                    self.assertNotIn(secret, content, file)
        gone = run_program("nearside", *self.first.client_arguments("account", "remove", "dave"))
        self.assertEqual(1, gone.returncode)  # no origin is there to ask


if __name__ == "__main__":
    main()
