"""Spread test files over processes by their measured length, the longest first.

tests/lengths.json has the seconds of each file that takes more than one; `scripts/test
--write-lengths` measures them again. See docs/decisions/0027.
"""

import json
from collections import Counter
from pathlib import Path, PurePath

from xdist.scheduler import LoadFileScheduling

LENGTHS = Path(__file__).parents[1] / "lengths.json"
SHORT_S = 1.0  # what takes less is not written down
# Files of which only so many run at once: machines fill the memory, and two Rays the cores.
AT_ONCE = {
    ("test_deploy",): 2,
    ("test_ray.", "test_flwr_run."): 1,
}


class LongestFirst(LoadFileScheduling):
    """Gives each process whole files, the longest that may run now."""

    def __init__(self, config, log=None):
        super().__init__(config, log)
        self._lengths = json.loads(LENGTHS.read_text())

    def _assign_work_unit(self, node):
        """Give a process one file more.

        It must know its next test before it begins one, so that a file waits behind the last test
        of the file before. Behind one that may take long it is the shortest that waits.
        """
        allowed = [file for file in self.workqueue if self._is_allowed(file)] or [*self.workqueue]
        ranked = sorted(allowed, key=self._length, reverse=True)
        self.workqueue.move_to_end(ranked[-1 if self._is_long(node) else 0], last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node):
        """The next file is chosen when the last test of the present one begins, not before."""
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)

    def _length(self, file):
        return self._lengths.get(file, SHORT_S / 2)

    def _is_long(self, node):
        """Whether a test waits in this process that takes longer than a short file."""
        for file, tests in self.assigned_work[node].items():
            if not all(tests.values()) and self._length(file) / len(tests) > 5 * SHORT_S:
                return True
        return False

    def _is_allowed(self, file):
        """Whether fewer files of its kind are under way than may be at once."""
        under_way = [
            PurePath(other).name
            for work in self.assigned_work.values()
            for other, tests in work.items()
            if not all(tests.values())
        ]
        return all(
            sum(name.startswith(kind) for name in under_way) < most
            for kind, most in AT_ONCE.items()
            if PurePath(file).name.startswith(kind)
        )


class Lengths:
    """Adds up what the tests of each file took, and writes it down at the end."""

    def __init__(self):
        self._seconds = Counter()

    def pytest_runtest_logreport(self, report):
        """A stage of a test has ended, in whatever process."""
        self._seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self):
        """Replace the file."""
        found = {f: round(s, 1) for f, s in self._seconds.most_common() if s > SHORT_S}
        LENGTHS.write_text(json.dumps(found, indent=1) + "\n")
