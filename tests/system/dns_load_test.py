"""dnsperf asks all the time while zones, databases and the process itself are replaced: each query is answered well."""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess

from dns_restart_test import PR_SET_CHILD_SUBREAPER, Adopted
from fleet import Metrics, NameServer, country_database, fetch_text
from nearside_harness import SystemTest, main, require_program, wait_until

# Far below what the server takes, so that nothing is lost for want of room in a socket on a busy machine.
QUERIES_A_SECOND = 1000
TIMEOUT_SECONDS = 20  # a query without an answer for so long is lost
MOST_OUTSTANDING = 50
SUBNET = "8:00011000850b"  # of the client, as an EDNS option: 133.11.0.0/16
QUERIES = """www.demo.test A
www.demo.test AAAA
alias.demo.test A
service.demo.test HTTPS
text.demo.test TXT
any.wild.demo.test A
demo.test SOA
demo.test NS
ns1.demo.test MX
"""


class Dnsperf:
    """One run, until it is ended."""

    def __init__(self, folder: pathlib.Path, server: tuple[str, int], mode: str) -> None:
        queries = folder / "queries"
        queries.write_text(QUERIES)
        self.process = subprocess.Popen(
            [require_program("dnsperf"), "-s", server[0], "-p", str(server[1]), "-m", mode, "-d", queries, "-c", "8",
             "-q", str(MOST_OUTSTANDING), "-Q", str(QUERIES_A_SECOND), "-t", str(TIMEOUT_SECONDS), "-l", "300",
             "-E", SUBNET, "-W"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self) -> str:
        """What it says of all queries."""
        self.process.send_signal(signal.SIGINT)
        text, _ = self.process.communicate(timeout=60)
        return text

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class LoadTest(SystemTest):
    def setUp(self):
        super().setUp()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.server = NameServer(self, {name: (self.addresses.address(), 443)
                                        for name in ("frankfurt", "virginia", "tokyo")}, checks=False)
        self.database = self.folder / "places.mmdb"
        shutil.copy(country_database(), self.database)
        self.serial = 2026112001
        config = self.server.daemon.config_path.read_text()
        # Connections of a process that has handed over are served for as long as they are used.
        self.server.daemon.configure(
            config.replace("threads = 2\n", 'threads = 2\nwatch_interval = "50ms"\ntcp_idle_timeout = "120s"\n')
            .replace(str(country_database()), str(self.database)))
        self.server.start()

    def lines(self, event: str) -> list[str]:
        return [line for line in self.server.daemon.log().splitlines() if f" event={event} " in line + " "]

    def answered(self) -> float:
        return Metrics(fetch_text(self.server.admin_url("/metrics"))).sum("nearside_dns_queries_total", type="TXT")

    def await_answers(self):
        """dnsperf asks, and whatever answers now answers it."""
        before = self.answered()
        wait_until(lambda: self.answered() > before + 30, "dnsperf is answered")

    @staticmethod
    def put(path: pathlib.Path, content: bytes) -> None:
        partial = path.with_suffix(".part")
        partial.write_bytes(content)
        os.replace(partial, path)

    def replace_zone(self):
        zone = self.server.zone_path.read_text()
        self.put(self.server.zone_path, zone.replace(str(self.serial), str(self.serial + 1)).encode())
        self.serial += 1
        wait_until(lambda: f" {self.serial} " in self.server.ask("demo.test", "SOA").answers[0], "the zone is served")

    def replace_database(self):
        read = len([line for line in self.lines("reloaded") if "databases=read" in line])
        self.put(self.database, country_database().read_bytes())
        wait_until(lambda: len([line for line in self.lines("reloaded") if "databases=read" in line]) > read,
                   "the database is read")

    def hand_over(self):
        """Another process takes over; the old one is returned, which may still serve connections."""
        daemon = self.server.daemon
        old, number = daemon.process, len(self.lines("handed_over")) + 1
        daemon.signal(signal.SIGUSR2)
        wait_until(lambda: len(self.lines("handed_over")) == number, "it hands over")
        daemon.process = Adopted(int(re.search(r"pid=(\d+)", self.lines("handed_over")[-1])[1]))
        return old

    def expect_all_answered(self, told: str):
        def number(of: str) -> int:
            found = re.search(rf"Queries {of}: +(\d+)", told)
            return int(found[1]) if found else 0

        print(re.sub(r"\n\s*\n", "\n", told[told.find("Statistics"):]))
        self.assertEqual(0, number("lost"), told)
        self.assertNotRegex(told, r"\[Timeout\]|Error:|Warning:|Reconnections: +[1-9]")
        # What was on its way when we ended it is nobody's loss.
        self.assertLessEqual(number("interrupted"), MOST_OUTSTANDING, told)
        self.assertEqual(number("sent"), number("completed") + number("interrupted"), told)
        self.assertRegex(told, r"Response codes: +NOERROR \d+ \(100\.00%\)")
        self.assertGreater(number("completed"), 500, told)

    def serve_while_all_is_replaced(self, mode: str):
        dnsperf = Dnsperf(self.folder, self.server.server, mode)
        self.addCleanup(dnsperf.kill)
        old = []
        self.await_answers()
        for _ in range(3):
            self.replace_zone()
            self.replace_database()
            old.append(self.hand_over())
            if mode == "udp":
                self.await_answers()
        self.server.daemon.reload()
        told = dnsperf.end()
        for process in old:
            self.assertEqual(0, process.wait(60), "it has ended well")
        self.assertEqual([], self.lines("reload_refused") + self.lines("take_over_failed"))
        self.expect_all_answered(told)

    def test_no_query_over_udp_is_lost(self):
        self.serve_while_all_is_replaced("udp")

    def test_no_query_over_tcp_is_lost(self):
        self.serve_while_all_is_replaced("tcp")


if __name__ == "__main__":
    main()
