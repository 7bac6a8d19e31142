"""What a task is: named clients, a schema, a loader of raw rows, and a model.

A task is found by its entry point in the group `calyx.tasks`. It loads and describes; splitting,
checking, preprocessing and training are the client's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from calyx.config.section import Section
from calyx.data.schema import Schema, Table
from calyx.errors import ConfigError, printable

if TYPE_CHECKING:
    from torch import nn

    from calyx.data.csv.rows import Dialect
    from calyx.data.tables import Rows


class Task(Protocol):
    """A task, made from its section of the config (without `data_dir`, which each client owns).

    The constructor parses the section and raises ConfigError. Members that a task may have beside
    these stand in the protocols below, each with what it is for.
    """

    def __init__(self, section: Mapping[str, Any]) -> None: ...

    @property
    def name(self) -> str:
        """The entry point's name."""

    @property
    def w_max(self) -> int | None:
        """Largest weight of one client in the sum: a power of two, in training rows.

        None follows the federation: the least that no client exceeds.
        """

    @property
    def clients(self) -> Sequence[str]:
        """Stable names of the clients that a simulation starts, sorted.

        Many that follow from numbers are `calyx.data.names.client_names(n)`, which holds none.
        """

    @property
    def schema(self) -> Schema:
        """Columns and classes, the same on every client."""

    def load(self, client: str, data_dir: Path | None, seed: int) -> Table:
        """All rows of `client`. Raises DataError that says what is wrong and what to do."""

    def model(self, num_inputs: int) -> "nn.Module":
        """A fresh model from `num_inputs` preprocessed inputs to the schema's `num_outputs`."""


@runtime_checkable
class TypedSection(Protocol):
    """A task that says which keys it has: a site's bounds are checked against them and their types.

    Those of other tasks are checked against the keys of the task's config file.
    """

    section: ClassVar[type]  # the dataclass of the task's section


@runtime_checkable
class CompletedSection(Protocol):
    """A task that reads some of its section on the launcher's machine, so that all clients get it."""

    @staticmethod
    def completed(section: Mapping[str, Any]) -> dict[str, Any]:
        """The section with what was read. Raises DataError, ConfigError."""


@runtime_checkable
class AgreedReading(Protocol):
    """A task whose rows are read as a site has agreed to, and not as a server likes best."""

    def check_agreed(self, data_dir: Path | None) -> None:
        """Raise ConfigError unless this is how the rows of the folder are read; no row is read."""


@runtime_checkable
class NamedClients(Protocol):
    """A task that knows its clients by name: others have no rows of it.

    A site asks before it takes an order, and `calyx submit` before it asks a site.
    """

    def check_client(self, client: str, data_dir: Path | None) -> None:
        """Raise ConfigError or DataError for a client that has no rows; none is read."""


def refuse_stranger(task: str, client: str, clients: Sequence[str]) -> None:
    """Raise ConfigError unless `client` is one of the `clients` of a task. See docs/decisions/0051."""
    if client not in clients:
        raise ConfigError(
            f"task={task} has no client {printable(client, 60)}; it has {clients[0]} … {clients[-1]}."
        )


@runtime_checkable
class OwnSplit(Protocol):
    """A task that may decide itself which rows train and which test."""

    @property
    def own_split(self) -> str | None:
        """What decides it, in words, so that what would undo it is refused early; None: nothing does."""


def own_split(task: Task) -> str | None:
    """What of a task decides how rows are split, in words; None where nothing does."""
    return task.own_split if isinstance(task, OwnSplit) else None


@runtime_checkable
class OwnModelSection(Protocol):
    """A task whose section names clients, or says what else a model does not follow from."""

    @property
    def model_section(self) -> Section:
        """A section without that, of which the same model is made: it stands in the model's file."""


@runtime_checkable
class WarnedFolder(Protocol):
    """A task that looks through a folder of data before a simulation."""

    def warnings_of(self, data_dir: Path) -> list[str]:
        """What whoever starts it should know, in sentences. Raises DataError."""


@runtime_checkable
class ReadsInputs(Protocol):
    """A task that reads rows without answers in a form of its own, to predict them."""

    @property
    def dialect(self) -> "Dialect":
        """How its files are written."""

    def read_inputs(self, path: Path) -> "Rows":
        """All rows of a file. Raises DataError."""
