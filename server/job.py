"""What the server is told to do: a resolved config, a folder, and whether to go on with a run."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from calyx.config.section import Section, canonical_json, config, parse
from calyx.errors import ConfigError
from calyx.run.folder import claim
from server.config import RunConfig, read_run

_KEY = "config"  # the one key of Flower's run config


@config
class Engine:
    """What the server is told of the engine, of which it knows none by itself."""

    name: str  # for the summary
    clients_remember: bool  # clients outlive a server that dies, and know what they have answered


@config
class _Told:
    """The content of Flower's run config: one canonical JSON."""

    # Resolved, with every group's name: what rests in the run's folder, and what travels is taken from.
    config: Section
    run_dir: str
    resume: bool
    roster: str | None  # JSON of a signed roster; null where nothing is encrypted
    engine: Engine


@config
class Job(_Told):
    """A run to begin, or to go on with; its config typed, and as it was written."""

    run: RunConfig


def to_run_config(
    resolved: Mapping[str, Any], run_dir: Path, *, resume: bool, roster: str | None, engine: Engine
) -> dict[str, str]:
    """Flower's run config for a job."""
    value = {
        "config": dict(resolved),
        "run_dir": str(run_dir),
        "resume": resume,
        "roster": roster,
        "engine": vars(engine),
    }
    return {_KEY: canonical_json(value)}


def read_job(run_config: Mapping[str, object]) -> Job:
    """The job of a run config: one of `to_run_config`, or Hydra overrides from `flwr run`.

    Raises ConfigError.
    """
    text = run_config.get(_KEY)
    words = text if isinstance(text, str) else ""
    if not words.startswith("{"):
        words = _compose_job(words)
    told = parse(_Told, json.loads(words), "")
    return Job(**vars(told), run=read_run(told.config))


def _compose_job(words: str) -> str:
    """What `to_run_config` gives for overrides of `flwr run`, whose clients remember nothing."""
    from calyx.composing.compose import compose, resolve

    config = resolve(compose(words.split()))
    if config["privacy"]["name"] != "none":
        raise ConfigError(
            "`flwr run` has no keys for the clients, so that nothing can be encrypted: write "
            "--run-config 'config=\"privacy=none\"', or use `calyx simulate engine=ray`."
        )
    folder = Path("runs") / datetime.now().astimezone().strftime("%Y-%m-%d/%H-%M-%S")
    engine = Engine(name=config["engine"]["name"], clients_remember=False)
    place = claim(folder.absolute())
    return to_run_config(config, place, resume=False, roster=None, engine=engine)[_KEY]
