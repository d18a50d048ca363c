"""Headless Chromium on a machine whose resolver is our GeoDNS: the whole of Nearside as a visitor meets it.

The machine is a network namespace with /etc/resolv.conf of its own, DNS at port 53 and HTTPS at 443. Chromium trusts
the test's authority through its certificate store; no error is waved through.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import npm_modules
from fleet import PLACES, SITE_HOST, CacheTest, Edge, NameServer, Origin
from nearside_harness import BIN, CACHE, OUTPUT, SOURCE, authority, main, require, require_program, wait_until

HERE = pathlib.Path(__file__).resolve().parent


def make_site(folder: pathlib.Path) -> None:
    work = CACHE / "demo-site"
    work.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/usr/bin/python3", SOURCE / "deploy/demo/make-site.py", folder, "--work", work], check=True,
                   timeout=300, capture_output=True)


class BrowserTest(CacheTest):
    def setUp(self):
        super().setUp()
        require(os.geteuid() == 0, "a network namespace wants root")
        for program in ("ip", "chromium", "certutil", "node", "npm"):
            require_program(program)
        self.make_namespace()

    def make_namespace(self):
        self.name = f"nearside-{os.getpid()}-{time.monotonic_ns() % 100_000}"
        self.prefix = ("ip", "netns", "exec", self.name)
        result = subprocess.run(["ip", "netns", "add", self.name], capture_output=True, text=True, check=False)
        require(result.returncode == 0, f"no network namespaces here: {result.stderr.strip()}")
        etc = pathlib.Path("/etc/netns") / self.name
        etc.mkdir(parents=True)
        self.addCleanup(shutil.rmtree, etc)
        self.addCleanup(subprocess.run, ["ip", "netns", "delete", self.name], check=False)
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        (etc / "nsswitch.conf").write_text("hosts: files dns\n")
        self.inside("ip", "link", "set", "lo", "up")

    def inside(self, *command: str | pathlib.Path, **options) -> subprocess.CompletedProcess:
        return subprocess.run([*self.prefix, *command], check=True, capture_output=True, text=True, **options)

    def start_fleet(self, nearest: str) -> None:
        """Everything inside the namespace; its own address has no place, so `unknown` says who is nearest."""
        self.origin = origin = Origin(self, tls_port=443, prefix=self.prefix).start()
        site = self.folder / "site"
        make_site(site)
        published = subprocess.run(
            [*self.prefix, BIN / "nearside",
             *origin.client_arguments("publish", site, "--site", "demo", "--host", SITE_HOST)],
            capture_output=True, text=True, check=False, timeout=120)
        self.assertEqual(0, published.returncode, published.stdout + published.stderr)
        self.edges = {name: Edge(self, name, origins=[origin.url], tls_port=443, events=[origin.url],
                                 prefix=self.prefix).start() for name in PLACES}
        pops = {name: edge.tls for name, edge in self.edges.items()}
        NameServer(self, pops, fallback=origin.address, address="127.0.0.1", port=53, prefix=self.prefix,
                   unknown=nearest).start()

    def address_by_dns(self) -> list[str]:
        """What the machine's resolver is told now."""
        return self.inside("kdig", "@127.0.0.1", SITE_HOST, "A", "+short").stdout.split()

    def browse(self, *pages: str) -> dict:
        """Opens the pages in one Chromium and returns what browse.js reports."""
        home = self.folder / "home"
        database = home / ".pki/nssdb"
        database.mkdir(parents=True)
        for command in (("-N", "--empty-password"), ("-A", "-t", "C,,", "-n", "test", "-i", authority() / "ca.pem")):
            subprocess.run(["certutil", "-d", f"sql:{database}", *command], check=True, capture_output=True)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        modules = npm_modules.install(npm_modules.PLAYWRIGHT, "browser").parent
        environment = {**os.environ, "HOME": str(home), "NODE_PATH": str(modules),
                       "SCREENSHOTS": str(OUTPUT), "PROFILE": tempfile.mkdtemp(prefix="profile.", dir=self.folder)}
        result = subprocess.run([*self.prefix, "node", HERE / "browse.js", *pages], env=environment,
                                capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(0, result.returncode, result.stdout[-2000:] + result.stderr[-4000:])
        return json.loads(result.stdout)

    def test_visitor_gets_the_site_over_http2_from_the_nearest_edge(self):
        self.start_fleet(nearest="tokyo")
        report = self.browse(*(f"https://{SITE_HOST}/{page}" for page in ("", "gallery.html", "live.html")))
        self.assertEqual([], report["problems"], "no console errors, no failed requests")
        self.assertGreater(len(report["responses"]), 25)
        for response in report["responses"]:
            with self.subTest(response["url"]):
                self.assertIn(response["status"], (200, 304))
                self.assertEqual("h2", response["protocol"])
                self.assertIn('"tokyo"', response["cacheStatus"])
        self.assertIn("Served by tokyo over h2", report["footer"])
        kinds = {response["kind"] for response in report["responses"]}
        self.assertLessEqual({"document", "stylesheet", "script", "font", "image", "fetch"}, kinds)
        self.assertEqual("tokyo", report["live"]["edge"])
        self.assertGreater(int(report["live"]["parts"]), 60)
        self.assertEqual("100 %", report["live"]["hits"], "measured a second time all of it is a hit")
        print(f"screenshots: {OUTPUT}/browser-*.png")

    def test_websocket_goes_over_the_http2_connection_of_its_page(self):
        address = self.addresses.address()
        port = self.addresses.port(address)
        origin = subprocess.Popen([*self.prefix, "/usr/bin/python3", SOURCE / "tests/support/websocket.py", address,
                                   str(port)])
        self.addCleanup(origin.wait)
        self.addCleanup(origin.kill)
        log = self.folder / "access.log"
        edge = Edge(self, "tokyo", origins=[f"http://{address}:{port}"], tls_port=443, prefix=self.prefix,
                    edge=f'access_log = "{log}"').start()
        NameServer(self, {"tokyo": edge.tls}, address="127.0.0.1", port=53, prefix=self.prefix,
                   unknown="tokyo").start()
        wait_until(lambda: self.address_by_dns() == [edge.address], "DNS leads to the edge")
        report = self.browse(f"https://{SITE_HOST}/websocket.html")
        self.assertEqual([], report["problems"])
        self.assertEqual("chat 5,100000,200000 1000 true", report["footer"])
        self.assertEqual(0, edge.daemon.stop())
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        tunnels = [line for line in lines if line["target"] == "/echo"]
        self.assertEqual([("HTTP/2", "CONNECT", 200, "websocket")],
                         [(line["protocol"], line["method"], line["status"], line["reason"]) for line in tunnels])
        self.assertGreater(tunnels[0]["bytes"], 300_000)

    def test_without_any_edge_the_origin_serves_the_browser_itself(self):
        self.start_fleet(nearest="virginia")
        wait_until(lambda: self.address_by_dns() == [self.edges["virginia"].address], "virginia is healthy")
        for edge in self.edges.values():
            edge.daemon.kill()
        wait_until(lambda: self.address_by_dns() == [self.origin.address], "DNS leads to the origin")
        report = self.browse(f"https://{SITE_HOST}/")
        self.assertEqual([], report["problems"])
        self.assertIn("Served by the origin itself over h2", report["footer"])
        self.assertEqual({self.origin.address}, {response["address"] for response in report["responses"]})

    def test_second_visitor_is_served_from_the_cache(self):
        self.start_fleet(nearest="frankfurt")
        self.browse(f"https://{SITE_HOST}/")
        shutil.rmtree(self.folder / "home")
        again = self.browse(f"https://{SITE_HOST}/")
        self.assertEqual([], again["problems"])
        for response in again["responses"]:
            self.assertRegex(response["cacheStatus"], r"; ?hit", response["url"])


if __name__ == "__main__":
    main()
