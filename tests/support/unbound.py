"""Debian's unbound in front of a name server of ours."""

import subprocess

from clients import kdig
from nearside_harness import SystemTest, require_program, wait_until


class Unbound:
    """A resolver that asks our server about one zone and trusts one DS record of it, if there is one."""

    def __init__(self, test: SystemTest, server: tuple[str, int], anchor: str = "", *, zone: str = "demo.test",
                 ecs: bool = False) -> None:
        self.test, self.server, self.anchor, self.zone, self.ecs = test, server, anchor, zone, ecs
        self.address = (test.addresses.address(), test.addresses.port())
        self.process: subprocess.Popen | None = None
        test.addCleanup(self.stop)

    def start(self) -> "Unbound":
        program = require_program("unbound")
        path = self.test.folder / f"unbound-{self.address[0]}.conf"
        modules = "subnetcache validator iterator" if self.ecs else "validator iterator"
        ecs = f"send-client-subnet: {self.server[0]}\nclient-subnet-always-forward: yes\n" if self.ecs else ""
        anchor = f'trust-anchor: "{self.anchor}"' if self.anchor else ""
        path.write_text(f"""server:
interface: {self.address[0]}
port: {self.address[1]}
username: ""
chroot: ""
directory: "{self.test.folder}"
pidfile: ""
use-syslog: no
do-daemonize: no
do-not-query-localhost: no
access-control: 127.0.0.0/8 allow
local-zone: "test." nodefault
module-config: "{modules}"
harden-algo-downgrade: yes
aggressive-nsec: yes
val-log-level: 2
{ecs}{anchor}
stub-zone:
name: "{self.zone}"
stub-addr: {self.server[0]}@{self.server[1]}
""")
        with open(self.test.folder / "unbound.log", "ab") as log:
            self.process = subprocess.Popen([program, "-c", str(path), "-d"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_until(lambda: self.ask(self.zone, "SOA").status, "unbound answers")
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def restart(self, anchor: str = "") -> "Unbound":
        """With an empty cache."""
        self.stop()
        self.anchor = anchor or self.anchor
        return self.start()

    def ask(self, name: str, kind: str = "A", *options: str, **more):
        return kdig(self.address, name, kind, "+dnssec", *options, **more)
