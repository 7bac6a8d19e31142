"""How a run's model wants its inputs preprocessed: by constants of its training, never by rows of today."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calyx.config.section import parse
from calyx.data.schema import Column
from calyx.errors import ConfigError, UserError
from calyx.preprocessing.config import Constants, PreprocessingConfig
from calyx.preprocessing.fitting import ColumnFit, Fitted, fit_by_config
from calyx.run.order import Terms
from calyx.tasks.task import Task
from client.rows.begun import Beginning


@dataclass(frozen=True)
class Whose:
    """A client of a run, and the folder of what it keeps of its runs; None: that is at its site."""

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


def fitted_for(
    task: Task,
    terms: Terms,
    run: str,
    constants: tuple[Constants, ...] | None,
    whose: Whose | None,
) -> Fitted:
    """The preprocessing of a run's model: by the `constants` beside it, or by what one client kept.

    Raises UserError where there are neither.
    """
    cfg = parse(PreprocessingConfig, terms.preprocessing, "preprocessing")
    if constants is not None:  # they go with the model, whoever's rows these are
        return fit_by_config(task.schema, replace(cfg, name="federated", fitted=(constants,)))
    scales = cfg.scaling != "none" or cfg.outliers != "keep"
    fills = cfg.numeric_imputation in ("median", "mode") or cfg.categorical_imputation == "mode"
    if whose is not None and (scales or fills):
        return _kept(task, terms, Beginning(whose.folder, run, whose.client))
    if scales:
        raise UserError(
            f"preprocessing={cfg.name} is fitted by each client on its own rows, so that the model goes "
            "with one of them: give client=NAME."
        )
    return Fitted(task.schema, cfg, tuple(_plain(column, cfg) for column in task.schema.columns))


def _kept(task: Task, terms: Terms, beginning: Beginning) -> Fitted:
    found, client = beginning.read(), beginning.client
    if found is None:
        raise UserError(
            f"{beginning.folder} does not hold what {client} fitted in this run: an older version of "
            "Calyx kept none, or the folder was left behind when the run was copied. Copy it as well, "
            "or run again."
        )
    try:
        fitted = found.fitted(task.schema)
        if found.preprocessing != terms.preprocessing | {"fitted": None}:
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


def _plain(column: Column, cfg: PreprocessingConfig) -> ColumnFit:
    """Of a preprocessing that learns nothing from rows."""
    how = cfg.numeric_imputation if column.kind == "numeric" else cfg.categorical_imputation
    is_filled = how == "constant" and column.kind not in ("image", "text")
    fill = cfg.fill_value if is_filled else np.nan
    return ColumnFit(fill=fill, low=-np.inf, high=np.inf, mean=0.0, scale=1.0)
