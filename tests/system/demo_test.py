"""deploy/demo.sh as a newcomer runs it: ready, served by three edges, killed, started again, ended by a signal."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from clients import curl, kdig
from fleet import CacheTest, country_database
from nearside_harness import BIN, CACHE, SOURCE, STOP_SECONDS, main, wait_until

DEMO = SOURCE / "deploy/demo.sh"
# A cold start paints the site's pictures; with a warm NEARSIDE_CACHE it takes seconds.
START_SECONDS = 180


class DemoTest(CacheTest):
    def setUp(self):
        super().setUp()
        self.state = self.folder / "state"
        (self.state / "download").mkdir(parents=True)
        (self.state / "country.mmdb").write_bytes(country_database().read_bytes())
        # What a second demo on this machine need not make again.
        (CACHE / "demo-site").mkdir(parents=True, exist_ok=True)
        (self.state / "download/site").symlink_to(CACHE / "demo-site")
        net = self.addresses.network.split(".")
        self.network = f"{net[0]}.{net[1]}"
        self.environment = {**os.environ, "NEARSIDE_STATE": str(self.state), "NEARSIDE_NET": self.network,
                            "NEARSIDE_BIN": str(BIN)}
        self.demo: subprocess.Popen | None = None
        self.addCleanup(self.end_demo)

    def run_demo(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([DEMO, *arguments], env=self.environment, capture_output=True, text=True,
                              timeout=START_SECONDS, check=False)

    def start_demo(self) -> float:
        """Starts it and waits for event=demo-ready; returns the seconds that took."""
        began = time.monotonic()
        self.output = self.folder / "demo.out"
        with open(self.output, "w") as output:
            self.demo = subprocess.Popen([DEMO], env=self.environment, stdin=subprocess.DEVNULL, stdout=output,
                                         stderr=subprocess.STDOUT)

        def ready():
            self.assertIsNone(self.demo.poll(), f"demo.sh ended:\n{self.output.read_text()}")
            return "event=demo-ready" in self.output.read_text()

        wait_until(ready, "event=demo-ready", START_SECONDS)
        return time.monotonic() - began

    def end_demo(self) -> int | None:
        if self.demo is None:
            return None
        self.demo.send_signal(signal.SIGINT if self.demo.poll() is None else 0)
        code = self.demo.wait(STOP_SECONDS)
        self.demo = None
        return code

    def pids(self) -> list[int]:
        return [int(path.read_text()) for path in (self.state / "run").glob("*.pid") if path.name != "demo.pid"]

    def get(self, edge: int, target: str):
        return curl(f"https://www.demo.test{target}", to=(f"{self.network}.{edge}.1", 8443), ca=self.state / "ca.pem")

    def ask(self, subnet: str) -> list[str]:
        return kdig((f"{self.network}.0.1", 5300), "www.demo.test", subnet=subnet).answers

    def readme_command(self, beginning: str) -> str:
        """A command of README.md, with this demo's addresses and folders."""
        line = next(line.strip() for line in (SOURCE / "README.md").read_text().splitlines()
                    if line.strip().startswith(beginning))
        line = re.sub(r"127\.0\.(\d)\.1", rf"{self.network}.\1.1", line).partition("  #")[0]
        return (line.replace("var/demo", str(self.state)).replace("build/release/bin", str(BIN))
                .replace("DIR", str(self.state / "site")))

    def run_readme(self, beginning: str) -> str:
        command = self.readme_command(beginning)
        result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(0, result.returncode, f"{command}\n{result.stdout}{result.stderr}")
        return result.stdout

    def expect_readme_to_be_true(self):
        nearside = "build/release/bin/nearside --config var/demo/etc/client.toml"
        self.assertIn(f"{self.network}.3.1", self.run_readme("kdig @127.0.0.1 -p 5300 www.demo.test A +subnet=133.11"))
        self.assertIn(f"{self.network}.1.1", self.run_readme("kdig @127.0.0.1 -p 5300 www.demo.test A +subnet=141.20"))
        self.assertIn(f"{self.network}.2.1", self.run_readme("kdig @127.0.0.1 -p 5300 www.demo.test A +subnet=18."))
        self.assertRegex(self.run_readme(f"{nearside} explain --dns"), "(?i)tokyo")
        self.assertRegex(self.run_readme(f"{nearside} steer --without tokyo"), "(?i)frankfurt")
        self.run_readme(f"{nearside} publish")
        receipt = self.run_readme(f"{nearside} purge")
        for edge in ("frankfurt", "virginia", "tokyo"):
            self.assertRegex(receipt, rf"{edge}.*\d ms")
        page = "curl --http2 -s -o /dev/null"
        self.assertIn("fwd=uri-miss", self.run_readme(page), "the page was purged")
        self.assertRegex(self.run_readme(page), r"(?s)^HTTP/2 200.*cache-status: \"tokyo\"; hit")
        self.assertIn("tokyo", self.run_readme(f"{nearside} status"))

    def test_whole_demo(self):
        self.start_demo()
        self.expect_readme_to_be_true()
        for edge in (1, 2, 3):
            self.expect(self.get(edge, "/"), 200)
            self.expect_hit(self.expect(self.get(edge, "/"), 200))
        self.expect_whole_site()
        wait_until(lambda: self.ask("133.11.0.0/16") == [f"{self.network}.3.1"], "Japan is led to Tokyo")
        self.expect_ctl_to_work()
        pids = self.pids()
        self.assertEqual(5, len(pids))
        self.assertEqual(0, self.end_demo(), self.output.read_text())
        for pid in pids:
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists(), "Ctrl-C ends every process")
        seconds = self.start_demo()
        print(f"second start: {seconds:.1f} s")
        self.assertNotIn("publishing", self.output.read_text(), "the site has not changed")
        self.expect(self.get(1, "/"), 200)

    def expect_whole_site(self):
        files = [path for path in (self.state / "site").rglob("*") if path.is_file()]
        self.assertGreaterEqual(len(files), 60)
        self.assertGreaterEqual(sum(path.stat().st_size for path in files), 5_000_000)
        for path in files:
            target = "/" + path.relative_to(self.state / "site").as_posix()
            response = self.expect(self.get(1, target), 200)
            self.assertEqual(path.read_bytes(), response.body, target)
            if re.search(r"\.[0-9a-f]{8}\.", target):
                self.assertIn("immutable", response.field("cache-control") or "", target)

    def expect_ctl_to_work(self):
        self.assertEqual(0, self.run_demo("ctl", "kill", "tokyo").returncode)
        wait_until(lambda: self.ask("133.11.0.0/16") == [f"{self.network}.1.1"], "Japan is led to Frankfurt")
        wait_until(lambda: "tokyo" in self.output.read_text().split("event=demo-ready")[1], "the death is told")
        self.assertIn("tokyo stopped", self.run_demo("ctl", "status").stdout)
        self.assertEqual(0, self.run_demo("ctl", "start", "tokyo").returncode)
        self.expect_hit(self.expect(self.get(3, "/"), 200))
        wait_until(lambda: self.ask("133.11.0.0/16") == [f"{self.network}.3.1"], "Japan is led to Tokyo again")

    def test_taken_port_is_named_with_its_setting(self):
        with socket.socket() as busy:
            busy.bind((f"{self.network}.2.1", 8443))
            busy.listen(1)
            result = self.run_demo()
        self.assertEqual(1, result.returncode)
        self.assertIn(f"{self.network}.2.1:8443", result.stderr)
        self.assertIn("NEARSIDE_TLS_PORT", result.stderr)
        self.assertIn(str(os.getpid()), result.stderr, "and by whom it is taken")
        self.assertEqual([], self.pids(), "nothing was started")

    def test_second_demo_in_one_state_is_refused(self):
        self.start_demo()
        result = self.run_demo()
        self.assertEqual(1, result.returncode)
        self.assertIn("NEARSIDE_STATE", result.stderr)

    def test_secrets_are_readable_by_their_owner_alone(self):
        self.start_demo()
        for name in ("admin.token", "fleet.token", "edge.token", "key.pem", "ca.key"):
            self.assertEqual(0o600, (self.state / name).stat().st_mode & 0o777, name)


if __name__ == "__main__":
    main()
