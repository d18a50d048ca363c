"""What deploy/ brings beside the demo: every sample of settings is one that the daemons take, every dashboard and alert
asks for metrics that they have."""

import json
import pathlib
import re
import shutil
import subprocess

from fleet import SITE_HOST, CacheTest, Edge, FleetTest, Metrics, Origin, fetch_text
from nearside_harness import BIN, SOURCE, SystemTest, authority, main, run_program

DEPLOY = SOURCE / "deploy"
# Prometheus makes these itself.
FOREIGN = {"up", "job", "instance"}
# Of the node exporter; the drill `alarm-raised` sees that it has them.
HOST = {"node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_network_transmit_bytes_total",
        "node_disk_io_time_seconds_total"}

# The daemons' units, and the programs they start.
UNITS = {"edge": "nearside-edge", "geodns": "nearside-geodns", "origin": "nearside-origin", "worker": "nearside-origin"}


class SampleTest(SystemTest):
    """The settings in the package and in the container demo, with their folders moved into the test's."""

    def check(self, program: str, text: str, name: str) -> None:
        path = self.folder / name
        path.write_text(text)
        result = run_program(program, "--check", "--config", path)
        self.assertEqual(0, result.returncode, f"{name}: {result.stderr}")

    def test_the_package_brings_settings_that_work(self):
        etc = self.folder / "etc"
        shutil.copytree(DEPLOY / "etc", etc)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(authority() / name, etc / name)
        for name in ("admin", "fleet"):
            (etc / f"{name}.token").write_text("0123456789abcdef0123456789abcdef\n")
        self.write_places(etc / "country.mmdb")
        for name, program in UNITS.items():
            text = (etc / f"{name}.toml").read_text()
            text = text.replace("/etc/nearside", str(etc)).replace("/var/lib/nearside", str(self.folder / "state"))
            self.check(program, text, f"{name}.toml")

    def test_the_containers_settings_work(self):
        shared = self.folder / "shared"
        shared.mkdir()
        subprocess.run([DEPLOY / "docker/prepare.sh", shared], check=True, capture_output=True)
        made = sorted(path.stem for path in shared.glob("*.toml"))
        self.assertEqual(["client", "frankfurt-1", "frankfurt-2", "ns1", "ns2", "origin-1", "origin-2", "tokyo-1",
                          "tokyo-2", "virginia-1", "virginia-2"], made)
        for name in made:
            if name == "client":
                continue
            program = {"ns": "nearside-geodns", "or": "nearside-origin"}.get(name[:2], "nearside-edge")
            text = (shared / f"{name}.toml").read_text()
            self.assertNotRegex(text, r"@[A-Z]+@", "every word between @ signs is replaced")
            text = text.replace("/shared", str(shared)).replace("/var/lib/nearside", str(self.folder / "state"))
            self.check(program, text, f"{name}.toml")
        # What is there stays: a second start must not change keys under running daemons.
        before = {path.name: path.read_bytes() for path in shared.iterdir()}
        subprocess.run([DEPLOY / "docker/prepare.sh", shared], check=True, capture_output=True)
        self.assertEqual(before, {path.name: path.read_bytes() for path in shared.iterdir()})

    @staticmethod
    def write_places(path: pathlib.Path) -> None:
        subprocess.run(["perl", DEPLOY / "docker/places.pl", path], check=True, capture_output=True)

    def test_the_package_holds_what_its_units_start(self):
        made = self.folder / "package"
        subprocess.run(["cpack", "--config", BIN.parent / "CPackConfig.cmake", "-B", made,
                        "-D", "CPACK_DEBIAN_PACKAGE_SHLIBDEPS=OFF"], check=True, capture_output=True)
        package, = made.glob("nearside_*.deb")
        content = self.folder / "content"
        subprocess.run(["dpkg-deb", "--extract", package, content], check=True)
        for name in UNITS:
            unit = (content / f"lib/systemd/system/nearside-{name}.service").read_text()
            for path in re.findall(r"/(?:usr|etc)/[\w./-]+", unit):  # documentation included
                self.assertTrue((content / path[1:]).is_file(), f"nearside-{name}.service names {path}")
        self.assertTrue((content / "usr/bin/nearside").is_file())
        kept = subprocess.run(["dpkg-deb", "--info", package, "conffiles"], check=True, capture_output=True, text=True)
        settings = {f"/{path.relative_to(content)}" for path in (content / "etc").rglob("*") if path.is_file()}
        self.assertEqual(settings, set(kept.stdout.split()), "an upgrade must not overwrite what was changed")

    def test_units_check_start_and_reload_one_daemon_each(self):
        for name, program in UNITS.items():
            unit = (DEPLOY / f"systemd/nearside-{name}.service").read_text()
            role = " --role worker" if name == "worker" else ""
            self.assertIn(f"ExecStart=/usr/bin/{program} --config /etc/nearside/{name}.toml{role}\n", unit)
            self.assertIn(f"ExecReload=/usr/bin/{program} --check --config /etc/nearside/{name}.toml\n", unit)
            self.assertNotIn("ExecStartPre=", unit, "78 of a check before the start is no reason not to start again")
            self.assertIn("Type=notify\n", unit)
            self.assertIn("RestartPreventExitStatus=78\n", unit)


class AcmeTest(CacheTest):
    """Any ACME client that writes into a web root, on the origin's machine: every edge answers its challenges."""

    TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
    ANSWER = (TOKEN + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI").encode()
    FOLDER = "/.well-known/acme-challenge/"

    def test_every_edge_answers_the_challenge_as_long_as_its_file_is_there(self):
        webroot = self.folder / "webroot"
        challenges = webroot / self.FOLDER[1:]
        challenges.mkdir(parents=True)
        origin = Origin(self, node=f'acme_webroot = "{webroot}"').start()
        origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode())
        edge = Edge(self, "frankfurt", origins=[origin.url], events=[origin.url], site="redirect_https = true").start()
        self.expect(edge.get_clear(self.FOLDER + self.TOKEN), 404)
        (challenges / self.TOKEN).write_bytes(self.ANSWER)
        answered = self.expect(edge.get_clear(self.FOLDER + self.TOKEN), 200)
        self.assertEqual((self.ANSWER, "text/plain", "no-store"),
                         (answered.body, answered.field("content-type"), answered.field("cache-control")))
        self.expect(origin.visit(self.FOLDER + self.TOKEN), 200)
        # The certificate names the origin as well, which is no site's host.
        self.assertEqual(self.ANSWER, origin.call("GET", self.FOLDER + self.TOKEN, token=None).body)
        (webroot / "secret").write_text("not for the world")
        (challenges / "link").symlink_to(webroot / "secret")
        (challenges / "large").write_bytes(b"x" * 5000)
        for bad in ("link", "large", "../../secret", "..%2f..%2fsecret", ".", "", "a/b", "%00"):
            refused = edge.get_clear(self.FOLDER + bad, options=("--path-as-is",))
            self.assertIn(refused.status, (400, 404), bad)
        (challenges / self.TOKEN).unlink()
        self.expect(edge.get_clear(self.FOLDER + self.TOKEN), 404)


class WatchTest(FleetTest):
    def names_and_labels(self) -> tuple[set[str], set[str]]:
        """Of all daemons together, as they tell them."""
        urls = [edge.admin_url("/metrics") for edge in self.edges.values()]
        urls += [self.origin.admin_url("/metrics"), self.name_server.admin_url("/metrics")]
        names, labels = set(), set()
        for url in urls:
            text = fetch_text(url)
            names |= set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
            labels |= {label for _, found, _ in Metrics(text).series for label in found}
        return names, labels

    def expect_known(self, expression: str, names: set[str], labels: set[str]) -> None:
        asked = set(re.findall(r"\b(?:nearside|node)_\w+", expression))
        self.assertTrue(asked or "up" in expression, f"asks for nothing: {expression}")
        self.assertLessEqual(asked, names | HOST, expression)
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        self.assertLessEqual(grouped - FOREIGN, labels, expression)

    def test_every_metric_of_dashboards_and_alerts_exists(self):
        names, labels = self.names_and_labels()
        dashboard = json.loads((DEPLOY / "dashboards/nearside.json").read_text())
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreater(len(panels), 15)
        for panel in panels:
            for target in panel["targets"]:
                self.expect_known(target["expr"], names, labels)
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                self.assertLessEqual(legend - FOREIGN, labels, panel["title"])
        alerts = (DEPLOY / "dashboards/alerts.yml").read_text()
        expressions = re.findall(r"expr: (?:>\n((?: {10}.*\n)+)|(.*)\n)", alerts)
        self.assertEqual(alerts.count("- alert:"), len(expressions))
        for folded, plain in expressions:
            self.expect_known(folded or plain, names, labels)

    def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(self):
        """promtool runs them when the image of the demo's Prometheus is built."""
        alerts = re.findall(r"- alert: (\w+)", (DEPLOY / "dashboards/alerts.yml").read_text())
        cases = (DEPLOY / "dashboards/alerts_test.yml").read_text()
        fires = re.findall(r"alertname: (\w+)\n +exp_alerts:\n", cases)
        silent = re.findall(r"alertname: (\w+), exp_alerts: \[\]", cases)
        self.assertEqual(sorted(alerts), sorted(set(fires)))
        self.assertEqual(sorted(alerts), sorted(set(silent)))

    def test_the_dashboard_is_one_that_grafana_loads(self):
        """What Grafana's schema of dashboards asks for (there is no Grafana among Debian's packages)."""
        dashboard = json.loads((DEPLOY / "dashboards/nearside.json").read_text())
        for key, kind in (("title", str), ("uid", str), ("schemaVersion", int), ("panels", list), ("time", dict)):
            self.assertIsInstance(dashboard[key], kind, key)
        self.assertRegex(dashboard["uid"], r"^[\w-]{1,40}$")
        self.assertEqual([("source", "datasource")],
                         [(each["name"], each["type"]) for each in dashboard["templating"]["list"]])
        panels = dashboard["panels"]
        self.assertEqual(len(panels), len({panel["id"] for panel in panels}), "ids are told apart")
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertTrue(cells and not cells & taken, f"{panel['title']} lies on another panel")
            taken |= cells
            if panel["type"] == "row":
                continue
            self.assertEqual({"type": "prometheus", "uid": "${source}"}, panel["datasource"], panel["title"])
            letters = [target["refId"] for target in panel["targets"]]
            self.assertTrue(letters and len(letters) == len(set(letters)), panel["title"])

    def test_the_dashboard_is_what_its_program_makes(self):
        made = subprocess.run(["python3", DEPLOY / "dashboards/make_dashboard.py"], check=True, capture_output=True)
        self.assertEqual((DEPLOY / "dashboards/nearside.json").read_bytes(), made.stdout)


if __name__ == "__main__":
    main()
