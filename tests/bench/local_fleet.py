"""An origin and edges of this machine for the benchmarks beside this file: NEARSIDE_BIN says which."""

import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from fleet import CacheTest, Edge, Origin  # noqa: E402
from nearside_harness import wait_until  # noqa: E402


class LocalFleet(CacheTest):
    """`with LocalFleet(3) as fleet:` one origin and so many edges, gone afterwards."""

    def __init__(self, edges: int, **options) -> None:
        super().__init__("runTest")
        self._count = edges
        self._options = options

    def runTest(self) -> None:
        """There is no test here."""

    def _has_failed(self) -> bool:
        return False

    def __enter__(self) -> "LocalFleet":
        self.setUp()
        try:
            self.origin = Origin(self).start()
            self.edges = [Edge(self, f"edge-{i}", **{"origins": [self.origin.url], "events": [self.origin.url],
                                                     "disk": "2GiB", **self._options}).start()
                          for i in range(self._count)]
            wait_until(lambda: self.origin.call("GET", "/v1/edges").body.count(b'"reachable":true') == self._count,
                       "every edge has reported")
        except BaseException:
            self.doCleanups()
            raise
        return self

    def __exit__(self, *_what) -> None:
        self.doCleanups()


def quantile(values: list[float], part: float) -> float:
    """Of unsorted values: the least that so large a part of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)]


def summary(values: list[float]) -> str:
    return (f"p50 {quantile(values, 0.5):.1f}, p90 {quantile(values, 0.9):.1f}, p99 {quantile(values, 0.99):.1f}, "
            f"longest {max(values):.1f} ms")
