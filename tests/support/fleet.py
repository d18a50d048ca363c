"""Edges, name server and origin as the system tests want them: configured, started, asked."""

import json
import pathlib
import re
import subprocess
import tarfile
import urllib.request

from clients import DnsAnswer, Response, curl, kdig
from nearside_harness import CACHE, Daemon, SystemTest, authority, run_program, wait_until
from scripted_origin import ScriptedOrigin

import fetch_npm  # of deploy/demo, which nearside_harness puts into the path

SITE_HOST = "www.demo.test"
PLACES = {"frankfurt": (50.11, 8.68), "virginia": (39.04, -77.49), "tokyo": (35.68, 139.69)}
TOKEN = "test-token-0123456789abcdef"
COUNTRY_PACKAGE = "@ip-location-db/geo-whois-asn-country-mmdb"


def country_database() -> pathlib.Path:
    """The real CC0 country MMDB, fetched once and kept in NEARSIDE_CACHE."""
    target = CACHE / "country.mmdb"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fetch_npm.fetch(COUNTRY_PACKAGE, CACHE)) as tarball:
            data = tarball.extractfile("package/geo-whois-asn-country.mmdb").read()
        partial = target.with_suffix(".part")
        partial.write_bytes(data)
        partial.replace(target)
    return target


class Metrics:
    """What /metrics told: `metrics.sum("name", result="hit")` adds up the series that have these labels."""

    LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text: str) -> None:
        self.text = text
        self.series = [(match[1], dict(self.LABEL.findall(match[2] or "")), float(match[3]))
                       for match in map(self.LINE.match, text.splitlines()) if match]

    def sum(self, name: str, **labels: str) -> float:
        return sum(value for series, found, value in self.series
                   if series == name and labels.items() <= found.items())

    def has(self, name: str) -> bool:
        return any(series == name for series, _, _ in self.series)


def fetch_text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read().decode()


class Edge:
    """One nearside-edge with a TLS, a clear and an admin listener."""

    def __init__(self, test: SystemTest, name: str, *, origins: list[str], tls_port: int = 0, address: str = "",
                 site: str = "", extra: str = "", edge: str = "", cache: str = "", events: list[str] = (),
                 disk: str = "64MiB", hosts: tuple[str, ...] = (SITE_HOST,), prefix: tuple[str, ...] = ()) -> None:
        """`site`, `edge`, `cache`: more lines for these tables; `extra`: whole tables at the end."""
        self.name = name
        self.address = address or test.addresses.address()
        self.tls = (self.address, tls_port or test.addresses.port())
        self.clear = (self.address, test.addresses.port())
        self.admin = (self.address, test.addresses.port())
        self.folder = test.folder / name
        self.token_path = test.folder / "edge.token"
        self.token_path.write_text(TOKEN + "\n")
        (test.folder / "fleet.token").write_text(TOKEN + "-fleet\n")
        fleet = ""
        if events:
            fleet = f'[fleet]\nevents = {json.dumps(list(events))}\ntoken_file = "{test.folder}/fleet.token"\n'
        config = f"""
[edge]
name = "{name}"
workers = 2
{edge}
[[listen]]
address = "{self.address}:{self.tls[1]}"
tls = true
[[listen]]
address = "{self.address}:{self.clear[1]}"
[admin]
address = "{self.address}:{self.admin[1]}"
token_file = "{self.token_path}"
[cache]
path = "{self.folder}"
disk = "{disk}"
memory = "16MiB"
{cache}
[[certificate]]
chain = "{authority()}/cert.pem"
key = "{authority()}/key.pem"
[[site]]
name = "demo"
hosts = {json.dumps(list(hosts))}
origins = {json.dumps(origins)}
{site}
{fleet}
{extra}
"""
        self.daemon: Daemon = test.add_daemon("nearside-edge", name, config, prefix)

    def start(self) -> "Edge":
        self.daemon.start()
        return self

    def get(self, target: str, *, host: str = SITE_HOST, **options) -> Response:
        """Over TLS, by whatever ALPN chooses (HTTP/2)."""
        return curl(f"https://{host}{target}", to=self.tls, ca=authority() / "ca.pem", **options)

    def get_clear(self, target: str, *, host: str = SITE_HOST, **options) -> Response:
        return curl(f"http://{host}{target}", to=self.clear, **{"http": "1.1", **options})

    def admin_url(self, path: str) -> str:
        return f"http://{self.admin[0]}:{self.admin[1]}{path}"

    def metrics(self) -> Metrics:
        return Metrics(fetch_text(self.admin_url("/metrics")))

    def status(self) -> dict:
        return json.loads(fetch_text(self.admin_url("/status")))

    def purge(self, **order) -> Response:
        fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        return curl(self.admin_url("/purge"), data=json.dumps({"site": "demo", **order}).encode(), fields=fields)

    def wait_until_stored(self, objects: int = 1) -> None:
        """Until so many objects are on disk, so that a kill -9 cannot lose them."""
        wait_until(lambda: self.status()["cache"]["disk_objects"] >= objects,
                   f"{self.name} has {objects} objects on disk")


class CacheTest(SystemTest):
    """What tests of responses expect, with the whole response in the message when it is otherwise."""

    def expect(self, response: Response, status: int) -> Response:
        self.assertEqual(status, response.status, f"\n{response}")
        return response

    def expect_hit(self, response: Response) -> Response:
        self.assertTrue(response.is_hit, f"expected a hit\n{response}")
        return response

    def expect_miss(self, response: Response) -> Response:
        self.assertFalse(response.is_hit, f"expected a miss\n{response}")
        self.assertIn("fwd=", response.cache_status, f"\n{response}")
        return response


class EdgeTest(CacheTest):
    """An edge in front of a scripted origin."""

    def setUp(self) -> None:
        super().setUp()
        address = self.addresses.address()
        self.origin = ScriptedOrigin(address, self.addresses.port(address)).start()
        self.addCleanup(self.origin.stop)

    def start_edge(self, name: str = "frankfurt", **options) -> Edge:
        return Edge(self, name, **{"origins": [self.origin.url], **options}).start()


class Origin:
    """One nearside-origin with its API, a TLS listener for visitors and an admin listener."""

    def __init__(self, test: SystemTest, *, address: str = "", tls_port: int = 0, node: str = "", extra: str = "",
                 name: str = "origin", prefix: tuple[str, ...] = (), role: str = "all") -> None:
        """Those of one test share their state; each has a `name` of its own. `node`: more lines for [origin]."""
        self.address = address or test.addresses.address()
        self.api = (self.address, test.addresses.port())
        self.tls = (self.address, tls_port or test.addresses.port())
        self.admin = (self.address, test.addresses.port())
        self.token_path = test.folder / "admin.token"
        self.token_path.write_text(TOKEN + "\n")
        (test.folder / "fleet.token").write_text(TOKEN + "-fleet\n")
        self.folder = test.folder / "origin"
        config = f"""
[origin]
name = "origin-1"
api = ["{self.address}:{self.api[1]}"]
{node}
[[listen]]
address = "{self.address}:{self.tls[1]}"
tls = true
[[certificate]]
chain = "{authority()}/cert.pem"
key = "{authority()}/key.pem"
[admin]
address = "{self.address}:{self.admin[1]}"
[storage]
metadata = "sqlite:{self.folder}/meta.db"
blobs = "file:{self.folder}/blobs"
sessions = "lmdb:{self.folder}/sessions"
queue = "lmdb:{self.folder}/queue"
[auth]
token_file = "{self.token_path}"
fleet_token_file = "{test.folder}/fleet.token"
{extra}
"""
        self.daemon: Daemon = test.add_daemon("nearside-origin", name, config, prefix, ("--role", role))

    def start(self) -> "Origin":
        self.daemon.start()
        return self

    @property
    def url(self) -> str:
        return f"http://{self.api[0]}:{self.api[1]}"

    def admin_url(self, path: str) -> str:
        return f"http://{self.admin[0]}:{self.admin[1]}{path}"

    def call(self, method: str, path: str, data: bytes | pathlib.Path | None = None, *, token: str | None = TOKEN,
             fields: dict[str, str] | None = None, **options) -> Response:
        """One request of the API; `token=None` sends none."""
        sent = dict(fields or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return curl(self.url + path, method=method, data=data, fields=sent, http="1.1", **options)

    def visit(self, target: str, *, host: str = SITE_HOST, **options) -> Response:
        """As a browser does that DNS has led straight to the origin."""
        return curl(f"https://{host}{target}", to=self.tls, ca=authority() / "ca.pem", **options)

    def client(self, *arguments: str | pathlib.Path, timeout: float = 60) -> subprocess.CompletedProcess:
        """The command-line client, `nearside`, with the origin and the token given."""
        return run_program("nearside", *self.client_arguments(*arguments), timeout=timeout)

    def client_arguments(self, *arguments: str | pathlib.Path) -> list[str]:
        return ["--origin", self.url, "--token-file", str(self.token_path), *map(str, arguments)]


class NameServer:
    """One nearside-geodns that steers www.demo.test over the given points of presence."""

    ZONE = """$ORIGIN demo.test.
$TTL 300
@        IN SOA  ns1 hostmaster 2026112001 3600 600 604800 60
@        IN NS   ns1
@        IN TXT  "static data"
ns1      IN A    127.0.0.1
text     IN TXT  "hello"
service  IN HTTPS 1 www alpn="h2,http/1.1" port=8443 ipv4hint=192.0.2.1
alias    IN CNAME www
*.wild   IN A    192.0.2.77
"""

    def __init__(self, test: SystemTest, pops: dict[str, tuple[str, int]], *, fallback: str = "",
                 address: str = "", port: int = 0, checks: bool = True, unknown: str = "frankfurt",
                 steer: str = "", extra: str = "", prefix: tuple[str, ...] = ()) -> None:
        """`pops`: name → address and port of its TLS listener. `unknown`: for clients without a place."""
        self.address = address or test.addresses.address()
        self.server = (self.address, port or test.addresses.port(self.address))
        self.admin = (self.address, test.addresses.port())
        self.zone_path = test.folder / "demo.test.zone"
        self.zone_path.write_text(self.ZONE)
        tables = ""
        for name, (pop_address, pop_port) in pops.items():
            check = (f'check = {{ url = "https://{pop_address}:{pop_port}/healthz", ca = "{authority()}/ca.pem", '
                     f'server_name = "{SITE_HOST}", interval = "250ms", timeout = "1s", rise = 2, fall = 2 }}')
            tables += (f'[[pop]]\nname = "{name}"\naddresses = ["{pop_address}"]\nlocation = {list(PLACES[name])}\n'
                       f'{check if checks else ""}\n')
        fallback_line = f'fallback = ["{fallback}"]' if fallback else ""
        config = f"""
[geodns]
listen = ["{self.address}:{self.server[1]}"]
threads = 2
state = "{test.folder}/geodns"
[admin]
address = "{self.address}:{self.admin[1]}"
[geo]
databases = ["{country_database()}"]
{tables}
[[zone]]
name = "demo.test"
file = "{self.zone_path}"
[[zone.steer]]
names = ["www"]
policy = "nearest"
pops = {json.dumps(list(pops))}
ttl = 30
answers = 1
{fallback_line}
unknown = ["{unknown}"]
{steer}
{extra}
"""
        self.daemon: Daemon = test.add_daemon("nearside-geodns", "geodns", config, prefix)

    def start(self) -> "NameServer":
        self.daemon.start()
        return self

    def ask(self, name: str = SITE_HOST, kind: str = "A", *options: str, **more) -> DnsAnswer:
        return kdig(self.server, name, kind, *options, **more)

    def admin_url(self, path: str) -> str:
        return f"http://{self.admin[0]}:{self.admin[1]}{path}"


class FleetTest(CacheTest):
    """Name server, three edges and an origin with the demo's layout: one TLS port on every address."""

    def setUp(self) -> None:
        super().setUp()
        self.tls_port = self.addresses.port()
        self.origin = Origin(self, tls_port=self.tls_port).start()
        self.edges = {
            name: Edge(self, name, origins=[self.origin.url], tls_port=self.tls_port, events=[self.origin.url])
            for name in PLACES}
        for edge in self.edges.values():
            edge.daemon.start(wait=False)
        self.name_server = NameServer(self, {name: edge.tls for name, edge in self.edges.items()},
                                      fallback=self.origin.address)
        self.name_server.daemon.start(wait=False)
        for daemon in self.daemons:
            daemon.wait_for_log("event=ready")

    def publish(self, folder: pathlib.Path) -> subprocess.CompletedProcess:
        result = self.origin.client("publish", folder, "--site", "demo", "--host", SITE_HOST)
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        return result

    def wait_for_answer(self, address: str, subnet: str, what: str) -> None:
        wait_until(lambda: self.name_server.ask(subnet=subnet).answers == [address], what)
