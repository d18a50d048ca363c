#!/usr/bin/python3
"""How long a purge takes to the last edge's confirmation, while the edges hold many objects.

    NEARSIDE_BIN=build/release/bin tests/bench/purge_receipts.py [--edges 3] [--objects 100000] [--purges 500]

Every edge holds --objects objects (one asset, asked for with so many queries) of which each purge names one, by its
URL. Measured is what the one who purges sees: POST /v1/purge?wait=10s, from the first byte sent to the end of the
answer, on a kept connection. An answer counts only if every edge is in it with the event applied; and after every
fiftieth purge each edge is asked for the URL, and must not answer it from what it held.
"""

import argparse
import http.client
import json
import random
import subprocess
import time

from local_fleet import LocalFleet, summary

from fleet import SITE_HOST, TOKEN


def fill(fleet: LocalFleet, objects: int) -> None:
    """One curl an edge, on one connection; the answers are thrown away."""
    asked = [subprocess.Popen(["curl", "-sS", "--http1.1", "--resolve", f"{SITE_HOST}:{edge.clear[1]}:{edge.clear[0]}",
                               "-o", str(fleet.folder / f"{edge.name}.out"),
                               f"http://{SITE_HOST}:{edge.clear[1]}/a.txt?n=[1-{objects}]"])
             for edge in fleet.edges]
    for process in asked:
        if process.wait() != 0:
            raise SystemExit("an edge could not be filled")
    for edge in fleet.edges:
        held = edge.status()["cache"]["disk_objects"]
        while held < objects:
            time.sleep(0.5)
            held = edge.status()["cache"]["disk_objects"]
        print(f"{edge.name} holds {held} objects")


def purge(connection: http.client.HTTPConnection, url: str, edges: int) -> float:
    body = json.dumps({"site": "demo", "urls": [url]})
    begun = time.perf_counter()
    connection.request("POST", "/v1/purge?wait=10s", body, {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse().read()
    took = (time.perf_counter() - begun) * 1000
    receipt = json.loads(answer)
    done = [edge for edge in receipt["edges"] if edge["applied"]]
    if not receipt["complete"] or len(done) != edges:
        raise SystemExit(f"not every edge has confirmed: {receipt}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=3)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--purges", type=int, default=500)
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between one and the next")
    options = parser.parse_args()
    with LocalFleet(options.edges) as fleet:
        origin = fleet.origin
        fleet.expect(origin.call("POST", "/v1/sites", json.dumps({"name": "demo", "hosts": [SITE_HOST]}).encode()), 201)
        fleet.expect(origin.call("PUT", "/v1/sites/demo/assets/a.txt", b"some text\n" * 50,
                                 fields={"Cache-Control": "max-age=86400"}), 201)
        begun = time.monotonic()
        fill(fleet, options.objects)
        print(f"filled in {time.monotonic() - begun:.0f} s")
        dice = random.Random(5)
        connection = http.client.HTTPConnection(*origin.api)
        took = []
        for number in range(options.purges):
            url = f"/a.txt?n={dice.randint(1, options.objects)}"
            took.append(purge(connection, url, options.edges))
            if number % 50 == 0:
                for edge in fleet.edges:
                    fleet.expect_miss(edge.get_clear(url))
            time.sleep(options.pause)
        print(f"{options.purges} purges, {options.edges} edges, {options.objects} objects each: "
              f"to the last confirmation {summary(took)}")


if __name__ == "__main__":
    main()
