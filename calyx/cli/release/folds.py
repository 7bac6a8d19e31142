"""The models of a run's folds, as they are released together: their files, and what they came to."""

import hashlib
from dataclasses import dataclass

from calyx.cli.release.figures import rows_part
from calyx.cli.trained import Trained
from calyx.errors import UserError
from calyx.files.plain import MOST_TENSOR_BYTES, read_plain
from calyx.model.released import Description, ReleasedModel, load_as
from calyx.releases.card_parts import RowsPart
from calyx.run.folder import RunFolder
from calyx.run.summary import EnsembleTest


@dataclass(frozen=True)
class FoldModels:
    """Each fold's model with its description and the SHA-256 of its file, and the test of all together."""

    members: tuple[tuple[ReleasedModel, Description, str], ...]
    test: EnsembleTest
    rows: RowsPart | None


def read_folds(trained: Trained) -> FoldModels:
    """The folds of a run with cv.combine. Raises UserError for another run, and for damaged files."""
    cv = trained.summary.cv
    test = None if cv is None else cv.ensemble
    if test is None:
        raise UserError(
            f"{trained.folder.path} has no folds that were combined: train it with cv.k=5 cv.combine=mean."
        )
    members = []
    for fold, sha256 in enumerate(test.models):
        path = RunFolder(trained.folder.folds / str(fold)).model
        try:
            data = read_plain(path, MOST_TENSOR_BYTES)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise UserError(
                f"{path} is not the model that was judged; restore it from a copy, or run again."
            )
        model, description = load_as(data, path, trained.run.seed)
        members.append((model, description, sha256))
    return FoldModels(tuple(members), test, rows_part(test.tested_on))
