"""A run's config as a card may publish it: without paths and addresses of a machine, and names of clients."""

import getpass
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calyx.config.section import Section
from calyx.data.names import NumberedNames

# Sections and keys that say where a run was, and nothing of what it came to.
_WHERE = ("client", "hardware", "task.data_dir", "engine.address", "audit.baseline")
_WORDS = "task.schema."  # names, units and words of the schema, which the card tells anyway
_NAME = re.compile(r"\w+(?:[-.]\w+)*")
_PATH = re.compile(r"^(~|/|\\\\|[A-Za-z]:[\\/]|\.{1,2}/|[a-z][a-z0-9+.-]*://)")


@dataclass
class _Cleaner:
    """Walks a config; `left_out` are the keys of what it did not keep, with the reason."""

    names: Collection[str]  # of clients, that are not to be told
    left_out: dict[str, str] = field(default_factory=dict)

    def clean(self, value: Any, key: str) -> Any:  # noqa: ANN401 - a tree of plain values
        """The value without what is not for others; None in place of a text that is."""
        if isinstance(value, dict):
            kept = {}
            for name, inner in value.items():
                path = f"{key}.{name}" if key else str(name)
                if path in _WHERE:
                    if inner is not None:
                        self.left_out[path] = "it says where the run was, and not what it came to"
                elif key.startswith("task.") and name in self.names:
                    self.left_out[key] = "names of clients"
                else:
                    kept[str(name)] = self.clean(inner, path)
            return kept
        if isinstance(value, list | tuple):
            told = [one for one in value if not self._is_client(one, key)]
            if len(told) < len(value):
                self.left_out[key] = f"names of {len(value) - len(told)} clients"
            return [self.clean(one, key) for one in told]
        if isinstance(value, str) and not key.startswith(_WORDS) and _is_path(value):
            self.left_out[key] = "a path or an address"
            return None
        return value

    def _is_client(self, value: object, key: str) -> bool:
        return key == "task.clients" and isinstance(value, str) and value in self.names


def hidden_names(clients: Sequence[str], *, are_told: bool) -> Collection[str]:
    """The names that no card tells, to be asked quickly whether a word is one of them."""
    if are_told:
        return ()
    return clients if isinstance(clients, NumberedNames) else frozenset(clients)


def clean_config(
    config: dict[str, Any], clients: Collection[str]
) -> tuple[Section, dict[str, str]]:
    """The config without what is of a machine, or names one of `clients`; and what was left out, by key."""
    cleaner = _Cleaner(clients)
    return cleaner.clean(config, ""), dict(sorted(cleaner.left_out.items()))


def hide_names(text: str, clients: Collection[str]) -> str:
    """A sentence with "a client" in place of each name; a name without letters would be any number."""
    listed = (
        () if isinstance(clients, NumberedNames) else clients
    )  # a million follow from their numbers
    for name in sorted((n for n in listed if not _NAME.fullmatch(n)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "a client", text)
    return _NAME.sub(lambda one: "a client" if _is_name(one[0], clients) else one[0], text)


def _is_name(word: str, clients: Collection[str]) -> bool:
    return any(sign.isalpha() for sign in word) and word in clients


def _is_path(value: str) -> bool:
    """Whether a text says where something is on a machine, or whose it is there."""
    user = ""
    with suppress(OSError, KeyError):  # a container may have no user of that number
        user = getpass.getuser()
    return bool(_PATH.match(value)) or ("/" in value and user in Path(value).parts)
