"""What is written on the command line and nothing would obey: refused in one sentence, before the start.

`calyx/cli/idle.py` only warns of what is harmless. Here stand settings that somebody relies on: a number that
another setting undoes, a group's name without its contents, an option of another command. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from calyx.cli.idle import Rule, value_of
from calyx.errors import ConfigError

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
    """Of a run: each setting that another one undoes, and why."""
    for key, word in collect_written(overrides, config).items():
        yield from ((word, rule.needs) for rule in _UNDONE if rule.is_idle(key, config))


def collect_written(overrides: Sequence[str], config: Mapping[str, Any]) -> dict[str, str]:
    """What somebody wrote, by its key: on the command line, or in a file where no default is like it."""
    words = {word.lstrip("+").partition("=")[0]: word.lstrip("+") for word in overrides}
    return {key: f"{key}={value_of(config, key)}" for key in _ZERO_BY_DEFAULT} | words


def no_effect(word: str, why: str) -> str:
    """The sentence that refuses an override, `word`, which nothing would obey."""
    return f"{word} would have no effect: {why}."
