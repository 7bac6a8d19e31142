"""Where a site's policy leaves no order that the site would answer: which value, why, and its cure.

Each of these is certain, whatever a server asks. A policy that leaves few orders is its site's own to
decide. Nothing here decides about an order: `client.gate.policy` does.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from calyx.errors import printable
from calyx.secagg.rules import default_colluders, group_colluders, smallest_group
from calyx.words.sentences import join_names
from client.gate.bounds import ANY, bound_of, ends_of, is_within, rule_of, shown
from client.gate.looseness import reach_of, value_shown
from client.gate.order_keys import Kinds, covered, order_keys
from client.gate.policy import PACES, PolicyConfig
from client.gate.templates import Template

_SHOWN = 60  # characters of a bound
_MOST = 4  # bounds in a sentence


@dataclass(frozen=True)
class Closed:
    """A value with which a site refuses every order."""

    sentence: str
    cure: str


def closed(policy: PolicyConfig, template: Template, roster: int | None) -> Iterator[Closed]:
    """Every such value, in orders for the template's task; `roster` is its number of sites, if known."""
    known = order_keys((template.task,))
    reach = _Reach(policy, known)
    yield from _uncovered(policy, template, known)
    yield from _pace(policy, reach)
    if not reach.allows("privacy.name", policy.privacy):
        yield _between(reach, "privacy", policy.privacy)
    if policy.privacy == "secagg":
        yield from _lesser(policy, reach, roster)
        yield from _sizes(policy, reach, roster)


@dataclass(frozen=True)
class _Reach:
    """What the policy's bounds leave of an order's keys; one that no bound covers is told elsewhere."""

    policy: PolicyConfig
    known: Kinds

    def bound(self, key: str) -> JsonValue:
        """The one that counts; `any` where there is none."""
        bound = bound_of(key, self.policy.bounds or {})
        return ANY if bound is None else bound

    def told(self, key: str) -> str:
        """The bound as the file has it; of `any`, what an order can hold at all."""
        if self.bound(key) == ANY:
            return f"{key} is {value_shown(self.numbers(key)[1])} at most"
        rule = rule_of(key, self.policy.bounds or {})
        return f"bounds.{rule} is {printable(shown(self.bound(key)), _SHOWN)}"

    def allows(self, key: str, value: str | None) -> bool:
        """Whether an order may have this value, which is no number."""
        return is_within(value, self.bound(key))

    def numbers(self, key: str) -> tuple[float, float]:
        """The least and the largest number that is allowed; (∞, -∞) where none is."""
        bound, own = self.bound(key), reach_of(covered(key, self.known))
        if bound == ANY:
            return own
        if isinstance(bound, dict):
            return ends_of(bound, own)
        listed = bound if isinstance(bound, list) else []
        numbers = [float(v) for v in listed if isinstance(v, int | float)]
        return min(numbers, default=math.inf), max(numbers, default=-math.inf)


def _uncovered(policy: PolicyConfig, template: Template, known: Kinds) -> Iterator[Closed]:
    """Keys that every order has, and that no bound covers."""
    if policy.bounds is None:
        return
    lacks = [
        key
        for key in template.keys
        if key in known and _is_always_a_leaf(key, known) and rule_of(key, policy.bounds) is None
    ]
    if not lacks:
        return
    rules = dict.fromkeys(rule_of(key, template.bounds) or key for key in lacks)
    usual = template.bounds | {"task.name": ["TASK"]}  # whose task it is, no template knows
    lines = [f"{rule}: {shown(usual.get(rule, ANY))}" for rule in rules]
    whole = "bounds of the file that `calyx keys site NAME --task TASK` writes in another folder have all"
    yield Closed(
        f"bounds has none for {join_names(lacks, _MOST)}, and no order goes without; what no bound covers is "
        "refused",
        f"add to bounds: {', '.join(lines)}" if len(lines) <= _MOST else whole,
    )


def _is_always_a_leaf(key: str, known: Kinds) -> bool:
    """Whether an order holds one value there, and never a section or nothing."""
    parts = key.split(".")
    heads = (".".join(parts[:end]) for end in range(1, len(parts)))
    return not any(k.startswith(f"{key}.") for k in known) and not any(h in known for h in heads)


def _pace(policy: PolicyConfig, reach: _Reach) -> Iterator[Closed]:
    least, (_, most) = PACES * policy.pace_s, reach.numbers("deadline_s")
    if least > most:
        shorter = math.floor(100 * most / PACES) / 100
        yield Closed(
            f"pace_s is {value_shown(policy.pace_s)}, so that an order's deadline_s is {PACES} times that, "
            f"{value_shown(least)}, at least; but {reach.told('deadline_s')}",
            f"let deadline_s reach {least:g}, or lower pace_s{f' to {shorter:g}' if shorter else ''}",
        )


def _lesser(policy: PolicyConfig, reach: _Reach, roster: int | None) -> Iterator[Closed]:
    """A bound that allows nothing but what the policy's own key refuses."""
    for key in ("n_min", "h_min"):
        if reach.numbers(f"privacy.{key}")[1] < getattr(policy, key):
            yield _between(reach, key, getattr(policy, key))
    if policy.sampling == "adversarial" and not reach.allows("privacy.sampling", "adversarial"):
        yield _between(reach, "sampling", policy.sampling)
    if reach.numbers("privacy.groups")[1] == -math.inf:
        yield Closed(
            f"{reach.told('privacy.groups')}, and encrypted sums have a number of groups",
            "allow 1 there",
        )
    least = _colluders(policy, roster)
    usual = math.inf if roster is None else default_colluders(roster)
    is_usual = reach.allows("privacy.max_colluders", None) and usual >= least
    if not is_usual and reach.numbers("privacy.max_colluders")[1] < least:
        yield _between(reach, "max_colluders", least)


def _between(reach: _Reach, key: str, value: object) -> Closed:
    name = "privacy.name" if key == "privacy" else f"privacy.{key}"
    return Closed(
        f"{key} is {value_shown(value)}, and no order may ask for that: {reach.told(name)}",
        f"let bounds.{name} allow {value_shown(value)}, or change {key}",
    )


def _sizes(policy: PolicyConfig, reach: _Reach, roster: int | None) -> Iterator[Closed]:
    """Sums that no group, cohort or roster is large enough for."""
    (n_min, of_all), (h_min, of_honest) = (
        _larger(key, getattr(policy, key), reach) for key in ("n_min", "h_min")
    )
    least, colluders = _smallest(n_min, h_min, policy, reach, roster)
    if n_min >= least:
        why, cure = f"{of_all} is {n_min}", f"lower {of_all}"
    else:
        cure = f"lower {of_honest} or max_colluders"
        why = f"{of_honest} is {h_min}, beside {colluders} that may collude: a sum needs {least} sites"
    if roster is not None and least > roster:
        yield Closed(f"{why}, and the roster has {roster}", f"{cure}, or have more sites")
        return
    if reach.numbers("privacy.n_max")[1] < least:
        yield Closed(
            f"{why}, and a sum has no room for so many: {reach.told('privacy.n_max')}",
            f"{cure}, or let privacy.n_max reach {least}",
        )
    groups = reach.numbers("privacy.groups")[0]
    if roster is not None and 1 < groups < math.inf and groups * least > roster:
        yield Closed(
            f"{reach.told('privacy.groups')}, and {groups:g} groups of {least} sites are more than the "
            f"{roster} of the roster",
            f"allow {roster // least} there",
        )
    low, high = reach.numbers("cohort_size")
    is_drawn = not reach.allows("cohort_size", None)
    if is_drawn and (high < least or low > (math.inf if roster is None else roster)):
        has = f"a sum needs {least} sites" if high < least else f"the roster has {roster} sites"
        cure = "allow null there, which is everybody"
        yield Closed(f"{reach.told('cohort_size')}, and {has}", cure)


def _smallest(
    n_min: int, h_min: int, policy: PolicyConfig, reach: _Reach, roster: int | None
) -> tuple[int, int]:
    """The least number of sites of which a sum is possible, and how many of them may collude."""
    colluders = _colluders(policy, roster)
    if not reach.allows("privacy.max_colluders", None):
        low = reach.numbers("privacy.max_colluders")[0]
        colluders = max(colluders, int(low) if low < math.inf else 0)
    is_drawn = policy.sampling == "trusted" and reach.allows("privacy.sampling", "trusted")
    if not is_drawn or roster is None:
        c = 0 if is_drawn else colluders  # of few drawn out of many, none may collude
        return smallest_group(n_min, h_min, c), c
    size = max(n_min, h_min)
    while True:
        c = group_colluders(roster, colluders, size, "trusted")
        if smallest_group(n_min, h_min, c) <= size:
            return size, c
        size += 1


def _larger(key: str, value: int, reach: _Reach) -> tuple[int, str]:
    """What is asked for at least, by the policy's own key or by its bound of the order's; and by which."""
    low = reach.numbers(f"privacy.{key}")[0]
    return (int(low), f"bounds.privacy.{key}") if value < low < math.inf else (value, key)


def _colluders(policy: PolicyConfig, roster: int | None) -> int:
    """That a sum withstands at least."""
    if policy.max_colluders is not None:
        return policy.max_colluders
    return 0 if roster is None else default_colluders(roster)
