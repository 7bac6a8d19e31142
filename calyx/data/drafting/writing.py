"""A draft of a schema as YAML with comments. Of single rows it shows nothing: see `categories` and `ranges`.

See docs/decisions/0049.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calyx.data.drafting.categories import Categories
from calyx.data.drafting.clients import Client, client_of
from calyx.data.drafting.columns import FEWEST, numbers_of
from calyx.data.drafting.inputs import Input, inputs_of
from calyx.data.drafting.ranges import short, typical
from calyx.data.drafting.survey import Survey, survey
from calyx.data.drafting.targets import Answer, find_target, guess_target
from calyx.errors import DataError, printable
from calyx.words.sentences import say_count

LONGEST_KEY = 1000  # characters of a name that YAML takes before a colon


def write_schema(
    survey: Survey, answer: Answer, client: Client | None, inputs: Sequence[Input]
) -> str:
    """The schema as YAML text, with comments on what was guessed."""
    lines = [
        *_beginning(survey),
        *_target(survey, answer),
        *_client(client),
        *_dialect(survey),
        "columns:",
        *(f"  {line}" for one in inputs for line in _column(one)),
        *(f"  # {word(name)}: {reason}" for name, reason in survey.left_out.items()),
    ]
    return "\n".join(lines) + "\n"


def _beginning(survey: Survey) -> Iterator[str]:
    files, rows = len(survey.files), sum(survey.rows)
    of = f"{say_count(files, 'file')}, {rows:,} rows" if survey.is_folder else f"{rows:,} rows"
    yield (
        f"# A draft from {printable(survey.path.resolve().name, 200)} ({of}): check every line before you "
        "use it."
    )
    if not survey.is_folder:
        yield "# It knows this one file; other sites' words and ranges may go beyond it."


def _target(survey: Survey, answer: Answer) -> Iterator[str]:
    yield "target:"
    guess = f" # a guess {answer.reason}: check it, or name another with --target"
    yield f"  name: {word(answer.name)}{guess if answer.reason else ''}"
    cells = numbers_of(survey.sample.cells[answer.name], survey.dialect)
    center, scale = "", ""
    if answer.column.is_number:
        center, scale = typical(cells[np.isfinite(cells)])
    classes = f"classes: [{', '.join(_list_words(answer.categories))}]"
    if answer.is_number:
        yield f"  center: {center} # a typical value"
        yield f"  scale: {scale} # a typical distance from it"
        if answer.column.unit:
            yield f"  unit: {word(answer.column.unit)}"
        if answer.column.is_whole and len(answer.categories.words) > 1:
            yield f"  # If its numbers are classes, in place of center and scale: {classes}"
    else:
        yield f"  {classes}"
        if center and len(answer.categories.words) > 2:
            yield f"  # If it is an amount, in place of classes: center: {center}, scale: {scale}"
        if answer.categories.same:
            yield f"  same: {_same(answer.categories)} # check: are these the same?"
    if answer.holes:
        yield f"  missing: drop # {_rows(answer.holes)} no label, and are left out"


def _client(client: Client | None) -> Iterator[str]:
    if client is not None:
        guess = " # a guess by its name: whose a row is; check it, or name another with --client"
        yield f"client: {word(client.name)}{guess if client.is_guess else ''}"


def _dialect(survey: Survey) -> Iterator[str]:
    dialect = survey.dialect
    if dialect.encoding != "utf-8":
        yield f"encoding: {dialect.encoding} # a guess, since not all is UTF-8: look at its words"
    if dialect.delimiter != ",":
        yield f"delimiter: {word(dialect.delimiter)}"
    if dialect.decimal != ".":
        yield f"decimal: {word(dialect.decimal)}"
    if dialect.thousands is not None:
        yield f"thousands: {word(dialect.thousands)}"
    if survey.doubtful:
        yield (
            f"# {', '.join(map(word, survey.doubtful))}: does {word(dialect.decimal)} group three digits "
            f"there? Then say thousands: {word(dialect.decimal)} and the other mark for decimal."
        )
    yield f"missing: [{', '.join(map(word, dialect.missing))}]"


def _column(one: Input) -> Iterator[str]:
    key = word(one.name)
    if one.left_out:
        yield f"# {key}: {one.left_out}; left out"
        return
    begin = f"{key}:" if len(key) < LONGEST_KEY else f"? {key}\n  :"
    parts = ["kind: numeric"]
    if one.categories.words:
        parts = ["kind: categorical", f"categories: [{', '.join(_list_words(one.categories))}]"]
    if one.tells:
        yield f"# Leave it out, if you have others: {one.tells}"
    if one.categories.same:
        yield "# check `same`: are these the same?"
        parts.append(f"same: {_same(one.categories)}")
    if one.categories.rare:
        count = len(one.categories.rare)
        yield f"# {say_count(count, 'word')} of fewer than {FEWEST} rows: not listed, and read as another"
    if one.bounds:
        parts += [f"low: {short(one.bounds[0])}", f"high: {short(one.bounds[1])}"]
    if one.codes:
        listed = ", ".join(map(short, one.codes))
        yield f"# {listed} stands often, and far from the rest: a code for missing?"
        parts.append(f"missing: [{listed}]")
    if one.unit:
        parts.append(f"unit: {word(one.unit)}")
    if one.may_be_missing:
        parts.append("may_be_missing: true")
    yield f"{begin} {{{', '.join(parts)}}}"


def _list_words(categories: Categories) -> list[str]:
    """Words as YAML: whole numbers without quotes, so that a site's 1.0 is 1."""
    return [_declare(categories, one) for one in categories.words]


def _declare(categories: Categories, one: str) -> str:
    is_number = not categories.are_codes and one.removeprefix("-").isdecimal() and one.isascii()
    return one if is_number else word(one)


def _same(categories: Categories) -> str:
    pairs: Mapping[str, str] = dict(categories.same)
    return "{" + ", ".join(f"{word(a)}: {_declare(categories, b)}" for a, b in pairs.items()) + "}"


def _rows(count: int) -> str:
    return f"fewer than {FEWEST} rows have" if count < FEWEST else f"{count:,} rows have"


def word(text: str) -> str:
    """A word in quotes that YAML reads back as the same text: as JSON's strings are, if all is printable."""
    as_json = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in as_json)


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
