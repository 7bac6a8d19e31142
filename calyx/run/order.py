"""The order: one canonical byte string that tells all clients of a stage the same thing.

Source: `calyx-secagg/1` §3. It holds every hyper-parameter and the hash of the weights, and no
per-client field. What does not travel (a machine's paths, hardware, engine, the server's half of
a strategy) is not in it. See docs/decisions/0014.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue

from calyx.config.section import (
    DeadlineS,
    Section,
    canonical_json,
    config,
    digest,
    parse,
)
from calyx.errors import ConfigError
from calyx.model.attack_config import AttackConfig, travelling_attack
from calyx.model.combining import Combine
from calyx.vector.weighing import LARGEST_W_MAX

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_MEMBERS = 4096  # names that an order lists by group; a larger roster is a simulation's
MAX_ORDER_BYTES = 4 * 2**20  # a roster of some 100,000 names; more is refused unread

KIND = r"[a-z][a-z0-9_-]{0,39}"  # of a question, which is a file of `calyx.questions`
Hex32 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]  # 32 bytes
LONGEST_NAME = 200  # characters; ledger and journal keep some of an order's names


def _plain(name: str) -> str:
    """The name. Raises ValueError for signs that a line of a file, or a terminal, would obey."""
    if not name.isprintable():
        raise ValueError("a name of an order has printable characters only")
    return name


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_plain)]


@config
class StrategyHalf:
    """The client's half of a strategy."""

    name: Name
    local: Section


@config
class Cv:
    """Cross-validation: into how many folds the rows, or which clients, are dealt."""

    k: Annotated[int, Field(ge=2, le=20)] | Literal["clients"]
    fold: Annotated[int, Field(ge=0, le=2**20)] | None  # whose training it is; null: of all of them
    # How the folds' models will answer as one; then folds leave the test part alone. Null: they do not.
    combine: Combine | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for clients left out, of whom each model has seen the test rows of others."""
        check_combined(self.k, self.combine)


def check_combined(k: int | str | None, combine: Combine | None) -> None:
    """Raise ValueError where there are no folds of rows whose models could be combined."""
    if combine is not None and not isinstance(k, int):
        raise ValueError(
            f"combine={combine} is of folds of rows, so that k must be a number, such as 5"
        )


@config
class Terms:
    """What every round of a run has in common; the same for all clients."""

    task: Section  # without data_dir
    strategy: StrategyHalf
    training: Section
    preprocessing: Section
    privacy: Section
    # Largest weight of a client, where the task leaves it to the federation; null: it is not known.
    w_max: Annotated[int, Field(ge=1, le=LARGEST_W_MAX)] | None
    statistics: Section
    cv: Cv | None  # null: an ordinary training
    # Clients of a round; null: all of them.
    cohort_size: Annotated[int, Field(ge=1, lt=2**31)] | None
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    robust: AttackConfig | None = None  # which models are asked to stand; null: none

    @property
    def folds(self) -> int:
        """Folds that each client's rows are dealt into for a cross-validation; 0 where they are not."""
        return self.cv.k if self.cv is not None and isinstance(self.cv.k, int) else 0


@config
class Abandoned:
    """Proof that an earlier sum can never be opened: its clients erased their shares and signed so."""

    ctx: Hex32
    root: Hex32
    signatures: dict[Name, Annotated[str, Field(pattern="^[0-9a-f]{128}$")]]  # by client name


@config
class Link:
    """A sum of the previous training: the context that it was made in, and its root."""

    ctx: Hex32
    root: Hex32


@config
class Order:
    """One exchange of one round, as every client of the cohort gets it."""

    protocol: Literal["calyx/1"]
    run: Name  # Calyx's own id of the run
    kind: Annotated[str, Field(pattern=f"^{KIND}$")]
    round: Annotated[int, Field(ge=0, lt=2**31)]
    attempt: Annotated[int, Field(ge=1, lt=2**31)]
    weights: Hex32  # SHA-256 of the weights that the message carries
    is_validated: bool  # a training that also validates the weights that it begins with
    previous: tuple[Link, ...]  # the sums that made these weights, a group each; none at first
    abandoned: tuple[Abandoned, ...]  # sums of earlier attempts that were given up
    groups: tuple[tuple[Name, ...], ...]  # names of the cohort's clients, each in one group
    # The roster's names by group, for the whole run; null: one group, and the roster is its members.
    members: tuple[tuple[Name, ...], ...] | None
    rounds: Annotated[int, Field(ge=1, lt=2**31)]
    best: Annotated[int, Field(ge=0, lt=2**31)]  # the best round so far, to be kept; 0: none yet
    deadline_s: DeadlineS
    terms: Terms


def terms_of(run: Mapping[str, Any]) -> Terms:
    """The part that travels of a run's resolved config, which is sound; every value as it is written."""
    return parse(Terms, travelling(run), "")


def travelling(run: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's resolved config that travels, as JSON values."""
    audit, strategy = run["audit"], run["strategy"]
    is_thorough, robust = audit["thorough"], run.get("robust") or {}
    attack = {} if robust.get("every") is None else {"robust": travelling_attack(robust)}
    return {
        **{
            key: run[key] for key in ("training", "preprocessing", "privacy", "cohort_size", "seed")
        },
        "task": {k: v for k, v in run["task"].items() if k != "data_dir"},
        "strategy": {"name": strategy["name"], "local": _without_null(strategy["local"])},
        **attack,
        "w_max": None,
        "statistics": {
            "bins": audit["bins"],
            "thorough": "train" not in run["phases"] if is_thorough is None else is_thorough,
        },
        "cv": None,
    }


def _without_null(local: Mapping[str, Any]) -> dict[str, Any]:
    """Without an `adversarial` of null: what a site's bounds do not name stays out of its orders."""
    return {k: v for k, v in local.items() if k != "adversarial" or v is not None}


def with_preprocessing(terms: Terms, **values: JsonValue) -> Terms:
    """The terms with these keys of the section `preprocessing` in place of what is written."""
    return replace(terms, preprocessing=terms.preprocessing | values)


def run_digest(run: Mapping[str, Any]) -> str:
    """SHA-256 of all that decides a run's bytes but `rounds`, of its resolved config, which is sound.

    A resume compares it: engine, hardware, folders and the choice of baselines may change. What
    preprocessing=auto comes to follows from the rest, and counts as it is written.
    """
    server = ("cohort_size", "census_size", "min_replies", "evaluate", "stopping", "cv")
    values = {k: run[k] for k in server}
    if values["cv"].get("combine") is None:  # as runs have it that were begun before it was a key
        values["cv"] = {"k": values["cv"]["k"]}
    return digest(travelling(run) | {"server": run["strategy"]["server"]} | values)


def to_json(order: Order) -> str:
    """The canonical JSON of an order."""
    return canonical_json(_adapter().dump_python(order, mode="json"))


@cache
def _adapter() -> "TypeAdapter[Order]":
    from pydantic import TypeAdapter

    return TypeAdapter(Order)


def from_json(text: str) -> Order:
    """Read an order that came over the network. Raises ConfigError for anything unexpected."""
    if len(text) > MAX_ORDER_BYTES:
        raise ConfigError(f"The order has {len(text)} characters, more than {MAX_ORDER_BYTES}.")
    try:
        section = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ConfigError("The order is no JSON.") from None
    if not isinstance(section, dict):
        raise ConfigError("The order is no JSON object.")
    order = parse(Order, section, "")
    if canonical_json(section) != text:
        raise ConfigError("The order is not in canonical form.")
    return order


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
