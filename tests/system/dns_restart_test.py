"""SIGUSR2: a name server is replaced by another process while clients ask, and none of their queries is lost."""

import ctypes
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import time

from clients import curl, dns_query, kdig
from fleet import NameServer
from nearside_harness import BIN, SystemTest, main, require, run_program, wait_until

PR_SET_CHILD_SUBREAPER = 36
ANSWER_SECONDS = 10.0  # a query without an answer for so long is lost


class Adopted:
    """A process that a daemon of ours has started: it became our child when that one ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        wait_until(lambda: self.poll() is not None, f"process {self.pid} ends", timeout)
        return self.returncode

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def ask_over_udp(server, source, stop, counts):
    """A socket for each query, so that each may come to another thread of the server."""
    sent = lost = 0
    query = dns_query("text.demo.test", 16)
    while not stop.is_set():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((source, 0))
            client.settimeout(ANSWER_SECONDS)
            client.connect(server)
            sent += 1
            try:
                client.send(query)
                lost += b"hello" not in client.recv(2048)
            except OSError:
                lost += 1
    counts.put(("udp", sent, lost))


def ask_over_tcp(server, source, stop, counts):
    """A connection for each query, which comes a moment after it."""
    sent = lost = 0
    query = dns_query("text.demo.test", 16)
    while not stop.is_set():
        sent += 1
        try:
            with socket.create_connection(server, timeout=ANSWER_SECONDS, source_address=(source, 0)) as connection:
                time.sleep(0.005)  # not to wait for anything: an idle connection is what is to be tested
                connection.sendall(struct.pack(">H", len(query)) + query)
                lost += b"hello" not in connection.recv(2048)
        except OSError:
            lost += 1
    counts.put(("tcp", sent, lost))


class RestartTest(SystemTest):
    server_keys = ""

    def setUp(self):
        super().setUp()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.server = NameServer(self, {"frankfurt": (self.addresses.address(), 443)}, checks=False,
                                 port=self.port())
        self.change("[geodns]", f'[geodns]\ntcp_idle_timeout = "2s"\n{self.server_keys}')
        self.prepare()
        self.server.start()

    def port(self) -> int:
        return 0

    def prepare(self):
        pass

    def change(self, before: str, after: str):
        config = self.server.daemon.config_path.read_text()
        self.assertEqual(1, config.count(before), config)
        self.server.daemon.configure(config.replace(before, after))

    def lines(self, event: str) -> list[str]:
        return [line for line in self.server.daemon.log().splitlines() if f" event={event} " in line + " "]

    def replace(self):
        """The daemon's process gives way to another one."""
        daemon = self.server.daemon
        old = daemon.process
        number, failed = len(self.lines("handed_over")) + 1, len(self.lines("take_over_failed"))
        daemon.signal(signal.SIGUSR2)
        wait_until(lambda: len(self.lines("handed_over")) == number or len(self.lines("take_over_failed")) > failed,
                   "it hands over")
        self.assertEqual(failed, len(self.lines("take_over_failed")))
        successor = int(re.search(r"pid=(\d+)", self.lines("handed_over")[-1])[1])
        self.assertNotEqual(old.pid, successor)
        self.assertEqual(0, old.wait(60), "the old one has ended well")
        daemon.process = Adopted(successor)

    def start_clients(self):
        self.stop_clients = multiprocessing.Event()
        self.counts = multiprocessing.Queue()
        self.clients = [multiprocessing.Process(target=ask, args=(self.server.server, self.addresses.address(),
                                                                  self.stop_clients, self.counts))
                        for ask in (ask_over_udp, ask_over_udp, ask_over_udp, ask_over_tcp, ask_over_tcp)]
        for client in self.clients:
            client.start()
        self.addCleanup(self.stop_clients.set)

    def expect_nothing_lost(self):
        self.stop_clients.set()
        results = [self.counts.get(timeout=60) for _ in self.clients]
        for client in self.clients:
            client.join()
        print(results)
        for transport, sent, lost in results:
            self.assertEqual(0, lost, f"{transport}: of {sent}")
            self.assertGreater(sent, 10, transport)

    def answered(self) -> int:
        text = curl(self.server.admin_url("/metrics")).body.decode()
        return sum(int(float(count)) for count in
                   re.findall(r'^nearside_dns_queries_total\{\S+type="TXT"\} (\S+)$', text, re.MULTILINE))

    def test_no_query_is_lost(self):
        self.start_clients()
        for threads in ("threads = 2", "threads = 3", "threads = 1", "threads = 2", "threads = 2"):
            before = re.search(r"threads = \d", self.server.daemon.config_path.read_text())[0]
            self.change(before, threads)
            wait_until(lambda: self.answered() > 300, "clients are served by the process before")
            self.replace()
        wait_until(lambda: self.answered() > 300, "clients are served by the last process")
        self.expect_nothing_lost()

    def test_every_address_is_served_of_both_families_and_handed_over(self):
        others = [(self.addresses.address(), self.server.server[1]), ("::1", self.free_port6())]
        self.change(f'"{self.server.address}:{self.server.server[1]}"',
                    ", ".join([f'"{self.server.address}:{self.server.server[1]}"',
                               *(f'"[{address}]:{port}"' if ":" in address else f'"{address}:{port}"'
                                 for address, port in others)]))
        self.server.daemon.stop()
        self.server.start()

        def ask_all():
            for address in (self.server.server, *others):
                for tcp in (False, True):
                    answer = kdig(address, "text.demo.test", "TXT", tcp=tcp)
                    self.assertEqual(['"hello"'], answer.answers, f"{address} tcp={tcp}\n{answer}")

        ask_all()
        self.server.daemon.reload()
        self.server.daemon.wait_for_log("event=reloaded")
        ask_all()
        self.replace()
        ask_all()

    @staticmethod
    def free_port6() -> int:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            return free.getsockname()[1]

    def test_cookies_are_good_in_the_next_process(self):
        def cookie(sent: str) -> str:
            return re.search(r"COOKIE: ([0-9a-fA-F]+)",
                             self.server.ask("text.demo.test", "TXT", f"+cookie={sent}").text)[1].lower()

        before = cookie("0102030405060708")
        for _ in range(2):
            self.replace()
            self.assertEqual(before, cookie(before), "it is the secret of the first")
            metrics = curl(self.server.admin_url("/metrics")).body.decode()
            self.assertIn('nearside_dns_cookies_total{state="good"} 1\n', metrics)

    def test_a_new_process_that_cannot_start_changes_nothing(self):
        self.change("[geodns]", "[geodns]\nnonsense = 1")
        self.start_clients()
        pid = self.server.daemon.pid
        for number in (1, 2):
            self.server.daemon.signal(signal.SIGUSR2)
            wait_until(lambda: len(self.lines("take_over_failed")) == number, "it is said")
        self.assertIn("exit code 78", self.lines("take_over_failed")[-1])
        self.assertIn("nonsense", self.server.daemon.log())
        self.change("nonsense = 1", "")
        wait_until(lambda: self.answered() > 300, "it answers")
        self.assertEqual(pid, self.server.daemon.pid)
        self.replace()
        self.expect_nothing_lost()

    def test_a_connection_that_is_open_is_served_to_its_end(self):
        query = dns_query("text.demo.test", 16)
        framed = struct.pack(">H", len(query)) + query
        with socket.create_connection(self.server.server, timeout=10) as connection:
            def is_handed_over() -> bool:
                connection.sendall(framed)
                self.assertIn(b"hello", connection.recv(2048))
                return bool(self.lines("handed_over"))

            self.assertFalse(is_handed_over())
            self.server.daemon.signal(signal.SIGUSR2)
            wait_until(is_handed_over, "another process answers")
            successor = int(re.search(r"pid=(\d+)", self.lines("handed_over")[-1])[1])
            for _ in range(20):
                connection.sendall(framed)
                self.assertIn(b"hello", connection.recv(2048))
            self.assertEqual(b"", connection.recv(1), "and is closed when it is idle")
        self.assertEqual(0, self.server.daemon.process.wait(60))
        self.server.daemon.process = Adopted(successor)


# Becomes the program that is named first, which a test may replace.
RUN_COPY = "import os, sys; os.execv(sys.argv[1], [sys.argv[1]] + sys.argv[3:])"


class HangingTest(SystemTest):
    """The new process hangs before it answers."""

    def test_until_it_answers_the_old_one_takes_no_changes_and_ends_it_with_itself(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        copy = self.folder / "copy"
        shutil.copy(BIN / "nearside-geodns", copy)
        server = NameServer(self, {"frankfurt": (self.addresses.address(), 443)}, checks=False,
                            prefix=("/usr/bin/python3", "-c", RUN_COPY, str(copy)))
        (self.folder / "token").write_text("0123456789abcdef\n")
        config = server.daemon.config_path.read_text()
        server.daemon.configure(config.replace("[admin]", f'[admin]\ntoken_file = "{self.folder}/token"'))
        server.start()

        def post(path: str):
            return curl(server.admin_url(path), method="POST", fields={"Authorization": "Bearer 0123456789abcdef"})

        self.assertEqual(200, post("/drain?pop=frankfurt").status)
        self.assertEqual(200, post("/undrain?pop=frankfurt").status)
        hanging = self.folder / "hanging"
        hanging.write_text("#!/bin/sh\nexec sleep 1000\n")
        hanging.chmod(0o755)
        hanging.rename(copy)
        server.daemon.signal(signal.SIGUSR2)
        server.daemon.wait_for_log("event=taking_over")
        successor = Adopted(int(re.search(r"event=taking_over pid=(\d+)", server.daemon.log())[1]))
        answer = post("/drain?pop=frankfurt")
        self.assertEqual(503, answer.status)
        self.assertIn(b"another process is taking over", answer.body)
        self.assertFalse((self.folder / "geodns" / "drains.json").read_text().count("frankfurt"))
        self.assertEqual(['"hello"'], server.ask("text.demo.test", "TXT").answers)
        self.assertEqual(0, server.daemon.stop())
        wait_until(lambda: not pathlib.Path(f"/proc/{successor.pid}").exists(), "the new one has ended as well")
        self.assertNotIn("this one goes on", server.daemon.log())


# What systemd does: opens the sockets, names them, and becomes the daemon.
ACTIVATE = """
import os, socket, sys
address, port, notify = sys.argv[1], int(sys.argv[2]), sys.argv[3]
sockets = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
for each in sockets:
    each.bind((address, port))
sockets[1].listen()
copies = [os.dup(each.fileno()) for each in sockets]
for number, copy in enumerate(copies, 3):
    os.dup2(copy, number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "NOTIFY_SOCKET": notify}
os.execv(sys.argv[4], sys.argv[4:])
"""


class ActivationTest(SystemTest):
    """Sockets that systemd opened, and what it is told."""

    def test_sockets_of_systemd_are_served_and_readiness_is_told(self):
        address = self.addresses.address()
        port = self.addresses.port(address)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(str(self.folder / "notify"))
        notify.settimeout(30)
        server = NameServer(self, {"frankfurt": (self.addresses.address(), 443)}, checks=False, address=address,
                            port=port, prefix=("/usr/bin/python3", "-c", ACTIVATE, address, str(port),
                                               str(self.folder / "notify")))
        config = server.daemon.config_path.read_text()
        server.daemon.configure(config.replace("threads = 2", "threads = 1"))
        server.start()
        self.assertEqual(f"READY=1\nMAINPID={server.daemon.pid}".encode(), notify.recv(1024))
        self.assertEqual(['"hello"'], server.ask("text.demo.test", "TXT").answers)
        self.assertEqual(['"hello"'], server.ask("text.demo.test", "TXT", tcp=True).answers)
        server.daemon.stop()
        self.assertEqual(b"STOPPING=1", notify.recv(1024))


class UnprivilegedTest(RestartTest):
    """Started by root on a port that only root may open."""

    server_keys = 'user = "nobody"'

    def port(self) -> int:
        require(os.geteuid() == 0, "the test must be root to start as root")
        return 53

    def prepare(self):
        self.folder.chmod(0o755)

    def user_of(self, pid: int) -> tuple[list[str], list[str]]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return (re.search(r"^Uid:\s+(.*)$", status, re.MULTILINE)[1].split(),
                re.search(r"^Groups:\s*(.*)$", status, re.MULTILINE)[1].split())

    def test_root_is_given_up_for_good(self):
        uids, groups = self.user_of(self.server.daemon.pid)
        self.assertEqual(1, len(set(uids)), "real, effective, saved and file system: one and the same")
        self.assertNotEqual("0", uids[0])
        self.assertNotIn("0", groups)
        self.assertEqual(int(uids[0]), os.stat(self.folder / "geodns").st_uid, "its state is its own")

    def test_keys_that_root_makes_are_the_servers(self):
        for command in (["keygen"], ["roll"]):
            result = run_program("nearside-geodns", *command, "--config", self.server.daemon.config_path, "--zone",
                                 "demo.test")
            self.assertEqual(0, result.returncode, result.stderr)
        self.change(f'file = "{self.server.zone_path}"', f'file = "{self.server.zone_path}"\ndnssec = true')
        self.server.daemon.reload()
        self.server.daemon.wait_for_log("event=reloaded")
        self.assertEqual([], self.lines("reload_refused"))
        self.assertIn("RRSIG", self.server.ask("text.demo.test", "TXT", "+dnssec").text)
        owner = os.stat(self.folder / "geodns").st_uid
        keys = list((self.folder / "geodns" / "keys" / "demo.test").iterdir())
        self.assertEqual([owner] * 2, [key.stat().st_uid for key in keys])

    def test_it_reloads(self):
        self.server.daemon.reload()
        self.server.daemon.wait_for_log("event=reloaded")

    def test_what_the_user_cannot_read_again_is_told_at_the_start(self):
        self.assertEqual([], self.lines("file_unreadable_for_user"))
        self.server.daemon.stop()
        os.chmod(self.server.zone_path, 0o600)
        self.server.daemon.start()
        lines = self.lines("file_unreadable_for_user")
        self.assertEqual(1, len(lines), lines)
        self.assertIn(f"path={self.server.zone_path} user=nobody", lines[0])
        self.server.daemon.reload()
        self.server.daemon.wait_for_log("event=reload_refused")

    def test_threads_that_find_no_port_share_the_sockets_that_are_there(self):
        self.change("threads = 2", "threads = 3")
        self.replace()
        pid = self.server.daemon.pid
        links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")
                 if os.path.islink(f"/proc/{pid}/fd/{number}")]
        shared = {link for link in links if link.startswith("socket:") and links.count(link) == 2}
        self.assertEqual(2, len(shared), "UDP and TCP of the third thread")
        self.assertEqual([], self.lines("worker_without_socket"))
        for _ in range(20):
            self.assertEqual(['"hello"'], self.server.ask("text.demo.test", "TXT").answers)
            self.assertEqual(['"hello"'], self.server.ask("text.demo.test", "TXT", tcp=True).answers)

    def test_an_unknown_user_is_named(self):
        from nearside_harness import EXIT_CONFIG
        self.change('user = "nobody"', 'user = "no-such-user"')
        for check in (["--check"], []):
            result = run_program("nearside-geodns", *check, "--config", self.server.daemon.config_path)
            self.assertEqual(EXIT_CONFIG, result.returncode)
            self.assertIn('geodns.user: there is no user "no-such-user"', result.stderr)


if __name__ == "__main__":
    main()
