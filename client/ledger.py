"""What this client has done, so that it never does it twice. `calyx-secagg/1` §5.

A tombstone stands for each model of which a masked vector has left this client. On a site the
ledger is a file of JSON lines, synced before the vector exists; in simulation it lives and dies
with the run. It holds no secret.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from calyx.config import canonical_json, digest
from calyx.files import append_lines, read_lines, strict_json, write_atomically
from calyx.order import Abandoned, Order
from calyx.secagg.keys import verify
from calyx.secagg.refusals import Refusal, RefusalCode
from calyx.secagg.roster import Roster

DAY_S = 86400.0
_KEPT_TOMBSTONES = 8  # whose members are remembered; older sums cannot be abandoned any more


@dataclass(frozen=True)
class Limits:
    """What is answered within a day at most; None: any number."""

    runs: int | None
    sums: int | None
    failures: int | None  # that came of this client's rows


@dataclass
class RunEntry:
    """What an order of a run must agree with."""

    terms: str  # digest
    group: int
    last: dict[str, list[int]] = field(default_factory=dict)  # kind → (round, attempt)
    ctx: str = ""  # of the last order


@dataclass(frozen=True)
class Tombstone:
    """A masked vector has left: in which context, among whom, and what would undo it."""

    ctx: str
    root: str
    members: list[int]  # U0
    needed: int  # signatures that prove that its sum can never open


@dataclass
class Ledger:
    """`vectors` maps a digest of (task, quantity, model) to the context of its one vector."""

    path: Path | None = None
    vectors: dict[str, str] = field(default_factory=dict)
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    runs: dict[str, RunEntry] = field(default_factory=dict)
    sums: list[float] = field(default_factory=list)  # times of orders taken, of the last day
    starts: list[float] = field(default_factory=list)  # of runs, of the last day
    failures: list[float] = field(default_factory=list)  # that came of its rows, of the last day
    causes: dict[str, float] = field(default_factory=dict)  # of failures: when last
    roster_version: int = 0  # the newest that was seen
    is_changed: bool = False  # since it was read

    def to_text(self) -> str:
        """As one JSON, for a simulation's memory."""
        value = {k: v for k, v in vars(self).items() if k not in ("path", "is_changed")}
        value["tombstones"] = {ctx: vars(stone) for ctx, stone in self.tombstones.items()}
        value["runs"] = {run: vars(entry) for run, entry in self.runs.items()}
        return canonical_json(value)

    def check_roster(self, roster: Roster) -> None:
        """A version that only grows. Raises Refusal."""
        if roster.version < self.roster_version:
            raise Refusal(
                RefusalCode.OUTSIDE_POLICY,
                f"The pinned roster has version {roster.version}, and {self.roster_version} was seen.",
            )

    def check_order(self, order: Order, group: int, ctx: bytes) -> None:
        """(round, attempt) after the last, terms and group those of the run. Raises Refusal."""
        entry = self.runs.get(order.run)
        if entry is None:
            return
        if entry.ctx == ctx.hex():
            raise Refusal(RefusalCode.CONTEXT_REUSED, "The order's context was used before.")
        last = entry.last.get(order.kind)
        if last is not None and [order.round, order.attempt] <= last:
            raise Refusal(
                RefusalCode.ROUND_REPLAYED,
                f"Round {order.round}, attempt {order.attempt} is not after the last ({order.kind}).",
            )
        if entry.terms != _terms(order):
            raise Refusal(RefusalCode.RULES_CHANGED, "The run's terms have changed.")
        if entry.group != group:
            raise Refusal(
                RefusalCode.SECOND_GROUP, f"It was in group {entry.group} of this run, not {group}."
            )

    def check_limits(self, order: Order, limits: Limits, now: float) -> None:
        """Compare with what is allowed within a day. Raises Refusal."""
        started, summed = _recent(self.starts, now), _recent(self.sums, now)
        failed, daily = _recent(self.failures, now), RefusalCode.DAILY_LIMIT
        is_new = order.kind != "statistics" and not self._has_begun(order.run)
        if limits.runs is not None and is_new and len(started) >= limits.runs:
            again = _again(started, limits.runs)
            raise Refusal(daily, f"{limits.runs} runs have begun within a day; {again}.")
        if limits.sums is not None and len(summed) >= limits.sums:
            again = _again(summed, limits.sums)
            raise Refusal(daily, f"{limits.sums} sums were answered within a day; {again}.")
        if limits.failures is not None and len(failed) >= limits.failures:
            raise Refusal(
                daily,
                f"{limits.failures} orders failed on this client's rows within a day, and each tells "
                f"something of them; {_again(failed, limits.failures)}, or see client.policy.failures_a_day.",
            )

    def _has_begun(self, run: str) -> bool:
        """Whether the run has asked for anything but statistics."""
        return run in self.runs and any(kind != "statistics" for kind in self.runs[run].last)

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
            if proof is None or not self._is_proof(proof, roster):
                raise _second_vector()
            gone.append(ctx)
        return gone

    def _is_proof(self, proof: Abandoned, roster: Roster) -> bool:
        stone = self.tombstones.get(proof.ctx)
        if stone is None or stone.root != proof.root:
            return False
        ctx, root = bytes.fromhex(proof.ctx), bytes.fromhex(proof.root)
        signed = [
            u
            for u in stone.members
            if (signature := proof.signatures.get(roster.name(u))) is not None
            and verify(roster.key(u), bytes.fromhex(signature), "abandon", ctx, root)
        ]
        return len(signed) >= stone.needed

    def check_links(self, order: Order) -> None:
        """The sum of which this client was part must be named with its own root. Raises Refusal."""
        for link in order.previous:
            stone = self.tombstones.get(link.ctx)
            if stone is not None and stone.root != link.root:
                raise Refusal(
                    RefusalCode.OUTSIDE_POLICY, "The order names a previous sum with another root."
                )

    def note_order(self, order: Order, group: int, ctx: bytes, now: float) -> None:
        """An order was accepted."""
        self._write(
            {
                "event": "order",
                "time": now,
                "run": order.run,
                "kind": order.kind,
                "at": [order.round, order.attempt],
                "terms": _terms(order),
                "group": group,
                "ctx": ctx.hex(),
            }
        )

    def note_roster(self, roster: Roster, now: float) -> None:
        """This version was used."""
        if roster.version > self.roster_version:
            self._write({"event": "roster", "time": now, "version": roster.version})

    def note_vector(
        self, keys: Sequence[str], gone: Sequence[str], stone: Tombstone, now: float
    ) -> None:
        """The tombstone, on disk before the vector exists. Raises Refusal for a second one."""
        if any(self.vectors.get(key, stone.ctx) not in (*gone, stone.ctx) for key in keys):
            raise _second_vector()
        self._write({"event": "vector", "time": now, "keys": list(keys), **vars(stone)})

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
            case {"event": "order", "time": float(now), "run": str(run), "kind": str(kind)}:
                # An audit belongs to a run, and is answered once for the same rows.
                if kind != "statistics" and not self._has_begun(run):
                    self.starts = [*_recent(self.starts, now), now]
                if run not in self.runs:
                    self.runs[run] = RunEntry(str(line["terms"]), int(str(line["group"])))
                self.runs[run].last[kind] = list(line["at"])  # type: ignore[call-overload]  # our own line
                self.runs[run].ctx = str(line["ctx"])
                self.sums = [*_recent(self.sums, now), now]
            case {"event": "vector", "time": float(now), "keys": list(keys), "members": list(who)}:
                stone = Tombstone(
                    str(line["ctx"]), str(line["root"]), who, int(str(line["needed"]))
                )
                self.vectors |= dict.fromkeys(keys, stone.ctx)
                self.tombstones[stone.ctx] = stone
                for old in list(self.tombstones)[:-_KEPT_TOMBSTONES]:
                    del self.tombstones[old]
            case {"event": "roster", "version": int(version)}:
                self.roster_version = version
            case {"event": "failure", "time": float(now)}:
                self.failures = [*_recent(self.failures, now), now]
                known = {c: at for c, at in self.causes.items() if now - at < DAY_S}
                self.causes = known | {str(line.get("cause", "")): now}
            case _:
                raise ValueError("a line of the ledger is none of ours")


def vector_keys(order: Order, data: str) -> list[str]:
    """What the order's vector would answer: a digest of (task, quantity, model) for each quantity.

    Statistics are of no model: `data`, a digest of this client's rows, takes its place. So a
    client gives them once for each version of its data, whatever the run and its settings.
    """
    task = order.terms.task["name"]
    if order.kind == "statistics":
        return [digest([task, order.kind, data])]
    quantities = [order.kind, "evaluate"] if order.is_validated else [order.kind]
    return [digest([task, q, order.weights]) for q in quantities]


def from_text(text: str) -> Ledger:
    """The ledger of `to_text`, from a simulation's memory."""
    values = json.loads(text)
    stones = {ctx: Tombstone(**stone) for ctx, stone in values["tombstones"].items()}
    runs = {run: RunEntry(**entry) for run, entry in values["runs"].items()}
    times = (values["sums"], values["starts"], values["failures"], values["causes"])
    return Ledger(None, values["vectors"], stones, runs, *times, values["roster_version"])


@lru_cache(maxsize=4)  # one process of a site keeps one ledger
def open_ledger(path: Path) -> Ledger:
    """A site's ledger; empty if there is none yet. Raises ValueError for a damaged line."""
    ledger, lines = Ledger(path), read_lines(path)
    if path.exists() and not path.read_bytes().endswith(b"\n"):
        # A line that a crash cut off would swallow the next one.
        write_atomically(path, "".join(strict_json(line) + "\n" for line in lines).encode())
    for line in lines:
        ledger._apply(line)
    return ledger


def _terms(order: Order) -> str:
    terms = order.terms
    cv = vars(terms.cv) if terms.cv else None
    return digest(vars(terms) | {"strategy": vars(terms.strategy), "cv": cv})


def _recent(times: list[float], now: float) -> list[float]:
    return [time for time in times if now - time < DAY_S]


def _again(times: list[float], limit: int) -> str:
    """When fewer than `limit` of the `times`, in seconds, are of one day, by this machine's clock."""
    ends = datetime.fromtimestamp(times[-limit] + DAY_S).astimezone()
    return f"the next is answered from {ends:%Y-%m-%d %H:%M %Z} on"


def _second_vector() -> Refusal:
    return Refusal(
        RefusalCode.SECOND_VECTOR,
        "A masked vector for this model has left this client already, and its sum may still open; "
        "a run with another seed begins with another model.",
    )
