"""What the server is told to do: a resolved config, a folder, and whether to go on with a run."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from calyx.config.section import RunConfig, Section, canonical_json, config, parse
from calyx.errors import ConfigError
from calyx.run.folder import claim

_KEY = "config"  # the one key of Flower's run config


@config
class Job:
    """The content of Flower's run config: one canonical JSON."""

    config: Section  # resolved, with every group's name
    run_dir: str
    resume: bool
    roster: str | None  # JSON of a signed roster; null where nothing is encrypted

    @property
    def run(self) -> RunConfig:
        """The config, typed. Raises ConfigError."""
        return parse(RunConfig, self.config, "")


def to_run_config(
    resolved: Mapping[str, Any], run_dir: Path, *, resume: bool, roster: str | None
) -> dict[str, str]:
    """Flower's run config for a job."""
    value = {
        "config": dict(resolved),
        "run_dir": str(run_dir),
        "resume": resume,
        "roster": roster,
    }
    return {_KEY: canonical_json(value)}


def read_job(run_config: Mapping[str, object]) -> Job:
    """The job of a run config: one of `to_run_config`, or Hydra overrides from `flwr run`.

    Raises ConfigError.
    """
    text = run_config.get(_KEY)
    words = text if isinstance(text, str) else ""
    if words.startswith("{"):
        return parse(Job, json.loads(words), "")
    from calyx.composing.compose import compose, resolve

    config = resolve(compose(words.split()))
    if config["privacy"]["name"] != "none":
        raise ConfigError(
            "`flwr run` has no keys for the clients, so that nothing can be encrypted: write "
            "--run-config 'config=\"privacy=none\"', or use `calyx simulate engine=ray`."
        )
    folder = Path("runs") / datetime.now().astimezone().strftime("%Y-%m-%d/%H-%M-%S")
    made = to_run_config(config, claim(folder.absolute()), resume=False, roster=None)
    return parse(Job, json.loads(made[_KEY]), "")
