"""Where a run's time went, where it was profiled: seconds a lane and phase, and one round as a timeline.

Pure. `profile.jsonl` is read by `folder`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from calyx.machine.spans import PHASES, Phase
from calyx.pages.figures import Figure
from calyx.pages.scales import Scale, seconds_text, tick_step, ticks
from calyx.pages.svg import Caption, draw, line, tag, text
from calyx.run.profile import ProfileRow
from calyx.words.digits import percent_text

WIDTH, NAMES, LANE, GAP, FOOT = 1080.0, 150.0, 26.0, 10.0, 26.0
LEAST = 0.4  # units that a stretch is drawn wide, however short
MEANINGS: dict[Phase, str] = {
    "load": "read rows",
    "prepare": "preprocess rows",
    "train": "local epochs",
    "validate": "judge a model on validation or test rows",
    "encode": "make a vector of whole numbers",
    "encrypt": "keys, masks, signatures",
    "move": "hand over between processes",
    "aggregate": "add up, and the strategy's step",
    "write": "write to disk",
    "idle": "wait",
}


@dataclass(frozen=True)
class LaneLine:
    """A row of the table: a lane, and seconds and share of the rounds' time for each phase."""

    name: str
    cells: tuple[tuple[str, str], ...]  # of each phase, and of none: seconds, share


@dataclass(frozen=True)
class TimeSection:
    """The section's content."""

    lead: str
    heads: tuple[str, ...]
    lines: tuple[LaneLine, ...]
    figure: Figure | None
    meanings: tuple[tuple[str, str], ...]


def time_section(rows: Sequence[ProfileRow]) -> TimeSection | None:
    """What the report says of where time went; None where nothing was recorded."""
    if not rows:
        return None
    lanes = sorted(
        {row.lane for row in rows}, key=lambda name: (not name.startswith("server"), name)
    )
    lengths = {row.round: row.length for row in rows if row.round}
    total = sum(lengths.values())
    lead = (
        f"{len(lengths)} rounds took {seconds_text(total)}; shares are of that time. "
        f"Before and after them: {seconds_text(sum({row.length for row in rows if not row.round}))}."
    )
    return TimeSection(
        lead=lead,
        heads=(*PHASES, "other"),
        lines=tuple(_line(lane, rows, total) for lane in lanes),
        figure=_timeline(rows, lanes, lengths),
        meanings=(*MEANINGS.items(), ("other", "none of these")),
    )


def _line(lane: str, rows: Sequence[ProfileRow], total: float) -> LaneLine:
    own = [row.seconds for row in rows if row.lane == lane and row.round]
    sums = [sum(one.get(phase, 0.0) for one in own) for phase in PHASES]
    # A thread beside has no time of its own but what it works.
    other = 0.0 if "," in lane else max(0.0, total - sum(sums))
    return LaneLine(lane, tuple(_cell(seconds, total) for seconds in (*sums, other)))


def _cell(seconds: float, total: float) -> tuple[str, str]:
    if not seconds or not total:
        return "–", ""
    return seconds_text(seconds), percent_text(seconds / total)


def _timeline(
    rows: Sequence[ProfileRow], lanes: Sequence[str], lengths: dict[int, float]
) -> Figure | None:
    """The round of middle length whose stretches are all there; None where there is none."""
    whole = {n for n in lengths if not any(row.unlisted for row in rows if row.round == n)}
    if not whole:
        return None
    middle = median(lengths[n] for n in whole)
    number = min(whole, key=lambda n: (abs(lengths[n] - middle), n))
    length = lengths[number]
    scale = Scale(0.0, max(length, 1e-9), NAMES, WIDTH - 10)
    bottom = len(lanes) * (LANE + GAP)
    parts = []
    for at in ticks(0.0, length, tick_step(length, 8)):
        parts.append(line((scale(at), 0.0), (scale(at), bottom), "grid"))
        parts.append(text(scale(at), bottom + 18, f"{at * 1e3:g} ms", "tick middle"))
    for place, lane in enumerate(lanes):
        top = place * (LANE + GAP)
        parts.append(text(0.0, top + 18, lane, "axis start"))
        own = [row for row in rows if (row.lane, row.round) == (lane, number)]
        for one in (stretch for row in own for stretch in row.stretches):
            begin, end = scale(min(one.at, length)), scale(min(one.at + one.seconds, length))
            wide = max(LEAST, end - begin)
            kind = f"phase {one.phase}"
            parts.append(tag("rect", x=begin, y=top, width=wide, height=LANE, class_=kind))
    drawn = {s.phase for row in rows if row.round == number for s in row.stretches}
    legend = tuple((f"phase {phase}", phase) for phase in PHASES if phase in drawn)
    title = f"Round {number}, {seconds_text(length)}"
    note = f"The round of middle length of the {len(whole)} that are listed whole."
    caption = Caption("timeline", title, "What each process did when; the table has the sums.")
    return Figure(title, note, draw(caption, WIDTH, bottom + FOOT, parts, wide=True), legend)
