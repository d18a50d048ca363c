"""The containers of the running demo, as the drills handle them: by the names that docker-compose.yml gives them."""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
REGIONS = ("frankfurt", "virginia", "tokyo")
EDGES = [f"edge-{region}-{twin}" for region in REGIONS for twin in (1, 2)]
ORIGINS = ("origin-1", "origin-2")
NAME_SERVERS = ("ns1", "ns2")
ADDRESSES = {f"edge-{region}-{twin}": f"10.77.{number}.{10 + twin}"
             for number, region in enumerate(REGIONS, 1) for twin in (1, 2)}
NAME_SERVER_ADMINS = ("http://10.77.1.53:7053", "http://10.77.2.53:7053")
CLOCK_OFF = "edge-tokyo-1-clock-off"  # in place of edge-tokyo-1
TTL = 5  # seconds, of the steered names
STOP_SECONDS = 10  # Docker's own limit, after which it kills
# What has nothing to finish may leave it to the signal to end it: SIGTERM under an init, programs in Go. 137 is a kill.
GRACEFUL = {"origin-processes": {143}, "acme": {0, 2, 143}, "node-exporter": {0, 2, 143},
            **{f"visitor-{region}": {143} for region in REGIONS}}
LINKS = (("frankfurt", "virginia", "80ms"), ("virginia", "tokyo", "140ms"), ("frankfurt", "tokyo", "160ms"))


class DrillFailed(Exception):
    """An assertion of a drill; its text says what was seen."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise DrillFailed(what)


def compose_command() -> list[str]:
    """docker-compose 1.29, or the plugin of version 2."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return [*command, "--project-directory", str(HERE), "-f", str(HERE / "docker-compose.yml")]
    sys.exit("drills: neither `docker compose` nor docker-compose is here")


def run(*command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, input=text, check=False)
    if check and done.returncode != 0:
        raise DrillFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def compose(*arguments: str) -> str:
    """With the profile of the drills, whose services the others do not see."""
    if compose.command is None:
        compose.command = compose_command()
    return run(*compose.command, "--profile", "drill", *arguments).stdout


compose.command = None


def container(service: str) -> str:
    if service not in container.known:
        container.known[service] = compose("ps", "-aq", service).strip()
    require(bool(container.known[service]), f"the demo has no container {service}: is it running?")
    return container.known[service]


container.known = {}


def inside(service: str, *command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess:
    return run("docker", "exec", *(["-i"] if text is not None else []), container(service), *command, check=check,
               text=text)


def kill(*services: str) -> None:
    run("docker", "kill", *map(container, services))


def exit_code(service: str) -> int:
    return int(run("docker", "inspect", "--format", "{{.State.ExitCode}}", container(service)).stdout)


def stop(service: str) -> float:
    """Gracefully: what finishes its work and ends by itself, and not what Docker kills in the end. How many seconds."""
    began = time.monotonic()
    run("docker", "stop", container(service))
    seconds = time.monotonic() - began
    require(exit_code(service) in GRACEFUL.get(service, {0}), f"{service} ended with {exit_code(service)}")
    require(seconds < STOP_SECONDS, f"{service} took {seconds:.1f} s to stop")
    return seconds


def running() -> set[str]:
    """The services whose containers run."""
    ids = compose("ps", "-q").split()
    label = '{{.State.Running}} {{index .Config.Labels "com.docker.compose.service"}}'
    states = run("docker", "inspect", "--format", label, *ids).stdout.splitlines()
    return {service for state, service in map(str.split, states) if state == "true"}


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


def started_at(service: str) -> str:
    return run("docker", "inspect", "--format", "{{.State.StartedAt}}", container(service)).stdout.strip()


def wait_healthy(*services: str) -> None:
    for service in services:
        wait_until(lambda service=service: is_healthy(service), f"{service} is healthy")


def answer_of(region: str) -> list[str]:
    """Where the resolver of a region leads its visitors."""
    resolver = f"@10.77.{REGIONS.index(region) + 1}.5"
    digged = inside(f"visitor-{region}", "kdig", "+short", "www.demo.test", resolver, check=False)
    return sorted(digged.stdout.split())


def addresses_of(*services: str) -> list[str]:
    return sorted(ADDRESSES[service] for service in services)


def wait_answer(region: str, expected: list[str]) -> float:
    return wait_until(lambda: answer_of(region) == expected, f"{region} is led to {', '.join(expected)}")


def nearside(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """The client, in the container of an edge of Frankfurt."""
    return inside("edge-frankfurt-2", "nearside", "--config=/shared/client.toml", *arguments, check=check)


def active_release() -> str:
    releases = json.loads(nearside("releases", "--site=demo", "--json").stdout)["releases"]
    return next(release["id"] for release in releases if release["state"] == "active")


def set_links(down: tuple[str, str] | None = None) -> None:
    """The distances as they are by default, or with the link between two regions down."""
    lines = [f"region {region} 10.77.{number}.0/24" for number, region in enumerate(REGIONS, 1)]
    for one, other, delay in LINKS:
        lines.append(f"link {one} {other} {'down' if down is not None and {one, other} == set(down) else delay}")
    inside("wide-area", "sh", "-c", "cat >/shared/links.new && mv /shared/links.new /shared/links",
           text="\n".join(lines) + "\n")


def wait_all_answers() -> None:
    """Every region is led to its own two edges."""
    for region in REGIONS:
        wait_answer(region, addresses_of(f"edge-{region}-1", f"edge-{region}-2"))
