"""The column that says whose a row is, where all rows are in one file."""

from collections import Counter
from dataclasses import dataclass

from calyx.data.csv.folder import check_name, list_names
from calyx.data.drafting.survey import Survey, check_column
from calyx.data.drafting.telling import FEW, PLACES, SITES, tokens
from calyx.errors import DataError, printable


@dataclass(frozen=True)
class Client:
    """The column that says whose a row is."""

    name: str
    is_guess: bool


def client_of(survey: Survey, name: str | None) -> Client | None:
    """The column of --client, or the one that is called as sites are; None where each file is a site.

    Raises DataError where it cannot be one, or where a folder's one file has none.
    """
    files = Counter(path.parent for path in survey.files)  # by folder: train/ and test/ may be two
    if max(files.values()) > 1:
        if name is None:
            return None
        raise DataError(
            f"{survey.path} holds {len(survey.files)} CSV files, each of them a site; --client is for one "
            "file with the rows of all. Leave it out."
        )
    if name is not None:
        _check(survey, name)
        return Client(name, is_guess=False)
    called = [one for one in survey.columns if set(tokens(one)) & SITES]
    # Of two values it is rather a property: on a farm or not.
    sites = [
        one for one in called if not _fault(survey, one) and len(survey.columns[one].words) > 2
    ]
    if len(sites) == 1:
        return Client(sites[0], is_guess=True)
    if not survey.is_folder:
        return None
    if len(called) == 1 and (fault := _fault(survey, called[0])):
        raise DataError(f"{fault}.")
    places = [
        one for one in survey.columns if set(tokens(one)) & PLACES and not _fault(survey, one)
    ]
    few = [one for one in survey.columns if len(survey.columns[one].words) <= FEW]
    likely = sites or places or [one for one in few if not _fault(survey, one)]
    advice = f"; of its columns {list_names(likely)} could be that" if likely else ""
    raise DataError(
        f"{survey.path} holds one CSV file, and a federation has several sites, five or more for "
        f"encrypted sums; put each site's rows into a file of its own, or name the column that says whose "
        f"a row is with --client=NAME{advice}."
    )


def _check(survey: Survey, name: str) -> None:
    check_column(survey, name)
    fault = _fault(survey, name)
    if fault:
        raise DataError(f"{fault}.")


def _fault(survey: Survey, name: str) -> str:
    """Why a column cannot say whose a row is; "" where it can."""
    column, shown = survey.columns[name], printable(name, 40)
    if column.hole:
        return (
            f"{column.hole}: the client column {shown} is empty, or holds a word for missing; say whose "
            "the row is, or take it out"
        )
    if len(column.words) < 2:
        return (
            f"{survey.path}: the client column {shown} has one value in all rows, and a federation has "
            "several sites; name another column, or put other sites' rows beside these"
        )
    if column.is_open or 2 * len(column.words) > column.rows:
        return (
            f"{survey.path}: the client column {shown} names almost as many sites as there are rows"
        )
    for word, place in column.first.items():
        try:
            check_name(word)
        except ValueError as error:
            return f"{place}: {error}; rename it"
    return ""
