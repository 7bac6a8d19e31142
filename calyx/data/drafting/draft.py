"""The whole way from a folder of CSV files, or one of them, to a schema. See docs/decisions/0049."""

from dataclasses import dataclass
from pathlib import Path

from calyx.data.drafting.clients import Client, client_of
from calyx.data.drafting.inputs import Input, inputs_of
from calyx.data.drafting.survey import Survey, survey
from calyx.data.drafting.targets import Answer, find_target, guess_target
from calyx.data.drafting.writing import write_schema
from calyx.errors import DataError, printable


@dataclass(frozen=True)
class Draft:
    """A schema as YAML with comments, and what it was made of."""

    text: str
    survey: Survey
    answer: Answer
    client: Client | None
    inputs: tuple[Input, ...]

    @property
    def sites(self) -> int:
        """How many sites the rows are of."""
        files, client = self.survey.files, self.client
        if client is not None:
            return len(self.survey.columns[client.name].words)
        return len({path.stem for path in files})


def draft(path: Path, target: str | None = None, client: str | None = None) -> Draft:
    """A first schema of the CSV files at `path`. Raises DataError where none can be written."""
    seen = survey(path)
    column = client_of(seen, client)
    name = None if column is None else column.name
    if target is not None and target == name:
        raise DataError(
            f"--target and --client are both {printable(target, 40)}; name two columns."
        )
    answer = guess_target(seen, name) if target is None else find_target(seen, target)
    inputs = tuple(inputs_of(seen, answer, name))
    if all(one.left_out for one in inputs):
        raise DataError(_explain_nothing_left(seen, inputs))
    return Draft(write_schema(seen, answer, column, inputs), seen, answer, column, inputs)


def _explain_nothing_left(seen: Survey, inputs: tuple[Input, ...]) -> str:
    reasons = [f"{printable(one.name, 40)} ({printable(one.left_out, 300)})" for one in inputs[:3]]
    reasons += [
        f"{printable(name, 40) or repr('')} ({why})"
        for name, why in list(seen.left_out.items())[:2]
    ]
    what = f": {', '.join(reasons)}" if reasons else ""
    return f"{seen.path} has no column to predict from beside the target{what}."
