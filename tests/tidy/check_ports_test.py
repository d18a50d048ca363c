#!/usr/bin/env python3
"""deploy/demo/check_ports.py: what is in the way of the demo is told before anything starts, and nobody is blamed for
another's port.
"""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import unittest

from test_main import main

DEMO = pathlib.Path(__file__).resolve().parents[2] / "deploy/demo"
sys.path.insert(0, str(DEMO))
from check_ports import Service, clashes, owner  # noqa: E402

HTTPS = Service("tcp", "127.0.1.1", "8443", "HTTPS at frankfurt", "NEARSIDE_TLS_PORT")
# As `ss -Hlnp` prints them.
LISTING = ('LISTEN 0 511 127.0.0.2:8443 0.0.0.0:* users:(("nginx",pid=12,fd=6),("nginx",pid=11,fd=6))\n'
           'LISTEN 0 511 127.0.0.3%lo:8443 0.0.0.0:* users:(("caddy",pid=13,fd=6))\n'
           'LISTEN 0 511 127.0.0.4:8443 0.0.0.0:*\n')


class ClashTest(unittest.TestCase):
    def test_two_services_on_one_address_are_named_with_both_settings(self):
        http = Service("tcp", "127.0.1.1", "8443", "HTTP at frankfurt", "NEARSIDE_HTTP_PORT")
        self.assertEqual(["127.0.1.1:8443 (TCP) is meant for HTTPS at frankfurt (NEARSIDE_TLS_PORT) and for HTTP at "
                          "frankfurt (NEARSIDE_HTTP_PORT): set one of them to another port"], clashes([HTTPS, http]))

    def test_other_address_port_or_protocol_is_no_clash(self):
        for other in (Service("tcp", "127.0.2.1", "8443", "HTTPS at virginia", "NEARSIDE_TLS_PORT"),
                      Service("tcp", "127.0.1.1", "8080", "HTTP at frankfurt", "NEARSIDE_HTTP_PORT"),
                      Service("udp", "127.0.1.1", "8443", "GeoDNS", "NEARSIDE_DNS_PORT")):
            with self.subTest(other=other):
                self.assertEqual([], clashes([HTTPS, other]))

    def test_all_addresses_contain_each_and_ports_compare_as_numbers(self):
        for address, port in (("0.0.0.0", "8443"), ("127.0.1.1", "08443")):
            with self.subTest(address=address, port=port):
                self.assertEqual(1, len(clashes([HTTPS, Service("tcp", address, port, "HTTP", "NEARSIDE_HTTP_PORT")])))


class OwnerTest(unittest.TestCase):
    def test_owner_is_the_one_on_that_address(self):
        self.assertEqual(" by nginx (pid 12)", owner("127.0.0.2", LISTING))
        self.assertEqual(" by caddy (pid 13)", owner("127.0.0.3", LISTING))

    def test_owner_on_another_address_is_not_blamed(self):
        self.assertEqual("", owner("127.0.0.1", LISTING))
        self.assertEqual("", owner("127.0.0.4", LISTING), "the system does not tell")

    def test_owner_of_all_addresses_is_blamed(self):
        for everywhere in ("0.0.0.0", "*", "[::]"):
            with self.subTest(everywhere=everywhere):
                self.assertEqual(" by nginx (pid 12)", owner("127.0.0.1", LISTING.replace("127.0.0.2", everywhere)))


class ScriptTest(unittest.TestCase):
    def run_script(self, *services: Service) -> tuple[int, list[str]]:
        words = [str(word) for each in services
                 for word in (each.kind, each.address, each.port, each.what, each.variable)]
        result = subprocess.run([sys.executable, DEMO / "check_ports.py", *words], capture_output=True, text=True,
                                check=False)
        return result.returncode, result.stdout.splitlines()

    @contextlib.contextmanager
    def taken(self, address: str):
        """A port that this process listens on."""
        with socket.create_server((address, 0)) as listener:
            yield str(listener.getsockname()[1])

    def test_taken_port_is_told_with_its_owner_and_its_setting(self):
        with self.taken("127.0.0.1") as port:
            code, lines = self.run_script(Service("tcp", "127.0.0.1", port, "GeoDNS", "NEARSIDE_DNS_PORT"))
        self.assertEqual(1, code)
        self.assertRegex(lines[0], rf"^127\.0\.0\.1:{port} \(TCP, for GeoDNS\) is taken by \S+ \(pid {os.getpid()}\): "
                                   r"end that program, or set NEARSIDE_DNS_PORT to another port$")

    def test_port_taken_on_another_address_is_free(self):
        # Not 127.0.0.1: there the same port may be that of another test.
        with self.taken("127.0.13.2") as port:
            self.assertEqual((0, []), self.run_script(
                Service("tcp", "127.0.13.1", port, "GeoDNS", "NEARSIDE_DNS_PORT")))

    def test_clash_is_told_though_the_port_is_free(self):
        with self.taken("127.0.13.2") as port:
            code, lines = self.run_script(Service("tcp", "127.0.13.1", port, "HTTPS", "NEARSIDE_TLS_PORT"),
                                          Service("udp", "127.0.13.1", port, "GeoDNS", "NEARSIDE_DNS_PORT"),
                                          Service("tcp", "127.0.13.1", port, "HTTP", "NEARSIDE_HTTP_PORT"))
        self.assertEqual((1, 1), (code, len(lines)), lines)
        for word in ("HTTPS", "NEARSIDE_TLS_PORT", "HTTP", "NEARSIDE_HTTP_PORT"):
            self.assertIn(word, lines[0])

    def test_what_is_no_port_is_told(self):
        for port in ("0", "65536", "http", "-1", ""):
            with self.subTest(port=port):
                self.assertEqual((1, [f"NEARSIDE_DNS_PORT={port} is no port: 1 to 65535"]), self.run_script(
                    *[Service(kind, "127.0.0.1", port, "GeoDNS", "NEARSIDE_DNS_PORT") for kind in ("tcp", "udp")]))


class DemoTest(unittest.TestCase):
    def test_demo_hands_over_every_port_setting(self):
        script = (DEMO.parent / "demo.sh").read_text()
        known = set(re.findall(r"\$\{(NEARSIDE_\w*PORT):-", script))
        called = re.search(r"^check_ports\(\) \{.*?^\}", script, re.DOTALL | re.MULTILINE)[0]
        self.assertEqual(known, set(re.findall(r"NEARSIDE_\w*PORT\b", called)))


if __name__ == "__main__":
    main()
