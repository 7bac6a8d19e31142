"""The end of a run on the terminal: was federating worth it, and where everything lies."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from calyx.files import read_lines
from server.folder import Row


def print_results(summary: Row, folder: Path, report: Path | None) -> None:
    """Print the table of accuracies and the paths."""
    console = Console()
    console.print()
    console.print(_table(summary))
    for line in _lines(summary, folder):
        console.print(line, highlight=False)
    console.print(_end(summary), highlight=False)
    console.print(
        f"model   {folder / 'model.safetensors'}  sha256 {summary['model_sha256'][:16]}…",
        highlight=False,
        soft_wrap=True,
    )
    if report:
        console.print(f"report  {report}", highlight=False, soft_wrap=True)


def _end(summary: Row) -> str:
    """Why the run ended, and of which round its model is."""
    ended = f"stopped after round {summary['rounds']}: {summary['stopped_because']}; "
    if summary["best_round"] is not None:
        return f"{ended}best model: round {summary['best_round']}, by {summary['monitor']}"
    why = summary["absent"]["best_round"]
    return f"{ended}the model is that of the last round, and no round is called best: {why}"


def _lines(summary: Row, folder: Path) -> list[str]:
    """What else was found out: of the folds, and of the data."""
    found, cv = [], summary.get("cv")
    if cv and cv["mean"] is not None:
        what = "each client left out" if cv["k"] == "clients" else f"{cv['k']} folds"
        sd = "" if cv["sd"] is None else f" ± {cv['sd']:.3f}"
        found.append(f"cross-validation, {what}: {cv['mean']:.3f}{sd}")
    events = [e for e in read_lines(folder / "events.jsonl") if e["event"] in ("audit", "drift")]
    grave = [e for e in events if e["severity"] != "info"]
    if grave:
        what = "1 finding" if len(grave) == 1 else f"{len(grave)} findings"
        found.append(f"data    {what} of the audit to look at, in the report")
    return found


def _table(summary: Row) -> Table:
    metric = {"accuracy": "accuracy", "r2": "R²"}[summary["metric"]]
    table = Table(
        box=SIMPLE_HEAD,
        title=f"{metric} on everybody's test rows",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("model")
    table.add_column(metric, justify="right")
    table.add_column("")
    baselines = summary["baselines"] or {}
    lines = [
        ("local alone, worst client", baselines.get("local_worst"), "dim"),
        ("local alone, mean", baselines.get("local_mean"), "dim"),
        ("federated", summary[f"test_{summary['metric']}"], "bold green"),
        ("personal, each on its own rows", summary.get(f"personal_{summary['metric']}"), "green"),
        ("pooled (all rows in one place)", baselines.get("pooled"), "dim"),
    ]
    for name, value, style in lines:
        if value is not None:
            bar = ProgressBar(1.0, max(0.0, value), width=30)
            table.add_row(name, f"{value:.3f}", bar, style=style)
    return table
