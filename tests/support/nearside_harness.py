"""Runs the real daemons for the system tests: a folder, addresses of their own, a deadline for everything.

The environment says what to run: NEARSIDE_BIN (folder of the executables), NEARSIDE_OUTPUT (where pictures and logs
of failures go), NEARSIDE_CACHE (downloads that outlive a run), NEARSIDE_LONG=1 (tests/long.sh: more of everything).
"""

import functools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable

from test_main import main  # noqa: F401  (test files take it from here)

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("NEARSIDE_BIN", SOURCE / "build/release/bin"))
OUTPUT = pathlib.Path(os.environ.get("NEARSIDE_OUTPUT", SOURCE / "build/test-output"))
CACHE = pathlib.Path(os.environ.get("NEARSIDE_CACHE", SOURCE / "build/test-cache"))
LONG = os.environ.get("NEARSIDE_LONG") == "1"
# Sanitizers and two busy cores are slow; a test that fails waits this long once.
DEADLINE_SECONDS = 60.0
STOP_SECONDS = 45.0
EXIT_CONFIG = 78
# What sanitizers and aborting programs write.
CRASH_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
               "terminate called", "Assertion `")

sys.path.insert(0, str(SOURCE / "deploy" / "demo"))


def wait_until(predicate: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> object:
    """Asks again and again until `predicate` gives something true, and returns that. Fails by AssertionError."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class Addresses:
    """Loopback addresses that no other test uses: a random /24 of 127/8, and ports that are free on it now."""

    def __init__(self) -> None:
        dice = random.SystemRandom()
        self.network = f"127.{dice.randint(20, 250)}.{dice.randint(1, 250)}"
        self._last = 0
        self._ports: set[int] = set()

    def address(self) -> str:
        self._last += 1
        return f"{self.network}.{self._last}"

    def port(self, address: str = "") -> int:
        """Free for TCP and UDP, another one each time. The test has a /24 of its own: free here is free everywhere."""
        address = address or f"{self.network}.254"
        for _ in range(100):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, \
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                tcp.bind((address, 0))
                port = tcp.getsockname()[1]
                try:
                    udp.bind((address, port))
                except OSError:
                    continue
                if port not in self._ports:
                    self._ports.add(port)
                    return port
        raise AssertionError(f"no port of {address} is free for both TCP and UDP")


class Daemon:
    """One process of ours: started with its configuration, watched through its log (standard error)."""

    def __init__(self, program: str, name: str, folder: pathlib.Path, config: str,
                 prefix: tuple[str, ...] = (), arguments: tuple[str, ...] = ()) -> None:
        self.program = program
        self.name = name
        self.config_path = folder / f"{name}.toml"
        self.log_path = folder / f"{name}.log"
        self.prefix = prefix  # e.g. ip netns exec NAME
        self.arguments = arguments  # behind --config
        self.process: subprocess.Popen | None = None
        self._log_began = 0
        self.configure(config)

    def configure(self, config: str) -> None:
        self.config_path.write_text(config)

    def start(self, wait: bool = True) -> "Daemon":
        assert self.process is None, f"{self.name} runs already"
        self._log_began = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(BIN / self.program), "--config", str(self.config_path), *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.config_path.parent)
        if wait:
            self.wait_for_log("event=ready")
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} does not run"
        return self.process.pid

    def log(self) -> str:
        """What it has written since its last start."""
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_began)
            return log.read().decode(errors="replace")

    def wait_for_log(self, text: str, seconds: float = DEADLINE_SECONDS) -> None:
        def written() -> bool:
            if text in self.log():
                return True
            code = self.process.poll() if self.process else "none"
            if code is not None:
                raise AssertionError(
                    f"{self.name} ended with exit code {code} before it wrote {text!r}:\n{self.log()[-3000:]}")
            return False

        try:
            wait_until(written, f"{self.name} writes {text!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-3000:]}") from None

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def reload(self) -> None:
        self.signal(signal.SIGHUP)

    def kill(self) -> None:
        """As a power cut would: nothing is written any more."""
        self.signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        self.process = None

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(
                f"{self.name} did not end within {STOP_SECONDS:g} s:\n{self.log()[-3000:]}") from None
        self.process = None
        return code

    def is_sanitized(self) -> bool:
        """Whether a sanitizer is built in: its memory tells nothing about the program's."""
        return b"__asan_init" in (BIN / self.program).read_bytes()

    def resident_kib(self, field: str = "VmRSS") -> int:
        """VmRSS now, or VmHWM, the most there ever was."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"/proc tells no {field} of {self.name}")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def finish(self) -> list[str]:
        """Ends it at the end of a test; returns what was wrong with its end."""
        complaints = []
        if self.process is not None:
            if self.process.poll() is not None:
                complaints.append(f"{self.name} had ended by itself with exit code {self.process.returncode}")
            else:
                try:
                    code = self.stop()
                    if code != 0:
                        complaints.append(f"{self.name} ended with exit code {code} after SIGTERM")
                except AssertionError as error:
                    complaints.append(str(error))
        whole = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        for mark in CRASH_MARKS:
            if mark in whole:
                start = whole.index(mark)
                complaints.append(f"{self.name} wrote:\n{whole[max(0, start - 200):start + 4000]}")
                break
        return complaints


def run_program(program: str, *arguments: str | pathlib.Path, timeout: float = DEADLINE_SECONDS,
                **options) -> subprocess.CompletedProcess:
    """Runs one of our executables to its end."""
    return subprocess.run([str(BIN / program), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, check=False, **options)


@functools.cache
def authority() -> pathlib.Path:
    """A folder with ca.pem and cert.pem + key.pem for *.demo.test, demo.test, *.example.test, localhost; made once."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nearside-authority."))
    extensions = folder / "extensions"
    extensions.write_text("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n"
                          "subjectAltName=DNS:www.demo.test,DNS:demo.test,DNS:*.demo.test,DNS:*.example.test,"
                          "DNS:localhost\n")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for key in ("ca.key", "key.pem"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl("req", "-x509", "-new", "-key", "ca.key", "-days", "30", "-subj", "/CN=Nearside test CA", "-out", "ca.pem",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-new", "-key", "key.pem", "-subj", "/CN=www.demo.test", "-out", "cert.csr")
    openssl("x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "2", "-days", "30",
            "-extfile", "extensions", "-out", "cert.pem")
    return folder


class SystemTest(unittest.TestCase):
    """A folder, addresses and daemons that are gone after the test. A failure leaves their logs in NEARSIDE_OUTPUT."""

    maxDiff = 4000

    def setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nearside-test."))
        self.addresses = Addresses()
        self.daemons: list[Daemon] = []
        self.addCleanup(self._clean_up)

    def add_daemon(self, program: str, name: str, config: str, prefix: tuple[str, ...] = (),
                   arguments: tuple[str, ...] = ()) -> Daemon:
        daemon = Daemon(program, name, self.folder, config, prefix, arguments)
        self.daemons.append(daemon)
        return daemon

    def _clean_up(self) -> None:
        complaints = [complaint for daemon in reversed(self.daemons) for complaint in daemon.finish()]
        if complaints or self._has_failed():
            kept = OUTPUT / "failed" / self.id()
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            for pattern in ("*.log", "*.toml"):
                for path in self.folder.glob(pattern):
                    shutil.copy(path, kept)
        shutil.rmtree(self.folder, ignore_errors=True)
        if complaints:
            self.fail("\n".join(complaints))

    def _has_failed(self) -> bool:
        result = self._outcome.result
        return any(getattr(test, "test_case", test) is self for test, _ in result.errors + result.failures)


def require(condition: object, why: str) -> None:
    """Skips the test where the machine cannot run it; CI machines can."""
    if not condition:
        raise unittest.SkipTest(why)


def require_program(name: str) -> str:
    path = shutil.which(name)
    require(path, f"{name} is not installed (deploy/install-deps.sh --test)")
    return path
