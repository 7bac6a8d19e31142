"""One thing that a run's own files show, and what may be done about it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """`head` is one word of eight letters at most, which stands before it on a terminal."""

    head: str
    seen: str  # a sentence of what was seen
    cure: str  # a sentence with the key to change; empty where none is known
    brief: str  # both in a line for a terminal, without a full stop
    resume: str = ""  # the override of a `calyx resume RUN` that ends that line
