"""Settings that follow from others where the config leaves them null: filled in when it is composed.

What is written by hand stays, and is checked where it is parsed. A run folder's `config.yaml` holds
the values that were filled in, so that a resumed run, a report and a sweep see the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calyx.config.section import parse
from calyx.data.schema import Schema
from calyx.errors import ConfigError
from calyx.model.attack_config import SHARE, complete_attack
from calyx.model.metrics import better_is
from calyx.privacy.section import PrivacyConfig, default_sampling
from calyx.secagg.rules import MAX_GROUP, Sampling
from calyx.tasks.registry import load_class, load_task

LEAST_ROOM = 128
LEAST_LR = 0.001  # what a site's policy allows at least, in the template


def fill_in_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """The resolved `config` with what is null in it and follows from the rest.

    That is the attack of `robust` and of `strategy.local.adversarial`, `stopping`, `evaluate`,
    `training.lr`, `privacy.n_max` and `privacy.sampling`. Raises ConfigError for a task or strategy that
    there is not.
    """
    filled = dict(config)
    _settle_attacks(filled)
    if isinstance(config.get("stopping"), dict):
        filled["stopping"] = stopping_of(config)
    if "evaluate" in config and config["evaluate"] is None:
        filled["evaluate"] = _evaluation(config)
    task = config.get("task")
    training = config.get("training")
    if isinstance(training, dict) and isinstance(task, dict) and training.get("lr", 0) is None:
        lr = learning_rate(load_task(task).schema, is_linear=task.get("hidden") == 0)
        filled["training"] = training | {"lr": lr}
    privacy = config.get("privacy") if isinstance(task, dict) else None
    if isinstance(privacy, dict) and None in (privacy.get("n_max", 0), privacy.get("sampling", "")):
        _settle_sums(filled, _Clients.of(config))
    return filled


def _settle_attacks(filled: dict[str, Any]) -> None:
    """Fill in steps, step size and share of both attacks, where somebody asks for them."""
    robust, strategy = filled.get("robust"), filled.get("strategy")
    if isinstance(robust, dict) and robust.get("every") is not None:
        filled["robust"] = complete_attack(robust)
    local = strategy.get("local") if isinstance(strategy, dict) else None
    adversarial = local.get("adversarial") if isinstance(local, dict) else None
    if isinstance(strategy, dict) and isinstance(local, dict) and isinstance(adversarial, dict):
        whole = {"share": SHARE, **complete_attack(adversarial)}
        filled["strategy"] = strategy | {"local": local | {"adversarial": whole}}


@dataclass(frozen=True)
class _Clients:
    """How many clients a run has, how many of them train in a round, and how many are "everybody"."""

    roster: int
    cohort: int
    census: int  # whom questions to everybody ask
    is_simulated: bool

    @staticmethod
    def of(config: Mapping[str, Any]) -> "_Clients":
        clients = len(load_task(config["task"]).clients)
        cohort, census = (
            min(size, clients) if isinstance(size, int) and size > 0 else clients
            for size in (config.get("cohort_size"), config.get("census_size"))
        )
        engine = config.get("engine")
        is_simulated = not (isinstance(engine, dict) and engine.get("name") == "superlink")
        return _Clients(clients, cohort, census, is_simulated)


def _settle_sums(filled: dict[str, Any], clients: _Clients) -> None:
    """Fill in `privacy.n_max` and `privacy.sampling`, and with it a simulated client's policy."""
    privacy = filled["privacy"] = dict(filled["privacy"])
    if privacy.get("n_max", 0) is None:
        asked = clients.cohort if clients.is_simulated else clients.roster
        privacy["n_max"] = room_of_sums(asked, privacy.get("groups"))
    client: Any = filled.get("client")
    policy: Any = client.get("policy") if isinstance(client, dict) else None
    believed = policy.get("sampling") if isinstance(policy, dict) else None
    if privacy.get("sampling", 0) is None:
        by_hand = believed == "adversarial"  # as clients would refuse anything else
        privacy["sampling"] = believed if by_hand else _sampling(privacy, clients)
    if isinstance(policy, dict) and believed is None:
        filled["client"] = client | {"policy": policy | {"sampling": privacy.get("sampling")}}


def _sampling(section: dict[str, Any], clients: _Clients) -> Sampling:
    """On sites adversarial, and in a simulation too where its sums are large enough for that."""
    try:
        privacy = parse(PrivacyConfig, section | {"sampling": "adversarial"}, "privacy")
    except ConfigError:
        return "adversarial"  # what is wrong is said where the section is parsed
    if not clients.is_simulated or privacy.groups == "all":
        return "adversarial"
    whole = clients.census // privacy.groups
    parts = -(-clients.census // (privacy.groups * privacy.n_max))
    smallest = min(clients.cohort // privacy.groups, whole // max(1, parts))
    return default_sampling(privacy, clients.roster, smallest)


def room_of_sums(clients: int, groups: object) -> int:
    """`privacy.n_max` where it is null: a power of two that so many clients, in `groups`, fit into.

    In simulation they are those of a round: everybody is asked in as many sums as it takes. Of sites they
    are the roster.

    At least 128, so that a few clients more change no byte; at most what one sum can hold.
    """
    parts = groups if isinstance(groups, int) and groups > 0 else clients  # all: one a client
    size = -(-clients // max(1, parts))
    return min(MAX_GROUP, max(LEAST_ROOM, 1 << max(0, size - 1).bit_length()))


def learning_rate(schema: Schema, *, is_linear: bool) -> float:
    """`training.lr` where it is null, by what is predicted and from how many columns (decision 0048).

    A standardised column, or one of categories, adds 1 to the mean squared length of an input, and
    the steps that descend on a loss of inputs so long shrink as that grows: soonest where the model
    is linear, and where the loss is a squared error, which nothing bounds.
    """
    columns = max(1, len(schema.columns))
    if schema.target is not None:
        lr = min(0.05, (1 if is_linear else 5) / columns)
    else:
        lr = min(0.1, 10 / columns) if is_linear else 0.1
    return max(LEAST_LR, round(lr, 4))


def stopping_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The section `stopping` with what is watched, its direction, and what runs are compared by.

    What is tuned is what is compared: personal models are watched where the strategy trains them.
    Runs of such a strategy are compared by how often these models are right where they classify: the
    loss of a model that has seen few rows says first of all how sure it is.
    Raises ConfigError for a task or strategy that there is not.
    """
    section = dict(config["stopping"])
    monitor, objective = section.get("monitor"), section.get("objective")
    if monitor is None:
        is_personal = _trains_personal(config.get("strategy"))
        monitor = "val_personal_loss" if is_personal else "val_loss"
        if objective is None and is_personal and _classifies(config.get("task")):
            objective = "val_personal_accuracy"
    if section.get("mode") is None and isinstance(monitor, str):
        section["mode"] = better_is(monitor)
    return section | {"monitor": monitor, "objective": objective or monitor}


def _classifies(task: Any) -> bool:  # noqa: ANN401 - whatever the config holds
    return isinstance(task, dict) and load_task(task).schema.target is None


def _trains_personal(strategy: Any) -> bool:  # noqa: ANN401 - whatever the config holds
    if not isinstance(strategy, Mapping) or not isinstance(strategy.get("name"), str):
        return False  # it is refused where the section is parsed
    objective = load_class("strategy", strategy["name"]).local_objective
    try:
        personal = parse(objective, strategy.get("local") or {}, "strategy.local").personal()
    except ConfigError:
        return False  # it is said, with all else that is wrong, where the strategy is checked
    return personal is not None


def _evaluation(config: Mapping[str, Any]) -> str:
    """By everybody in each round: with the training where all take part in it, else separately."""
    size, task = config.get("cohort_size"), config.get("task")
    if size is None or not isinstance(task, dict):
        return "with_training"
    return "with_training" if size == len(load_task(task).clients) else "separate"
