"""What a run comes to, in words: the verdict, and what stands out; for the page and the terminal."""

from dataclasses import dataclass
from pathlib import Path

from calyx.errors import printable, quote_command
from calyx.pages.causes import causes
from calyx.pages.class_remarks import class_remark
from calyx.pages.folder import Run
from calyx.pages.verdict import Remark, Verdict, judge, judge_values

MOST_LINES = 3  # on a terminal


@dataclass(frozen=True)
class Conclusions:
    """`remarks` come by weight: what makes a figure misleading first."""

    verdict: Verdict
    remarks: tuple[Remark, ...]


def conclude(run: Run) -> Conclusions:
    """The verdict of a run and all that stands out; of an unfinished one that it is not known yet."""
    verdict = _verdict(run)
    if run.summary is None or not run.has_training:
        return Conclusions(verdict, ())
    first = class_remark(run)
    remarks = causes(run, is_behind=verdict.is_behind)
    return Conclusions(verdict, (*([first] if first else []), *remarks))


def terminal_lines(conclusions: Conclusions, folder: Path) -> list[str]:
    """At most MOST_LINES lines; how many remarks have no line is said in the last one."""
    lines = [f"worth   {conclusions.verdict.brief}"] if conclusions.verdict.brief else []
    room = MOST_LINES - len(lines)
    shown = conclusions.remarks[:room]
    lines += [f"{r.head:<8}{_line(r, folder)}" for r in shown]
    if rest := len(conclusions.remarks) - len(shown):
        lines[-1] += f" ({rest} more in the report)"
    return lines


def _line(remark: Remark, folder: Path) -> str:
    line = printable(remark.brief)
    return (
        f"{line} {quote_command('calyx', 'resume', folder, remark.resume)}"
        if remark.resume
        else line
    )


def _verdict(run: Run) -> Verdict:
    if run.summary is None:
        return Verdict("Not known yet", "open", "The models are compared when the run has ended.")
    baselines, models = run.summary.baselines, run.summary.models
    if run.metric == "R²":
        return judge_values(baselines, models)
    num_test_rows = sum(row.rows.test for row in run.clients.data.values() if row.rows)
    if models != "common" and baselines is not None:
        num_test_rows = baselines.own_rows or num_test_rows  # None: they are confidential
    return judge(baselines, num_test_rows or None, models)
