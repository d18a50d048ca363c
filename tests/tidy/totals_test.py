#!/usr/bin/env python3
"""The totals of a test run are what CI decides by: they must count every case and never miss a crash."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.sax.saxutils

from test_main import main
from totals import collect

SUPPORT = pathlib.Path(__file__).resolve().parents[1] / "support"
JUNIT = '<testsuite><testcase name="{name}" status="{status}"><system-out>{output}</system-out></testcase></testsuite>'
GTEST = """<testsuites><testsuite>
<testcase name="Passes" classname="ATest" status="run" result="completed"/>
<testcase name="Fails" classname="ATest" status="run" result="completed"><failure message="x"/></testcase>
<testcase name="Skips" classname="ATest" status="run" result="skipped"><skipped message="a.cc:1&#x0A;no disk"/>
</testcase>
<testcase name="DISABLED_Sleeps" classname="ATest" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""


class TotalsTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def ctest(self, name: str, status: str, output: str = "", preset: str = "release"):
        text = JUNIT.format(name=name, status=status, output=xml.sax.saxutils.escape(output))
        (self.folder / f"{preset}.junit.xml").write_text(text)

    def googletest(self, text: str = GTEST, preset: str = "release"):
        (self.folder / preset).mkdir()
        (self.folder / f"{preset}/a_test.xml").write_text(text)

    def step(self, name: str, code: int):
        with open(self.folder / "steps.tsv", "a") as steps:
            steps.write(f"{name}\t{code}\tx.log\n")

    def run_totals(self, **environment: str) -> tuple[int, str]:
        """Exit code and output of the script itself."""
        plain = {name: value for name, value in os.environ.items() if name != "NEARSIDE_ALLOW_SKIPS"}
        result = subprocess.run([sys.executable, SUPPORT / "totals.py", self.folder], env={**plain, **environment},
                                capture_output=True, text=True, check=False)
        return result.returncode, result.stdout

    def expect(self, passed: int, failed: int, skipped: int, *failures: str):
        totals = collect(self.folder)
        self.assertEqual((passed, failed, skipped), (totals.passed, totals.failed, totals.skipped))
        self.assertEqual(list(failures), totals.failures)

    def test_googletest_cases_are_counted(self):
        self.ctest("a_test", "fail")
        self.googletest()
        self.expect(1, 1, 1, "release: ATest.Fails")

    def test_crash_without_a_report_is_a_failure(self):
        self.ctest("a_test", "fail", "Segmentation fault")
        self.expect(0, 1, 0, "release: a_test")

    def test_what_a_crash_said_is_told(self):
        noise = "".join(f"line {i}\n" for i in range(100))
        self.ctest("a_test", "fail", noise + "==1==ERROR: AddressSanitizer: heap-use-after-free\n#0 f\n" + noise)
        output = self.run_totals()[1]
        self.assertIn("\n--- release: a_test\n    ==1==ERROR: AddressSanitizer: heap-use-after-free\n    #0 f\n",
                      output)
        self.assertLess(len(output.splitlines()), 40)

    def test_what_a_program_said_last_is_told_where_nothing_else_is(self):
        self.ctest("a_test", "fail", "".join(f"line {i}\n" for i in range(100)))
        output = self.run_totals()[1]
        self.assertIn("    line 99\n", output)
        self.assertNotIn("    line 50\n", output)

    def test_what_failed_in_a_case_is_told(self):
        self.ctest("a_test", "fail")
        self.googletest(GTEST.replace('message="x"', 'message="a.cc:7&#x0A;Expected: 1"'))
        self.assertIn("--- release: ATest.Fails\n    a.cc:7\n    Expected: 1\n", self.run_totals()[1])

    def test_traceback_of_a_python_case_is_told(self):
        rule, thin = "=" * 70, "-" * 70
        self.ctest("system_a", "fail",
                   f"{rule}\nFAIL: test_b (a.ATest.test_b)\n{thin}\nTraceback of b\nAssertionError: 1 != 2\n\n"
                   f"{rule}\nERROR: test_c (a.ATest.test_c)\n{thin}\nTraceback of c\nValueError\n\n"
                   f"{thin}\nRan 3 tests in 1 s\n\nFAILED\ntests: 1 passed, 2 failed, 0 skipped\n")
        output = self.run_totals()[1]
        self.assertIn(f"--- release: system_a: test_b (a.ATest.test_b)\n    {thin}\n    Traceback of b\n"
                      "    AssertionError: 1 != 2\n", output)
        self.assertIn("    Traceback of c\n    ValueError\n", output)

    def test_end_of_a_step_s_log_is_told(self):
        log = self.folder / "images.log"
        log.write_text("".join(f"step {i}\n" for i in range(100)))
        (self.folder / "steps.tsv").write_text(f"images and drills\t1\t{log}\n")
        self.assertIn(f"--- images and drills (log: {log})\n    step 76\n", self.run_totals()[1])

    def test_leak_found_after_all_cases_passed_is_a_failure(self):
        self.ctest("a_test", "fail")
        self.googletest(GTEST.replace('<failure message="x"/>', ""))
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

    def test_skipped_case_lets_the_run_fail_and_is_named(self):
        self.ctest("a_test", "run")
        self.googletest(GTEST.replace('<failure message="x"/>', ""))
        self.assertEqual(["release: ATest.Skips (no disk)"], collect(self.folder).unexpected_skips)
        code, output = self.run_totals()
        self.assertEqual(1, code)
        self.assertIn("release: ATest.Skips (no disk)", output)
        self.assertTrue(output.endswith("\n2 passed, 0 failed, 1 skipped\n"), output)

    def test_skipped_case_may_be_allowed(self):
        self.ctest("a_test", "run")
        self.googletest(GTEST.replace('<failure message="x"/>', ""))
        code, output = self.run_totals(NEARSIDE_ALLOW_SKIPS="1")
        self.assertEqual(0, code)
        self.assertIn("release: ATest.Skips (no disk)", output, "it is named all the same")
        self.assertEqual(1, self.run_totals(NEARSIDE_ALLOW_SKIPS="0")[0])

    def test_skipped_python_cases_are_named(self):
        self.ctest("system_a", "run", "test_a (__main__.ATest.test_a) ... ok\n"
                   "test_b (__main__.ATest.test_b) ... skipped 'no b'\n"
                   "test_c (__main__.ATest.test_c)\nWhat c is. ... skipped 'no c'\n"
                   "test_d (__main__.ATest.test_d) ... \n  test_d (__main__.ATest.test_d) (i=1) ... skipped 'no d'\n"
                   "setUpClass (__main__.BTest) ... skipped 'no B'\n"
                   "test_e (__main__.ATest.test_e) ... a word between\nskipped 'no e'\n"
                   "tests: 1 passed, 0 failed, 5 skipped\n")
        self.expect(1, 0, 5)
        self.assertEqual(["release: system_a: test_b (__main__.ATest.test_b) ('no b')",
                          "release: system_a: test_c (__main__.ATest.test_c) ('no c')",
                          "release: system_a: test_d (__main__.ATest.test_d) (i=1) ('no d')",
                          "release: system_a: setUpClass (__main__.BTest) ('no B')",
                          "release: system_a: a case (see release.test.log)"],
                         collect(self.folder).unexpected_skips)
        self.assertEqual(1, self.run_totals()[0])

    def test_last_line_counts(self):
        self.ctest("system_a", "run", "tests: 9 passed, 0 failed, 9 skipped\ntests: 2 passed, 0 failed, 0 skipped\n")
        self.expect(2, 0, 0)

    def test_known_skip_of_a_preset_passes_there_alone(self):
        text = GTEST.replace('<failure message="x"/>', "").replace("ATest", "AllocationTest").replace(
            "Skips", "AnsweringTakesNoMemory")
        for preset, code in (("asan", 0), ("tsan", 0), ("release", 1)):
            with self.subTest(preset=preset):
                self.ctest("a_test", "run", preset=preset)
                self.googletest(text, preset)
                self.assertEqual(code, self.run_totals()[0])
                (self.folder / f"{preset}.junit.xml").unlink()

    def test_preset_without_a_case_is_a_failure(self):
        self.ctest("a_test", "run", "tests: 3 passed, 0 failed, 0 skipped\n")
        self.step("tests of release", 0)
        self.step("tests of asan", 0)
        (self.folder / "tsan.junit.xml").write_text('<testsuite tests="0"/>')
        self.step("tests of tsan", 0)
        self.expect(3, 2, 0, "asan: no test was run (log: x.log)", "tsan: no test was run (log: x.log)")

    def test_end_of_ctest_itself_counts(self):
        self.ctest("a_test", "run", "tests: 3 passed, 0 failed, 0 skipped\n")
        self.step("tests of release", 139)
        self.expect(3, 1, 0, "release: ctest ended with exit code 139 (log: x.log)")

    def test_failure_of_a_test_is_counted_once(self):
        self.ctest("a_test", "fail")
        self.step("tests of release", 8)
        self.expect(0, 1, 0, "release: a_test")

    def test_broken_reports_are_failures_and_the_totals_are_said(self):
        self.ctest("a_test", "fail")
        self.googletest("<testsuites><testsuite>")
        (self.folder / "asan.junit.xml").write_text("<testsuite")
        code, output = self.run_totals()
        self.assertEqual(1, code)
        self.assertTrue(output.endswith("\n0 passed, 2 failed\n"), output)


class RunTest(unittest.TestCase):
    """tests/run.sh in a tree of its own, with a build that has nothing to do."""

    def run_quickly(self, tests: str | None) -> tuple[int, str]:
        """Exit code and output with a build folder of these tests, or with none."""
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            for folder in ("tests/support", "bin", "build"):
                (root / folder).mkdir(parents=True)
            shutil.copy(SUPPORT.parent / "run.sh", root / "tests")
            shutil.copy(SUPPORT / "totals.py", root / "tests/support")
            (root / "bin/cmake").write_text("#!/bin/sh\nexit 0\n")
            (root / "bin/cmake").chmod(0o755)
            if tests is not None:
                (root / "build/release").mkdir()
                (root / "build/release/CTestTestfile.cmake").write_text(tests)
            plain = {name: value for name, value in os.environ.items() if name != "NEARSIDE_ALLOW_SKIPS"}
            result = subprocess.run(
                [root / "tests/run.sh", "--quick"], capture_output=True, text=True, check=False,
                env={**plain, "NEARSIDE_SKIP_DEPS": "1", "PATH": f"{root}/bin:{os.environ['PATH']}"})
            return result.returncode, result.stdout

    def test_run_without_a_test_fails(self):
        for tests in ("", None):
            with self.subTest(tests=tests):
                code, output = self.run_quickly(tests)
                self.assertEqual(1, code)
                self.assertIn("release: no test was run", output)
                self.assertTrue(output.endswith("\n0 passed, 1 failed\n"), output)

    def test_run_with_a_skipped_test_fails_however_much_it_prints(self):
        code, output = self.run_quickly(
            "add_test(a sh -c \"seq 5000; echo 'test_b (c.CTest.test_b) ... skipped x'; "
            "echo 'tests: 4 passed, 0 failed, 1 skipped'\")\n")
        self.assertEqual(1, code)
        self.assertIn("release: a: test_b (c.CTest.test_b) (x)", output)
        self.assertTrue(output.endswith("\n4 passed, 0 failed, 1 skipped\n"), output)

    def test_run_of_tests_that_pass_passes(self):
        code, output = self.run_quickly("add_test(a true)\n")
        self.assertEqual(0, code, output)
        self.assertTrue(output.endswith("\n1 passed, 0 failed\n"), output)


if __name__ == "__main__":
    main()
