"""A job for a worker: what it is given, what becomes of it, and what it can do while it runs."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Parcel:
    """What many jobs need: it goes to a worker once, and takes the place of an earlier one there."""

    place: str  # by which `find_parcel` finds it
    value: Any  # picklable; packed for each worker


@dataclass(frozen=True)
class Job:
    """A function of a module, and its arguments, both picklable."""

    home: int | None  # the worker that does it, counted round; None: whoever is idle
    function: Callable[..., Any]  # whatever the caller of the pool wants done
    arguments: tuple[Any, ...]
    parcels: tuple[Parcel, ...] = ()  # what it finds in its worker
    is_movable: bool = False  # whether another worker may do it that has nothing else to do


@dataclass(frozen=True)
class Done:
    """A job's result."""

    value: Any  # what the function returned


@dataclass(frozen=True)
class Failed:
    """Why a job has no result, as a clause for a person."""

    reason: str


@dataclass(frozen=True)
class Died(Failed):
    """The worker of the job has died."""

    at: int  # what the job had marked last; -1: nothing


@dataclass(frozen=True)
class Expired(Failed):
    """The deadline came while the job ran, and its worker was replaced."""

    at: int  # what the job had marked last; -1: nothing
    seconds: float  # since then


Result = Done | Failed
LATE = "no reply before the deadline"


@dataclass(frozen=True)
class Told:
    """What a job says of itself while it runs."""

    value: Any


_telling: ContextVar[Callable[[Any], None] | None] = ContextVar("telling", default=None)
_marking: ContextVar[Callable[[int], None] | None] = ContextVar("marking", default=None)
_parcels: ContextVar[dict[str, Any]] = ContextVar("parcels")


@contextmanager
def listen(
    parcels: dict[str, Any],
    on_told: Callable[[Any], None],
    on_mark: Callable[[int], None] | None = None,
) -> Iterator[None]:
    """Inside, jobs find these parcels, and what they tell and mark is heard."""
    tokens = _parcels.set(parcels), _telling.set(on_told), _marking.set(on_mark)
    try:
        yield
    finally:
        _parcels.reset(tokens[0])
        _telling.reset(tokens[1])
        _marking.reset(tokens[2])


def tell(value: object) -> None:
    """Tell from within a job how far it is; outside of a pool, nobody is told."""
    said = _telling.get()
    if said is not None:
        said(value)


def mark(position: int) -> None:
    """Note within a job where it is, so that one knows what it died of; it costs no message."""
    noting = _marking.get()
    if noting is not None:
        noting(position)


def find_parcel(place: str) -> Any:  # noqa: ANN401 - what the job's maker has packed
    """Within a job: what one of its parcels holds; the same object until another takes its place."""
    return _parcels.get()[place]


def attempt(function: Callable[..., Any], *arguments: Any) -> Done | Failed:  # noqa: ANN401 - its own
    """What `function` returns, or that it failed: the log has the traceback, and the result none."""
    try:
        return Done(function(*arguments))
    except Exception as error:
        log.exception("a job failed")
        return Failed(f"{type(error).__name__} in the engine")
