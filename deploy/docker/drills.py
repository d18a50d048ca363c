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
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

from containers import (
    ADDRESSES, CLOCK_OFF, EDGES, NAME_SERVER_ADMINS, NAME_SERVERS, ORIGINS, REGIONS, TTL, DrillFailed,
    active_release, addresses_of, answer_of, compose, container, inside, is_healthy, kill, nearside, require, run,
    running, set_links, start, started_at, stop, wait_all_answers, wait_answer, wait_healthy, wait_until,
)

DASHBOARDS = pathlib.Path(__file__).resolve().parents[1] / "dashboards"
SILENT = {"origin-processes", "logs"}  # the one sleeps, the other writes what it has to say among the rest


# --- visitors -------------------------------------------------------------------------------------------------------

class Hammer:
    """A visitor of one region who asks all the time, until told to report."""

    running: list["Hammer"] = []
    MOST_SECONDS = 400

    def __init__(self, region: str, *options: str) -> None:
        self.region = region
        self.stop_file = f"/tmp/stop-{time.time_ns()}"
        self.process = subprocess.Popen(
            ["docker", "exec", container(f"visitor-{region}"), "hammer.py", "--seconds", str(self.MOST_SECONDS),
             "--until", self.stop_file, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        Hammer.running.append(self)
        # It has asked once when it says so: what is broken from now on is broken under it.
        require(self.process.stdout.readline().strip() == "asking", f"the visitor of {region} does not ask")

    def report(self) -> dict:
        require(self.process.poll() is None, f"the visitor of {self.region} ended too early")
        Hammer.running.remove(self)
        inside(f"visitor-{self.region}", "touch", self.stop_file)
        out, errors = self.process.communicate(timeout=60)
        require(self.process.returncode == 0, f"the visitor of {self.region} ended badly: {errors.strip()}")
        report = json.loads(out)
        require(bool(report["order"]), f"nothing was served in {self.region}: {errors_of(report)}")
        return report

    @classmethod
    def end_all(cls) -> None:
        for hammer in list(cls.running):
            with contextlib.suppress(DrillFailed, subprocess.TimeoutExpired, ValueError):
                hammer.report()
        cls.running.clear()


def hammers_everywhere(*options: str) -> list[Hammer]:
    return [Hammer(region, *options) for region in REGIONS]


def get(region: str, path: str, address: str = "") -> tuple[int, str]:
    """Status and body of one request over HTTP/2; where DNS leads, or at one address."""
    there = ["--resolve", f"www.demo.test:443:{address}"] if address else []
    done = inside(f"visitor-{region}", "curl", "-s", "--cacert", "/shared/ca.pem", "--max-time", "10", *there, "-w",
                  "\n%{http_code}", f"https://www.demo.test{path}", check=False)
    body, _, status = done.stdout.rpartition("\n")
    return int(status or 0), body


def get_at_edges(region: str, path: str) -> list[str]:
    """The bodies that the two edges of a region answer."""
    return [get(region, path, ADDRESSES[f"edge-{region}-{twin}"])[1] for twin in (1, 2)]


def cache_status(region: str, address: str, path: str) -> str:
    """What one edge says of its answer."""
    done = inside(f"visitor-{region}", "curl", "-s", "-o", "/dev/null", "--cacert", "/shared/ca.pem", "--max-time",
                  "10", "--resolve", f"www.demo.test:443:{address}", "-w", "%{header_json}",
                  f"https://www.demo.test{path}")
    return ", ".join(json.loads(done.stdout).get("cache-status", []))


@dataclasses.dataclass
class Row:
    """What came of a drill."""
    drill: str
    saw: str = ""
    seconds: float = 0.0  # from the break until all was as it should be
    sent: int = 0
    failed: int = 0
    retried: int = 0  # answered by the second address of the name
    error: str = ""

    def count(self, *reports: dict) -> None:
        self.sent += sum(report["sent"] for report in reports)
        self.failed += sum(report["failed"] for report in reports)
        self.retried += sum(report["retried"] for report in reports)


def require_in_order(report: dict, pages: list[str]) -> None:
    """Every edge served whole pages of ours alone, in the order in which they were published."""
    expected = [hashlib.sha256(page.encode()).hexdigest()[:12] for page in pages]
    by_edge: dict[str, list[str]] = {}
    for server, body, _ in report["order"]:
        seen = by_edge.setdefault(server, [])
        if not seen or seen[-1] != body:
            seen.append(body)
    for server, seen in by_edge.items():
        left = iter(expected)
        require(all(body in left for body in seen), f"{server} served {seen}, published were {expected}")


def require_none_failed(*reports: dict) -> None:
    for report in reports:
        require(report["failed"] == 0, f"requests failed: {errors_of(report)}")


def slowest(*reports: dict) -> str:
    return f"slowest answer {max(report['slowest_ms'] for report in reports)} ms"


def errors_of(report: dict) -> str:
    return ", ".join(f"{count}x {why}" for why, count in report["errors"].items())


# --- the drills -----------------------------------------------------------------------------------------------------

def edge_killed(row: Row) -> None:
    """One edge of Tokyo is killed: its twin serves."""
    hammer = Hammer("tokyo")
    began = time.monotonic()
    kill("edge-tokyo-1")
    wait_answer("tokyo", addresses_of("edge-tokyo-2"))
    row.seconds = time.monotonic() - began
    time.sleep(TTL)
    report = hammer.report()
    row.count(report)
    start("edge-tokyo-1")
    require_none_failed(report)
    require(set(report["served"]) <= {"tokyo-1", "tokyo-2"}, f"served by {report['served']}")
    require(report["order"][-1][0] == "tokyo-2", "the twin serves at the end")
    row.saw = f"the twin, {report['retried']} times at the second attempt"


def region_killed(row: Row) -> None:
    """Both edges of Tokyo are killed: the next nearest region serves."""
    hammer = Hammer("tokyo")
    began = time.monotonic()
    kill("edge-tokyo-1", "edge-tokyo-2")
    wait_answer("tokyo", addresses_of("edge-frankfurt-1", "edge-frankfurt-2"))
    row.seconds = time.monotonic() - began
    time.sleep(2 * TTL)
    report = hammer.report()
    row.count(report)
    start("edge-tokyo-1", "edge-tokyo-2")
    require(report["order"][-1][0].startswith("frankfurt"), f"served last by {report['order'][-1][0]}")
    require(report["last_failure_s"] < row.seconds + TTL + 5, f"requests failed until {report['last_failure_s']} s")
    row.saw = f"Frankfurt, {slowest(report)}"


def all_edges_killed(row: Row) -> None:
    """All edges are killed: DNS leads to the origin."""
    hammers = hammers_everywhere()
    began = time.monotonic()
    kill(*EDGES)
    waiting = set(REGIONS)
    while waiting:
        require(time.monotonic() - began < 60, f"{waiting} are not led to the origin after 60 s")
        waiting -= {region for region in waiting if answer_of(region) == ["10.77.1.21", "10.77.1.22"]}
    row.seconds = time.monotonic() - began
    time.sleep(2 * TTL)
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    start(*EDGES)
    for report in reports:
        require(report["order"][-1][0] == "origin", f"served last by {report['order'][-1][0]}")
        require(report["last_failure_s"] < row.seconds + TTL + 5, f"requests failed until {report['last_failure_s']} s")
    row.saw = "the origin itself"


def origin_replica_killed(row: Row) -> None:
    """One replica of the origin is killed while visitors ask for what no edge has: the other one answers."""
    hammers = [Hammer("virginia", "--fresh"), Hammer("frankfurt", "--fresh")]
    time.sleep(2)
    began = time.monotonic()
    kill("origin-1")
    time.sleep(4)
    start("origin-1")
    wait_healthy("origin-1")
    row.seconds = time.monotonic() - began
    time.sleep(2)
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    require_none_failed(*reports)
    row.saw = f"nothing; {slowest(*reports)}"


def origins_killed(row: Row) -> None:
    """Both replicas of the origin are killed right after a publish: edges go on with all of it, visited or not."""
    site = active_release()
    path = f"/never-asked-for-{time.time_ns()}"
    pages = {f"/page-{number}.html": page_of(f"page {number}") for number in range(5)}
    inside("edge-frankfurt-2", "sh", "-c", "rm -rf /tmp/site && mkdir /tmp/site")
    for name, page in {"/index.html": page_of("home"), **pages}.items():
        inside("edge-frankfurt-2", "sh", "-c", f"cat >/tmp/site{name}", text=page)
    try:
        nearside("publish", "/tmp/site", "--site=demo", "--wait=30s")
        hammers = hammers_everywhere()
        began = time.monotonic()
        kill(*ORIGINS)
        for region in REGIONS:
            for name, page in pages.items():
                require(set(get_at_edges(region, name)) == {page}, f"both edges of {region} have {name}")
        time.sleep(max(0.0, began + 8 - time.monotonic()))
        status, _ = get("tokyo", path)
        start(*ORIGINS)
        wait_until(lambda: get("tokyo", path)[0] == 404, "the origin is asked again")
        row.seconds = time.monotonic() - began
        reports = [hammer.report() for hammer in hammers]
        row.count(*reports)
        require_none_failed(*reports)
        require(status in (502, 503, 504), f"what no edge has was answered {status}")
        row.saw = f"the whole release, at every edge, never visited pages included; what is not of it is {status}"
    finally:
        wait_healthy(*ORIGINS)
        nearside("rollback", site, "--site=demo", "--wait=30s")


def name_server_killed(row: Row) -> None:
    """One of the two name servers is killed: resolvers ask the other."""
    hammers = hammers_everywhere()
    began = time.monotonic()
    kill("ns1")
    time.sleep(3 * TTL)
    start("ns1")
    wait_healthy("ns1")
    row.seconds = time.monotonic() - began
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    require_none_failed(*reports)
    row.saw = f"nothing; {slowest(*reports)}"


def page_of(text: str) -> str:
    return f"<!doctype html><title>{text}</title>" + f"<p>{text}</p>" * 2000


def put_page(text: str) -> str:
    """Changes one page of the site, and answers its content."""
    inside("edge-frankfurt-2", "sh", "-c", "cat >/tmp/version.html", text=page_of(text))
    nearside("assets", "put", "/tmp/version.html", "version.html", "--site=demo")
    return page_of(text)


def publish_page(text: str) -> str:
    """A release with one page, and its content; every edge has proved it when this returns."""
    inside("edge-frankfurt-2", "sh", "-c", "rm -rf /tmp/site && mkdir /tmp/site && cat >/tmp/site/version.html",
           text=page_of(text))
    nearside("publish", "/tmp/site", "--site=demo", "--wait=30s")
    return page_of(text)


def all_confirm() -> bool:
    """Whether every edge has applied all that was changed before: events are applied in their order."""
    purge = nearside("purge", f"/nothing-{time.time_ns()}", "--site=demo", "--wait=2s", check=False)
    return purge.returncode == 0


def behind() -> dict[str, int]:
    """How many events each edge has not applied, as the origin knows it."""
    edges = json.loads(nearside("edges", "--json").stdout)
    return {edge["name"]: edge["behind"] for edge in edges["edges"]}


def region_cut_off(row: Row) -> None:
    """Tokyo is cut off from the origin while others purge: it serves, and catches up before it serves the purged."""
    before = put_page("before")
    wait_until(all_confirm, "every edge confirms")
    require(set(get_at_edges("tokyo", "/version.html")) == {before}, "both edges of Tokyo have the page")
    hammer = Hammer("tokyo", "--path", "/version.html")
    set_links(down=("frankfurt", "tokyo"))
    time.sleep(2)
    after = put_page("after")
    purge = nearside("purge", "/version.html", "--site=demo", "--wait=3s", check=False)
    require(purge.returncode == 3, f"a purge that Tokyo cannot confirm ended with {purge.returncode}")
    require(get("virginia", "/version.html")[1] == after, "Virginia has the new page")
    lag = behind()
    require(all(lag[f"tokyo-{twin}"] >= 2 for twin in (1, 2)), f"the origin knows that Tokyo is behind: {lag}")
    began = time.monotonic()
    set_links()
    # From the moment in which it says that it has caught up, nothing old may come from it.
    wait_until(all_confirm, "every edge confirms")
    row.seconds = time.monotonic() - began
    require(set(get_at_edges("tokyo", "/version.html")) == {after}, "Tokyo serves the new page once it has confirmed")
    report = hammer.report()
    row.count(report)
    require_none_failed(report)
    require_in_order(report, [before, after])
    row.saw = "its own edges' copies; after the receipt the new page alone"


def publish_under_load(row: Row) -> None:
    """Publish and roll back while every region asks: each response is wholly of one release, in their order."""
    site = active_release()

    try:
        pages = [publish_page("release 0")]
        hammers = hammers_everywhere("--path", "/version.html")
        began = time.monotonic()
        for number in range(1, 11):
            pages.append(publish_page(f"release {number}"))
            if number % 3 == 0:
                nearside("rollback", "--site=demo", "--wait=30s")
                pages.append(pages[-2])
        row.seconds = (time.monotonic() - began) / 13
        for region in REGIONS:
            require(set(get_at_edges(region, "/version.html")) == {pages[-1]}, f"{region} serves the last release")
        reports = [hammer.report() for hammer in hammers]
        row.count(*reports)
        require_none_failed(*reports)
        for report in reports:
            require_in_order(report, pages)
        row.saw = "14 releases and rollbacks, each whole, in their order (seconds: of each, receipt included)"
    finally:
        nearside("rollback", site, "--site=demo", "--wait=10s")


def certificate_renewed(row: Row) -> None:
    """A certificate comes from an ACME authority, whose challenge edges answer; all show it without a restart."""
    shown_by = [*ADDRESSES.values(), "10.77.1.21", "10.77.1.22"]

    def issuers() -> set[str]:
        return {inside("acme", "/demo/acme.sh", "presented", address, check=False).stdout.strip()
                for address in shown_by}

    before = {service: started_at(service) for service in (*EDGES, *ORIGINS)}
    require(not any("Pebble" in issuer for issuer in issuers()), "the demo's own certificate is shown before")
    inside("acme", "/demo/acme.sh", "trust")
    reload_name_servers()  # their checks trust it, too
    hammers = hammers_everywhere()
    began = time.monotonic()
    inside("acme", "/demo/acme.sh", "renew")
    wait_until(lambda: all("Pebble" in issuer for issuer in issuers()),
               "every edge and origin shows the new certificate")
    row.seconds = time.monotonic() - began
    time.sleep(3)
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    require_none_failed(*reports)
    require(before == {service: started_at(service) for service in before}, "nobody was started again")
    row.saw = "nothing; the new certificate on 6 edges and 2 origins"


def clock_off(row: Row) -> None:
    """The clock of one edge of Tokyo is ten minutes ahead, then ten behind: it caches and purges like its twin."""
    ages = []
    for offset in ("+600s", "-600s"):
        pages = [put_page(f"before {offset}")]
        stop("edge-tokyo-1")
        os.environ["CLOCK_OFFSET"] = offset
        compose("up", "-d", "--no-deps", "--force-recreate", CLOCK_OFF)
        container.known.pop(CLOCK_OFF, None)
        wait_healthy(CLOCK_OFF)
        wait_answer("tokyo", addresses_of("edge-tokyo-1", "edge-tokyo-2"))
        hammer = Hammer("tokyo", "--path", "/version.html")
        time.sleep(3)
        began = time.monotonic()
        pages.append(put_page(f"after {offset}"))
        wait_until(all_confirm, "every edge confirms")
        row.seconds = max(row.seconds, time.monotonic() - began)
        require(set(get_at_edges("tokyo", "/version.html")) == {pages[-1]}, f"with a clock of {offset} the new page")
        time.sleep(2)
        status = cache_status("tokyo", ADDRESSES["edge-tokyo-1"], "/version.html")
        require("hit" in status, f"with a clock of {offset} the edge answers {status}")
        ages.append(f"{offset}: {status.split(';', 1)[1].strip()}")
        report = hammer.report()
        row.count(report)
        require_none_failed(report)
        require("tokyo-1" in report["served"], f"the edge with a clock of {offset} was asked: {report['served']}")
        require_in_order(report, pages)
        stop(CLOCK_OFF)
        remove_clock_off()
        start("edge-tokyo-1")
        wait_healthy("edge-tokyo-1")
    row.saw = f"nothing; the new page after the receipt ({', '.join(ages)})"


def request_traced(row: Row) -> None:
    """A request that no edge can answer by itself is found by its id in the gathered lines of edge and origin."""
    path = f"/traced-{time.time_ns()}"
    began = time.monotonic()
    require(get("virginia", path)[0] == 404, "a page that is not there is answered 404")
    row.sent = 1

    def lines() -> list[dict]:
        found = inside("logs", "grep", "-F", path, "/var/log/nearside/requests.jsonl", check=False)
        return [json.loads(line) for line in found.stdout.splitlines()]

    wait_until(lambda: len(lines()) >= 2, "edge and origin have logged it")
    row.seconds = time.monotonic() - began
    kinds = {"edge" if "result" in line else line.get("kind"): line["container"] for line in lines()}
    ids = {line["id"] for line in lines()}
    require(len(ids) == 1, f"one id for one request, not {ids}")
    require(set(kinds) == {"edge", "visitor"}, f"lines of an edge and an origin, not of {kinds}")
    row.saw = f"one id in the lines of {' and '.join(sorted(kinds.values()))}"


def logs_gathered(row: Row) -> None:
    """What each container has written last, as Docker itself tells it, is among the lines gathered from all of them."""
    hammers = hammers_everywhere()
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    require_none_failed(*reports)
    began = time.monotonic()
    services = sorted(running() - SILENT) + ["publish"]
    for service in services:
        name = run("docker", "inspect", "--format", "{{.Name}}", container(service)).stdout.strip().lstrip("/")

        def gathered(service: str = service, name: str = name) -> bool:
            told = run("docker", "logs", "--tail", "1", container(service))
            line = (told.stdout + told.stderr).strip()
            require(bool(line), f"{service} has written nothing")
            found = inside("logs", "grep", "-cxF", f"{name} {line}", "/var/log/nearside/all.log", check=False)
            return found.returncode == 0

        wait_until(gathered, f"the last line of {service} is gathered", 20)
    sums = inside("logs", "grep", "-F", "visitor-tokyo", "/var/log/nearside/requests.jsonl").stdout.splitlines()
    require(json.loads(sums[-1])["sent"] == reports[-1]["sent"], f"the sums of Tokyo's visitor are {sums[-1]}")
    row.seconds = time.monotonic() - began
    row.saw = f"nothing; lines of {len(services)} containers in one place"


def prometheus(path: str) -> dict | list:
    """What its API answers, whose `data` is that."""
    done = inside("visitor-frankfurt", "curl", "-s", f"http://10.77.1.90:9090/api/v1/{path}")
    answer = json.loads(done.stdout)
    require(answer["status"] == "success", f"{urllib.parse.unquote(path)}: {answer.get('error')}")
    return answer["data"]


def query(expression: str) -> list:
    return prometheus(f"query?query={urllib.parse.quote(expression)}")["result"]


def alert_rules() -> list[dict]:
    return [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]


def dashboard_queries() -> list[str]:
    """Of all panels."""
    dashboard = json.loads((DASHBOARDS / "nearside.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def alarm_raised(row: Row) -> None:
    """Prometheus sees every daemon and the host, runs the rules and the dashboard, and raises an alarm for an edge."""
    wait_until(lambda: len(query("up == 1")) == len(EDGES) + len(ORIGINS) + len(NAME_SERVERS) + 1,
               "Prometheus reaches every daemon and the host")
    rules = alert_rules()
    written = set(re.findall(r"- alert: (\w+)", (DASHBOARDS / "alerts.yml").read_text()))
    require({rule["name"] for rule in rules} == written, f"rules are {[rule['name'] for rule in rules]}")
    wait_until(lambda: all(rule["health"] == "ok" for rule in alert_rules()), "every rule was run")
    queries = dashboard_queries()
    wait_until(lambda: all(query(expression) for expression in queries), "every query of the dashboard has an answer")
    hammer = Hammer("virginia")
    began = time.monotonic()
    kill("edge-virginia-1")
    firing = 'ALERTS{alertname="NearsideDaemonDown",alertstate="firing",instance="10.77.2.11:7080"}'
    row.seconds = wait_until(lambda: bool(query(firing)), "the alarm is raised", 120)
    start("edge-virginia-1")
    wait_until(lambda: not query(firing), "the alarm ends", 120)
    require(time.monotonic() - began > 30, "the rule waits for half a minute")
    report = hammer.report()
    row.count(report)
    require_none_failed(report)
    row.saw = (f"the twin; the alarm raised (seconds) and taken back; {len(rules)} rules, {len(queries)} queries of "
               "the dashboard are answered")


def state_lost(row: Row) -> None:
    """The origins lose all their state after a publish, and get that of a backup: edges learn that it is another."""
    site = active_release()
    backup = "/var/lib/nearside/backup"

    try:
        pages = [publish_page("in the backup")]
        inside("origin-1", "nearside-origin", "backup", "--config", "/shared/origin-1.toml", "--to", backup)
        hammers = hammers_everywhere("--path", "/version.html")
        pages.append(publish_page("after the backup"))
        began = time.monotonic()
        kill(*ORIGINS)
        # In a container of their volume, as nobody is in theirs.
        restore = ("rm -rf /var/lib/nearside/origin && "
                   f"exec nearside-origin restore --config /shared/origin-1.toml --from {backup} --replace")
        run("docker", "run", "--rm", "--network", "none", "--volumes-from", container("origin-1"), "nearside",
            "sh", "-c", restore)
        start(*ORIGINS)
        wait_healthy(*ORIGINS)
        pages.append(pages[0])
        wait_until(all_confirm, "every edge confirms")
        row.seconds = time.monotonic() - began
        for region in REGIONS:
            require(set(get_at_edges(region, "/version.html")) == {pages[0]}, f"{region} serves what was in the backup")
        reports = [hammer.report() for hammer in hammers]
        row.count(*reports)
        require_none_failed(*reports)
        for report in reports:
            require_in_order(report, pages)
        row.saw = "nothing; after the receipt what was in the backup alone"
    finally:
        wait_healthy(*ORIGINS)
        inside("origin-1", "rm", "-rf", backup)
        nearside("rollback", site, "--site=demo", "--wait=30s")


def rolling_upgrade(row: Row) -> None:
    """Every daemon is started again, one after the other, edges drained before."""
    everybody = [option for address in NAME_SERVER_ADMINS for option in ("--geodns", address)]
    hammers = [*hammers_everywhere("--every", "100"), Hammer("virginia", "--fresh", "--every", "200")]
    began = time.monotonic()
    for service in (*EDGES, *ORIGINS, *NAME_SERVERS):
        region, twin = service.split("-")[1:] if service in ADDRESSES else ("", "")
        if region:
            nearside("drain", f"{region}-{twin}", *everybody)
            wait_until(lambda region=region, service=service: ADDRESSES[service] not in answer_of(region),
                       f"{service} gets no new visitors")
            time.sleep(TTL + 1)
        stop(service)
        start(service)
        wait_healthy(service)
        if region:
            nearside("undrain", f"{region}-{twin}", *everybody)
            wait_answer(region, addresses_of(f"edge-{region}-1", f"edge-{region}-2"))
    row.seconds = time.monotonic() - began
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    require_none_failed(*reports)
    row.saw = f"nothing; {slowest(*reports)}"


def all_stopped(row: Row) -> None:
    """Every container is stopped and started again: each ends by itself within ten seconds, our daemons with 0."""
    # Those that others need come last: the origins' process ids, where lines are gathered, the way between regions.
    last = ["origin-processes", "logs", "wide-area"]
    daemons = (*EDGES, *ORIGINS, *NAME_SERVERS)
    others = sorted(running() - {*daemons, *last})
    took = {service: stop(service) for service in (*daemons, *others, *last)}
    began = time.monotonic()
    start(*reversed(last))
    start(*daemons, *others)
    wait_healthy(*daemons, *others)
    wait_all_answers()
    row.seconds = time.monotonic() - began
    hammers = hammers_everywhere()
    time.sleep(2)
    reports = [hammer.report() for hammer in hammers]
    row.count(*reports)
    require_none_failed(*reports)
    slow = max(took, key=took.get)
    row.saw = f"everything back; of {len(took)} containers {slow} was the slowest to end, in {took[slow]:.1f} s"


DRILLS = {drill.__name__.replace("_", "-"): drill for drill in (
    edge_killed, region_killed, all_edges_killed, origin_replica_killed, origins_killed, name_server_killed,
    region_cut_off, publish_under_load, certificate_renewed, clock_off, request_traced, logs_gathered, alarm_raised,
    state_lost, rolling_upgrade, all_stopped)}


# --- the table ------------------------------------------------------------------------------------------------------

def reload_name_servers() -> None:
    run("docker", "kill", "--signal", "HUP", *map(container, NAME_SERVERS))


def remove_clock_off() -> None:
    compose("rm", "-sfv", CLOCK_OFF)


def put_back() -> None:
    """Whatever a drill left broken is mended before the next one."""
    Hammer.end_all()
    set_links()
    remove_clock_off()
    if inside("acme", "test", "-e", "/shared/ca.own.pem", check=False).returncode == 0:
        inside("acme", "/demo/acme.sh", "back")
        reload_name_servers()
    everything = (*EDGES, *ORIGINS, *NAME_SERVERS)
    stopped = [service for service in everything if not is_healthy(service)]
    if stopped:
        start(*stopped)
    wait_healthy(*everything)
    wait_all_answers()


def perform(name: str) -> Row:
    row = Row(name)
    print(f"{name}: {DRILLS[name].__doc__}", flush=True)
    try:
        try:
            DRILLS[name](row)
        finally:
            put_back()
    except DrillFailed as failure:
        row.error = str(failure)
    except Exception as failure:  # the table tells of it like of any other, and the other drills go on
        row.error = f"{type(failure).__name__}: {failure}"
    mark = "FAILED: " + row.error if row.error else row.saw
    print(f"  {mark} ({row.seconds:.1f} s, {row.sent} requests, {row.failed} failed, "
          f"{row.retried} at the second address)", flush=True)
    return row


def print_table(rows: list[Row]) -> None:
    print("\n| drill | what visitors saw | seconds to normal | requests | failed | second address |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        saw = f"**failed**: {row.error}" if row.error else row.saw
        print(f"| {row.drill} | {saw} | {row.seconds:.1f} | {row.sent} | {row.failed} | {row.retried} |")


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
