"""How an engine says where it is: it calls what it was handed, and prints nothing itself."""

from typing import Protocol


class Progress(Protocol):
    """Takes how far a stage is; called at every step, in the process that shows a run."""

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` clients, or models, of the stage `what`; `detail` is a clause more."""


def silent(what: str, done: int, total: int, detail: str = "") -> None:
    """Tell nobody how far something is."""
