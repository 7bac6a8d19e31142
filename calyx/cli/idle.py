"""Settings that were written and that nothing would obey beside the others. Pure.

What is harmless is said in a warning. What somebody relies on is refused before the start: a number
that another setting undoes, a group's name without its contents, an option of another command. A
default that has no effect is nobody's mistake, so that only overrides are looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

from calyx.errors import ConfigError

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """When a key has an effect, and what it needs in words."""

    keys: tuple[str, ...]  # `a.` is all below a, and a itself
    has_effect: Callable[[Config], bool]
    needs: str

    def is_idle(self, key: str, config: Config) -> bool:
        """Whether this key is of the rule, is set to something, and has no effect."""
        is_set = value_of(config, key) not in (None, False)
        is_of_it = any(key == k or (k[-1] == "." and f"{key}.".startswith(k)) for k in self.keys)
        return is_of_it and is_set and not self.has_effect(config)


def value_of(config: Config, key: str) -> Any:  # noqa: ANN401 - whatever the config holds
    """The value of a dotted key; None where there is none."""
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is_one_of(key: str, *values: str) -> Callable[[Config], bool]:
    return lambda config: value_of(config, key) in (*values, None)


def _has_phase(name: str) -> Callable[[Config], bool]:
    return lambda config: name in (value_of(config, "phases") or ())


def _can_stop(patience: str, of: str) -> Callable[[Config], bool]:
    """Whether waiting can end before the last of `of` rounds or epochs: after 1 + patience of them."""

    def can(config: Config) -> bool:
        waits, total = value_of(config, patience), value_of(config, of)
        return waits is None or total is None or waits + 1 < total

    return can


_OF_TRAINING = (
    *("cv.k", "baselines", "rounds", "cohort_size", "evaluate", "keep_checkpoints"),
    *("strategy.", "training.", "preprocessing.", "stopping.", "privacy.clip", "task.hidden"),
)
_RULES = (
    Rule(
        ("task.alpha",),
        _is_one_of("task.partition", "dirichlet", "quantity"),
        "it is of task.partition=dirichlet and task.partition=quantity",
    ),
    Rule(
        ("task.shards_per_client",),
        _is_one_of("task.partition", "shards"),
        "it is of task.partition=shards",
    ),
    Rule(
        ("task.w_max",),
        _is_one_of("privacy.weighting", "examples"),
        "with privacy.weighting=equal every client weighs 1",
    ),
    Rule(
        ("strategy.server.beta2",),
        _is_one_of("strategy.server.optimizer", "adam", "yogi"),
        "strategy.server.optimizer=adagrad has no such decay",
    ),
    Rule(
        tuple(f"privacy.{k}" for k in ("n_min", "h_min", "max_colluders", "sampling", "prg")),
        lambda config: value_of(config, "privacy.name") != "none",
        "it is of encrypted sums, and privacy=none sums openly",
    ),
    Rule(
        ("stopping.patience",),
        _can_stop("stopping.patience", "rounds"),
        "so few rounds end before it could stop them",
    ),
    Rule(
        ("training.early_stopping.patience",),
        _can_stop("training.early_stopping.patience", "training.epochs"),
        "so few training.epochs end before it could stop them",
    ),
    Rule(
        ("audit.bins", "audit.fail_on", "audit.thorough"),
        _has_phase("audit"),
        "phases has no audit",
    ),
    Rule(_OF_TRAINING, _has_phase("train"), "phases trains nothing"),
)
_OF_MEDIAN = ("hydra.sweeper.warmup_trials", "hydra.sweeper.warmup_rounds")


def idle_settings(overrides: Sequence[str], config: Config) -> list[str]:
    """One sentence for each override of a single run that the resolved `config` makes nothing of."""
    return [f"{word} has no effect: {why}." for word, why in idle_words(overrides, config)]


def idle_words(overrides: Sequence[str], config: Config) -> Iterator[tuple[str, str]]:
    """Each override of a single run that has no effect, and why."""
    last = dict[str, str]()
    for word in (word.lstrip("+") for word in overrides):
        key = word.partition("=")[0]
        if last.get(key, word) != word:
            yield last[key], f"{word} stands after it"
        last[key] = word
    for key, word in last.items():
        yield from ((word, rule.needs) for rule in _RULES if rule.is_idle(key, config))


@dataclass(frozen=True)
class JobWords:
    """What is written for one job of a sweep, and why some of it has no effect there."""

    written: Set[str]
    reasons: Mapping[str, str]


def idle_in_all(jobs: Sequence[JobWords]) -> dict[str, str]:
    """The words that have no effect in any job of a sweep where they stand, and why.

    What has no effect in one job may be there for another.
    """
    idle = {word: why for job in jobs for word, why in job.reasons.items()}
    return {
        word: why
        for word, why in idle.items()
        if all(word in job.reasons for job in jobs if word in job.written)
    }


def check_search(overrides: Sequence[str], pruner: str) -> None:
    """Refuse what a search would pass over. Raises ConfigError."""
    for word in overrides:
        key = word.lstrip("+").partition("=")[0]
        if key in _OF_MEDIAN and pruner != "median":
            raise ConfigError(
                f"{word} is of hydra.sweeper.pruner=median, and the pruner is {pruner}; add that, or "
                "leave it out."
            )


Command = Literal["simulate", "sweep", "audit", "submit"]
GROUPS = (
    "task",
    "strategy",
    "training",
    "preprocessing",
    "privacy",
    "hardware",
    "engine",
    "client",
)
_UNDONE = (
    Rule(
        ("preprocessing.fill_value",),
        lambda config: value_of(config, "preprocessing.numeric_imputation") == "constant",
        "it is what preprocessing.numeric_imputation=constant fills missing numbers with, and a "
        "missing category never becomes a number",
    ),
    Rule(
        ("training.momentum",),
        lambda config: value_of(config, "training.optimizer") == "sgd",
        "it is of training.optimizer=sgd",
    ),
    Rule(
        ("preprocessing.iqr_factor",),
        lambda config: value_of(config, "preprocessing.outliers") != "keep",
        "preprocessing.outliers=keep has no bounds",
    ),
    Rule(
        ("training.early_stopping.min_delta",),
        lambda config: value_of(config, "training.early_stopping.patience") is not None,
        "with training.early_stopping.patience=null no epoch is waited for",
    ),
)
_ZERO_BY_DEFAULT = ("preprocessing.fill_value", "training.momentum")
_OF_SWEEPS = ("hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra/launcher", "hydra/sweeper")
_SITES_OWN = "each site's own file says it"
_NOT_SUBMITTED = {  # what `calyx submit` takes no notice of, and why
    "engine": "the server runs on engine=superlink",
    "hardware": _SITES_OWN,
    "client": _SITES_OWN,
    "baselines": "they are trained where all rows are, in simulation",
    "audit.thorough": "a site always looks at its rows in every way",
}
_NOT_AUDITED = {
    "phases": "an audit has no other phase",
    "baselines": "an audit trains nothing",
}


def refuse_undone(
    overrides: Sequence[str], config: Mapping[str, Any], command: Command = "simulate"
) -> None:
    """Raise ConfigError for the first override that the resolved `config` makes nothing of."""
    for word in overrides:
        key, _, text = word.lstrip("+~").partition("=")
        for why in _reasons(key, text, config, command):
            raise ConfigError(no_effect(word, why))
    if command != "sweep":  # what one job of a sweep undoes may be there for another
        for word, why in undone_words(overrides, config):
            raise ConfigError(no_effect(word, why))


def _reasons(key: str, text: str, config: Mapping[str, Any], command: Command) -> Iterator[str]:
    group, _, field = key.partition(".")
    if group in GROUPS and field == "name":
        yield f"a name without its settings; write {group}={text}, which brings both"
    if key.startswith("hydra") and key != "hydra.run.dir" and command in ("audit", "submit"):
        yield f"calyx {command} takes hydra.run.dir, and no more of Hydra's own"
    if key.startswith(_OF_SWEEPS) and command == "simulate":
        yield "it is of a sweep; add -m"
    if key.startswith("hydra.run.") and command == "sweep":
        yield "it is of a single run; a sweep lies in hydra.sweep.dir"
    others = {"submit": _NOT_SUBMITTED, "audit": _NOT_AUDITED}.get(command, {})
    for name, why in others.items():
        if (key == name or key.startswith(f"{name}.")) and text not in ("null", "false", "[audit]"):
            yield why


def undone_words(overrides: Sequence[str], config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each setting of a single run that another one undoes, and why."""
    for key, word in collect_written(overrides, config).items():
        yield from ((word, rule.needs) for rule in _UNDONE if rule.is_idle(key, config))


def collect_written(overrides: Sequence[str], config: Mapping[str, Any]) -> dict[str, str]:
    """What somebody wrote, by its key: on the command line, or in a file where no default is like it."""
    words = {word.lstrip("+").partition("=")[0]: word.lstrip("+") for word in overrides}
    return {key: f"{key}={value_of(config, key)}" for key in _ZERO_BY_DEFAULT} | words


def no_effect(word: str, why: str) -> str:
    """The sentence that refuses an override, `word`, which nothing would obey."""
    return f"{word} would have no effect: {why}."
