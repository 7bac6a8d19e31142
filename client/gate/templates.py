"""The policy that a site begins with, one for each task, and what each value of it guards.

A server chooses hyper-parameters, and each of them can be a question about single rows. These bounds
leave room for an honest search around a task's own defaults, and little for a question. Nothing
here decides about an order: a site's own file does. See docs/decisions/0056.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from calyx.config.section import parse
from client.gate.bounds import ANY, is_within
from client.gate.policy import ADDED, PolicyConfig, flat

# What the keys beside `bounds` are in every template.
LIMITS: dict[str, Any] = {
    "privacy": "secagg",
    "n_min": 5,
    "h_min": 3,
    "max_colluders": None,
    "sampling": "adversarial",
    "runs_a_day": 12,
    "sums_a_day": 1000,
    "joins_a_day": ADDED["joins_a_day"],
    "failures_a_day": 3,
    "unfinished_a_day": ADDED["unfinished_a_day"],
    "pace_s": ADDED["pace_s"],
    "leave_one_out": False,
    "questions": None,
    "statistics": None,
    "min_cell": 10,
}
# Of a federation that samples its cohorts: a site meets runs late, and everybody evaluates.
SAMPLED: dict[str, JsonValue] = {"sums_a_day": 1300, "joins_a_day": 12}
BOUNDS: dict[str, JsonValue] = {
    "task.*": ANY,
    "task.hidden": {"max": 32},
    "strategy.name": ["fedavg", "fedprox"],
    "strategy.local.*": {"min": 0, "max": 10},
    "strategy.local.adversarial.method": ["fgsm", "pgd"],
    "training.*": ANY,
    "training.epochs": {"min": 1, "max": 10},
    "training.batch_size": {"min": 8, "max": 64},
    "training.lr": {"min": 0.001, "max": 0.2},
    "training.optimizer": ["sgd", "adam"],
    "training.momentum": {"max": 0.95},
    "training.weight_decay": {"max": 0.1},
    "preprocessing.*": ANY,
    "preprocessing.scaling": ["standard"],
    "preprocessing.outliers": ["clip"],
    "privacy.*": ANY,
    "privacy.clip": {"min": 0.01, "max": 1.0},
    "privacy.n_max": {"min": 64},
    "statistics.*": ANY,
    "robust.*": {"max": 20},
    "robust.method": ["fgsm", "pgd"],
    "cv.k": [5, 10],
    "cv.combine": ["mean", "vote"],
    "cohort_size": [None],
    "seed": ANY,
    "rounds": {"max": 100},
    "deadline_s": {"min": 10, "max": 3600},
}
# Said beside the value, and by `calyx doctor site` of a looser one: what the value guards.
GUARDS: dict[str, str] = {
    "privacy": "none shows the server every update",
    "n_min": "clients in a sum at least: of fewer, a sum says more of each",
    "h_min": "honest ones among them at least",
    "max_colluders": "members that may work with the server; null is a tenth of the roster, and at least one",
    "sampling": "trusted believes the server to draw cohorts at random",
    "runs_a_day": "each run may begin with another question",
    "sums_a_day": "each sum tells something",
    "joins_a_day": "runs first met in their middle: nobody can know where their weights come from",
    "failures_a_day": "orders that fail on its rows: each tells the server a bit of them",
    "unfinished_a_day": "orders taken for which no vector left: whether one answers is a bit in time",
    "pace_s": "replies leave at multiples of so many seconds: time would tell of rows",
    "leave_one_out": "true lets cv.k=clients score a model that is meant for this site alone",
    "questions": "kinds of orders that are answered; null: all that Calyx itself asks",
    "statistics": "of its rows: every item of the audit; a list allows some, [] none",
    "min_cell": "rows that a statistic's cell stands for at least: smaller ones tell of single rows",
    "bounds": "of hyper-parameters, since each can be a question about single rows",
    "task.name": "the task whose rows these are, and no other",
    "task.hidden": "a server that chooses the weights reads a third as many rows out of each sum",
    "strategy.name": "what another strategy sends is another sum",
    "strategy.local.*": "beyond it a penalty holds the model where the server put it",
    "strategy.local.adversarial.method": "moved rows cost a step of the training for each of their steps",
    "training.epochs": "many epochs on few rows learn these rows by heart",
    "training.batch_size": "a batch of one row is that row's own step",
    "training.lr": "a large step blows single rows up, a tiny one shows a gradient untouched",
    "training.optimizer": "adamw moves weights that no row has moved",
    "training.momentum": "near 1 the first batch decides the whole update",
    "training.weight_decay": "it makes old weights vanish, so that rows alone are left",
    "preprocessing.scaling": "without it single large values stand out; of pixels and texts none is needed",
    "preprocessing.outliers": "an outlier that is kept is a row that stands out; pixels have none",
    "privacy.clip": "a wide one lets a single coordinate carry a row, a tiny one rounds finely",
    "privacy.n_max": "a small one makes the step finer, and shows finer differences",
    "robust.*": "each step of an attack on its rows takes as long as an evaluation",
    "robust.method": "how the rows are moved by which a model is judged",
    "cv.k": "more folds are more models of nearly the same rows",
    "cv.combine": "the folds' models are judged once more, together",
    "cohort_size": "of drawn cohorts everybody may evaluate every round: more questions without training",
    "rounds": "each round is a question",
    "deadline_s": "one below three times pace_s is refused anyway",
}


# Of a limit that is null, beside that: what else is not looked at then.
UNLIMITED: dict[str, str] = {
    "joins_a_day": "null also lets a cross-validation be scored of which this site has trained no fold",
}
_OTHERS = (
    *("strategy.name", "statistics.bins", "statistics.thorough"),
    *("cohort_size", "seed", "rounds", "deadline_s"),
)


@dataclass(frozen=True)
class Template:
    """A task's policy, as a site's file has it."""

    task: str
    policy: PolicyConfig
    keys: tuple[str, ...]  # of its orders, as its config has them

    @property
    def bounds(self) -> dict[str, JsonValue]:
        """By key of an order."""
        return self.policy.bounds or {}


def template_of(task: str, defaults: Mapping[str, Any], is_drawn: bool = False) -> Template:
    """The template of a task whose config is `defaults` where nobody says otherwise.

    With `is_drawn`, or where that config draws cohorts, it is of a federation that does.
    A value that follows from others is null there, and within: what follows lies inside the bounds.
    Raises ConfigError for defaults that no policy could allow.
    """
    is_drawn = is_drawn or defaults["cohort_size"] is not None
    limits = LIMITS | (SAMPLED if is_drawn else {})
    privacy = defaults["privacy"]
    limits |= {key: min(limits[key], privacy[key]) for key in ("n_min", "h_min")}
    bounds: dict[str, JsonValue] = {"task.name": [task]}
    for key, bound in BOUNDS.items():
        value = _at(defaults, key)
        if key == "task.hidden" and "hidden" not in defaults["task"]:
            continue
        bounds[key] = bound if value is None else around(bound, value)
    if is_drawn:  # its sites know that cohorts are drawn; rounds bounds them
        bounds["cohort_size"] = ANY
    policy = parse(PolicyConfig, limits | {"bounds": bounds}, "client.policy")
    sections = {k: defaults[k] for k in ("task", "training", "preprocessing", "privacy")}
    keys = [key for key, _ in flat(sections, "") if key != "task.data_dir"]
    return Template(task, policy, (*keys, *_OTHERS))


def around(bound: JsonValue, value: JsonValue) -> JsonValue:
    """The bound where it allows `value`; else a range that reaches to it, or a list of it alone."""
    if is_within(value, bound):
        return bound
    if isinstance(bound, dict) and isinstance(value, int | float):
        end = "min" if value < bound.get("min", value) else "max"  # type: ignore[operator]
        return bound | {end: value}
    return [value]


def _at(defaults: Mapping[str, Any], key: str) -> JsonValue:
    """The default of a key, null where there is none, or more than one."""
    value: Any = {**defaults, "statistics": {}}
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if isinstance(value, Mapping) else value
