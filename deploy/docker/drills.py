#!/usr/bin/env python3
"""Breaks things in the running demo, one after the other, and tells what visitors saw of it.

    drills.py [NAME...]     all of them, or these; --list names them
    drills.py --json FILE   writes the table as JSON as well

Each drill asks from a visitor's container, by its region's resolver and GeoDNS, all the while; asserts what has to
hold; measures how long it takes until everything is as it should be; and puts back what it broke. Ends with a table;
exits 1 when an assertion failed.
"""

import argparse
import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

HERE = pathlib.Path(__file__).resolve().parent
REGIONS = ("frankfurt", "virginia", "tokyo")
EDGES = [f"edge-{region}-{twin}" for region in REGIONS for twin in (1, 2)]
ORIGINS = ("origin-1", "origin-2")
NAME_SERVERS = ("ns1", "ns2")
ADDRESSES = {f"edge-{region}-{twin}": f"10.77.{number}.{10 + twin}"
             for number, region in enumerate(REGIONS, 1) for twin in (1, 2)}
LINKS = (("frankfurt", "virginia", "80ms"), ("virginia", "tokyo", "140ms"), ("frankfurt", "tokyo", "160ms"))


class DrillFailed(Exception):
    """An assertion of a drill; its text says what was seen."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise DrillFailed(what)


# --- the demo's containers ------------------------------------------------------------------------------------------

def compose_command() -> list[str]:
    """docker-compose 1.29, or the plugin of version 2."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return [*command, "--project-directory", str(HERE), "-f", str(HERE / "docker-compose.yml")]
    sys.exit("drills: neither `docker compose` nor docker-compose is here")


COMPOSE = compose_command()


def run(*command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, input=text, check=False)
    if check and done.returncode != 0:
        raise DrillFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def compose(*arguments: str) -> str:
    return run(*COMPOSE, *arguments).stdout


def container(service: str) -> str:
    if service not in container.known:
        container.known[service] = compose("ps", "-q", service).strip()
    require(bool(container.known[service]), f"the demo has no container {service}: is it running?")
    return container.known[service]


container.known = {}


def inside(service: str, *command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess:
    return run("docker", "exec", *(["-i"] if text is not None else []), container(service), *command, check=check,
               text=text)


def kill(*services: str) -> None:
    run("docker", "kill", *map(container, services))


def stop(service: str) -> float:
    began = time.monotonic()
    run("docker", "stop", container(service))
    return time.monotonic() - began


def start(*services: str) -> None:
    run("docker", "start", *map(container, services))


def is_healthy(service: str) -> bool:
    state = json.loads(run("docker", "inspect", "--format", "{{json .State}}", container(service)).stdout)
    return state["Running"] and state.get("Health", {"Status": "healthy"})["Status"] == "healthy"


def wait_until(holds: Callable[[], bool], what: str, limit: float = 60.0) -> float:
    """How many seconds it took."""
    began = time.monotonic()
    while not holds():
        require(time.monotonic() - began < limit, f"after {limit:.0f} s it still did not hold that {what}")
        time.sleep(0.2)
    return time.monotonic() - began


def wait_healthy(*services: str) -> None:
    for service in services:
        wait_until(lambda service=service: is_healthy(service), f"{service} is healthy")


def answer_of(region: str) -> list[str]:
    """Where the resolver of a region leads its visitors."""
    resolver = f"@10.77.{REGIONS.index(region) + 1}.5"
    digged = inside(f"visitor-{region}", "kdig", "+short", "www.demo.test", resolver)
    return sorted(digged.stdout.split())


def addresses_of(*services: str) -> list[str]:
    return sorted(ADDRESSES[service] for service in services)


def wait_answer(region: str, expected: list[str]) -> float:
    return wait_until(lambda: answer_of(region) == expected, f"{region} is led to {', '.join(expected)}")


def nearside(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """The client, in the container of an edge of Frankfurt."""
    return inside("edge-frankfurt-2", "nearside", "--config=/shared/client.toml", *arguments, check=check)


def set_links(cut_off: str = "") -> None:
    lines = [f"region {region} 10.77.{number}.0/24" for number, region in enumerate(REGIONS, 1)]
    lines += [f"link {one} {other} {'down' if cut_off in (one, other) else delay}" for one, other, delay in LINKS]
    inside("wide-area", "sh", "-c", "cat >/shared/links.new && mv /shared/links.new /shared/links",
           text="\n".join(lines) + "\n")


# --- visitors -------------------------------------------------------------------------------------------------------

class Hammer:
    """A visitor of one region who asks all the time, until told to report."""

    def __init__(self, region: str, seconds: float, *options: str) -> None:
        self.region = region
        self.process = subprocess.Popen(
            ["docker", "exec", container(f"visitor-{region}"), "hammer.py", "--seconds", str(seconds), *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def report(self) -> dict:
        out, errors = self.process.communicate(timeout=300)
        require(self.process.returncode == 0, f"the visitor of {self.region} ended badly: {errors.strip()}")
        return json.loads(out)


def get(region: str, path: str) -> tuple[int, str]:
    """Status and body of one request over HTTP/2."""
    done = inside(f"visitor-{region}", "curl", "-s", "--cacert", "/shared/ca.pem", "--max-time", "10", "-w",
                  "\n%{http_code}", f"https://www.demo.test{path}", check=False)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


@dataclasses.dataclass
class Row:
    """What came of a drill."""
    drill: str
    saw: str = ""
    seconds: float = 0.0  # until all was as it should be
    sent: int = 0
    failed: int = 0
    error: str = ""

    def count(self, *reports: dict) -> None:
        self.sent += sum(report["sent"] for report in reports)
        self.failed += sum(report["failed"] for report in reports)


def errors_of(report: dict) -> str:
    return ", ".join(f"{count}x {why}" for why, count in report["errors"].items())


# --- the drills -----------------------------------------------------------------------------------------------------

def edge_killed(row: Row) -> None:
    """One edge of Tokyo is killed: its twin serves."""
    hammer = Hammer("tokyo", 12)
    time.sleep(2)
    kill("edge-tokyo-1")
    row.seconds = wait_answer("tokyo", addresses_of("edge-tokyo-2"))
    report = hammer.report()
    row.count(report)
    start("edge-tokyo-1")
    require(report["failed"] == 0, f"requests failed: {errors_of(report)}")
    require(set(report["served"]) <= {"tokyo-1", "tokyo-2"}, f"served by {report['served']}")
    require(report["order"][-1][0] == "tokyo-2", "the twin serves at the end")
    row.saw = f"the twin, {report['retried']} times at the second attempt"
    wait_answer("tokyo", addresses_of("edge-tokyo-1", "edge-tokyo-2"))


def region_killed(row: Row) -> None:
    """Both edges of Tokyo are killed: the next nearest region serves."""
    hammer = Hammer("tokyo", 20)
    time.sleep(2)
    kill("edge-tokyo-1", "edge-tokyo-2")
    row.seconds = wait_answer("tokyo", addresses_of("edge-frankfurt-1", "edge-frankfurt-2"))
    report = hammer.report()
    row.count(report)
    start("edge-tokyo-1", "edge-tokyo-2")
    require(report["order"][-1][0].startswith("frankfurt"), f"served last by {report['order'][-1][0]}")
    require(report["last_failure_s"] < 2 + 15, f"requests failed until {report['last_failure_s']} s")
    row.saw = f"Frankfurt, slowest answer {report['slowest_ms']} ms"
    wait_answer("tokyo", addresses_of("edge-tokyo-1", "edge-tokyo-2"))


def all_edges_killed(row: Row) -> None:
    """All edges are killed: DNS leads to the origin."""
    hammers = [Hammer(region, 20) for region in REGIONS]
    time.sleep(2)
    kill(*EDGES)
    row.seconds = max(wait_answer(region, ["10.77.1.21", "10.77.1.22"]) for region in REGIONS)
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    start(*EDGES)
    for report in reports:
        require(report["order"][-1][0] == "origin", f"served last by {report['order'][-1][0]}")
        require(report["last_failure_s"] < 2 + 15, f"requests failed until {report['last_failure_s']} s")
    row.saw = "the origin itself"
    wait_healthy(*EDGES)
    for region in REGIONS:
        wait_answer(region, addresses_of(f"edge-{region}-1", f"edge-{region}-2"))


def origin_replica_killed(row: Row) -> None:
    """One replica of the origin is killed while visitors ask for what no edge has: the other one answers."""
    hammers = [Hammer("virginia", 12, "--fresh"), Hammer("frankfurt", 12, "--fresh")]
    time.sleep(3)
    kill("origin-1")
    time.sleep(4)
    start("origin-1")
    row.seconds = wait_until(lambda: is_healthy("origin-1"), "the replica is back")
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    for report in reports:
        require(report["failed"] == 0, f"requests failed: {errors_of(report)}")
    row.saw = f"nothing; slowest answer {max(report['slowest_ms'] for report in reports)} ms"


def origins_killed(row: Row) -> None:
    """Both replicas of the origin are killed: the edges go on with what they have."""
    for region in REGIONS:
        require(get(region, "/")[0] == 200, "the page is there before")
    hammers = [Hammer(region, 10) for region in REGIONS]
    time.sleep(2)
    kill(*ORIGINS)
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    status, _ = get("tokyo", "/never-asked-for")
    start(*ORIGINS)
    row.seconds = wait_until(lambda: get("tokyo", "/never-asked-for")[0] == 404, "the origin is asked again")
    for report in reports:
        require(report["failed"] == 0, f"requests failed: {errors_of(report)}")
    require(status in (502, 504), f"what no edge has was answered {status}")
    row.saw = f"what edges have; the rest is {status}"
    wait_healthy(*ORIGINS)


def name_server_killed(row: Row) -> None:
    """One of the two name servers is killed: resolvers ask the other."""
    hammers = [Hammer(region, 15) for region in REGIONS]
    time.sleep(2)
    kill("ns1")
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    start("ns1")
    for report in reports:
        require(report["failed"] == 0, f"requests failed: {errors_of(report)}")
    row.seconds = wait_until(lambda: is_healthy("ns1"), "the name server is back")
    row.saw = f"nothing; slowest answer {max(report['slowest_ms'] for report in reports)} ms"


def publish(text: str) -> None:
    """A new release in which one page says `text`."""
    page = f"<!doctype html><title>{text}</title>" + f"<p>{text}</p>" * 2000
    inside("edge-frankfurt-2", "sh", "-c", "cat >/tmp/version.html", text=page)
    nearside("assets", "put", "/tmp/version.html", "version.html", "--site=demo")


def region_cut_off(row: Row) -> None:
    """Tokyo is cut off from everything while others purge: it serves, and catches up before it serves the purged."""
    publish("before")
    wait_until(lambda: "before" in get("tokyo", "/version.html")[1], "Tokyo has the page")
    set_links(cut_off="tokyo")
    hammer = Hammer("tokyo", 12)
    try:
        time.sleep(2)
        publish("after")
        purge = nearside("purge", "/version.html", "--site=demo", "--wait=3s", check=False)
        require(purge.returncode == 3, f"a purge that Tokyo cannot confirm ended with {purge.returncode}")
        require(get("virginia", "/version.html")[1].count("after") > 0, "Virginia has the new page")
        report = hammer.report()
    finally:
        set_links()
    row.count(report)
    # From the moment in which it says that it has caught up, nothing old may come from it.
    row.seconds = wait_until(lambda: nearside("purge", "/version.html", "--site=demo", "--wait=1s",
                                              check=False).returncode == 0, "every edge confirms")
    require("after" in get("tokyo", "/version.html")[1], "Tokyo serves the new page once it has confirmed")
    require(report["failed"] == 0, f"requests failed while it was cut off: {errors_of(report)}")
    row.saw = "its own edges' copies; after the receipt the new page alone"


def publish_under_load(row: Row) -> None:
    """Publish and roll back ten times while every region asks: each response is wholly of one release."""
    publish("release 0")
    hammers = [Hammer(region, 20, "--path", "/version.html") for region in REGIONS]
    time.sleep(1)
    began = time.monotonic()
    for number in range(1, 11):
        publish(f"release {number}")
    row.seconds = time.monotonic() - began
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    bodies = set().union(*(report["bodies"] for report in reports))
    for report in reports:
        require(report["failed"] == 0, f"requests failed: {errors_of(report)}")
        by_edge: dict[str, list[str]] = {}
        for server, body, _ in report["order"]:
            by_edge.setdefault(server, []).append(body)
        for server, seen in by_edge.items():
            switched = [body for number, body in enumerate(seen) if number == 0 or seen[number - 1] != body]
            require(len(switched) == len(set(switched)), f"{server} went back to an older release: {switched}")
    require(len(bodies) <= 11, f"{len(bodies)} different answers for 11 releases")
    row.saw = f"{len(bodies)} releases, each whole, none twice"


def rolling_upgrade(row: Row) -> None:
    """Every container is drained and started again, one after the other."""
    hammers = [Hammer(region, 100, "--every", "100") for region in REGIONS]
    began = time.monotonic()
    slowest = 0.0
    for service in (*EDGES, *ORIGINS, *NAME_SERVERS):
        slowest = max(slowest, stop(service))
        start(service)
        wait_healthy(service)
        if service in ADDRESSES:
            region = service.split("-")[1]
            wait_answer(region, addresses_of(f"edge-{region}-1", f"edge-{region}-2"))
    row.seconds = time.monotonic() - began
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    for report in reports:
        require(report["failed"] == 0, f"requests failed: {errors_of(report)}")
    require(slowest < 10, f"one took {slowest:.1f} s to stop")
    row.saw = f"nothing; slowest answer {max(report['slowest_ms'] for report in reports)} ms"


DRILLS = {drill.__name__.replace("_", "-"): drill for drill in (
    edge_killed, region_killed, all_edges_killed, origin_replica_killed, origins_killed, name_server_killed,
    region_cut_off, publish_under_load, rolling_upgrade)}


# --- the table ------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Whatever a drill left broken is mended before the next one."""
    try:
        yield
    finally:
        set_links()
        everything = (*EDGES, *ORIGINS, *NAME_SERVERS)
        stopped = [service for service in everything if not is_healthy(service)]
        if stopped:
            start(*stopped)
        wait_healthy(*everything)


def perform(name: str) -> Row:
    row = Row(name)
    print(f"{name}: {DRILLS[name].__doc__}", flush=True)
    try:
        with put_back():
            DRILLS[name](row)
    except DrillFailed as failure:
        row.error = str(failure)
    mark = "FAILED: " + row.error if row.error else row.saw
    print(f"  {mark} ({row.seconds:.1f} s, {row.sent} requests, {row.failed} failed)", flush=True)
    return row


def print_table(rows: list[Row]) -> None:
    print("\n| drill | what visitors saw | seconds to normal | requests | failed |\n|---|---|---|---|---|")
    for row in rows:
        saw = f"**failed**: {row.error}" if row.error else row.saw
        print(f"| {row.drill} | {saw} | {row.seconds:.1f} | {row.sent} | {row.failed} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="drills; all of them when none is named")
    parser.add_argument("--list", action="store_true", help="name the drills and say what each does")
    parser.add_argument("--json", metavar="FILE", help="write the table there as JSON, too")
    options = parser.parse_args()
    if options.list:
        for name, drill in DRILLS.items():
            print(f"{name:24} {drill.__doc__}")
        return 0
    unknown = [name for name in options.names if name not in DRILLS]
    if unknown:
        parser.error(f"no such drill: {', '.join(unknown)}; there are {', '.join(DRILLS)}")
    rows = [perform(name) for name in options.names or DRILLS]
    print_table(rows)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n")
    return 1 if any(row.error for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
