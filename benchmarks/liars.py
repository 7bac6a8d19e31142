"""What one lying member of ten can do, and what is said of it: `python -m benchmarks.liars`.

Each row is a `calyx simulate task=digits` of ten clients in this process, of which one sends what its
row says instead of what it learned. Of a training: −`privacy.clip` in every coordinate, at the largest
weight that there is (H1) or at its own (H2); ±clip against what it learned, at its own weight (against)
or the largest (heavy); 100 · clip (H3); random residues (H6). Of an evaluation: 2^20 rows that it has
not, each with a loss of 64 nats (H7), or all of them right (H8).
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from calyx.cli.main import run as calyx
from calyx.files.plain import read_lines
from calyx.model.details import RELIABILITY_BINS
from calyx.vector.contribution import Cells, Contribution, Layout, encode
from calyx.vector.quantise import Residues
from client import reply
from client.gate.assignment import Assignment
from client.learning import contribution
from client.learning.contribution import Answer, contribute

LIAR = 3  # whose rows it is does not matter
ROWS = 2**20
NATS = 64
SEEN = ("odd-sum", "jump")
ATTACKS = (
    "none",
    "H1",
    "H2",
    "against",
    "heavy",
    "H3",
    "H6",
    "H7",
    "H8",
)  # as docs/security.md names them
Encode = Callable[[Contribution, Layout, NDArray[np.float32]], Residues]


def everywhere(part: Contribution, layout: Layout, attack: str) -> Contribution:
    """−clip in every coordinate, or ±clip against the signs of what was learned."""
    clip = np.float32(layout.fixed.clip)
    signs = {
        k: np.sign(v) if attack in ("against", "heavy") else np.ones_like(v)
        for k, v in part.update.items()
    }
    update = {k: (-clip * sign).astype(np.float32) for k, sign in signs.items()}
    rows = layout.w_max if attack in ("H1", "heavy") else part.num_examples
    return replace(part, num_examples=rows, update=update)


def residues(vector: Residues, layout: Layout, attack: str) -> Residues:
    """Coordinates that no update has."""
    start, end = layout.ends[:2]
    lies = np.random.default_rng(1).integers(0, 2**32, end - start, dtype=np.uint32)
    if attack == "H3":
        lies[:] = int(100 * layout.fixed.clip / layout.fixed.step) & layout.fixed.mask
    return np.concatenate([vector[:start], lies & np.uint32(layout.fixed.mask), vector[end:]])


def rows_of(part: Contribution, attack: str) -> Contribution:
    """An evaluation of `ROWS` rows of the first class, that agrees with itself."""
    counts: dict[str, Cells] = {k: v.copy() for k, v in part.counts.items()}
    is_right = attack == "H8"
    counts["rows"][:] = ROWS
    counts["labels"][:] = 0
    counts["labels"][0] = ROWS
    counts["hits"][:] = ROWS if is_right else 0
    counts["loss"][:] = 0 if is_right else ROWS * NATS << 149
    if "confusion" in counts:
        counts["confusion"][:] = 0
        counts["confusion"][0 if is_right else 1] = ROWS
        sure = np.zeros((3, RELIABILITY_BINS), dtype=object)
        sure[:, -1] = (ROWS, ROWS if is_right else 0, ROWS << 20)
        counts["reliability"] = sure.reshape(-1)
        counts["coarse"][:] = 0
    return replace(part, counts=counts)


def lying(attack: str) -> Encode:
    """`encode` of a client that tells this lie."""

    def made(
        part: Contribution,
        layout: Layout,
        dither: NDArray[np.float32],
        out: Residues | None = None,
    ) -> Residues:
        if part.update and attack in ("H1", "H2", "against", "heavy"):
            part = everywhere(part, layout, attack)
        if not part.update and attack in ("H7", "H8") and "rows" in part.counts:
            part = rows_of(part, attack)
        vector = encode(part, layout, dither, out)
        if part.update and attack in ("H3", "H6"):
            vector[:] = residues(vector, layout, attack)
        return vector

    return made


@contextmanager
def one_of(attack: str) -> Iterator[None]:
    """One client of the process lies; none with the attack "none"."""
    lie = lying(attack)

    def contribute_or_lie(
        assignments: Sequence[Assignment], answers: Sequence[Answer]
    ) -> list[Residues]:
        if not assignments[0].site.name.endswith(f"{LIAR}"):
            return contribute(assignments, answers)
        with patch.object(contribution, "encode", lie):
            return contribute(assignments, answers)

    with patch.object(reply, "contribute", contribute_or_lie):
        yield


@dataclass(frozen=True)
class Found:
    """What came of a run with one liar."""

    attack: str
    clip: float
    accuracy: float | None  # of the released model; None where the run ended before there was one
    largest_loss: float  # of all rounds' validations, nats
    ended: int  # the program's exit code
    said: list[str]  # sentences of events.jsonl that only a liar, or a wild training, brings about


def attempt(attack: str, clip: float, words: Sequence[str], folder: Path) -> Found:
    """One run: its accuracy, how it ended, and what was said of it."""
    common = ("simulate", "task=digits", "baselines=false", "engine.workers=0")
    with one_of(attack), redirect_stdout(sys.stderr):
        code = calyx([*common, f"privacy.clip={clip}", *words, f"hydra.run.dir={folder}"])
    events = read_lines(folder / "events.jsonl")
    said = [e["message"] for e in events if e["event"] in SEEN or "unsound" in e["message"]]
    rounds = folder / "rounds.jsonl"
    losses = [row.get("val_loss") or 0.0 for row in read_lines(rounds)] if rounds.exists() else []
    told = json.loads((folder / "summary.json").read_text()) if code == 0 else {}
    return Found(attack, clip, told.get("test_accuracy"), max(losses, default=0.0), code, said)


def table_of(found: Sequence[Found]) -> Table:
    """A row a run."""
    table = Table(
        "attack", "clip", "accuracy", "largest val_loss", "ended", "sentences", "the first"
    )
    for one in found:
        accuracy = "–" if one.accuracy is None else f"{one.accuracy:.3f}"
        figures = (f"{one.clip:g}", accuracy, f"{one.largest_loss:.3g}", f"{one.ended}")
        table.add_row(one.attack, *figures, f"{len(one.said)}", one.said[0] if one.said else "")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each attack and clip."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--attacks", nargs="+", default=ATTACKS, choices=ATTACKS)
    parser.add_argument("--clips", nargs="+", type=float, default=[1.0, 0.2])
    parser.add_argument("--with", nargs="+", default=[], dest="words", help="overrides of each run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    jobs = [(attack, clip) for attack in options.attacks for clip in options.clips]
    with TemporaryDirectory() as place:
        found = [
            attempt(attack, clip, options.words, Path(place) / f"{i}")
            for i, (attack, clip) in enumerate(jobs)
        ]
    if options.json:
        sys.stdout.write(json.dumps([asdict(one) for one in found]) + "\n")
    else:
        Console(width=200).print(table_of(found))


if __name__ == "__main__":
    main()
