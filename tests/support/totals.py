#!/usr/bin/env python3
"""Sums up what tests/run.sh left in its folder of logs, lists what failed and why, and ends with the line of totals.

    totals.py FOLDER

Counted are cases, not programs: a GoogleTest program leaves an XML file, a Python test file ends with a line
"tests: N passed, N failed, N skipped". A program that failed without saying so counts as one failure, and so does a
preset without a single case. A case that was skipped lets the run fail, unless it is known to have no meaning in that
preset or NEARSIDE_ALLOW_SKIPS=1 is set.
"""

import dataclasses
import os
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

SUMMARY = re.compile(r"^tests: (\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
PYTHON_FAILURE = re.compile(r"^(?:FAIL|ERROR): (.+)$", re.MULTILINE)
# What unittest prints of a failure: a ruled head and a traceback, up to the next rule.
PYTHON_REPORT = re.compile(r"^={70}\n(?:FAIL|ERROR): (.+)\n((?:.*\n)*?)(?=^={70}$|^-{70}\nRan )", re.MULTILINE)
# The line by which a program that ended badly tells why, and how much of the lines behind it is shown.
TELLING = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|terminate called|Assertion `|"
                     r"No space left|Segmentation fault|Bus error")
WHY_LINES = 24
# What unittest prints of a skipped case; a case with a docstring takes two lines.
PYTHON_SKIP = re.compile(r"^ *(\w+ \([\w.<>]+\)(?: \(.*\))?)(?:\n.*)? \.\.\. skipped (.+)$", re.MULTILINE)
# Preset and case → why it has no meaning there.
KNOWN_SKIPS = {
    ("asan", "RecycledTest.TheMemoryOfOneServesTheNext"): "each object has its own memory there",
    ("asan", "AllocationTest.AnsweringTakesNoMemory"): "the sanitizer owns the allocator",
    ("tsan", "AllocationTest.AnsweringTakesNoMemory"): "the sanitizer owns the allocator",
}


@dataclasses.dataclass
class Totals:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)
    # Failure → the lines that tell why: of a log that may be gone when somebody asks.
    why: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    unexpected_skips: list[str] = dataclasses.field(default_factory=list)

    def count(self) -> int:
        return self.passed + self.failed + self.skipped

    def add(self, passed: int, failed: int, skipped: int, failures: list[str]) -> None:
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        self.failures += failures

    def add_one(self, ok: bool, name: str, output: str = "") -> None:
        self.add(int(ok), int(not ok), 0, [] if ok else [name])
        if not ok and output:
            self.why[name] = telling_lines(output)

    def add_skipped(self, preset: str, case: str, why: str) -> None:
        self.skipped += 1
        if (preset, case) not in KNOWN_SKIPS:
            self.unexpected_skips.append(f"{preset}: {case}" + (f" ({why})" if why else ""))


def telling_lines(output: str) -> list[str]:
    """What a program said last, or from where it says why it ends."""
    lines = [line for line in output.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if TELLING.search(line)), max(len(lines) - WHY_LINES, 0))
    return [line[:300] for line in lines[first:first + WHY_LINES]]


def log_text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def add_googletest(totals: Totals, preset: str, path: pathlib.Path) -> int:
    """The cases of one program; returns how many failed."""
    failed = 0
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.get("status") == "notrun":
            continue
        if case.find("failure") is None and (case.get("result") == "skipped" or skipped is not None):
            why = (skipped.get("message") or "") if skipped is not None else ""
            totals.add_skipped(preset, name, why.strip().rpartition("\n")[2])
        else:
            failure = case.find("failure")
            failed += failure is not None
            said = failure.get("message") or "" if failure is not None else ""
            totals.add_one(failure is None, f"{preset}: {name}", said)
    return failed


def add_python(totals: Totals, preset: str, name: str, output: str, counts: list[int]) -> None:
    """The cases of one test file, by its last line and what unittest printed of each."""
    passed, failed, skipped = counts
    totals.add(passed, failed, 0, [f"{preset}: {name}: {failure}" for failure in PYTHON_FAILURE.findall(output)])
    for failure, report in PYTHON_REPORT.findall(output):
        totals.why[f"{preset}: {name}: {failure}"] = report.splitlines()[-WHY_LINES:]
    skips = PYTHON_SKIP.findall(output)[:skipped]
    for case, why in skips:
        totals.add_skipped(preset, f"{name}: {case}", why)
    for _ in range(skipped - len(skips)):
        totals.add_skipped(preset, f"{name}: a case", f"see {preset}.test.log")


def add_ctest(totals: Totals, preset: str, folder: pathlib.Path, case: ElementTree.Element) -> None:
    """One test of ctest: a program with many cases, or one of its own."""
    name, ok = case.get("name"), case.get("status") == "run"
    output = case.findtext("system-out") or ""
    report = folder / preset / f"{name}.xml"
    summary = SUMMARY.findall(output)[-1:]
    failed = 0
    if report.exists():
        try:
            failed = add_googletest(totals, preset, report)
        except ElementTree.ParseError as error:
            failed = 1
            totals.add_one(False, f"{preset}: {name} left a broken report ({report}: {error})")
    elif summary:
        counts = [int(number) for number in summary[0]]
        failed = counts[1]
        add_python(totals, preset, name, output, counts)
    elif case.get("status") in ("disabled", "notrun"):
        totals.add(0, 1, 0, [f"{preset}: {name} was not run"])
        return
    else:
        totals.add_one(ok, f"{preset}: {name}", output)
        return
    if not ok and failed == 0:
        why = f"{preset}: {name} ended badly (crash, timeout or exit code); see {preset}.test.log"
        totals.add_one(False, why, output)


def add_preset(totals: Totals, folder: pathlib.Path, preset: str, code: str, log: str) -> None:
    """All that ctest ran of one preset, and ctest itself."""
    count, failed = totals.count(), totals.failed
    junit = folder / f"{preset}.junit.xml"
    try:
        for case in ElementTree.parse(junit).getroot().iter("testcase") if junit.exists() else []:
            add_ctest(totals, preset, folder, case)
    except ElementTree.ParseError as error:
        totals.add_one(False, f"{preset}: {junit} is broken ({error})")
    if totals.count() == count:
        totals.add_one(False, f"{preset}: no test was run (log: {log})")
    elif code != "0" and totals.failed == failed:
        totals.add_one(False, f"{preset}: ctest ended with exit code {code} (log: {log})")


def collect(folder: pathlib.Path) -> Totals:
    totals = Totals()
    presets = set()
    steps = folder / "steps.tsv"
    for line in steps.read_text().splitlines() if steps.exists() else []:
        name, code, log = line.split("\t")
        if name.startswith("tests of "):
            presets.add(name.removeprefix("tests of "))
            add_preset(totals, folder, name.removeprefix("tests of "), code, log)
        # A build that went well is no test; a fuzzer that found nothing is one, and so are the drills.
        elif code != "0" or name.startswith(("fuzz ", "images ")):
            totals.add_one(code == "0", f"{name} (log: {log})", log_text(log) if code != "0" else "")
    for junit in sorted(folder.glob("*.junit.xml")):
        preset = junit.name.partition(".")[0]
        if preset not in presets:
            add_preset(totals, folder, preset, "0", f"{folder}/{preset}.test.log")
    return totals


def print_list(title: str, lines: list[str]) -> None:
    if lines:
        print(f"\n{title}")
        for line in lines:
            print(f"  {line}")


def print_why(totals: Totals) -> None:
    for failure, lines in totals.why.items():
        print(f"\n--- {failure}")
        for line in lines:
            print(f"    {line}")


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    totals = collect(folder)
    if totals.passed + totals.failed == 0:
        totals.add(0, 1, 0, ["no test has run at all"])
    skips_count = os.environ.get("NEARSIDE_ALLOW_SKIPS") != "1"
    print_why(totals)
    print_list("failed:", totals.failures)
    print_list("skipped, which lets the run fail (NEARSIDE_ALLOW_SKIPS=1 allows it):" if skips_count else "skipped:",
               totals.unexpected_skips)
    if totals.failures or totals.unexpected_skips:
        print(f"(logs: {folder})")
    skipped = f", {totals.skipped} skipped" if totals.skipped else ""
    print(f"\n{totals.passed} passed, {totals.failed} failed{skipped}")
    return 1 if totals.failed or (skips_count and totals.unexpected_skips) else 0


if __name__ == "__main__":
    sys.exit(main())
