"""The end of every Python test file: runs its cases and says how many there were."""

import sys
import unittest


def main() -> None:
    """Prints a line "tests: …" for tests/support/totals.py, and exits as ctest wants it."""
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    sys.stderr.flush()
    print(f"tests: {max(0, result.testsRun - failed - skipped)} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed else 0)
