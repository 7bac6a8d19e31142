"""A search is checked before it is begun: its settings, its space, its study, and samples of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calyx.defaults import watched
from cli.sweep.overrides import given_params
from cli.sweep.space import Space, read_space
from cli.sweep.study import check_no_other_study, check_space, read_settings


def samples_of(master: Any, words: Sequence[str]) -> list[list[str]]:  # noqa: ANN401 - OmegaConf's DictConfig
    """Overrides of trials that stand for all that can be proposed. Raises ConfigError."""
    settings, space = read_settings(master.hydra.sweeper), space_of(master, words)
    check_space(settings, space)
    hydra = [word for word in words if word.startswith(("hydra.", "hydra/"))]
    return [[*hydra, *sample] for sample in space.samples()]


def check_study(master: Any, words: Sequence[str], folder: Path) -> None:  # noqa: ANN401 - OmegaConf's DictConfig
    """Raise UserError if the study that the sweep would go on with is another one."""
    wanted = described(master, space_of(master, words))
    check_no_other_study(read_settings(master.hydra.sweeper), folder, wanted)


def space_of(master: Any, words: Sequence[str]) -> Space:  # noqa: ANN401 - OmegaConf's DictConfig
    """The search space of the config's `hydra.sweeper.params` and of the command line."""
    return read_space([*given_params(master), *words])


def described(master: Any, space: Space) -> dict[str, Any]:  # noqa: ANN401 - OmegaConf's DictConfig
    """What a study is about, as JSON values: another one must not go on with its trials."""
    from omegaconf import OmegaConf

    sections = (master.stopping, master.strategy)
    stopping, strategy = (OmegaConf.to_container(one, resolve=True) for one in sections)
    if not isinstance(stopping, dict):
        raise TypeError("a composed section is a mapping")
    head = {"space": space.described(), "fixed": sorted(space.fixed)}
    return head | watched({str(k): v for k, v in stopping.items()}, strategy)
