"""Overrides as people write them: paths that Hydra's grammar would not read, and what to write instead.

The value of a key that names a file or a folder is the path that was written, whatever it holds; a
value that begins with `~/` is of the home folder. All else is Hydra's grammar. See docs/decisions/0044.
"""

import os
import re
import shlex
from collections.abc import Sequence
from typing import Any

from calyx.composing.compose import PATH_KEYS
from calyx.errors import ConfigError, printable
from calyx.files.plain import at_home

FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")
_PATHS = frozenset((*PATH_KEYS, *FOLDERS, "hydra.sweeper.storage"))
_WORD = re.compile(r"(\+{0,2})([\w./@-]+)=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(\{?)([A-Za-z_]\w*)(\}?)(?=/|$)")


def quote_overrides(words: Sequence[str], *, sweeps: bool = False) -> list[str]:
    """Put quotes around values where Hydra's grammar needs them; a second call changes nothing.

    In a sweep the commas of a path part several. Raises ConfigError where a shell's variable is left.
    """
    return [_quote_override(word, sweeps=sweeps) for word in words]


def _quote_override(word: str, *, sweeps: bool) -> str:
    parts = _WORD.fullmatch(word)
    if parts is None:
        return word
    plus, key, value = parts.groups()
    is_path = key in _PATHS and not (key == "task.schema" and value.startswith("{"))  # a mapping
    if is_path:
        _check_variable(word, value)
    if not is_path and not value.startswith("~"):
        return word
    if (
        sweeps
        and "," in value
        and "'" not in value
        and '"' not in value
        and parse_override(word) is None
    ):
        return f"{plus}{key}={','.join(_value(one, is_path=is_path) for one in value.split(','))}"
    return f"{plus}{key}={_value(value, is_path=is_path, sweeps=sweeps)}"


def _value(value: str, *, is_path: bool, sweeps: bool = False) -> str:
    if value.startswith("~"):
        return quote_value(at_home(value))
    if not is_path or value.lower() in ("", "null") or value[:1] in "'\"" or "${" in value:
        return value
    override = parse_override(f"key={value}")
    if override is not None:
        several = override.is_sweep_override() and (sweeps or "(" not in value)
        if several or isinstance(override.value(), str):
            return value
    return quote_value(value)


def _check_variable(word: str, value: str) -> None:
    variable = _VARIABLE.match(value)
    if variable and variable[2] in os.environ and bool(variable[1]) == bool(variable[3]):
        raise ConfigError(
            f"{printable(word)}: the shell has not put in what {variable[0]} stands for; write it without "
            "quotes or in double ones, and not in single ones."
        )


def parse_override(word: str) -> Any:  # noqa: ANN401 - Hydra's Override
    """An override by Hydra's grammar; None where it cannot be read."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        [override] = OverridesParser.create().parse_overrides([word])
    except HydraException:
        return None
    return override


def quote_value(text: str) -> str:
    """A text as a value of Hydra's grammar, whatever it holds."""
    return _in_quotes(text, "single")


def _in_quotes(text: str, quote: str) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    return str(QuotedString(text, Quote[quote]).with_quotes())


def why_unreadable(word: str) -> str:
    """A sentence on an override that Hydra's grammar cannot read, with what to paste into a shell."""
    shown = printable(word, 200)
    if "=" not in word:
        return f"The argument {shown!r} is no KEY=VALUE."
    key, _, value = word.partition("=")
    helped = f"{key}={_quote_items(value)}"
    if parse_override(helped) is None:
        return f"The argument {shown} cannot be read: {key!r} is no config key."
    return (
        f"The argument {shown} cannot be read; if its value is text, write {shlex.quote(helped)}."
    )


def why_ambiguous(word: str) -> str:
    """A sentence on an override with several values where one run is asked for."""
    key, _, value = word.partition("=")
    as_one = shlex.quote(f"{key}={_in_quotes(value, 'double')}")
    return (
        f"The argument {printable(word, 200)} has several values: add -m for a sweep over them, or "
        f"write {as_one} if it is one text."
    )


def _quote_items(value: str) -> str:
    """Quote a value as text; in a plain list, each item that needs it."""
    items = value.strip()[1:-1].split(",")
    if value.strip()[:1] + value.strip()[-1:] == "[]":
        words = [
            w if parse_override(f"key={w}") else _in_quotes(w.strip(), "double") for w in items
        ]
        if parse_override(f"key=[{','.join(words)}]"):
            return f"[{','.join(words)}]"
    return _in_quotes(value, "double")
