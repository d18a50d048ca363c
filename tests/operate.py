#!/usr/bin/env python3
"""Walks docs/operate.md as a newcomer does: five plain servers with systemd, from nothing, command by command.

    operate.py PACKAGE IMAGE    a .deb of Nearside; an image with systemd, sshd and nothing of ours (tests/operate.sh)

Exits with 77 where systemd does not start in a container. NEARSIDE_KEEP=1 leaves the servers running: a shell on one is
`docker exec -it nearside-operate-tokyo bash`.

Every command is taken from the text and run as it stands there, on the server of which the text speaks; what the text
tells to write into settings is written into the samples that the package brings. At the end each block of the text has
been run, but for those that NOT_WALKED names. Servers are containers on one network of their own, with the addresses of
the text (RFC 5737, and one of RFC 2544); "the world" is another one: a registry for org., a resolver that tells client
subnets, an ACME authority. Visitors in four places ask all the while that something is changed.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

SOURCE = pathlib.Path(__file__).resolve().parents[1]
GUIDE = SOURCE / "docs/operate.md"
HAMMER = SOURCE / "deploy/docker/hammer.py"
NETWORK = "nearside-operate"
SUBNET = "10.79.0.0/24"
WORLD = "10.79.0.2"
CITIES = {"192.0.2.0/24": "Frankfurt", "198.51.100.0/24": "Ashburn", "203.0.113.0/24": "Tokyo",
          "198.18.0.0/24": "Sydney", "133.11.0.0/16": "Tokyo"}
SERVERS = {"ns1": ["192.0.2.53"], "ns2": ["198.51.100.53"], "frankfurt": ["192.0.2.10"],
           "virginia": ["198.51.100.10"], "tokyo": ["203.0.113.20", "203.0.113.10"]}
NEW_EDGE = {"sydney": ["198.18.0.10"]}
VISITORS = {"visitor-frankfurt": ["192.0.2.100"], "visitor-virginia": ["198.51.100.100"],
            "visitor-tokyo": ["203.0.113.100"], "visitor-sydney": ["198.18.0.100"]}
NEAREST = {"visitor-frankfurt": "frankfurt", "visitor-virginia": "virginia", "visitor-tokyo": "tokyo",
           "visitor-sydney": "tokyo"}  # as long as there are but three edges
EDGES = ("frankfurt", "virginia", "tokyo")
# What systemd needs. Not --privileged, of which some machines lack a part.
RIGHTS = ["--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt",
          "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns=private", "--tmpfs", "/run",
          "--tmpfs", "/run/lock", "--tmpfs", "/tmp"]
# Fragments of the blocks that are not run, and why.
NOT_WALKED = {
    "cmake --preset release": "the package is given",
    "cmake --install": "instead of the package",
    "npm pack": "real places do not have the addresses of documentation: the table of places is made by places.pl",
}


class WalkFailed(Exception):
    """The text led elsewhere than it says."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise WalkFailed(what)


def run(*command: str, check: bool = True, text: str | bytes | None = None, limit: float = 300) -> str:
    """What it has written. Fails with that when it ends badly, unless `check` is false."""
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
                          check=False, **({} if data is not None else {"stdin": subprocess.DEVNULL}))
    output = done.stdout.decode(errors="replace")
    require(not check or done.returncode == 0, f"{' '.join(command)}\nended with {done.returncode}:\n{output[-3000:]}")
    return output


def wait_until(holds: Callable[[], bool], what: str, limit: float = 90) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    while not holds():
        require(time.monotonic() - began < limit, f"after {limit:.0f} s it still did not hold that {what}")
        time.sleep(0.3)
    return time.monotonic() - began


# --- the text -------------------------------------------------------------------------------------------------------

class Guide:
    """The blocks of commands in the text, each to be run at least once."""

    def __init__(self, path: pathlib.Path) -> None:
        self.text = path.read_text()
        found = re.findall(r"(?:^|\n)\n((?: {4,}\S.*\n(?:\n(?= {4}))?)+)", self.text)
        self.blocks = [self.dedent(block) for block in found]
        self.used: set[str] = set()

    @staticmethod
    def dedent(block: str) -> str:
        indent = min(len(line) - len(line.lstrip()) for line in block.splitlines() if line.strip())
        return "".join(line[indent:] + "\n" for line in block.splitlines())

    def block(self, fragment: str) -> str:
        """The one block with these words."""
        found = [block for block in self.blocks if fragment in block]
        require(len(found) == 1, f"{GUIDE.name} has {len(found)} blocks with {fragment!r}, and not one")
        self.used.add(found[0])
        return found[0]

    def says(self, words: str) -> None:
        """What is done by hand because the text says it in prose."""
        flat = " ".join(self.text.split())
        require(words in flat, f"{GUIDE.name} does not say {words!r} any more")

    def unused(self) -> list[str]:
        for fragment in NOT_WALKED:
            self.block(fragment)
        return [block for block in self.blocks if block not in self.used]


# --- servers --------------------------------------------------------------------------------------------------------

def everybody() -> list[str]:
    return [address for addresses in (SERVERS | NEW_EDGE | VISITORS).values() for address in addresses]


class Server:
    """A container with systemd, reached as root's shell is."""

    def __init__(self, name: str, image: str, addresses: list[str], names: dict[str, str]) -> None:
        self.name = name
        self.container = f"{NETWORK}-{name}"
        hosts = [option for pair in names.items() for option in ("--add-host", ":".join(pair))]
        run("docker", "run", "-d", "--name", self.container, "--hostname", name, "--network", NETWORK,
            *(["--ip", WORLD] if name == "world" else []), *RIGHTS, *hosts, image)
        lines = [f"ip addr add {address}/32 dev eth0" for address in addresses]
        source = f" src {addresses[0]}" if addresses else ""
        # Not whole networks: there are machines on which Debian's mirror has an address in one of these.
        lines += [f"ip route add {there}/32 dev eth0{source}" for there in everybody() if there not in addresses]
        if addresses:
            lines += [f"ip route add {WORLD}/32 dev eth0{source}", f"echo nameserver {WORLD} >/etc/resolv.conf"]
        wait_until(self.is_up, f"systemd runs on {name}")
        self.bash("\n".join(lines))

    def is_up(self) -> bool:
        return self.bash("systemctl is-system-running --wait", check=False).strip() in ("running", "degraded")

    def bash(self, script: str, *, check: bool = True, text: str | bytes | None = None, limit: float = 300) -> str:
        wrapped = "set -euo pipefail\ncd\n" + script
        return run("docker", "exec", "-i", "-e", "DEBIAN_FRONTEND=noninteractive", self.container, "bash", "-c",
                   wrapped, check=check, text=text, limit=limit)

    def read(self, path: str) -> str:
        return self.bash(f"cat {path}")

    def write(self, path: str, text: str | bytes) -> None:
        """Into the file that is there, or a new one: owner and mode of a file stay."""
        self.bash(f"cat >{path}", text=text)

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Each of these words, of which there has to be one place, becomes the other."""
        text = self.read(path)
        for old, new in changes:
            require(text.count(old) == 1, f"{path} of {self.name} has {text.count(old)} times {old!r}:\n{text}")
            text = text.replace(old, new)
        self.write(path, text)


class Visitor:
    """Somebody in one place who asks all the time, until told to report."""

    def __init__(self, server: Server, *options: str) -> None:
        self.server = server
        self.stop_file = f"/tmp/stop-{time.time_ns()}"
        self.process = subprocess.Popen(
            ["docker", "exec", server.container, "hammer.py", "--seconds", "600", "--until", self.stop_file, "--host",
             "www.example.org", "--ca", "/etc/ssl/certs/ca-certificates.crt", "--connect", "5", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        require(self.process.stdout.readline().strip() == "asking", f"{server.name} does not ask")

    def report(self) -> dict:
        self.server.bash(f"touch {self.stop_file}")
        out, errors = self.process.communicate(timeout=60)
        require(self.process.returncode == 0, f"{self.server.name} ended badly: {errors}")
        return json.loads(out)


def require_none_failed(visitors: list[Visitor]) -> str:
    reports = [visitor.report() for visitor in visitors]
    for visitor, report in zip(visitors, reports, strict=True):
        require(report["failed"] == 0,
                f"{visitor.server.name}: {report['failed']} of {report['sent']}: {report['errors']}")
    return (f"{sum(report['sent'] for report in reports)} requests, none failed, "
            f"slowest {max(report['slowest_ms'] for report in reports)} ms")


# --- the walk -------------------------------------------------------------------------------------------------------

class Walk:
    def __init__(self, package: pathlib.Path, image: str) -> None:
        self.package = package
        self.image = image
        self.guide = Guide(GUIDE)
        self.servers: dict[str, Server] = {}
        self.visitors: dict[str, Server] = {}
        self.world: Server
        self.pages = {"index.html": page_of("first"), "about.html": page_of("about")}

    def names(self) -> dict[str, str]:
        named = {name: addresses[0] for name, addresses in (SERVERS | NEW_EDGE).items()}
        return named | {"acme": WORLD}

    def everywhere(self, names: tuple[str, ...], script: str) -> None:
        for name in names:
            self.servers[name].bash(script)

    @property
    def home(self) -> Server:
        """Where the text's operator sits, and the origin is."""
        return self.servers["tokyo"]

    def told(self, fragment: str) -> str:
        """A block, behind the one that defines what all use."""
        return self.guide.block("secret() {") + self.guide.block(fragment)

    # --- what the text takes for given

    def found_world(self) -> None:
        self.world = Server("world", self.image + "-world", [], {})
        self.world.write("/etc/knot/knot.conf", KNOT)
        self.world.write("/etc/knot/org.zone", ORG)
        resolver = re.search(r"^nameserver (\S+)", pathlib.Path("/etc/resolv.conf").read_text(), re.MULTILINE)
        outside = resolver[1] if resolver else "127.0.0.1"
        self.world.write("/etc/unbound/unbound.conf", UNBOUND.replace("@OUTSIDE@", outside))
        self.world.write("/etc/pebble.json", json.dumps({"pebble": {
            "listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/etc/acme.pem", "privateKey": "/etc/acme.key", "httpPort": 80, "tlsPort": 443}}))
        self.world.bash(f"""
            chown -R knot /etc/knot
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=acme \
              -addext subjectAltName=DNS:acme -keyout /etc/acme.key -out /etc/acme.pem 2>&1
            systemctl restart knot unbound
            systemd-run --unit pebble --setenv PEBBLE_VA_NOSLEEP=1 --setenv PEBBLE_WFE_NONCEREJECT=0 \
              pebble -config /etc/pebble.json -dnsserver {WORLD}:53""")
        wait_until(lambda: "BEGIN" in self.world.bash("curl -sk https://localhost:15000/roots/0", check=False),
                   "the authority answers")

    def trust_authority(self, server: Server) -> None:
        """As if it were one of those that Debian brings."""
        server.bash("install -d /usr/local/share/ca-certificates; cat >/usr/local/share/ca-certificates/acme.crt",
                    text=self.world.bash("curl -sk https://localhost:15000/roots/0"))
        server.bash("update-ca-certificates")

    def name_servers_at_registrar(self) -> None:
        self.guide.says("Have the registrar set `ns1.example.org` and `ns2.example.org` as the name servers")
        self.world.write("/etc/knot/org.zone", ORG.replace(" 1 3600", " 2 3600") + DELEGATION)
        self.world.bash("knotc zone-reload org.")

    # --- the sections of the text

    def install(self, name: str) -> None:
        server = self.servers[name]
        self.guide.says("Copy the package to each server (`scp`), and there:")
        server.write("~/nearside_0.1.0_amd64.deb", self.package.read_bytes())
        server.bash(self.guide.block("apt-get install -y ./nearside_0.1.0"), limit=900)
        self.trust_authority(server)
        self.guide.says("Nothing starts by itself.")
        active = server.bash("systemctl is-active nearside-edge nearside-geodns nearside-origin nearside-worker",
                             check=False)
        require(active.split() == ["inactive"] * 4, f"units of {name} are {active.split()}")

    def rate_units(self) -> None:
        self.guide.says("rates edge and origin 1.6 of 10, and the name server 1.8,")
        self.guide.says("and the worker 1.4 (systemd")
        for unit, figure in (("edge", "1.6"), ("geodns", "1.8"), ("origin", "1.6"), ("worker", "1.4")):
            rated = self.home.bash("systemd-analyze security --offline=true --no-pager "
                                   f"/lib/systemd/system/nearside-{unit}.service")
            exposure = re.search(r"exposure level for nearside-\w+\.service: ([\d.]+)", rated)
            require(exposure is not None and exposure[1] == figure, f"{unit}: {rated[-200:]}; not {figure}")

    def start_origin(self) -> None:
        self.home.bash(self.told("for name in admin fleet geodns"))
        self.home.bash(self.told("openssl req -x509"))
        self.guide.says('`address = "203.0.113.10:443"` and `address = "203.0.113.10:80"`')
        self.home.edit("/etc/nearside/origin.toml", ('address = "0.0.0.0:443"', 'address = "203.0.113.10:443"'),
                       ('address = "0.0.0.0:80"', 'address = "203.0.113.10:80"'))
        printed = self.home.bash(self.guide.block("systemctl enable --now nearside-origin"))
        require("event=ready" in printed, printed)

    def start_name_servers(self) -> None:
        self.home.bash(self.guide.block("/etc/nearside/geodns.token' </etc"))
        with tempfile.TemporaryDirectory() as folder:
            places = pathlib.Path(folder, "country.mmdb")
            pairs = [word for pair in CITIES.items() for word in pair]
            run("perl", str(SOURCE / "deploy/docker/places.pl"), str(places), *pairs)
            table = places.read_bytes()
        self.guide.says('`token_file = "/etc/nearside/geodns.token"` stands under `[admin]`')
        for name in ("ns1", "ns2"):
            server = self.servers[name]
            server.write("/etc/nearside/country.mmdb", table)
            server.edit("/etc/nearside/geodns.toml", ("# token_file =", "token_file ="))
            server.bash(self.guide.block("systemctl enable --now nearside-geodns"))
        asked = self.guide.block("dig @198.51.100.53 www")
        wait_until(lambda: self.home.bash(asked).split() == ["203.0.113.10"] * 2, "both lead to the origin")
        self.name_servers_at_registrar()
        listed = self.guide.block("dig example.org NS +short")
        wait_until(lambda: sorted(self.home.bash(listed).split()) == ["ns1.example.org.", "ns2.example.org."],
                   "the world knows both name servers")

    def get_certificate(self) -> None:
        # Let's Encrypt is lego's own choice; ours has another address, and a certificate that only it knows.
        self.home.write("/etc/acme.pem", self.world.read("/etc/acme.pem"))
        self.home.write("/usr/local/sbin/lego", LEGO)
        self.home.bash("chmod +x /usr/local/sbin/lego")
        self.home.bash(self.guide.block("apt-get install -y lego"), limit=900)
        self.home.bash(self.guide.block("nearside-spread <<"))
        self.expect_issuer("203.0.113.10")
        unneeded = self.home.bash(self.guide.block("renew --renew-hook"))
        require("no renewal" in unneeded, f"a new certificate is renewed: {unneeded}")

    def renew_certificate(self) -> None:
        """Early, through the edges, to which DNS leads the authority now; every machine shows the new one by itself."""
        before = self.serials()
        asks = [Visitor(visitor) for visitor in self.visitors.values()]
        block = self.guide.block("renew --renew-hook")
        # For cron lego waits some minutes, not always as many, so that not all the world renews at once.
        self.home.bash(block.replace("renew --", "renew --days 9999 --no-random-sleep --"))
        wait_until(lambda: len(set(self.serials())) == 1 and not set(self.serials()) & set(before),
                   "every machine shows the new certificate", 20)
        print(f"  renewed: {require_none_failed(asks)}")

    def serials(self) -> list[str]:
        return [self.shown(address, "-serial") for name in EDGES for address in SERVERS[name]]

    def expect_issuer(self, address: str) -> None:
        """A moment after the files have changed the new certificate is shown."""
        wait_until(lambda: "Pebble" in self.shown(address, "-issuer"), f"{address} shows the certificate", 20)

    def shown(self, address: str, what: str) -> str:
        ask = f"openssl s_client -connect {address}:443 -servername www.example.org </dev/null 2>/dev/null"
        return self.home.bash(f"{ask} | openssl x509 -noout {what}", check=False).strip()

    def start_edges(self) -> None:
        self.home.bash(self.guide.block("/etc/nearside/fleet.token' </etc"))
        for name in EDGES:
            self.start_edge(name)

    def start_edge(self, name: str) -> None:
        server = self.servers[name]
        self.guide.says("which has to be there (remove the `#`)")
        server.edit("/etc/nearside/edge.toml", ('name = "frankfurt"', f'name = "{name}"'),
                    ('origins = ["http://127.0.0.1:9000"]', 'origins = ["https://origin.example.org:9443"]'),
                    ("# [fleet]", "[fleet]"), ("# events =", "events ="),
                    ('# token_file = "/etc/nearside/fleet.token"', 'token_file = "/etc/nearside/fleet.token"'),
                    # These containers have no 10 GiB each to give away.
                    ('disk = "10GiB"', 'disk = "256MiB"'), ('memory = "1GiB"', 'memory = "64MiB"'))
        if name == "tokyo":
            self.guide.says("on `tokyo` the two `[[listen]]` say `203.0.113.20:443` and `203.0.113.20:80`")
            server.edit("/etc/nearside/edge.toml", ('"0.0.0.0:443"', '"203.0.113.20:443"'),
                        ('"0.0.0.0:80"', '"203.0.113.20:80"'))
        server.bash(self.guide.block("systemctl enable --now nearside-edge"))

    def publish_first(self) -> None:
        self.home.bash(self.guide.block("install -d ~/.config/nearside"))
        self.put_site(self.pages)
        receipt = self.home.bash(self.guide.block("--host www.example.org --host example.org"))
        for name in EDGES:
            require(re.search(rf"^{name} ", receipt, re.MULTILINE) is not None, f"no {name} in the receipt:\n{receipt}")
        looked = self.home.bash(self.guide.block("nearside status\n"))
        require("hit" in looked, looked)
        asked = self.guide.block("explain?name=www.example.org")
        wait_until(lambda: "203.0.113.20" in self.home.bash(asked).split()[0], "Tokyo is led to its own edge")
        for name, edge in NEAREST.items():
            self.expect_near(self.visitors[name], edge)
        self.home.bash(self.guide.block("nearside token create ci"))
        published = self.home.bash("nearside --token-file ci.token publish ./public --site example")
        print(published.strip().splitlines()[-1])
        refused = self.home.bash("nearside --token-file ~/ci.token purge https://www.example.org/ 2>&1", check=False)
        require("403" in refused or "scope" in refused, f"that token may purge: {refused}")

    def put_site(self, pages: dict[str, str]) -> None:
        self.home.bash("rm -rf ~/public && mkdir ~/public")
        for name, page in pages.items():
            self.home.write(f"~/public/{name}", page)

    @staticmethod
    def visit(visitor: Server, path: str = "/") -> dict:
        printed = visitor.bash("curl -s -o /tmp/body --max-time 10 -w '%{json}\\n%{header_json}' "
                               f"https://www.example.org{path} || true; echo; cat /tmp/body", check=False)
        described, _, rest = printed.partition("\n")
        fields, _, body = rest.partition("}\n")
        seen = json.loads(described) | {"fields": json.loads(fields + "}"), "body": body.strip()}
        return seen

    def expect_near(self, visitor: Server, edge: str) -> None:
        """A visitor of that place gets the page from its own edge, over HTTP/2, with a certificate that it trusts."""
        there = (SERVERS | NEW_EDGE)[edge][0]
        wait_until(lambda: self.visit(visitor)["remote_ip"] == there, f"{visitor.name} is led home")
        seen = self.visit(visitor)
        require(seen["http_code"] == 200 and seen["http_version"] == "2", f"{visitor.name}: {seen}")
        require(seen["fields"]["cache-status"][0].startswith(f'"{edge}"'), f"{visitor.name}: {seen['fields']}")

    def lose_origin(self) -> None:
        """Pages that nobody has visited are served without an origin, as that section tells."""
        block = self.guide.block("keep_whole = true")
        added = "".join(line + "\n" for line in block.splitlines() if line.startswith("keep_"))
        for name in EDGES:
            last = "redirect_https = true\n"
            self.servers[name].edit("/etc/nearside/edge.toml", (last, last + added))
            self.servers[name].bash("systemctl reload nearside-edge")
        self.pages["never.html"] = page_of("never visited")
        self.put_site(self.pages)
        self.home.bash("nearside publish ./public --site example")
        for name in EDGES:
            wait_until(lambda name=name: self.kept(name), f"{name} holds all of the site")
        self.home.bash("systemctl stop nearside-origin")
        for visitor in self.visitors.values():
            seen = self.visit(visitor, "/never.html")
            require(seen["http_code"] == 200 and seen["body"] == self.pages["never.html"], f"{visitor.name}: {seen}")
        self.home.bash("systemctl start nearside-origin")

    def move_jobs(self) -> None:
        """A worker encodes what is published next, and the origin nothing any more; both go on under their units."""
        self.home.bash(self.guide.block("--role api"))
        active = self.home.bash("systemctl is-active nearside-origin nearside-worker")
        require(active.split() == ["active", "active"], active)
        self.pages["large.html"] = page_of("encoded beforehand", 500)
        self.put_site(self.pages)
        self.home.bash("nearside publish ./public --site example")
        self.expect_worker_done(1)
        require(self.jobs_done(7090) == 0, "the origin leaves jobs to the worker")
        # SIGTERM ends it gracefully, and SIGHUP has it read its settings anew, as those of the other units.
        self.home.bash("systemctl reload nearside-worker && systemctl restart nearside-worker")
        require(self.unit("nearside-worker", "Result") == "success", "the worker ends well")

    def expect_worker_done(self, least: int) -> None:
        wait_until(lambda: self.jobs_done(7091) >= least, f"the worker has done {least}")
        asked = self.guide.block("7091/metrics")
        wait_until(lambda: "No job waits or runs." in self.home.bash(asked), "no job waits")

    def jobs_done(self, port: int) -> int:
        metrics = self.home.bash(f"curl -s http://127.0.0.1:{port}/metrics")
        return sum(map(int, re.findall(r"^nearside_origin_jobs_done_total\S* (\d+)", metrics, re.MULTILINE)))

    def unit(self, name: str, what: str) -> str:
        return self.home.bash(f"systemctl show --property {what} --value {name}").strip()

    def kept(self, name: str) -> bool:
        metrics = self.servers[name].bash("curl -s http://127.0.0.1:7080/metrics")
        found = dict(re.findall(r"^nearside_edge_kept_(held|wanted)_urls\S* (\d+)", metrics, re.MULTILINE))
        return len(found) == 2 and found["held"] == found["wanted"] != "0"

    def add_edge(self) -> None:
        name, = NEW_EDGE
        self.found(name, NEW_EDGE[name])
        self.install(name)
        self.guide.says("bring it token and certificate, set and start it, as above (and name it in `nearside-spread`)")
        self.home.bash(self.guide.block("/etc/nearside/fleet.token' </etc").replace("frankfurt virginia", name))
        self.home.edit("/usr/local/sbin/nearside-spread", ("virginia tokyo;", f"virginia tokyo {name};"))
        self.home.bash("nearside-spread")
        self.start_edge(name)
        wait_until(lambda: name in self.home.bash("nearside status"), f"`nearside status` shows {name}")
        asks = [Visitor(visitor) for visitor in self.visitors.values()]
        for server in ("ns1", "ns2"):
            self.servers[server].edit(
                "/etc/nearside/geodns.toml", ('"virginia", "tokyo"]', f'"virginia", "tokyo", "{name}"]'),
                ("[[zone]]", POP.replace("@NAME@", name).replace("@ADDRESS@", NEW_EDGE[name][0]) + "\n[[zone]]"))
            self.servers[server].bash(self.guide.block("systemctl reload nearside-geodns"))
        visitor = self.visitors["visitor-sydney"]
        wait_until(lambda: self.visit(visitor)["remote_ip"] == NEW_EDGE[name][0], f"visitors are led to {name}", 180)
        self.expect_near(visitor, name)
        print(f"  an edge more: {require_none_failed(asks)}")

    def remove_edge(self) -> None:
        name, = NEW_EDGE
        asks = [Visitor(visitor) for visitor in self.visitors.values()]
        self.guide.says("Take its name out of the rules, and its `[[pop]]`, and reload both name servers")
        for server in ("ns1", "ns2"):
            self.servers[server].edit(
                "/etc/nearside/geodns.toml", (f'"virginia", "tokyo", "{name}"]', '"virginia", "tokyo"]'),
                (POP.replace("@NAME@", name).replace("@ADDRESS@", NEW_EDGE[name][0]) + "\n[[zone]]", "[[zone]]"))
            self.servers[server].bash(self.guide.block("systemctl reload nearside-geodns"))
        visitor = self.visitors["visitor-sydney"]
        wait_until(lambda: self.visit(visitor)["remote_ip"] == SERVERS["tokyo"][0], f"visitors leave {name}", 180)
        time.sleep(5)
        self.servers[name].bash(self.guide.block("systemctl disable --now nearside-edge"))
        self.home.bash(self.guide.block("nearside edges forget sydney"))
        require(name not in self.home.bash("nearside edges"), f"{name} is still listed")
        print(f"  an edge less: {require_none_failed(asks)}")
        self.servers[name].bash("apt-get purge -y nearside")
        left = self.servers[name].bash("ls -d /var/lib/nearside /var/log/nearside /usr/bin/nearside 2>&-", check=False)
        require(left.strip() == "", f"the package leaves {left}")

    def upgrade(self) -> None:
        """In the order of the text, while visitors ask; each edge drained before."""
        version = "nearside_0.1.1_amd64.deb"
        newer = self.rebuild_package("0.1.1")
        for server in self.servers.values():
            server.write(f"~/{version}", newer)
        self.guide.says("Order: name servers one by one, the origin, edges one region after the other.")
        block = self.guide.block("nearside drain frankfurt")
        install, = re.findall(r"^ssh frankfurt (.*)$", block, re.MULTILINE)
        asks = [Visitor(visitor, "--every", "100") for visitor in self.visitors.values()]
        for name in ("ns1", "ns2"):
            self.servers[name].bash(install, limit=600)
        self.guide.says("On `tokyo` one installation restarts both the origin and its edge, so that one is drained")
        for name in ("tokyo", "frankfurt", "virginia"):
            self.home.bash(block.replace("frankfurt", name), limit=900)
            self.expect_near(self.visitors[f"visitor-{name}"], name)
        for name in SERVERS:
            installed = self.servers[name].bash("dpkg-query --show --showformat '${Version}' nearside")
            require(installed == "0.1.1", f"{name} has {installed}")
        active = self.home.bash("systemctl is-active nearside-origin nearside-worker nearside-edge")
        require(active.split() == ["active"] * 3, active)
        require('"203.0.113.10:443"' in self.home.read("/etc/nearside/origin.toml"), "changed settings stay")
        newer_sample = self.home.read("/etc/nearside/origin.toml.dpkg-dist")
        require("A newer sample" in newer_sample, "new samples lie beside them")
        print(f"  upgrade: {require_none_failed(asks)}")

    def rebuild_package(self, version: str) -> bytes:
        """The same programs as a later version, whose samples have changed."""
        with tempfile.TemporaryDirectory() as folder:
            root, made = pathlib.Path(folder, "root"), pathlib.Path(folder, "made.deb")
            run("dpkg-deb", "-R", str(self.package), str(root))
            control = root / "DEBIAN/control"
            for sample in (root / "etc/nearside").glob("*.toml"):
                sample.write_text("# A newer sample.\n" + sample.read_text())
            control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
            run("dpkg-deb", "-b", "-Zgzip", "-z1", "--root-owner-group", str(root), str(made))
            return made.read_bytes()

    def lose_state(self) -> None:
        """Backup, a publish after it, the loss of all that the origin holds, and what is there after the restore."""
        backup = self.guide.block("nearside-origin backup")
        self.home.bash(backup)
        self.home.bash(backup)  # the next one into the same folder
        kept = dict(self.pages)
        self.pages["index.html"] = page_of("published after the backup")
        self.put_site(self.pages)
        self.home.bash("nearside publish ./public --site example")
        for visitor in self.visitors.values():
            require(self.visit(visitor)["body"] == self.pages["index.html"], "the later release is served")
        self.home.bash("systemctl stop nearside-worker nearside-origin && rm -rf /var/lib/nearside/origin")
        restored = self.guide.block("nearside-origin restore")
        began = time.monotonic()
        self.home.bash(restored)
        self.guide.says("and nearside-worker, where one does the jobs")
        self.home.bash("systemctl start nearside-worker")
        self.pages = kept
        for visitor in self.visitors.values():
            wait_until(lambda visitor=visitor: self.visit(visitor)["body"] == kept["index.html"],
                       f"{visitor.name} gets the release of the backup")
        print(f"  restored: every region serves the release of the backup after {time.monotonic() - began:.1f} s")
        self.guide.says("What was encoded beforehand is made anew.")
        self.expect_worker_done(1)
        # The tokens are as they were, and what comes now is published and proved as ever.
        self.pages["index.html"] = page_of("after the restore")
        self.put_site(self.pages)
        wait_until(lambda: "publish" in self.home.bash(
            "nearside --token-file ci.token publish ./public --site example && echo publish", check=False),
            "every edge proves the next release")
        self.home.bash("nearside check")
        for visitor in self.visitors.values():
            require(self.visit(visitor)["body"] == self.pages["index.html"], "the release after the restore is served")

    # --- from the beginning to the end

    def found(self, name: str, addresses: list[str]) -> None:
        self.servers[name] = Server(name, self.image, addresses, self.names())

    def go(self) -> None:
        began = time.monotonic()

        def step(text: str, action: Callable[[], None]) -> None:
            print(f"operate: {text}", flush=True)
            action()

        step("the world: a registry, a resolver, an authority", self.found_world)
        step("five plain servers", lambda: [self.found(name, addresses) for name, addresses in SERVERS.items()])
        for name, addresses in VISITORS.items():
            self.visitors[name] = Server(name, self.image + "-world", addresses, self.names())
            self.visitors[name].write("/usr/local/bin/hammer.py", HAMMER.read_text())
            self.visitors[name].bash("chmod +x /usr/local/bin/hammer.py")
            self.trust_authority(self.visitors[name])
        step("the package", lambda: [self.install(name) for name in SERVERS])
        self.rate_units()
        step("the origin", self.start_origin)
        step("name servers, and the delegation", self.start_name_servers)
        step("a certificate", self.get_certificate)
        step("edges", self.start_edges)
        step("the first publish", self.publish_first)
        print(f"operate: a site on three edges, {time.monotonic() - began:.0f} s from nothing", flush=True)
        step("a certificate anew", self.renew_certificate)
        step("without an origin", self.lose_origin)
        step("jobs apart from the origin", self.move_jobs)
        step("an edge more", self.add_edge)
        step("an edge less", self.remove_edge)
        step("the next version", self.upgrade)
        step("backup and restore", self.lose_state)
        unused = self.guide.unused()
        require(not unused, "nobody has run these blocks of the text:\n" + "\n".join(unused))
        print(f"operate: every command of {GUIDE.name} was run, in {time.monotonic() - began:.0f} s")


def page_of(text: str, times: int = 50) -> str:
    return f"<!doctype html><title>{text}</title>" + f"<p>{text}</p>" * times


POP = """[[pop]]
name = "@NAME@"
addresses = ["@ADDRESS@"]
location = [-33.87, 151.21]
check = { url = "https://@ADDRESS@/healthz", server_name = "www.example.org" }
"""

KNOT = """server:
    listen: 127.0.0.1@5300
zone:
  - domain: org
    file: /etc/knot/org.zone
"""

ORG = """$ORIGIN org.
$TTL 1
@ SOA ns.registry hostmaster.registry 1 3600 600 604800 1
@ NS ns.registry
ns.registry A 127.0.0.1
"""

DELEGATION = """example NS ns1.example
example NS ns2.example
ns1.example A 192.0.2.53
ns2.example A 198.51.100.53
"""

UNBOUND = f"""server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  do-not-query-localhost: no
  module-config: "subnetcache iterator"
  send-client-subnet: 192.0.2.53
  send-client-subnet: 198.51.100.53
  max-client-subnet-ipv4: 24
  client-subnet-always-forward: yes
stub-zone:
  name: "org"
  stub-addr: 127.0.0.1@5300
forward-zone:
  name: "debian.org"
  forward-addr: @OUTSIDE@
forward-zone:
  name: "."
  forward-addr: @OUTSIDE@
"""

LEGO = """#!/bin/sh
LEGO_CA_CERTIFICATES=/etc/acme.pem exec /usr/bin/lego --server https://acme:14000/dir "$@"
"""


def runs_systemd(image: str) -> bool:
    try:
        Server("trial", image, [], {})
    except WalkFailed:
        return False
    run("docker", "rm", "-fv", f"{NETWORK}-trial")
    return True


def take_down() -> None:
    for container in run("docker", "ps", "-aq", "--filter", f"name=^{NETWORK}-").split():
        run("docker", "rm", "-fv", container)
    run("docker", "network", "rm", NETWORK, check=False)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    take_down()
    run("docker", "network", "create", "--subnet", SUBNET, NETWORK)
    try:
        if not runs_systemd(sys.argv[2]):
            return 77
        Walk(pathlib.Path(sys.argv[1]), sys.argv[2]).go()
    except WalkFailed as failure:
        print(f"operate: FAILED: {failure}")
        return 1
    finally:
        if "NEARSIDE_KEEP" not in os.environ:
            take_down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
