"""YAML that people write: every word stays as it is written until a place says what it wants.

YAML takes `no` for false, `010` for 8 and `12:30` for 750. Here an unquoted word is text where the
config's type is text, a number where it is a number, and nothing is guessed. See decision 0038.
"""

import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from calyx.config.key_types import Types, below, literals, members
from calyx.errors import ConfigError, printable
from calyx.files.foreign import DEEPEST, MOST_VALUES, check_size, refuse_alias
from calyx.files.plain import read_bounded

MOST_BYTES = 2**24  # a schema of 100,000 columns has some 6 million
SHOWN = 60  # characters of a word
NULLS = ("", "~", "null", "Null", "NULL")
TRUE = re.compile(r"true|True|TRUE|yes|Yes|YES|on|On|ON")
FALSE = re.compile(r"false|False|FALSE|no|No|NO|off|Off|OFF")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")  # a number that is written in the usual way
NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
LONGEST = 300  # characters of a number
_PLAIN = "plain"  # our tag of a word without quotes
_TEXT = "tag:yaml.org,2002:str"


class Plain(str):
    """A word without quotes: text, a number or nothing, as its place wants."""

    __slots__ = ("line",)

    line: int  # of the file, from 1

    def __new__(cls, text: str, line: int = 1) -> "Plain":
        """`text` as it is written in this line."""
        word = super().__new__(cls, text)
        word.line = line
        return word


class _Loader(yaml.SafeLoader):
    """Composes nodes; an unquoted word gets a tag of its own."""

    left = MOST_VALUES

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as PyYAML
        refuse_alias(self)
        self.left -= 1
        if self.left < 0:
            raise ValueError
        return super().compose_node(parent, index)

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:  # noqa: ANN401 - as PyYAML
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


def read_tree(path: Path, page: str) -> dict[str, Any]:
    """A file's mapping: of text, `Plain` words, lists and mappings. `page` shows such a file.

    Raises ConfigError with file and line, also for a key that stands twice.
    """
    text = _decode(path, read_bounded(path, MOST_BYTES))
    try:
        with suppress(yaml.YAMLError):  # what is no YAML is told with its place below
            check_size(text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}{_describe(error)}; {page} shows such a file.") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{path}, line {line}: there is a character that no text holds "
            f"({error.character:#x}); take it out."
        ) from None
    except (ValueError, RecursionError):
        raise _too_much(path) from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path} is no YAML mapping; {page} shows such a file.")
    tree: dict[str, Any] = _Tree(path).value(node, 0)
    return tree


def _too_much(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} has more than {MOST_VALUES:,} values or {DEEPEST} levels; write it shorter or flatter."
    )


def assign_types(tree: Any, cls: Any, path: Path | None = None) -> Any:  # noqa: ANN401 - JSON, and a type
    """A tree of `read_tree` as JSON values: its plain words are what the type `cls` wants there.

    What fits no type stays text, and is refused where it is parsed. Raises ConfigError.
    """
    return _assign(tree, members(cls), f"{path}, " if path else "")


def _assign(tree: Any, kinds: Types, where: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(tree, dict):
        return {key: _assign(value, below(kinds, key), where) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_assign(value, below(kinds, i), where) for i, value in enumerate(tree)]
    if isinstance(tree, Plain):
        return _interpret(tree, kinds, where)
    return tree


def _interpret(word: Plain, kinds: Types, where: str) -> Any:  # noqa: ANN401 - JSON
    """A plain word where one of `kinds` is wanted."""
    text = str(word)
    is_any = object in kinds or Any in kinds
    if text in literals(kinds):
        return text
    if (type(None) in kinds or is_any) and text in NULLS:
        return None
    is_number = bool({int, float} & set(kinds)) or is_any
    if str in kinds:
        return _number(word, where) if is_number and DECIMAL.fullmatch(text) else text
    if bool in kinds and (TRUE.fullmatch(text) or FALSE.fullmatch(text)):
        return bool(TRUE.fullmatch(text))
    if is_any and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if is_number and NUMBER.fullmatch(text) and len(text) <= LONGEST:
        return int(text) if re.fullmatch("[+-]?[0-9]+", text) else float(text)
    if is_number and re.fullmatch(r"[+-]?0+[0-9]+", text):
        raise _twofold(word, where, f"{text.lstrip('+-0') or 0}, or put it in quotes")
    if is_any and (TRUE.fullmatch(text) or FALSE.fullmatch(text)):
        raise _twofold(word, where, "true or false, or put it in quotes")
    return text


def _twofold(word: Plain, where: str, advice: str) -> ConfigError:
    said = f"{printable(word, SHOWN)} is one thing to some readers of YAML and another to others"
    return ConfigError(f"{where}line {word.line}: {said}; write {advice}.")


def _number(word: Plain, where: str) -> int | float:
    """Where a word may be text or a number. Raises ConfigError for one that is not kept exactly."""
    is_short = len(word) <= LONGEST
    value = (float(word) if "." in word else int(word)) if is_short else 0
    if not is_short or Decimal(repr(value)) != Decimal(str(word)):
        raise ConfigError(
            f"{where}line {word.line}: {printable(word, SHOWN)} has more digits than a number keeps; "
            "put it in quotes, and it is compared as it is written."
        )
    return value


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        raise ConfigError(
            f"{path}, line {line}, column {column}: the byte {data[error.start]:#04x} is no UTF-8; "
            "save the file as UTF-8."
        ) from None


def _describe(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    begun, context = "", error.context_mark
    if context and mark and context.line != mark.line:
        begun = f" in what begins in line {context.line + 1}"
    problem = (error.problem or "it ends").replace("'<stream end>'", "the end of the file")
    odd = "; put a word with such a character in quotes" if "cannot start" in problem else ""
    return f"{where}: this is no YAML{begun}: {printable(problem, 200)}{odd}"


class _Tree:
    """Nodes as values, of which a file holds a bounded number."""

    def __init__(self, path: Path) -> None:
        self._path, self._left = path, MOST_VALUES

    def value(self, node: yaml.Node, depth: int) -> Any:  # noqa: ANN401 - a tree
        """Text, a plain word, a list or a mapping."""
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            raise _too_much(self._path)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if node.tag == _PLAIN:
            return Plain(node.value, self._line(node))
        if node.tag != _TEXT:
            raise self._refused(
                node, f"the tag {printable(node.tag, SHOWN)} is not read; take it out"
            )
        return self._text(node)

    def _text(self, node: yaml.Node) -> str:
        """A text; JSON writes a letter beyond 16 bits as two halves."""
        try:
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._refused(node, "half a letter stands there; write the whole one") from None

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._refused(key, "a key must be one word; put it in quotes")
            name, inner = self._text(key), self.value(value, depth + 1)
            if name in lines:
                raise self._refused(
                    key,
                    f"the key {printable(name, SHOWN)} stands here and in line {lines[name]} already; "
                    "keep one of them",
                )
            lines[name] = self._line(key)
            mapping[name] = inner
        return mapping

    def _line(self, node: yaml.Node) -> int:
        return int(node.start_mark.line) + 1

    def _refused(self, node: yaml.Node, what: str) -> ConfigError:
        return ConfigError(f"{self._path}, line {self._line(node)}: {what}.")
