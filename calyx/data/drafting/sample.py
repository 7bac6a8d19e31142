"""Some rows of all files, evenly spread, to compare columns with each other: never more than fit."""

from collections.abc import Mapping, Sequence

MOST_ROWS = 20_000
MOST_CELLS = 1_000_000
LONGEST = 200  # signs that are kept of a cell


class Sample:
    """Every first, second, fourth … row, by column: which ones depends on the rows' number alone."""

    def __init__(self, names: Sequence[str]) -> None:
        self.cells: dict[str, list[str | None]] = {name: [] for name in names}
        self.files: list[int] = []  # of each row
        self.step, self._rows = 1, 0  # rows from one of the sample to the next
        self._most = max(100, min(MOST_ROWS, MOST_CELLS // max(len(names), 1)))

    def __len__(self) -> int:
        """Rows."""
        return len(self.files)

    def add(self, cells: Mapping[str, Sequence[str | None]], file: int) -> None:
        """Take what is due of some rows of a file."""
        count = len(next(iter(cells.values())))
        begin = -self._rows % self.step
        self._rows += count
        for name, kept in self.cells.items():
            kept.extend(cell and cell[:LONGEST] for cell in cells[name][begin :: self.step])
        self.files.extend([file] * len(range(begin, count, self.step)))
        while len(self) > self._most:
            self.step *= 2
            self.cells = {name: kept[::2] for name, kept in self.cells.items()}
            self.files = self.files[::2]
