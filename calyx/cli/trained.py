"""A finished run as commands use its model: read with care, and whole; whose model is asked for."""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calyx.cli.fitted import Whose, fitted_for
from calyx.cli.own_models import Answering, model_of
from calyx.composing.defaults import fill_in_defaults
from calyx.config.section import parse
from calyx.data.words import one_form
from calyx.errors import UserError
from calyx.files.plain import MOST_TENSOR_BYTES, read_plain
from calyx.model.released import ReleasedModel, describe, load_bytes
from calyx.preprocessing.choice import AUTO
from calyx.preprocessing.config import PreprocessingConfig
from calyx.run.folder import RunFolder
from calyx.run.summary import Summary
from calyx.simulation.engine import read_engine
from calyx.tasks.registry import load_task
from calyx.tasks.task import Task
from server.config import RunConfig, read_run


@dataclass(frozen=True)
class Trained:
    """A run that has trained to its end."""

    folder: RunFolder
    config: dict[str, Any]  # resolved
    run: RunConfig
    summary: Summary
    task: Task  # with the run's clients, of which a model's file says nothing
    data: bytes  # of its model's file
    model: ReleasedModel  # the common one, which is in it


def read_trained(folder: RunFolder, config: dict[str, Any]) -> Trained:
    """What is in the folder of a run with this resolved config.

    Raises UserError for a run that has not ended, that trained no model, or whose files are damaged.
    """
    config = fill_in_defaults(config)  # a run of before may lack keys
    run = read_run(config)
    summary = folder.read_summary()  # says that the run has ended
    if not folder.model.is_file():
        raise UserError(f"{folder.path} holds no model; name a run that has trained to its end.")
    task = load_task(run.task)
    older = describe(task, run.task, _preprocessing_of(config, summary))
    try:
        data = read_plain(folder.model, MOST_TENSOR_BYTES)
    except OSError as error:
        raise UserError(f"{folder.model} cannot be read: {error.strerror}.") from None
    model = load_bytes(data, folder.model, run.seed, older)
    return Trained(folder, config, run, summary, task, data, model)


def add_client(parser: ArgumentParser, what: str) -> None:
    """The words by which a command is told for which client of a run it is; `what` explains the first."""
    parser.add_argument("client", nargs="?", help=f"client=NAME: {what}")
    parser.add_argument(
        "--common", action="store_true", help="with client=NAME: the common model all the same"
    )
    parser.add_argument(
        "--state-dir", type=Path, help="on a site, with client=NAME: its client.state_dir"
    )


def client_model(trained: Trained, options: Namespace) -> tuple[Answering, Whose | None]:
    """The model that the words of `add_client` ask for, with the constants that belong to it.

    Raises UserError where a client must be named, or has none.
    """
    whose = _whose(options, trained)
    fitted = fitted_for(trained.model, str(trained.summary.run), whose)
    model = replace(trained.model, fitted=fitted)
    own = None if options.common else whose
    return model_of(trained.folder, trained.run, model, own), whose


def _preprocessing_of(config: dict[str, Any], summary: Summary) -> PreprocessingConfig:
    """The section, typed; a run has decided what `preprocessing=auto` is.

    Raises UserError where its summary does not say.
    """
    section = config["preprocessing"]
    if section["name"] == AUTO:
        used = summary.preprocessing
        if used not in ("local", "federated"):  # a summary may come from a stranger
            raise UserError(
                "summary.json does not say which preprocessing the run had; it is damaged."
            )
        section = section | {"name": used}
    return parse(PreprocessingConfig, section, "preprocessing")


def _whose(options: Namespace, trained: Trained) -> Whose | None:
    """The client that is named, and where it keeps what belongs to the run. Raises UserError."""
    client, state_dir = _client(options.client), options.state_dir
    clients = trained.task.clients
    if client is None:
        if options.common:
            raise UserError("--common goes with client=NAME; without it the common model is used.")
        if state_dir is not None:
            raise UserError("--state-dir goes with client=NAME, the site whose folder it is.")
        return None
    client = next((name for name in clients if one_form(name) == one_form(client)), client)
    if state_dir is not None:
        return Whose(client, state_dir / "strategy")
    if read_engine(trained.run.engine).clients_remember:
        return Whose(client, None)
    if client not in clients:
        raise UserError(f"The run has no client {client}; it has {', '.join(clients)}.")
    return Whose(client, trained.folder.path / "clients")


def _client(argument: str | None) -> str | None:
    if argument is None:
        return None
    key, _, name = argument.partition("=")
    if key != "client" or not name:
        raise UserError(f"{argument!r} is not understood; write client=NAME.")
    return name
