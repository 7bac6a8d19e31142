"""What this client has done, so that it never does it twice. `calyx-secagg/1` §5, §10 and §11.

A tombstone stands for each model of which a masked vector has left this client. On a site the
ledger is a file of JSON lines, synced before the vector exists; in simulation it lives and dies
with the run. It holds no secret. What an order of a run must agree with is `client.gate.chain`'s.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from calyx.config.section import canonical_json
from calyx.files.plain import (
    append_lines,
    each_line,
    ends_whole,
    read_lines,
    strict_json,
    write_atomically,
)
from calyx.questions.registry import question_of, recall
from calyx.run.folds import own_run
from calyx.run.order import Order
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster
from calyx.secagg.session import Session
from client.gate.chain import (
    RunEntry,
    check_continues,
    check_cv_begins,
    check_order,
    check_scores,
    is_join,
    line_of,
    terms_digest,
)
from client.gate.limits import (
    DAY_S,
    KEPT,
    Day,
    Limits,
    check_day,
    clock_sentence,
    forget,
    note,
    recent,
    to_come,
)
from client.gate.membership import check_members
from client.gate.tombstones import Answers, Tombstone, proves

_COUNTED = ("starts", "joins", "sums", "failures")  # as `Day` has them
_KEPT_TOMBSTONES = 8  # whose members are remembered; older sums cannot be abandoned any more


@dataclass
class Ledger:
    """`vectors` maps a digest of (task, quantity, model) to the context of its one vector."""

    path: Path | None = None
    vectors: dict[str, str] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    runs: dict[str, RunEntry] = field(default_factory=dict)
    sums: list[float] = field(default_factory=list)  # times of orders taken
    starts: list[float] = field(default_factory=list)  # of runs
    joins: list[float] = field(default_factory=list)  # of runs that were under way
    unfinished: dict[str, float] = field(default_factory=dict)  # ctx of orders without a vector
    failures: list[float] = field(default_factory=list)  # that came of its rows
    moved: dict[str, list[float]] = field(default_factory=dict)  # times before a clock was set back
    causes: dict[str, float] = field(default_factory=dict)  # of failures: when last
    scored: dict[str, str] = field(default_factory=dict)  # model of a fold → version of the rows
    roster_version: int = 0  # the newest that was seen
    roster_digest: str = ""  # of that version; "": not kept by who wrote the ledger
    is_changed: bool = False  # since it was read

    def to_text(self) -> str:
        """As one JSON, for a simulation's memory."""
        value = {k: v for k, v in vars(self).items() if k not in ("path", "is_changed")}
        value["tombstones"] = {ctx: vars(stone) for ctx, stone in self.tombstones.items()}
        value["runs"] = {run: vars(entry) for run, entry in self.runs.items()}
        return canonical_json(value)

    def check_roster(self, roster: Roster) -> None:
        """A version that only grows, and stands for one content. Raises Refusal."""
        newest, digest = self.roster_version, self.roster_digest
        if roster.version < newest:
            raise _outside(
                f"The pinned roster has version {roster.version}, and {newest} was seen."
            )
        if roster.version == newest and digest not in ("", roster.digest.hex()):
            raise _outside(
                f"The pinned roster is another version {newest} than the one that was used here; ask "
                "the consortium which of the two is to be replaced by a newer one."
            )

    def check_members(self, order: Order, roster: Roster) -> None:
        """Groups that stay. Raises Refusal."""
        entry = self.runs.get(order.run)
        check_members(order, roster, None if entry is None else entry.members)

    def check_order(
        self, order: Order, group: int, ctx: bytes, tell: Callable[[str], object] = str
    ) -> None:
        """(round, attempt) after the last, terms and group those of the run, and its chain.

        `tell` gets a sentence for the journal. Raises Refusal.
        """
        entry = self.runs.get(order.run)
        if entry is not None:
            check_continues(entry, order, group, ctx)
        check_order(entry, order, tell)
        runs = self.runs
        if question_of(order.kind).model == "folds":
            runs = {run: one for run, one in runs.items() if own_run(run) == own_run(order.run)}
        elif entry is not None:
            runs = {order.run: entry}
        check_scores(entry, order, len({n for one in runs.values() for n in one.seen}))

    def check_limits(
        self, order: Order, limits: Limits, now: float, tell: Callable[[str], object] = str
    ) -> None:
        """Compare with what is allowed within a day. Raises Refusal, and ClientFailure.

        Times to come, of a clock that was ahead, count from `now` on, and `tell` gets a sentence.
        """
        if limits.is_open:
            return
        if latest := self.ahead(now):
            tell(clock_sentence(latest, now))
            self._write({"event": "clock", "time": now})
        starts, met, sums, failures = (self._of_day(name, now) for name in _COUNTED)
        day = Day(starts, met, sums, failures, recent(self.unfinished.values(), now))
        is_start = question_of(order.kind).model != "none" and not self._has_begun(order.run)
        joins = limits.joins is not None and is_join(self.runs, order)
        check_day(limits, day, now, is_start=is_start, is_join=joins)
        if limits.joins is not None:
            check_cv_begins(order, self.runs)

    def _of_day(self, name: str, now: float) -> list[float]:
        """By the clock as it was set, or as it was before: a clock that is set right frees nothing."""
        before = [time for time in self.moved.get(name, ()) if time <= now]
        return max(recent(getattr(self, name), now), recent(before, now), key=len)

    def ahead(self, now: float) -> float:
        """The latest time that it holds, if that is to come; else 0."""
        kept = (self.sums, self.failures, self.unfinished.values(), self.causes.values())
        return to_come(kept, now)

    def _has_begun(self, run: str) -> bool:
        """Whether the run has asked for anything of a model."""
        return run in self.runs and self.runs[run].has_begun

    def check_scored(self, folds: Sequence[str], data: str) -> None:
        """Models of folds, whose scores are asked of rows of version `data`: each once a version.

        Raises Refusal.
        """
        if len(set(folds)) != len(folds) or any(self.scored.get(f, data) != data for f in folds):
            raise _second_vector()

    def superseded(self, order: Order, keys: Sequence[str], roster: Roster) -> list[str]:
        """Contexts whose vectors do not count any more, since their sums were given up.

        `keys` are those of `vector_keys`. Raises Refusal where a vector for one of them has left
        and its sum may still open.
        """
        gone = []
        for key in keys:
            ctx = self.vectors.get(key)
            if ctx is None:
                continue
            proof = next((a for a in order.abandoned if a.ctx == ctx), None)
            if proof is None or not proves(proof, self.tombstones.get(proof.ctx), roster):
                raise _second_vector()
            gone.append(ctx)
        return gone

    def note_order(self, order: Order, group: int, ctx: bytes, now: float) -> None:
        """An order was accepted."""
        line = {"event": "order", "time": now, "terms": terms_digest(order), "group": group}
        joins = {"joined": True} if is_join(self.runs, order) else {}
        self._write(line | {"ctx": ctx.hex()} | line_of(order) | joins)

    def note_revealed(self, run: str, session: Session, number: int, now: float) -> None:
        """The sum of a training was opened with this client's shares; before they leave it."""
        revealed = [session.ctx.hex(), session.root.hex(), str(number)]
        if run in self.runs and self.runs[run].revealed != revealed:
            self._write({"event": "revealed", "time": now, "run": run, "sum": revealed})

    def note_roster(self, roster: Roster, now: float) -> None:
        """This version was used."""
        digest = roster.digest.hex()
        if (roster.version, digest) != (self.roster_version, self.roster_digest):
            line = {"event": "roster", "time": now, "version": roster.version, "digest": digest}
            self._write(line)

    def note_vector(
        self, answers: Answers, gone: Sequence[str], stone: Tombstone, now: float
    ) -> None:
        """The tombstone, on disk before the vector exists. Raises Refusal for a second one."""
        if any(self.vectors.get(key, stone.ctx) not in (*gone, stone.ctx) for key in answers.keys):
            raise _second_vector()
        self.check_scored(answers.folds, answers.data)
        scored = {"scored": dict.fromkeys(answers.folds, answers.data)} if answers.folds else {}
        keys = list(answers.keys)
        self._write({"event": "vector", "time": now, "keys": keys, **vars(stone), **scored})

    def note_failure(self, now: float, cause: str = "") -> None:
        """An order failed on this client's rows, and the server is told that it did.

        What fails again of the very same `cause` tells nothing new, and counts once a day.
        """
        if not cause or now - self.causes.get(cause, -DAY_S) >= DAY_S:
            self._write({"event": "failure", "time": now, "cause": cause})

    def _write(self, line: dict[str, object]) -> None:
        if self.path is not None:
            append_lines(self.path, [line])
        self._apply(line)
        self.is_changed = True

    def _apply(self, line: dict[str, object]) -> None:
        match line:
            case {"event": "order", "time": float(now), "run": str(), "kind": str(), "ctx": str()}:
                self._apply_order(line, now)
            case {"event": "vector", "time": float(), "keys": list(keys), "members": list(who)}:
                stone = Tombstone(
                    str(line["ctx"]), str(line["root"]), who, int(str(line["needed"]))
                )
                self._apply_vector(stone, keys, line.get("scored"))
            case {"event": "revealed", "run": str(run), "sum": [str(ctx), str(root), str(at)]}:
                self.runs[run].revealed = [ctx, root, at]
            case {"event": "roster", "version": int(version)}:
                self.roster_version = version
                self.roster_digest = str(line.get("digest", ""))
            case {"event": "failure", "time": float(now)}:
                note(self.failures, now)
                known = {c: at for c, at in self.causes.items() if now - at < DAY_S}
                self.causes = known | {str(line.get("cause", "")): now}
            case {"event": "clock", "time": float(now)}:
                for name in _COUNTED:
                    times = getattr(self, name)
                    moved = [time for time in times if time > now]
                    self.moved[name] = [*self.moved.get(name, ()), *moved][-KEPT:]
                    times[:] = [min(time, now) for time in times]
                for named in (self.unfinished, self.causes):
                    named |= {name: min(time, now) for name, time in named.items()}
            case _:
                raise ValueError("a line of the ledger is none of ours")

    def _apply_order(self, line: dict[str, object], now: float) -> None:
        run, ctx = str(line["run"]), str(line["ctx"])
        # An audit belongs to a run, and is answered once for the same rows.
        if recall(str(line["kind"])).model != "none" and not self._has_begun(run):
            note(self.starts, now)
        if "joined" in line:
            note(self.joins, now)
        if run not in self.runs:
            self.runs[run] = RunEntry(str(line["terms"]), int(str(line["group"])))
        self.runs[run].take(line)
        note(self.sums, now)
        self.unfinished[ctx] = now
        forget(self.unfinished)

    def _apply_vector(self, stone: Tombstone, keys: list[str], scored: object) -> None:
        self.vectors |= dict.fromkeys(keys, stone.ctx)
        self.scored |= scored if isinstance(scored, dict) else {}
        self.unfinished.pop(stone.ctx, None)
        self.tombstones[stone.ctx] = stone
        for old in list(self.tombstones)[:-_KEPT_TOMBSTONES]:
            del self.tombstones[old]


def from_text(text: str) -> Ledger:
    """The ledger of `to_text`, from a simulation's memory."""
    values = json.loads(text)
    values["tombstones"] = {ctx: Tombstone(**one) for ctx, one in values["tombstones"].items()}
    values["runs"] = {run: RunEntry(**entry) for run, entry in values["runs"].items()}
    return Ledger(**values)


@lru_cache(maxsize=4)  # one process of a site keeps one ledger
def open_ledger(path: Path) -> Ledger:
    """A site's ledger; empty if there is none yet. Raises ValueError for a damaged line."""
    ledger = read_ledger(path)
    if not ends_whole(path):
        # A line that a crash cut off would swallow the next one.
        whole = "".join(strict_json(line) + "\n" for line in read_lines(path))
        write_atomically(path, whole.encode())
    return ledger


def read_ledger(path: Path) -> Ledger:
    """The same, and nothing is written: a line that a crash cut off is passed over."""
    ledger = Ledger(path)
    for number, line in enumerate(each_line(path), 1):
        try:
            ledger._apply(line)
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"Line {number} of {path} is none of a ledger's. What this site has answered stands "
                "there, so that nothing is answered without it: put a copy of the file back."
            ) from None
    return ledger


def _outside(sentence: str) -> Refusal:
    return Refusal(RefusalCode.OUTSIDE_POLICY, sentence)


def _second_vector() -> Refusal:
    return Refusal(
        RefusalCode.SECOND_VECTOR,
        "A masked vector for this model has left this client already, and its sum may still open; "
        "a run with another seed begins with another model.",
    )
