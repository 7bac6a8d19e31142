"""Chooses what of a run is drawn, and how it is worded; `charts` draws it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median, quantiles

from markupsafe import Markup

from calyx.model.metrics import PERSONAL, ROBUST
from calyx.pages.charts import (
    R2_FLOOR,
    Axes,
    Bar,
    Mark,
    Series,
    Spread,
    bar_chart,
    line_chart,
    spread_chart,
)
from calyx.pages.folder import Run
from calyx.pages.scales import Point, byte_unit, score_text, seconds_text, shorten
from calyx.pages.svg import Caption
from calyx.run.rows import RoundRow
from calyx.run.summary import BaselineScores, Summary
from calyx.words.digits import number_text

BY_ROUND, BY_BYTES = "round", "bytes up and down so far"


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading and what a reader must know to read it."""

    title: str
    note: str
    drawing: Markup
    legend: tuple[tuple[str, str], ...] = ()  # CSS class of a swatch, its meaning


def best_round(run: Run) -> RoundRow | None:
    """The summary's best round; without a summary, the best so far; None where none is called best."""
    so_far = run.rounds[-1].best_round if run.rounds else None
    number = so_far if run.summary is None else run.summary.best_round
    return next((r for r in run.rounds if r.round == number), None)


def comparison(run: Run) -> Markup:
    """The bars that answer whether federating was worth it."""
    if run.summary is None:
        best = best_round(run)
        value = best.score() if best else None
        bars = [Bar("Federated so far, on validation rows", "federated", value)]
    elif run.summary.baselines is None:
        bars = [Bar("Federated", "federated", run.summary.score())]
    else:
        bars = _bars(run.summary)
    words = "; ".join(f"{bar.name} {score_text(bar.value, run.metric)}" for bar in bars)
    title = f"{title_of(run.metric)} of the models compared"
    return bar_chart(Caption("comparison", title, words), bars, run.metric)


def same_rows(run: Run) -> str:
    """On which rows the models of `comparison` are compared, in words."""
    if run.summary is None:
        return "There is nothing to compare with yet."
    if run.summary.models == "common" or run.summary.baselines is None:
        rows = f"{run.summary.testers} test rows."
        return f"Every model on the same rows: {rows}" if run.summary.baselines else f"On {rows}"
    sentence = (
        "Every model on the same rows: each client's models on its own test rows, all together."
    )
    asked = run.summary.num_clients
    known = run.summary.baselines.own_clients
    if asked and known is not None and known < asked:
        sentence += f" Of {known} of {asked} clients; the others have no model of their own, or no test rows."
    return sentence


def learning_figures(run: Run) -> list[Figure]:
    """Loss and accuracy against rounds and against bytes, and the spread over clients."""
    rounds = run.rounds
    sent = list(accumulate(row.bytes_up + row.bytes_down for row in rounds))
    factor, unit = byte_unit(max(sent, default=0))
    numbers = [float(row.round) for row in rounds]
    megabytes = [total / factor for total in sent]
    by_bytes = f"{BY_BYTES} ({unit})"
    figures = [
        _loss(run, numbers, BY_ROUND),
        _accuracy(run, numbers, BY_ROUND),
        _loss(run, megabytes, by_bytes),
        _accuracy(run, megabytes, by_bytes),
        _spread(run),
        _time(run, numbers),
    ]
    return [figure for figure in figures if figure is not None]


def _bars(summary: Summary) -> list[Bar]:
    baselines = summary.baselines or BaselineScores()
    if summary.models != "common":
        whose = PERSONAL if summary.models == "both" else "test_"
        return [
            *_zero(summary.figure(f"{whose}majority")),
            Bar("Each client alone", "local", baselines.local_own),
            Bar("Federated, a model of each client's own", "federated", baselines.personal),
            Bar("All data pooled in one place", "pooled", baselines.pooled_own),
        ]
    worst = next(
        (n for n, v in baselines.local.items() if v is not None and v == baselines.local_worst), ""
    )
    name = f" ({shorten(worst, 16)})" if worst else ""
    return [
        *_zero(summary.figure("test_majority")),
        Bar(f"One client alone: the worst{name}", "local weak", baselines.local_worst),
        Bar("One client alone: the mean", "local", baselines.local_mean),
        Bar("Federated", "federated", baselines.federated),
        Bar("All data pooled in one place", "pooled", baselines.pooled),
    ]


def _zero(majority: float | None) -> list[Bar]:
    """What an accuracy is to be held against; a regression's mean has an R² of 0 by definition."""
    return [] if majority is None else [Bar("Always the commonest class", "zero", majority)]


def _loss(run: Run, xs: list[float], label: str) -> Figure | None:
    train = [(x, row.train_loss) for x, row in zip(xs, run.rounds, strict=True)]
    val = [(x, row.figure("val_loss")) for x, row in zip(xs, run.rounds, strict=True)]
    named = [("training", "train", train), ("validation", "federated", val)]
    if has_own_beside(run):
        own = [(x, row.figure("val_personal_loss")) for x, row in zip(xs, run.rounds, strict=True)]
        named.append(("own models", "own", own))
    series = [Series(*one) for one in named if any(y is not None for _, y in one[2])]
    if not series:
        return None
    ends = (f"{one.name} ends at {number_text(_last(one.points))}" for one in series)
    caption = Caption(f"loss-{_by(label)}", f"Loss against {label}", "; ".join(ends))
    axes = Axes(label, x_whole=label == BY_ROUND, y_zero=True)
    mark = _best_mark(run, xs, is_score=False)
    return Figure(
        f"Loss by {_by(label)}",
        f"Mean over {_over(run)}; lower is better.{_chosen(run)}",
        line_chart(caption, axes, series, mark),
    )


def _over(run: Run) -> str:
    privacy = run.settings.privacy
    return "clients" if privacy and privacy.weighting == "equal" else "rows"


def title_of(metric: str) -> str:
    """At the beginning of a title."""
    return metric[0].upper() + metric[1:]


def has_own_beside(run: Run) -> bool:
    """Whether clients' own models were validated beside a common one."""
    names = ("val_personal_loss", "val_loss")
    pairs = ([row.figure(name) for name in names] for row in run.rounds)
    return any(own is not None and own != common for own, common in pairs)


def _chosen(run: Run) -> str:
    """A sentence on which models the best round was chosen by, where there are two kinds."""
    if not has_own_beside(run):
        return ""
    is_own = "personal" in run.settings.stopping.monitor
    return f" The best round is that of {'the own models' if is_own else 'the global model'}."


def _accuracy(run: Run, xs: list[float], label: str) -> Figure | None:
    points = [(x, row.score()) for x, row in zip(xs, run.rounds, strict=True)]
    if all(y is None for _, y in points):
        return None
    end, title, note = score_text(_last(points), run.metric), title_of(run.metric), _model(run)
    series, words = [Series(end, "federated", points)], f"It ends at {end}."
    if has_own_beside(run):
        own = [(x, row.score(PERSONAL)) for x, row in zip(xs, run.rounds, strict=True)]
        end = score_text(_last(own), run.metric)
        series.append(Series(f"{end} own", "own", own))
        words, note = f"{words} Own models end at {end}.", f"{note}, and the clients' own ones"
    moved = [(x, row.score(ROBUST)) for x, row in zip(xs, run.rounds, strict=True)]
    if known := [point for point in moved if point[1] is not None]:  # of some rounds only
        end = score_text(_last(known), run.metric)
        series.append(Series(f"{end} moved", "train", known))
        words, note = (
            f"{words} On moved rows it ends at {end}.",
            f"{note}, and on moved rows (dashed)",
        )
    caption = Caption(f"accuracy-{_by(label)}", f"{title} against {label}", words)
    axes = _score_axes(run, label)
    chart = line_chart(caption, axes, series, _best_mark(run, xs, is_score=True))
    note = f"{note}, on validation rows.{_below(run, [y for one in series for _, y in one.points])}"
    return Figure(f"{title} by {_by(label)}", note, chart)


def _score_axes(run: Run, label: str) -> Axes:
    is_r2 = run.metric != "accuracy"
    return Axes(label, x_whole=label == BY_ROUND, y_percent=not is_r2, y_r2=is_r2)


def _below(run: Run, values: Iterable[float | None]) -> str:
    """What is cut for drawing is said."""
    num = sum(value is not None and value < R2_FLOOR for value in values)
    if not num:
        return ""
    what = "1 value is" if num == 1 else f"{num} values are"
    return f" {what} below {R2_FLOOR:g} and drawn there."


def _time(run: Run, numbers: list[float]) -> Figure | None:
    if not run.rounds:
        return None
    points = [(x, row.seconds) for x, row in zip(numbers, run.rounds, strict=True)]
    end = seconds_text(_last(points))
    caption = Caption("time", "Seconds of each round", f"The last took {end}.")
    chart = line_chart(caption, Axes(BY_ROUND, y_zero=True), [Series(end, "federated", points)])
    return Figure("Seconds of each round", "With local training and validation.", chart)


def _spread(run: Run) -> Figure | None:
    spreads = [
        _make_spread(number, run.clients.val_score[number].values())
        for number in sorted(run.clients.val_score)
    ]
    if not spreads:
        return None
    last = spreads[-1]
    caption = Caption(
        "spread",
        f"Validation {run.metric} of the clients against rounds",
        f"In the last round from {score_text(last.low, run.metric)} to "
        f"{score_text(last.high, run.metric)}, median {score_text(last.median, run.metric)}.",
    )
    chart = spread_chart(caption, _score_axes(run, BY_ROUND), spreads)
    legend = (("median", "median"), ("quartiles", "middle half"), ("range", "lowest to highest"))
    note = (
        f"{_model(run)}, on each client's validation rows.{_below(run, (s.low for s in spreads))}"
    )
    return Figure("Spread over clients", note, chart, legend)


def _make_spread(number: int, values: Iterable[float]) -> Spread:
    known = sorted(values)
    if len(known) == 1:
        return Spread(number, *known * 5)
    first, _, third = quantiles(known, n=4, method="inclusive")
    return Spread(number, known[0], first, median(known), third, known[-1])


def _model(run: Run) -> str:
    is_own = run.summary is not None and run.summary.models == "own"
    return "The clients' own models" if is_own else "The global model"


def _best_mark(run: Run, xs: list[float], *, is_score: bool) -> Mark | None:
    """The best round, and its point on the line of the models by which it was chosen."""
    best = best_round(run)
    if best is None:
        return None
    is_own = has_own_beside(run) and "personal" in run.settings.stopping.monitor
    whose = PERSONAL if is_own else ""
    value = best.score(whose) if is_score else best.figure(f"val_{whose}loss")
    return Mark(xs[run.rounds.index(best)], value, f"best: round {best.round}")


def _last(points: Sequence[Point]) -> float | None:
    return next((y for _, y in reversed(points) if y is not None), None)


def _by(label: str) -> str:
    return "round" if label == BY_ROUND else "bytes"
