#!/usr/bin/env python3
"""Sums up what tests/run.sh left in its folder of logs, lists what failed, and ends with the line of totals.

    totals.py FOLDER

Counted are cases, not programs: a GoogleTest program leaves an XML file, a Python test file ends with a line
"tests: N passed, N failed, N skipped". A program that failed without saying so counts as one failure.
"""

import dataclasses
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

SUMMARY = re.compile(r"^tests: (\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
PYTHON_FAILURE = re.compile(r"^(?:FAIL|ERROR): (.+)$", re.MULTILINE)


@dataclasses.dataclass
class Totals:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    def add(self, passed: int, failed: int, skipped: int, failures: list[str]) -> None:
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.failures += failures

    def add_one(self, ok: bool, name: str) -> None:
        self.add(int(ok), int(not ok), 0, [] if ok else [name])


def add_googletest(totals: Totals, preset: str, path: pathlib.Path) -> int:
    """The cases of one program; returns how many failed."""
    failed = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{preset}: {case.get('classname')}.{case.get('name')}"
        if case.get("status") == "notrun":
            continue
        if case.get("result") == "skipped":
            totals.add(0, 0, 1, [])
        else:
            ok = case.find("failure") is None
            failed += not ok
            totals.add_one(ok, name)
    return failed


def add_ctest(totals: Totals, preset: str, folder: pathlib.Path, case: ElementTree.Element) -> None:
    """One test of ctest: a program with many cases, or one of its own."""
    name, ok = case.get("name"), case.get("status") == "run"
    output = case.findtext("system-out") or ""
    report = folder / preset / f"{name}.xml"
    summary = SUMMARY.search(output)
    failed = 0
    if report.exists():
        failed = add_googletest(totals, preset, report)
    elif summary:
        passed, failed, skipped = map(int, summary.groups())
        names = [f"{preset}: {name}: {failure}" for failure in PYTHON_FAILURE.findall(output)]
        totals.add(passed, failed, skipped, names)
    elif case.get("status") in ("disabled", "notrun"):
        totals.add(0, 1, 0, [f"{preset}: {name} was not run"])
        return
    else:
        totals.add_one(ok, f"{preset}: {name}")
        return
    if not ok and failed == 0:
        totals.add(0, 1, 0, [f"{preset}: {name} ended badly (crash, timeout or exit code); see {preset}.test.log"])


def collect(folder: pathlib.Path) -> Totals:
    totals = Totals()
    steps = folder / "steps.tsv"
    for line in steps.read_text().splitlines() if steps.exists() else []:
        name, code, log = line.split("\t")
        # A build that went well is no test; a fuzzer that found nothing is one.
        if code != "0" or name.startswith("fuzz "):
            totals.add_one(code == "0", f"{name} (log: {log})")
    for junit in sorted(folder.glob("*.junit.xml")):
        preset = junit.name.partition(".")[0]
        for case in ElementTree.parse(junit).getroot().iter("testcase"):
            add_ctest(totals, preset, folder, case)
    return totals


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    totals = collect(folder)
    if totals.passed + totals.failed == 0:
        totals.add(0, 1, 0, ["no test has run at all"])
    if totals.failures:
        print("\nfailed:")
        for failure in totals.failures:
            print(f"  {failure}")
        print(f"(logs: {folder})")
    skipped = f", {totals.skipped} skipped" if totals.skipped else ""
    print(f"\n{totals.passed} passed, {totals.failed} failed{skipped}")
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
