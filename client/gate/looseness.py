"""Where a site's policy allows more than the template of its task: what, and beside what.

A policy is its site's own to decide. This says what is looser, for a person to read; it refuses nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from calyx.config.key_types import Types
from calyx.errors import printable
from calyx.secagg.rules import default_colluders
from client.gate.bounds import (
    ANY,
    bound_of,
    ends_of,
    is_within,
    keys_under,
    own_range,
    rule_of,
    shown,
)
from client.gate.order_keys import NAME, covered
from client.gate.policy import PolicyConfig
from client.gate.templates import GUARDS, UNLIMITED, Template

_LARGER = ("runs_a_day", "sums_a_day", "joins_a_day", "failures_a_day", "unfinished_a_day")
_SMALLER = ("n_min", "h_min", "min_cell", "pace_s")
_SHOWN = 60  # characters of a bound


@dataclass(frozen=True)
class Looser:
    """One key of a policy that allows more than the template does."""

    key: str
    found: str
    usual: str  # what the template has
    rule: str | None = None  # the template's bound, where it is another one's

    @property
    def sentence(self) -> str:
        """For the site's engineer."""
        return f"{self.key} is {self.found}, and {self.usual} in the template"

    @property
    def risk(self) -> str:
        """What the template's value guards, and what ends with it."""
        guard = GUARDS.get(self.rule or self.key, "")
        more = UNLIMITED.get(self.key, "") if self.found == "null" else ""
        return f"{guard}; {more}" if more else guard


def looser(policy: PolicyConfig, template: Template, roster: int | None) -> list[Looser]:
    """Every key that is looser; `roster` is the number of its sites, None where it is not known."""
    return [*_limits(policy, template.policy, roster), *_bounds(policy, template)]


def _limits(policy: PolicyConfig, usual: PolicyConfig, roster: int | None) -> Iterator[Looser]:
    def pair(key: str) -> tuple[float, float]:
        values = getattr(policy, key), getattr(usual, key)
        one, other = (math.inf if value is None else value for value in values)
        return one, other

    wrong = [key for key in _LARGER if pair(key)[0] > pair(key)[1]]
    wrong += [key for key in _SMALLER if pair(key)[0] < pair(key)[1]]
    wrong += ["privacy"] * (policy.privacy == "none")
    wrong += ["sampling"] * (policy.sampling == "trusted")
    wrong += ["leave_one_out"] * policy.leave_one_out
    wrong += ["questions"] * bool({*policy.answered} - {*usual.answered})
    wrong += ["max_colluders"] * _withstands_fewer(policy.max_colluders, roster)
    for key in sorted(wrong, key=list(vars(usual)).index):
        yield Looser(key, value_shown(getattr(policy, key)), value_shown(getattr(usual, key)))


def _withstands_fewer(colluders: int | None, roster: int | None) -> bool:
    """Than a tenth of the roster, or one."""
    least = 1 if roster is None else default_colluders(roster)
    return colluders is not None and colluders < least


def _bounds(policy: PolicyConfig, template: Template) -> Iterator[Looser]:
    if policy.bounds is None:
        yield Looser("bounds", "null: any value of any key", "a bound for each key")
        return
    known, seen = keys_under(template.bounds), set()
    own = [key for key in policy.bounds if not key.endswith(".*")]
    for key in dict.fromkeys([*(k.replace(NAME, "NAME") for k in known), *own]):
        rules = rule_of(key, policy.bounds), rule_of(key, template.bounds)
        if rules in seen or None in rules:
            continue
        if key == "task.name" and isinstance(policy.bounds.get(key), list):
            continue  # each of these tasks has a template of its own
        bounds = bound_of(key, policy.bounds), bound_of(key, template.bounds)
        if not _is_inside(*bounds, reach_of(covered(key, known))):
            seen.add(rules)
            name = rules[0] if rules[0] == key else rules[1]
            yield Looser(str(name), printable(shown(bounds[0]), _SHOWN), shown(bounds[1]), rules[1])


def reach_of(kinds: Types) -> tuple[float, float]:
    """The least and the largest number that a key can hold at all."""
    ranges = [reach for kind in kinds if (reach := own_range(kind)) is not None]
    low = min((low for low, _ in ranges), default=-math.inf)
    return low, max((high for _, high in ranges), default=math.inf)


def _is_inside(own: JsonValue, usual: JsonValue, widest: tuple[float, float]) -> bool:
    """Whether all that `own` allows is allowed by `usual`; `widest` is what the key can hold at all."""
    if usual == ANY:
        return True
    if isinstance(own, list):
        return all(is_within(value, usual) for value in own)
    if not isinstance(own, dict) or not isinstance(usual, dict):
        return False
    low, high = ends_of(own, widest)
    least, most = ends_of(usual, widest)
    return least <= low and high <= most


def value_shown(value: Any) -> str:  # noqa: ANN401 - of a policy
    """As a site's file has it: 2, not 2.0."""
    is_whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, tuple):
        value = list(value)
    return shown(int(value) if is_whole else value)
