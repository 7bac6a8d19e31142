"""A run's config as a card may publish it: without paths and addresses of a machine, and names of clients."""

import getpass
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calyx.config.section import Section

# Sections and keys that say where a run was, and nothing of what it came to.
_WHERE = ("client", "hardware", "task.data_dir", "engine.address", "audit.baseline", "mlflow")
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
        if isinstance(value, str) and (_PATH.match(value) or _user() in Path(value).parts):
            self.left_out[key] = "a path or an address"
            return None
        return value

    def _is_client(self, value: object, key: str) -> bool:
        return key == "task.clients" and isinstance(value, str) and value in self.names


def clean_config(
    config: dict[str, Any], clients: Collection[str]
) -> tuple[Section, dict[str, str]]:
    """The config without what is of a machine, or names one of `clients`; and what was left out, by key."""
    cleaner = _Cleaner(clients)
    return cleaner.clean(config, ""), dict(sorted(cleaner.left_out.items()))


def hide_names(text: str, clients: Collection[str]) -> str:
    """A sentence with "a client" in place of each name; a name without letters would be any number."""
    for name in sorted(clients, key=len, reverse=True):
        if any(sign.isalpha() for sign in name):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "a client", text)
    return text


def _user() -> str:
    """The name of who is at work here; one that stands in no path where there is none."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "\0"
