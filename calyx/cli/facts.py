"""Sentences and facts on the terminal: nothing is broken or styled by what a file holds."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text


def say(sentence: str, style: str = "") -> None:
    """Print a sentence on one line, whatever it holds and however long it is."""
    Console(soft_wrap=True).print(Text(sentence, style=style))


def warn(sentence: str) -> None:
    """Print a warning on one line of standard error, where it is seen if the output goes to a file."""
    Console(soft_wrap=True, stderr=True).print(Text(f"warning: {sentence}", style="yellow"))


def print_warnings(sentences: Iterable[str]) -> None:
    """Print warnings among a command's lines, before what it warns of begins."""
    for sentence in sentences:
        print(f"warning: {sentence}", flush=True)


def print_facts(*rows: tuple[str, str]) -> None:
    """Rows of a word and its value; a path is never broken, and only a fingerprint has two lines."""
    width = max(len(what) for what, _ in rows) + 2
    for what, value in rows:
        label = Text(f"  {what:<{width}}", style="dim")
        indented = value.replace("\n", "\n" + " " * (width + 2))
        line = Text.assemble(label, (indented, "cyan" if "\n" in value else ""))
        Console(soft_wrap=True).print(line)
