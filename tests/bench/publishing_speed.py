#!/usr/bin/python3
"""How fast a release is published, and how soon every edge has proved it.

    NEARSIDE_BIN=build/release/bin tests/bench/publishing_speed.py [--edges 3] [--files 2000] [--rounds 3]

Each round changes every file (1 to 20 KiB of noise; a hundredth of them 1 MiB) and publishes with the command-line
client, once with the edges preparing before the switch and once without. Figures: files a second from the start of
the client to the switch (hashing, manifest, uploads, and the preparation); how long edges prepared; from the switch
to the last edge's proof; and the bytes of bodies that the edges fetched from the origin after the switch.
"""

import argparse
import json
import random
import re
import time

from local_fleet import LocalFleet

from fleet import SITE_HOST


def write_files(fleet: LocalFleet, count: int, dice: random.Random) -> None:
    for number in range(count):
        folder = fleet.folder / "site" / f"{number % 20:02}"
        folder.mkdir(parents=True, exist_ok=True)
        size = 1 << 20 if number % 100 == 0 else dice.randint(1 << 10, 20 << 10)
        (folder / f"{number}.bin").write_bytes(dice.randbytes(size))


def body_bytes(fleet: LocalFleet) -> float:
    return sum(edge.metrics().sum("nearside_edge_origin_body_bytes_total") for edge in fleet.edges)


def publish(fleet: LocalFleet, count: int, name: str, *options: str) -> None:
    before = body_bytes(fleet)
    begun = time.time()
    result = fleet.origin.client("publish", fleet.folder / "site", "--site", "demo", "--host", SITE_HOST, "--wait",
                                 "60s", *options, timeout=600)
    if result.returncode != 0:
        raise SystemExit(result.stdout + result.stderr)
    number = re.search(r"receipt (\d+)", result.stdout)[1]
    receipt = json.loads(fleet.origin.call("GET", f"/v1/receipts/{number}").body)
    to_switch = receipt["time"] / 1000 - begun
    prepared = [edge["prepared"]["ms"] / 1000 for edge in receipt["edges"] if "prepared" in edge]
    proofs = [edge["proof_ms"] / 1000 for edge in receipt["edges"]]
    after = body_bytes(fleet) - before
    print(f"{name}: {count} files in {to_switch:.2f} s to the switch ({count / to_switch:.0f} a second"
          + (f", of it prepared in {max(prepared):.2f} s" if prepared else "")
          + f"), then {max(proofs):.2f} s to the last of {len(proofs)} proofs, {after / 1e6:.1f} MB of bodies after it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=3)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    dice = random.Random(7)
    with LocalFleet(options.edges, extra="keep_rate = \"0B\"") as fleet:
        for number in range(options.rounds):
            write_files(fleet, options.files, dice)
            publish(fleet, options.files, f"round {number + 1}, prepared  ", "--prepare", "10m")
            write_files(fleet, options.files, dice)
            publish(fleet, options.files, f"round {number + 1}, unprepared", "--no-prepare")


if __name__ == "__main__":
    main()
