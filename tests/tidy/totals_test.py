#!/usr/bin/env python3
"""The totals of a test run are what CI decides by: they must count every case and never miss a crash."""

import pathlib
import tempfile
import unittest

from test_main import main
from totals import collect

JUNIT = '<testsuite><testcase name="{name}" status="{status}"><system-out>{output}</system-out></testcase></testsuite>'
GTEST = """<testsuites><testsuite>
<testcase name="Passes" classname="ATest" status="run" result="completed"/>
<testcase name="Fails" classname="ATest" status="run" result="completed"><failure message="x"/></testcase>
<testcase name="Skips" classname="ATest" status="run" result="skipped"><skipped/></testcase>
<testcase name="DISABLED_Sleeps" classname="ATest" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""


class TotalsTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def ctest(self, name: str, status: str, output: str = ""):
        (self.folder / "release.junit.xml").write_text(JUNIT.format(name=name, status=status, output=output))

    def expect(self, passed: int, failed: int, skipped: int, *failures: str):
        totals = collect(self.folder)
        self.assertEqual((passed, failed, skipped), (totals.passed, totals.failed, totals.skipped))
        self.assertEqual(list(failures), totals.failures)

    def test_googletest_cases_are_counted(self):
        self.ctest("a_test", "fail")
        (self.folder / "release").mkdir()
        (self.folder / "release/a_test.xml").write_text(GTEST)
        self.expect(1, 1, 1, "release: ATest.Fails")

    def test_crash_without_a_report_is_a_failure(self):
        self.ctest("a_test", "fail", "Segmentation fault")
        self.expect(0, 1, 0, "release: a_test")

    def test_leak_found_after_all_cases_passed_is_a_failure(self):
        self.ctest("a_test", "fail")
        (self.folder / "release").mkdir()
        (self.folder / "release/a_test.xml").write_text(GTEST.replace('<failure message="x"/>', ""))
        self.expect(2, 1, 1, "release: a_test ended badly (crash, timeout or exit code); see release.test.log")

    def test_python_cases_are_counted(self):
        self.ctest("system_a", "fail", "FAIL: test_b (a.ATest.test_b)\ntests: 4 passed, 1 failed, 2 skipped\n")
        self.expect(4, 1, 2, "release: system_a: test_b (a.ATest.test_b)")

    def test_program_that_was_not_built_is_a_failure(self):
        self.ctest("a_test", "notrun")
        self.expect(0, 1, 0, "release: a_test was not run")

    def test_steps_count_when_they_fail(self):
        (self.folder / "steps.tsv").write_text("build of release\t0\tx\nbuild of asan\t1\ty\nfuzz a_fuzz\t0\tz\n")
        self.expect(1, 1, 0, "build of asan (log: y)")


if __name__ == "__main__":
    main()
