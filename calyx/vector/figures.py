"""Figures that are told or not: each is a number, or it is absent and says why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, float | None]
IMPOSSIBLE = "what the clients sent contradicts itself"  # of sums that no rows can have
Reasons = dict[str, str]  # by the figure's name: one clear sentence without a full stop


@dataclass(frozen=True)
class Figures:
    """Figures by name; each one that is None has its reason in `absent`, and no other has one."""

    values: Values
    absent: Reasons = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that reasons are those of the figures that are not told. Raises ValueError."""
        if {name for name, value in self.values.items() if value is None} != set(self.absent):
            raise ValueError("a figure that is not told needs a reason, and no other has one")

    def with_prefix(self, prefix: str, but: str | None = None) -> "Figures":
        """These figures with `prefix` before each name that does not begin with `but`."""

        def name_of(name: str) -> str:
            return name if but is not None and name.startswith(but) else f"{prefix}{name}"

        return Figures(
            {name_of(name): value for name, value in self.values.items()},
            {name_of(name): reason for name, reason in self.absent.items()},
        )

    def only(self, names: tuple[str, ...]) -> "Figures":
        """The figures that have these names."""
        absent = {name: why for name, why in self.absent.items() if name in names}
        return Figures({name: self.values[name] for name in names}, absent)

    def __or__(self, other: "Figures") -> "Figures":
        """Both; a figure of the other one takes the place of one with its name."""
        kept = {name: why for name, why in self.absent.items() if name not in other.values}
        return Figures(self.values | other.values, kept | other.absent)


def none_of(names: tuple[str, ...], reason: str) -> Figures:
    """Figures that are all absent, for one reason."""
    return Figures(dict.fromkeys(names), dict.fromkeys(names, reason))


def as_row(figures: Figures) -> dict[str, object]:
    """The figures as JSON values: of a line, with their reasons under `absent` where any is missing."""
    return dict(figures.values) | ({"absent": figures.absent} if figures.absent else {})


def finite_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose numbers that are not finite are None, with that reason: JSON knows no NaN."""
    bad = [k for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)]
    if not bad:
        return dict(row)
    reasons = row.get("absent", {}) | dict.fromkeys(bad, "it is not finite")
    return {**row, **dict.fromkeys(bad), "absent": reasons}
