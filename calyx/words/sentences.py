"""Names and counts as parts of sentences for people."""

from collections.abc import Sequence

MOST_NAMED = 5  # names in one sentence


def join_names(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """Names, the first `most` of many: "a", "a, b and c", "a, b and 3 more"; "" of none."""
    shown, more = names[:most], len(names) - most
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def list_first(names: Sequence[str], most: int) -> str:
    """Names in a list: "a, b, c", or the first `most` of many: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def say_count(count: int, noun: str) -> str:
    """A number with its noun: "1 cell", "3 cells"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def say_rows(count: int, one: str, many: str) -> str:
    """A number of rows with a verb, `one` or `many`: "1 row lies", "3 rows lie"."""
    return f"{say_count(count, 'row')} {one if count == 1 else many}"
