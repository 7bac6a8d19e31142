"""Chooses what of single clients is drawn, and how it is worded; `client_charts` draws it."""

from dataclasses import dataclass

from calyx.pages.classes import class_names
from calyx.pages.client_charts import ClientDots, dot_plot, heat_map
from calyx.pages.figures import Figure, title_of
from calyx.pages.folder import Run
from calyx.pages.scales import pick
from calyx.pages.svg import Caption
from calyx.run.rows import Split

MOST_ROWS = 300  # clients drawn
MOST_CLASSES = 60  # labels drawn


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


def client_lines(run: Run) -> list[ClientLine]:
    """Every client that any file names, the weakest alone first."""
    baselines = run.summary.baselines if run.summary else None
    local = baselines.local if baselines else {}
    last: dict[str, float] = {}
    for number in sorted(run.clients.val_score):
        last |= run.clients.val_score[number]
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
                federated=test.score("test_") if test else None,
                personal=test.score("test_personal_") if test else None,
                validation=last.get(name),
            )
        )
    return sorted(lines, key=_weakness)


def order_text(lines: list[ClientLine]) -> str:
    """A sentence on the order of the clients, and on how many of them are drawn."""
    few = "" if len(lines) <= MOST_ROWS else f" {MOST_ROWS} of {len(lines)} are drawn."
    if any(line.local is not None for line in lines):
        return f"The clients that are weakest alone come first.{few}"
    if any(line.federated is not None for line in lines):
        return f"The clients on whose rows the model is weakest come first.{few}"
    return f"By name.{few}"


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


def _dots(run: Run, shown: list[ClientLine]) -> Figure | None:
    models = run.summary.models if run.summary else "common"
    if models != "common":
        return _own_dots(shown, run.metric, is_beside=models == "both")
    rows = [ClientDots(line.name, line.local, line.federated) for line in shown]
    if all(row.local is None and row.federated is None for row in rows):
        return None
    baselines = run.summary.baselines if run.summary else None
    reference = baselines.federated if baselines else None
    caption = Caption(
        "dots",
        f"{title_of(run.metric)} of each client",
        "The same figures are in the table of the clients.",
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
    drawing = dot_plot(caption, rows, reference, run.metric)
    return Figure("Each client", note + _below(rows), drawing, legend)


def _below(rows: list[ClientDots]) -> str:
    """What is cut for drawing is said."""
    values = [v for row in rows for v in (row.local, row.federated) if v is not None]
    num = sum(value < 0 for value in values)
    return f" {num} of {len(values)} figures are below 0 and drawn at 0." if num else ""


def _own_dots(shown: list[ClientLine], metric: str, *, is_beside: bool) -> Figure | None:
    """Each client's two models on its own rows; `is_beside`: a common one is beside its own."""
    rows = [
        ClientDots(line.name, line.local_own, line.personal if is_beside else line.federated)
        for line in shown
    ]
    if all(row.local is None and row.federated is None for row in rows):
        return None
    caption = Caption(
        "dots",
        f"{title_of(metric)} of each client",
        "The same figures are in the table of the clients.",
    )
    legend = (("local", "client alone"), ("own", "federated, the client's own model"))
    note = "A client's dot and ring are both on its own test rows."
    return Figure("Each client", note + _below(rows), dot_plot(caption, rows, None, metric), legend)


def _heat(run: Run, shown: list[ClientLine]) -> Figure | None:
    known = max((len(line.label_counts) for line in shown), default=0)
    if known == 0:
        return None
    classes = class_names(run.summary.classes if run.summary else (), known)
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
