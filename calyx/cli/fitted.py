"""How a run's model wants its inputs preprocessed: by constants of its training, never by rows of today."""

from dataclasses import dataclass
from pathlib import Path

from calyx.errors import ConfigError, UserError
from calyx.model.released import ReleasedModel
from calyx.preprocessing.fitted import Fitted
from client.rows.begun import Beginning


@dataclass(frozen=True)
class Whose:
    """A client of a run, and the folder of what it keeps of its runs; None where that is at its site."""

    client: str
    kept: Path | None

    @property
    def folder(self) -> Path:
        """The folder. Raises UserError where it is not on this machine."""
        if self.kept is None:
            raise UserError(
                f"What {self.client} keeps of its runs never left it: it lies there, in the folder "
                "strategy of client.state_dir. Copy the run's folder there, and predict there with "
                "--state-dir=FOLDER."
            )
        return self.kept


def fitted_for(model: ReleasedModel, run: str, whose: Whose | None) -> Fitted:
    """The preprocessing of a run's model: its own, or what the client `whose` fitted in this run.

    Raises UserError where there are neither.
    """
    cfg = model.preprocessing
    fills = cfg.numeric_imputation in ("median", "mode") or cfg.categorical_imputation == "mode"
    # Constants of all clients go with the model, whoever's rows these are.
    if whose is not None and (model.fitted is None or (fills and cfg.fitted is None)):
        return _read_kept(model, Beginning(whose.folder, run, whose.client))
    if model.fitted is None:
        raise UserError(
            f"preprocessing={cfg.name} is fitted by each client on its own rows, so that the model goes "
            "with one of them: give client=NAME."
        )
    return model.fitted


def _read_kept(model: ReleasedModel, beginning: Beginning) -> Fitted:
    begun, client = beginning.read(), beginning.client
    if begun is None:
        raise UserError(
            f"{beginning.folder} does not hold what {client} fitted in this run: an older version of "
            "Calyx kept none, or the folder was left behind when the run was copied. Copy it as well, "
            "or run again."
        )
    try:
        fitted = begun.recall(model.task.schema)
        if begun.preprocessing != model.preprocessing:
            raise ConfigError("it is of another preprocessing than the run's")
    except ConfigError as error:
        what = str(error).rstrip(".")
        raise UserError(
            f"{beginning.path} cannot be used: {what}; restore it from a copy."
        ) from None
    if fitted is None:
        raise UserError(
            f"{client} fitted no finite numbers on its rows; no prediction can be made."
        )
    return fitted
