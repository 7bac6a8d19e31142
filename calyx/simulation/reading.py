"""Whose rows are read before a run begins, and what is to be said of rows: of others when they are asked.

A run of a million names reads those of few. It loads no PyTorch. See docs/decisions/0078.
"""

from collections.abc import Sequence
from typing import Any

from calyx.model.training_config import MIN_VALIDATION_ROWS
from calyx.tasks.task import Task
from calyx.wire.messages import FailureCode
from calyx.words.sentences import say_count, say_rows
from client.journal import Note
from client.rows.checks import UNLABELLED
from client.rows.part_checks import INFLATING
from server.config import RunConfig
from server.sampling import deal_groups, draw_census, sample_cohort

MOST_READ = 100  # clients; workers read the rest side by side
_BROKEN_DATA = (FailureCode.DATA_UNREADABLE, FailureCode.WRONG_SCHEMA, FailureCode.MISSING_VALUES)


def first_asked(run: RunConfig, names: Sequence[str], round: int) -> Sequence[str]:
    """Of these clients those that are asked first by a run whose next round is `round`: their rows are read.

    Of those that an audit asks, or else of the round's cohort, they are `MOST_READ` at most.
    """
    dealt, asked = deal_groups(names, run.privacy.groups, run.seed), None
    if "audit" not in run.phases:
        asked = sample_cohort(dealt, run.cohort_size, run.seed, round)
    elif run.census_size is not None:
        asked = draw_census(dealt, run.census_size, run.seed)
    first = names if asked is None else [name for group in asked for name in group]
    return names if len(first) == len(names) <= MOST_READ else first[:MOST_READ]


def why_broken(client: str, code: FailureCode, sentence: str) -> str | None:
    """Why a run cannot go on with this client's data, by how it failed; None where it can without it."""
    if code not in _BROKEN_DATA:
        return None
    is_setting = code == FailureCode.MISSING_VALUES  # says no more than the column
    return f"{client}: {sentence}." if is_setting else sentence


class Remarks:
    """What clients' own notes on their rows give to say: each sentence once, as soon as it is known.

    Its figures are of the clients that were read by then.
    """

    def __init__(self, run: RunConfig, task: Task) -> None:
        self._run, self._task = run, task
        self._read: set[str] = set()
        self._rows: dict[str, dict[str, int]] = {}  # by client, in each part
        self._findings: dict[str, dict[str, dict[str, Any]]] = {}  # fields, by check and client
        self._said: set[str] = set()

    def take(self, client: str, *notes: Note) -> None:
        """Take what a client wrote when it read its rows, or that it failed to."""
        self._read.add(client)
        for note in notes:
            if note.kind == "data":
                self._rows[client] = note.fields["rows"]
            elif note.kind == "finding":
                told = self._findings.setdefault(note.fields["check"], {})
                told.setdefault(client, note.fields)

    def draw(self) -> list[str]:
        """The sentences that were not drawn before."""
        known = {"capped": self._of_capped(), "unheard": self._of_unheard()}
        known |= {check: self._of_splits(check) for check in INFLATING}
        known[UNLABELLED] = self._of_unlabelled()
        new = {what: said for what, said in known.items() if said and what not in self._said}
        self._said.update(new)
        return list(new.values())

    @property
    def _is_whole(self) -> bool:
        return len(self._read) == len(self._task.clients)

    def _clients(self, number: int) -> str:
        return f"{number} clients" if self._is_whole else f"{number} clients read so far"

    def _of_capped(self) -> str:
        w_max, privacy = self._task.w_max, self._run.privacy
        if w_max is None or "train" not in self._run.phases:
            return ""
        capped = sum(privacy.is_capped(rows["train"], w_max) for rows in self._rows.values())
        if not capped:
            return ""
        have, count = ("has", "counts") if capped == 1 else ("have", "count")
        return (
            f"{capped} of {self._clients(len(self._rows))} {have} more training rows than "
            f"task.w_max={w_max} and {count} as {w_max}; task.w_max=null follows the federation."
        )

    def _of_unheard(self) -> str:
        """Of clients whose validation rows say too little about when to stop."""
        unheard = sum(rows["validation"] < MIN_VALIDATION_ROWS for rows in self._rows.values())
        if not unheard or not _stops_early(self._run):
            return ""
        return (
            f"Local early stopping is off at {unheard} of {self._clients(len(self._rows))}, which have fewer "
            f"than {MIN_VALIDATION_ROWS} validation rows: they train all {self._run.training.epochs} epochs."
        )

    def _of_splits(self, check: str) -> str:
        """What clients say of their splits that makes all figures too good."""
        told = self._findings.get(check)
        if not told:
            return ""
        first = next(iter(told))
        return f"{len(told)} of {self._clients(len(self._read))}, such as {first}: {told[first]['message']}"

    def _of_unlabelled(self) -> str:
        """Of the rows that clients leave out because they have no label."""
        told = self._findings.get(UNLABELLED)
        if not told:
            return ""
        counts = {name: fields["count"] for name, fields in told.items()}
        total, most = sum(counts.values()), max(counts, key=lambda name: counts[name])
        at = say_count(len(counts), "client")
        if not self._is_whole:
            at = f"{len(counts)} of {self._clients(len(self._read))}"
        return (
            f"{say_rows(total, 'has', 'have')} no label and {'is' if total == 1 else 'are'} left out, as the "
            f"schema says: at {at}, of which {most} has {counts[most]}."
        )


def _stops_early(run: RunConfig) -> bool:
    """Whether a client may stop before its last local epoch."""
    patience = run.training.early_stopping.patience
    return "train" in run.phases and patience is not None and patience + 1 < run.training.epochs
