"""How the section `serve` is read: a YAML file with the one key `serve`, and words that change it.

`serve.port=9000`, and `serve.jwt.algorithms=[EdDSA]` for a list: no Hydra, no interpolation, no code.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calyx.config.human_yaml import Plain, assign_types, read_tree
from calyx.config.section import parse
from calyx.errors import ConfigError, printable
from calyx.serving.config import ServeConfig

PAGE = "docs/serve.md"
_LONGEST = 60  # characters of a word in a sentence


def read_settings(path: Path | None, words: Sequence[str]) -> ServeConfig:
    """The config of a file, if any, as the words change it. Raises UserError, ConfigError."""
    tree = {} if path is None else read_tree(path, PAGE)
    if strange := sorted(tree.keys() - {"serve"}):
        raise ConfigError(
            f"{path} has the key {printable(strange[0], _LONGEST)} at its top, where there is serve only; "
            f"{PAGE} shows such a file."
        )
    section = tree.get("serve", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: under serve there are keys with values; {PAGE} shows them.")
    for word in words:
        _set(section, word)
    return parse(ServeConfig, assign_types(section, ServeConfig, path), "serve")


def _set(section: dict[str, Any], word: str) -> None:
    """Put the value of a word such as `serve.port=9000` in its place."""
    name, equals, value = word.partition("=")
    first, *keys = name.split(".")
    if first != "serve" or not keys or not all(keys) or not equals:
        raise ConfigError(
            f"{printable(word, _LONGEST)!r} is not understood; write serve.KEY=VALUE."
        )
    for key in keys[:-1]:
        inner = section.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{printable(name, _LONGEST)}: {key} has no keys of its own.")
        section = inner
    if value.startswith("[") and value.endswith("]"):
        parts = [part.strip() for part in value[1:-1].split(",")]
        section[keys[-1]] = [Plain(part) for part in parts if part]
    else:
        section[keys[-1]] = Plain(value)
