"""What a task is: named clients, a schema, a loader of raw rows, and a model.

A task is found by its entry point in the group `calyx.tasks`. It loads and describes; splitting,
checking, preprocessing and training are the client's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from calyx.config.section import Section
from calyx.data.schema import Schema, Table

if TYPE_CHECKING:
    from torch import nn


def own_split(task: "Task") -> str | None:
    """What of a task decides how rows are split, before any are read; None: nothing that it knows of.

    A task may say it in an attribute `own_split`, so that what undoes it is refused at once.
    """
    found = getattr(task, "own_split", None)
    return found if isinstance(found, str) else None


def model_section(task: "Task", section: Section) -> Section:
    """What of the task's `section` its network, and how a file of rows is read, follow from.

    A task may say it in an attribute `model_section`, without the names of clients: it stands in the
    file of a released model, and makes the same task but for them.
    """
    own: Section = getattr(task, "model_section", section)
    return own


class Task(Protocol):
    """A task, made from its section of the config (without `data_dir`, which each client owns).

    The constructor parses the section and raises ConfigError. A class may name the dataclass of that
    section in an attribute `section`: then a site's bounds are checked against its keys and types,
    and else against the keys of the task's config file.
    """

    def __init__(self, section: Mapping[str, Any]) -> None: ...

    @property
    def name(self) -> str:
        """The entry point's name."""
        ...

    @property
    def w_max(self) -> int | None:
        """Largest weight of one client in the sum: a power of two, in training rows.

        None follows the federation: the least that no client exceeds.
        """
        ...

    @property
    def clients(self) -> tuple[str, ...]:
        """Stable names of the clients that a simulation starts, sorted."""
        ...

    @property
    def schema(self) -> Schema:
        """Columns and classes, the same on every client."""
        ...

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """All rows of `client`. Raises DataError that says what is wrong and what to do."""
        ...

    def model(self, num_inputs: int) -> "nn.Module":
        """A fresh model from `num_inputs` preprocessed inputs to the schema's `num_outputs`."""
        ...
