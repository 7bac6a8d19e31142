"""The few exceptions that carry a sentence for a person; each knows the program's exit code."""

import shlex


class CalyxError(Exception):
    """A failure with one clear sentence: what is wrong, where, and what to do. Exit code 1."""

    exit_code = 1


class UserError(CalyxError):
    """A user's mistake in the config, the data, a folder or a command. Exit code 2."""

    exit_code = 2


class ConfigError(UserError):
    """A config key, type, range or combination that cannot be run."""


class DataError(UserError):
    """Data that is missing, empty, of the wrong hash, or not of the task's schema."""


class RoundFailed(CalyxError):
    """A round ended with too few replies, or with a sum outside its range.

    The sentence has no full stop: the server adds where the run goes on.
    """


class WireError(CalyxError):
    """A message is not what it must be; the sentence says which part."""


def quote_command(*words: object) -> str:
    """The words of a command as they can be pasted into a shell, on one line."""
    return printable(shlex.join(map(str, words)), 2000)


def for_terminal(text: str) -> str:
    """Lines that somebody else may have written, without signs that a terminal would obey."""
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


def printable(text: str, limit: int = 400) -> str:
    """A text that somebody else may have written, as one line for a terminal or a log."""
    line = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
