"""Chooses what of a run is drawn, and how it is worded; `charts` and `client_charts` draw it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median, quantiles

from markupsafe import Markup

from cli.report.charts import Axes, Bar, Mark, Series, Spread, bar_chart, line_chart, spread_chart
from cli.report.client_charts import ClientDots, dot_plot, heat_map
from cli.report.folder import Run
from cli.report.rows import Baselines, Round, Split, Summary
from cli.report.scales import (
    Point,
    byte_unit,
    number_text,
    percent_text,
    pick,
    seconds_text,
    shorten,
)
from cli.report.svg import Caption

MOST_ROWS = 300  # clients drawn
MOST_CLASSES = 60  # labels drawn
BY_ROUND, BY_BYTES = "round", "bytes up and down so far"


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading and what a reader must know to read it."""

    title: str
    note: str
    drawing: Markup
    legend: tuple[tuple[str, str], ...] = ()  # CSS class of a swatch, its meaning


@dataclass(frozen=True)
class ClientLine:
    """All that is known of one client at the end."""

    name: str
    rows: Split | None
    label_counts: tuple[int, ...]
    local: float | None  # its model trained alone, on everybody's test rows
    local_own: float | None  # the same on its own test rows
    federated: float | None  # the federated model on its own test rows
    personal: float | None  # its own federated model on its own test rows
    validation: float | None  # of the last round that it evaluated


def best_round(run: Run) -> Round | None:
    """The summary's best round; without a summary, the best so far; None where none is called best."""
    so_far = run.rounds[-1].best_round if run.rounds else None
    number = so_far if run.summary is None else run.summary.best_round
    return next((r for r in run.rounds if r.round == number), None)


def client_lines(run: Run) -> list[ClientLine]:
    """Every client that any file names, the weakest alone first."""
    baselines = run.summary.baselines if run.summary else None
    local = baselines.local if baselines else {}
    last: dict[str, float] = {}
    for number in sorted(run.clients.val_accuracy):
        last |= run.clients.val_accuracy[number]
    lines = []
    for name in sorted({*run.clients.data, *run.clients.test, *local, *last}):
        data, test = run.clients.data.get(name), run.clients.test.get(name)
        lines.append(
            ClientLine(
                name=name,
                rows=data.rows if data else None,
                label_counts=data.label_counts if data else (),
                local=local.get(name),
                local_own=baselines.local_own_by_client.get(name) if baselines else None,
                federated=test.test_accuracy if test else None,
                personal=test.personal if test else None,
                validation=last.get(name),
            )
        )
    return sorted(lines, key=_weakness)


def order_text(lines: list[ClientLine]) -> str:
    """In which order `client_lines` gives the clients, and how many are drawn, in words."""
    few = "" if len(lines) <= MOST_ROWS else f" {MOST_ROWS} of {len(lines)} are drawn."
    if any(line.local is not None for line in lines):
        return f"The clients that are weakest alone come first.{few}"
    if any(line.federated is not None for line in lines):
        return f"The clients on whose rows the model is weakest come first.{few}"
    return f"By name.{few}"


def comparison(run: Run) -> Markup:
    """The bars that answer whether federating was worth it."""
    if run.summary is None:
        best = best_round(run)
        value = best.val_accuracy if best else None
        bars = [Bar("Federated so far, on validation rows", "federated", value)]
    elif run.summary.baselines is None:
        bars = [Bar("Federated", "federated", run.summary.test_accuracy)]
    else:
        bars = _bars(run.summary)
    words = "; ".join(f"{bar.name} {percent_text(bar.value)}" for bar in bars)
    return bar_chart(Caption("comparison", f"{_title(run)} of the models compared", words), bars)


def same_rows(run: Run) -> str:
    """On which rows the models of `comparison` are compared, in words."""
    if run.summary is None:
        return "There is nothing to compare with yet."
    if run.summary.models == "common" or run.summary.baselines is None:
        every = "Every model on the same rows: all clients' test rows."
        return every if run.summary.baselines else "On all clients' test rows."
    found = "Every model on the same rows: each client's models on its own test rows, all together."
    asked = run.summary.num_clients
    known = run.summary.baselines.own_clients
    if asked and known is not None and known < asked:
        found += f" Of {known} of {asked} clients; the others have no model of their own, or no test rows."
    return found


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


def client_figures(run: Run) -> list[Figure]:
    """The dot plot and the heat map; the same clients in the same order, so that rows line up."""
    lines = client_lines(run)
    shown = [lines[index] for index in pick(len(lines), MOST_ROWS)]
    figures = [_dots(run, shown), _heat(run, shown)]
    return [figure for figure in figures if figure is not None]


def _weakness(line: ClientLine) -> tuple[float, float, str]:
    unknown = 2.0  # after every accuracy and R²
    return (
        unknown if line.local is None else line.local,
        unknown if line.federated is None else line.federated,
        line.name,
    )


def _bars(summary: Summary) -> list[Bar]:
    baselines = summary.baselines or Baselines()
    if summary.models != "common":
        return [
            Bar("Each client alone", "local", baselines.local_own),
            Bar("Federated, a model of each client's own", "federated", baselines.personal),
            Bar("All data pooled in one place", "pooled", baselines.pooled_own),
        ]
    worst = next(
        (n for n, v in baselines.local.items() if v is not None and v == baselines.local_worst), ""
    )
    name = f" ({shorten(worst, 16)})" if worst else ""
    return [
        Bar(f"One client alone: the worst{name}", "local weak", baselines.local_worst),
        Bar("One client alone: the mean", "local", baselines.local_mean),
        Bar("Federated", "federated", baselines.federated),
        Bar("All data pooled in one place", "pooled", baselines.pooled),
    ]


def _loss(run: Run, xs: list[float], label: str) -> Figure | None:
    train = [(x, row.train_loss) for x, row in zip(xs, run.rounds, strict=True)]
    val = [(x, row.val_loss) for x, row in zip(xs, run.rounds, strict=True)]
    named = [("training", "train", train), ("validation", "federated", val)]
    series = [Series(*one) for one in named if any(y is not None for _, y in one[2])]
    if not series:
        return None
    ends = (f"{one.name} ends at {number_text(_last(one.points))}" for one in series)
    caption = Caption(f"loss-{_by(label)}", f"Loss against {label}", "; ".join(ends))
    axes = Axes(label, x_whole=label == BY_ROUND, y_zero=True)
    mark = _best_mark(run, xs, "val_loss")
    return Figure(
        f"Loss by {_by(label)}",
        "Mean over rows; lower is better.",
        line_chart(caption, axes, series, mark),
    )


def _title(run: Run) -> str:
    return run.metric[0].upper() + run.metric[1:]


def _accuracy(run: Run, xs: list[float], label: str) -> Figure | None:
    points = [(x, row.val_accuracy) for x, row in zip(xs, run.rounds, strict=True)]
    if all(y is None for _, y in points):
        return None
    end = percent_text(_last(points))
    caption = Caption(
        f"accuracy-{_by(label)}", f"{_title(run)} against {label}", f"It ends at {end}."
    )
    axes = Axes(label, x_whole=label == BY_ROUND, y_percent=True)
    chart = line_chart(
        caption, axes, [Series(end, "federated", points)], _best_mark(run, xs, "val_accuracy")
    )
    return Figure(f"{_title(run)} by {_by(label)}", f"{_model(run)}, on validation rows.", chart)


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
        _spread_of(number, run.clients.val_accuracy[number].values())
        for number in sorted(run.clients.val_accuracy)
    ]
    if not spreads:
        return None
    last = spreads[-1]
    caption = Caption(
        "spread",
        f"Validation {run.metric} of the clients against rounds",
        f"In the last round from {percent_text(last.low)} to {percent_text(last.high)}, "
        f"median {percent_text(last.median)}.",
    )
    chart = spread_chart(caption, Axes(BY_ROUND, y_percent=True), spreads)
    legend = (("median", "median"), ("quartiles", "middle half"), ("range", "lowest to highest"))
    note = f"{_model(run)}, on each client's validation rows."
    return Figure("Spread over clients", note, chart, legend)


def _spread_of(number: int, values: Iterable[float]) -> Spread:
    known = sorted(values)
    if len(known) == 1:
        return Spread(number, *known * 5)
    first, _, third = quantiles(known, n=4, method="inclusive")
    return Spread(number, known[0], first, median(known), third, known[-1])


def _dots(run: Run, shown: list[ClientLine]) -> Figure | None:
    models = run.summary.models if run.summary else "common"
    if models != "common":
        return _own_dots(shown, is_beside=models == "both")
    rows = [ClientDots(line.name, line.local, line.federated) for line in shown]
    if all(row.local is None and row.federated is None for row in rows):
        return None
    baselines = run.summary.baselines if run.summary else None
    reference = baselines.federated if baselines else None
    caption = Caption(
        "dots", "Accuracy of each client", "The same figures are in the table of the clients."
    )
    ring = ("own", "federated, on the client's own test rows")
    legend: tuple[tuple[str, str], ...]
    if all(row.local is None for row in rows):
        note, legend = "The federated model, on each client's own test rows.", (ring,)
    else:
        note = "Dots and the dashed line are measured on the same rows; rings are not."
        legend = (
            ("local", "client alone, on everybody's test rows"),
            ("reference", "federated, on everybody's test rows"),
            ring,
        )
    return Figure("Each client", note, dot_plot(caption, rows, reference), legend)


def _own_dots(shown: list[ClientLine], *, is_beside: bool) -> Figure | None:
    """Each client's two models on its own rows; `is_beside`: a common one is beside its own."""
    rows = [
        ClientDots(line.name, line.local_own, line.personal if is_beside else line.federated)
        for line in shown
    ]
    if all(row.local is None and row.federated is None for row in rows):
        return None
    caption = Caption(
        "dots", "Score of each client", "The same figures are in the table of the clients."
    )
    legend = (("local", "client alone"), ("own", "federated, the client's own model"))
    note = "A client's dot and ring are both on its own test rows."
    return Figure("Each client", note, dot_plot(caption, rows, None), legend)


def _model(run: Run) -> str:
    is_own = run.summary is not None and run.summary.models == "own"
    return "The clients' own models" if is_own else "The global model"


def _heat(run: Run, shown: list[ClientLine]) -> Figure | None:
    known = max((len(line.label_counts) for line in shown), default=0)
    if known == 0:
        return None
    given = run.summary.classes if run.summary else ()
    classes = [given[j] if j < len(given) else str(j) for j in range(known)]
    padded = [[*line.label_counts, *[0] * (known - len(line.label_counts))] for line in shown]
    totals = [sum(column) for column in zip(*padded, strict=True)]
    kept = sorted(sorted(range(known), key=lambda j: -totals[j])[:MOST_CLASSES])
    counts = [[row[j] for j in kept] for row in padded]
    most = max((count for row in counts for count in row), default=0)
    caption = Caption(
        "heat",
        "Rows by client and label",
        f"{len(shown)} clients by {len(kept)} labels; the fullest cell has {most} rows.",
    )
    note = f"Rows of each label, all parts; the strongest colour is {most}, an empty one none."
    if len(kept) < known:
        note += f" The {len(kept)} most frequent of {known} labels."
    drawing = heat_map(caption, [line.name for line in shown], [classes[j] for j in kept], counts)
    return Figure("Labels", note, drawing)


def _best_mark(run: Run, xs: list[float], name: str) -> Mark | None:
    best = best_round(run)
    if best is None:
        return None
    return Mark(xs[run.rounds.index(best)], getattr(best, name), f"best: round {best.round}")


def _last(points: Sequence[Point]) -> float | None:
    return next((y for _, y in reversed(points) if y is not None), None)


def _by(label: str) -> str:
    return "round" if label == BY_ROUND else "bytes"
