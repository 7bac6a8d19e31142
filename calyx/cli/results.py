"""The end of a run on the terminal: was federating worth it, and where everything lies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from calyx.errors import printable
from calyx.model.metrics import PERSONAL
from calyx.model.populations import Population
from calyx.pages.folds import say_together
from calyx.run.folder import RunFolder
from calyx.run.rows import Models
from calyx.run.summary import BaselineScores, CrossValidation, Summary
from calyx.words.digits import ABSENT, apart, share
from calyx.words.sentences import join_names
from server.attendance import sentences

_ZERO = "always the commonest class"


METRIC = {"accuracy": "accuracy", "r2": "R²"}
INPUTS = "inputs"  # how a line about preprocessing begins
_LEAST_BAR = 10  # columns of a bar that can be read
_SPACE = 3  # columns that a column of the table takes beside its cells, and the table at its end


def print_results(
    summary: Summary, folder: Path, report: Path | None, conclusions: Sequence[str] = ()
) -> None:
    """Print the table of accuracies, the `conclusions` drawn from it, and the paths."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.print()
    for title, lines, decimals in _tables(summary):
        console.print(title, style="bold")
        _print_table(console, METRIC[summary.metric], lines, decimals)
    for line in conclusions:  # a command in it is pasted as one line
        console.print(line, style="bold", soft_wrap=True)
    if not any(line.startswith(INPUTS) for line in conclusions):
        for line in _inputs(summary):
            console.print(line, style="yellow")
    for line in _lines(summary, folder):
        console.print(line)
    for line in sentences(summary.absentees):
        console.print(f"absent  {line}", style="yellow")
    console.print(_end(summary))
    console.print(
        f"model   {folder / 'model.safetensors'}  sha256 {(summary.model_sha256 or '')[:16]}…",
        soft_wrap=True,
    )
    if report:
        console.print(f"report  {report}", soft_wrap=True)


def _inputs(summary: Summary) -> list[str]:
    """That each client's inputs were scaled by its own rows only because sums lacked, and the cure."""
    why = printable(summary.preprocessing_why or "")
    return [f"{INPUTS:<8}each client's are scaled by its own rows alone. {why}"] if why else []


def _end(summary: Summary) -> str:
    """Why the run ended, and of which round its model is."""
    ended = f"stopped after round {summary.rounds}: {summary.stopped_because}; "
    if summary.best_round is not None:
        return f"{ended}best model: round {summary.best_round}, by {summary.monitor}"
    why = summary.absent["best_round"]
    return f"{ended}the model is that of the last round, and no round is called best: {why}"


def _lines(summary: Summary, folder: Path) -> list[str]:
    """What else was found out: of own models, of the folds, and of the data."""
    lines, population = [], _own_population(summary)
    if summary.left_out_changed:
        names = printable(join_names([one.client for one in summary.left_out_changed]))
        lines.append(f"without {names}, whose rows changed while the run was stopped")
    untrained = population.untrained if population else 0
    if untrained:
        who = "1 client has" if untrained == 1 else f"{untrained} clients have"
        lines.append(f"own models: {who} none, having taken part in no round")
    if summary.cv:
        lines += [_cross_validated(summary.cv, summary.models), say_together(summary.cv)]
    events = [e for e in RunFolder(folder).read_events() if e.event in ("audit", "drift")]
    grave = [e for e in events if e.severity != "info"]
    if grave:
        what = "1 finding" if len(grave) == 1 else f"{len(grave)} findings"
        lines.append(f"data    {what} of the audit to look at, in the report")
    return list(filter(None, lines))


def _cross_validated(cv: CrossValidation, models: Models) -> str:
    """The mean of the folds' scores, by name, and of which models it is; or why there is none."""
    what = "each client left out" if cv.k == "clients" else f"{cv.k} folds"
    whose = {"both": " of the common models", "own": " of own models"}.get(models, "")
    head = f"cross-validation, {what}: {METRIC[cv.metric]}{whose}"
    if cv.mean is None:
        return f"{head} {ABSENT}: {cv.absent['mean']}"
    sd, scored = "" if cv.sd is None else f" ± {share(cv.sd)}", cv.scored or 0
    of = f", over {scored} of {scored + cv.unscored}; the others cannot be told"
    return f"{head} {share(cv.mean)}{sd}{of if cv.unscored else ''}"


@dataclass(frozen=True)
class _Line:
    """One model of a table, how it is called there, and how it is drawn."""

    name: str
    value: float | None
    style: str
    absent: str = ""  # why there is no value; a model without value and reason is not shown


def _tables(summary: Summary) -> list[tuple[str, list[_Line], int]]:
    """Models on everybody's rows; below, what clients have of their own, each on its own rows."""
    metric = METRIC[summary.metric]
    models, baselines = summary.models, summary.baselines or BaselineScores()

    def beside(key: str, name: str) -> _Line:
        return _Line(name, getattr(baselines, key), "dim", baselines.absent.get(key, ""))

    def tested(key: str, name: str, style: str) -> _Line:
        key = f"{key}{summary.metric}"
        return _Line(name, summary.figure(key), style, summary.absent.get(key, ""))

    alone = (
        beside("local_worst", "local alone, worst client"),
        beside("local_mean", "local alone, mean"),
    )
    pooled = "pooled (all rows in one place)"
    zero = _Line(_ZERO, summary.figure("test_majority"), "dim")
    federated = tested("test_", "federated", "bold green")
    everybody = [zero, *alone, federated, beside("pooled", pooled)]
    own = [
        zero,
        beside("local_own", "local alone"),
        replace(federated, name="federated, own layers"),
    ]
    if models == "both":
        own[0] = _Line(_ZERO, summary.figure("personal_majority"), "dim")
        own[2] = tested(PERSONAL, "personal", "green")
    own.append(beside("pooled_own", pooled))
    if models == "own":  # the common figures are of the clients that have own models
        everybody = [line for line in everybody if line.name not in ("federated", _ZERO)]
    named = [(f"{metric} on {summary.testers} test rows", everybody)]
    if models != "common":
        named.append((f"{metric}, each on its own test rows{_who(_own_population(summary))}", own))
    shown = [
        (title, [one for one in lines if one.value is not None or one.absent])
        for title, lines in named
    ]
    decimals = apart([one.value for _, lines in shown for one in lines if one.value is not None])
    return [(title, lines, decimals) for title, lines in shown if lines]


def _own_population(summary: Summary) -> Population | None:
    """Of whom the figures of own models are; None of a run without own models."""
    key = {"own": "tested_on", "both": "personal_tested_on"}.get(summary.models, "")
    return summary.tested_on.get(key)


def _who(population: Population | None) -> str:
    """Of how many clients, where some have no model of their own."""
    if population is None or not population.untrained:
        return ""
    return f": {population.clients} of {population.asked} clients"


def _print_table(console: Console, metric: str, lines: list[_Line], decimals: int) -> None:
    """Names and figures are whole: bars take what room is left, reasons stand below the table.

    Where even names and figures have no room beside each other they are a list.
    """
    texts = [ABSENT if o.value is None else f"{o.value:.{decimals}f}" for o in lines]
    num = max(map(len, (metric, *texts)))
    room = console.width - max(len(one.name) for one in lines) - num - 3 * _SPACE
    if room + _SPACE < 0:
        for one, text in zip(lines, texts, strict=True):
            if one.value is not None:
                console.print(f"{one.name}: {text}", style=one.style)
    else:
        table = Table(box=SIMPLE_HEAD)
        table.add_column("model", no_wrap=True)
        table.add_column(metric, justify="right", no_wrap=True)
        bars = [_bar(one, room) for one in lines] if room >= _LEAST_BAR else []
        for i, (one, text) in enumerate(zip(lines, texts, strict=True)):
            table.add_row(one.name, text, *bars[i : i + 1], style=one.style)
        console.print(table)
    for one in lines:
        if one.value is None:
            console.print(f"{one.name} {ABSENT}: {one.absent}", style="yellow")


def _bar(one: _Line, room: int) -> ProgressBar | str:
    if one.value is None:
        return ""
    return ProgressBar(1.0, min(1.0, max(0.0, one.value)), width=min(30, room))
