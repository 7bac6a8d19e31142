"""Who is there, by name."""

import pytest
from federation import Federation, Silent

from calyx.errors import CalyxError
from engines.embedded import EmbeddedGrid
from engines.workers import WorkerPool
from server.roster import read_roster


def test_names_are_asked_for_and_sorted():
    assert list(Federation().roster) == ["client-00", "client-01", "client-02"]


@pytest.mark.parametrize(
    ("names", "words"), [(["a", "b", "a"], "call themselves a"), ([], "No client answered")]
)
def test_two_of_one_name_and_nobody_are_refused(names, words):
    section = Federation().plan.run.client
    grid = EmbeddedGrid(WorkerPool(0), names, section, Silent())
    with pytest.raises(CalyxError, match=words):
        read_roster(grid, 5.0)
