"""A search is checked before it is begun: its settings, its space, its study, and samples of it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from calyx.cli.sweep.outcomes import Outcome, entries_of
from calyx.cli.sweep.space import Space, read_params, read_space
from calyx.cli.sweep.study import check_no_other_study, check_space, read_settings
from calyx.composing.compose import resolve
from calyx.composing.defaults import stopping_of
from calyx.errors import ConfigError, UserError
from calyx.model.metrics import better_is
from calyx.pages.ranking.remarks import remarks
from calyx.pages.ranking.standings import rank
from calyx.words.digits import number_texts

SECTIONS = ("stopping", "strategy", "task")  # from which it follows what is compared


def samples_of(master: Any, words: Sequence[str]) -> list[list[str]]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Overrides of trials that stand for all that can be proposed. Raises ConfigError."""
    settings, space = read_settings(master.hydra.sweeper), space_of(master, words)
    check_space(settings, space)
    hydra = [word for word in words if word.startswith(("hydra.", "hydra/"))]
    return [[*hydra, *sample] for sample in space.samples()]


def check_study(master: Any, words: Sequence[str], folder: Path) -> None:  # noqa: ANN401 - OmegaConf's DictConfig
    """Raise UserError if the study that the sweep would go on with is another one."""
    wanted = describe_study(master, space_of(master, words))
    check_no_other_study(read_settings(master.hydra.sweeper), folder, wanted)


def check_aim(master: Any, words: Sequence[str], objectives: Sequence[str]) -> None:  # noqa: ANN401 - OmegaConf's DictConfig
    """Raise ConfigError if some trials would make another figure large than others make small."""
    wanted = describe_study(master, space_of(master, words))
    other = next((one for one in objectives if better_is(one) != wanted["mode"]), None)
    if other:
        raise ConfigError(
            f"This search compares trials by {wanted['monitor']} and by {other}, of which one is to be "
            "small and one large; set stopping.objective to a figure that all trials have, or search "
            "each of them by itself."
        )


def space_of(master: Any, words: Sequence[str]) -> Space:  # noqa: ANN401 - OmegaConf's DictConfig
    """The search space of the config's `hydra.sweeper.params` and of the command line."""
    return read_space([*read_params(master), *words])


def describe_study(master: Any, space: Space) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's DictConfig
    """What a study is about, as JSON values: another one must not go on with its trials."""
    stopping = _stopping(master)
    return {
        "space": space.describe(),
        "fixed": sorted(space.fixed),
        "unit": "the target's own",  # an earlier version's trials of regressions had another one
        "monitor": stopping["objective"],
        "mode": better_is(stopping["objective"]),
    }


def _stopping(master: Any) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's DictConfig
    """The section of the search, as far as it is told without what is searched. Raises ConfigError."""
    from omegaconf import OmegaConf

    try:
        stopping = resolve(master)["stopping"]
    except UserError:  # the task's own section is searched, so that it is not whole yet
        raw = {key: OmegaConf.to_container(master[key], resolve=True) for key in SECTIONS}
        stopping = stopping_of(raw)
    return dict(stopping)


def best_lines(trials: Sequence[Outcome], objective: str) -> list[str]:
    """The best trial as a command that can be pasted, or why none is called best.

    Where the seed is searched too, a setting is a trial's overrides but for the seed: one that was
    tried with an easy seed only is not better than one that was tried with all.
    """
    ranking = rank(entries_of(trials, objective))
    groups = [group for group in ranking if group.kind]
    if not groups:
        return []
    if len(groups) > 1:
        return [f"no trial is called best: {remarks(groups, 'trial')[0]}"]
    (group,) = groups
    if not group.leaders:
        return [
            "no trial is called best: the settings were not tried with the same seeds; run those that "
            "look good over several, say seed=1,2,3,4,5"
        ]
    figure = group.figures[0] if len(group.figures) == 1 else str(group.kind and group.kind.figure)
    [shown, *_] = number_texts([mean(line.values) for line in group.placed])
    finished = [
        [e.name for e in line.standing.entries if e.value is not None] for line in group.leaders
    ]
    first = next(job for job in trials if str(job.job) == finished[0][0])
    command = f"  {shlex.join(['calyx', 'simulate', *first.overrides])}"
    names = "; ".join(_jobs(numbers) for numbers in finished)
    if len(finished) == 1:
        return [f"best trial: {names}, {figure} {shown}; run it again with", command]
    head = f"{len(finished)} settings share the lead by {figure}, {shown}: {names}"
    return [f"{head}; run the first again with", command]


def _jobs(numbers: Sequence[str]) -> str:
    return f"job{'' if len(numbers) == 1 else 's'} {', '.join(numbers)}"
