"""Names of clients that follow from numbers, so that a million of them take no room.

`client-00` … : sorted as texts they are in the order of their numbers. See docs/decisions/0077.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

_HEAD = "client-"
_LEAST_WIDTH = 2


@dataclass(frozen=True, eq=False)
class NumberedNames(Sequence[str]):
    """The names of ascending `numbers`, none of which is held; index, place and membership are O(1).

    Of numbers in an array, which are those of some clients of many, place and membership are O(log n).
    """

    numbers: range | NDArray[np.int64]
    width: int  # digits of a number, with zeros before it

    @override
    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> "NumberedNames": ...

    @override
    def __getitem__(self, place: int | slice) -> "str | NumberedNames":
        if isinstance(place, slice):
            return NumberedNames(self.numbers[place], self.width)
        return f"{_HEAD}{self.numbers[place]:0{self.width}d}"

    @override
    def __iter__(self) -> Iterator[str]:
        return (f"{_HEAD}{number:0{self.width}d}" for number in self.numbers)

    @override
    def __contains__(self, name: object) -> bool:
        return self._place(name) is not None

    @override
    def index(self, value: object, start: int = 0, stop: int | None = None) -> int:
        """The place of a name. Raises ValueError where it is none of these."""
        place = self._place(value)
        if place is None or not start <= place < (len(self) if stop is None else stop):
            raise ValueError(f"{value!r:.80} is none of these names")
        return place

    def take(self, places: NDArray[np.int64]) -> "NumberedNames":
        """The names at these ascending places [n]."""
        ours = self.numbers
        if isinstance(ours, range):
            return NumberedNames(ours.start + ours.step * places, self.width)
        return NumberedNames(ours[places], self.width)

    def _place(self, name: object) -> int | None:
        if not isinstance(name, str) or len(name) != len(_HEAD) + self.width:
            return None
        digits = name[len(_HEAD) :]
        if not (name.startswith(_HEAD) and digits.isascii() and digits.isdigit()):
            return None
        number = int(digits)
        if isinstance(self.numbers, range):
            return self.numbers.index(number) if number in self.numbers else None
        place = int(np.searchsorted(self.numbers, number))
        is_there = place < len(self.numbers) and self.numbers[place] == number
        return place if is_there else None


def client_names(num_clients: int) -> NumberedNames:
    """`client-00` …, as many digits as the last one has, two at least: the names of `num_clients`."""
    return NumberedNames(range(num_clients), max(_LEAST_WIDTH, len(str(num_clients - 1))))
