"""sweep.csv: a header, and one row a job."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calyx.cli.sweep.outcomes import Outcome, settings_of, swept_keys
from calyx.files.plain import write_atomically
from calyx.run.json_rows import as_json

HEAD = ("job", "folder", "status", "error")
FIGURES = (
    "best_val_loss",
    "best_val_accuracy",
    "test_loss",
    "test_accuracy",
    "rounds",
    "best_round",
    "seconds",
    "objective",
    "bytes_up",
    "bytes_down",
    "model_sha256",
)


def write_table(folder: Path, outcomes: Sequence[Outcome]) -> Path:
    """Write sweep.csv into a sweep's folder, whole or not at all; UTF-8, commas, "\\n".

    Columns: job, folder (below the sweep's), status, error, the overrides that differ, figures of
    summary.json, and those that a task of another kind has in place of an accuracy. An override of
    the name of another column is called `config.NAME`. What is not known is empty.
    """
    values = [as_json(one.summary) if one.summary else {} for one in outcomes]
    keys, figures = swept_keys(outcomes), _figures(values)
    fixed = {*HEAD, *figures}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEAD, *(f"config.{k}" if k in fixed else k for k in keys), *figures])
    for one, told in zip(outcomes, values, strict=True):
        settings = settings_of(one.overrides)
        place = one.folder.relative_to(folder) if one.folder.is_relative_to(folder) else one.folder
        head = [one.job, place, one.status, one.error]
        writer.writerow(
            [*head, *(settings.get(k, "") for k in keys), *(told.get(k) for k in figures)]
        )
    path = folder / "sweep.csv"
    write_atomically(path, text.getvalue().encode())
    return path


def _figures(values: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of figures; of a regression, for instance, test_r2 stands beside test_loss."""
    others = [
        key
        for told in values
        for key, value in told.items()
        if key.startswith(("best_val_", "test_", "personal_"))
        and isinstance(value, int | float | None)
    ]
    known = {key for told in values for key in told}
    kept = [k for k in FIGURES if k in known or not k.endswith("_accuracy") or not known]
    return list(dict.fromkeys([*kept, *others]))
