"""The figures at the head of a report: what a run came to, what it cost, how it was made. Pure."""

from dataclasses import dataclass

from calyx.model.metrics import PERSONAL, ROBUST
from calyx.pages import figures
from calyx.pages.classes import classes_of
from calyx.pages.findings import count_severities
from calyx.pages.folder import Run, preprocessing_of
from calyx.pages.scales import bytes_text, score_text, seconds_text
from calyx.run.rows import RoundRow
from calyx.run.summary import Summary
from calyx.words.digits import ABSENT, number_text, percent_text


@dataclass(frozen=True)
class KeyFigure:
    """One figure of the head; `full` is what a pointer shows and the label says at length."""

    label: str
    value: str
    full: str = ""


def key_figures(run: Run) -> list[KeyFigure]:
    """What the run came to, what it cost, and how it was made."""
    return [*_results(run), *_costs(run), *_circumstances(run)]


def _results(run: Run) -> list[KeyFigure]:
    best, summary = figures.best_round(run), run.summary
    dropped = sum(len(row.dropped) for row in run.rounds)
    asked = sum(len(row.cohort) for row in run.rounds)
    return [
        *_test_figures(run),
        *_robust_figures(run.summary, run.metric),
        *_balance_figures(run),
        KeyFigure("Rounds", f"{len(run.rounds)} of {run.settings.rounds or '?'}"),
        *_best(run, best),
        KeyFigure("Clients", str(_num_clients(run) or ABSENT)),
        KeyFigure("Dropped replies", f"{dropped} of {asked}"),
        *_cap_figures(summary),
        *_between_clients(run),
    ]


def _cap_figures(summary: Summary | None) -> list[KeyFigure]:
    if summary is None or not summary.capped_clients:
        return []
    value = f"{summary.capped_clients}, as {summary.w_max} rows each"
    full = "clients with more training rows than task.w_max; most in one round"
    return [KeyFigure("Clients that count as fewer rows", value, full)]


def _test_figures(run: Run) -> list[KeyFigure]:
    """The test of the common model, and of the clients' own; why one is absent is said."""
    summary = run.summary
    if summary is None:
        return [KeyFigure(f"Test {run.metric}", ABSENT)]
    name = {"accuracy": "accuracy", "R²": "r2"}[run.metric]
    common, own = f"Test {run.metric}", f"Test {run.metric}, own models"
    tested = {common: (summary.score(), f"test_{name}")}
    if summary.models == "own":
        tested = {own: (summary.score(), f"test_{name}")}
    if summary.models == "both":
        tested[own] = (summary.score(PERSONAL), f"personal_{name}")
    results = [
        KeyFigure(label, score_text(value, run.metric), summary.absent.get(key, ""))
        for label, (value, key) in tested.items()
    ]
    return results if run.metric == "accuracy" else [*results, *_errors(summary)]


def _robust_figures(summary: Summary | None, metric: str) -> list[KeyFigure]:
    """The test on rows that clients moved against the model, where the run asked for it."""
    key = f"test_{ROBUST}{'accuracy' if metric == 'accuracy' else 'r2'}"
    if summary is None or key not in summary.tested:
        return []
    value, why = score_text(summary.tested[key], metric), summary.absent.get(key, "")
    full = (
        why
        or "the test's rows, each moved by its client against the model: robust.* in config.yaml"
    )
    return [KeyFigure(f"Test {metric}, moved rows", value, full)]


def _balance_figures(run: Run) -> list[KeyFigure]:
    known = classes_of(run.summary) if run.has_training else None
    if known is None or run.summary is None:
        return []
    whose = ", own models" if run.summary.models == "own" else ""
    full = "mean over classes of the share of their test rows that is found"
    return [KeyFigure(f"Balanced accuracy{whose}", percent_text(known.balanced_accuracy), full)]


def _errors(summary: Summary) -> list[KeyFigure]:
    """A regression's errors, of the models by which it is compared."""
    head, own = {
        "common": ("test", ""),
        "own": ("test", ", own models"),
        "both": ("personal", ", own models"),
    }[summary.models]
    return [
        KeyFigure(
            f"Test {name.upper()}{own}",
            number_text(summary.figure(f"{head}_{name}")),
            summary.absent.get(f"{head}_{name}", "in the target's own unit"),
        )
        for name in ("rmse", "mae")
        if f"{head}_{name}" in summary.tested
    ]


def _best(run: Run, best: RoundRow | None) -> list[KeyFigure]:
    """Which round is the best by what, and its loss; or why none is."""
    stopping, absent = run.settings.stopping, run.summary.absent if run.summary else {}
    if best is None:
        return [KeyFigure("Best round", ABSENT, absent.get("best_round", ""))]
    words = {"min": "the lowest", "max": "the highest"}[stopping.mode]
    results = [KeyFigure("Best round", str(best.round), f"the one with {words} {stopping.monitor}")]
    if stopping.monitor != "val_loss":
        results.append(_watched_figure(run, best))
    loss = number_text(best.figure("val_loss"))
    return [*results, KeyFigure("Its validation loss", loss, absent.get("best_val_loss", ""))]


def _watched_figure(run: Run, best: RoundRow) -> KeyFigure:
    """The figure by which the best round was chosen."""
    monitor = run.settings.stopping.monitor
    kind = monitor.rpartition("_")[2]
    name = {"accuracy": kind, "loss": kind, "r2": "R²"}.get(kind, kind.upper())
    value = run.summary.figure(f"best_{monitor}") if run.summary else best.figure(monitor)
    text = score_text(value, run.metric) if kind in ("accuracy", "r2") else number_text(value)
    whose = ", own models" if "personal" in monitor else ""
    return KeyFigure(f"Its validation {name}{whose}", text, f"{monitor}, by which it was chosen")


def _between_clients(run: Run) -> list[KeyFigure]:
    summary, metric = run.summary, run.metric
    if summary is None:
        return []
    results, name = [], "On a client's own rows"
    if summary.figure("test_client_mean") is None:
        if why := summary.absent.get("test_client_mean"):
            results.append(KeyFigure(name, ABSENT, why))
    else:
        mean, sd = (
            score_text(summary.figure(name), metric)
            for name in ("test_client_mean", "test_client_sd")
        )
        tenth = score_text(summary.figure("test_client_worst_decile"), metric)
        whose = "the clients' own models" if summary.models == "own" else "the common model"
        full = f"test of {whose}, mean and sd over clients; the worst tenth of clients is at most {tenth}"
        results.append(KeyFigure(name, f"{mean} ± {sd}", full))
    error_of, margin = (
        summary.figure(f"test_calibration_{name}") for name in ("error", "error_margin")
    )
    if error_of is not None:
        error, why = percent_text(error_of), "expected; Guo et al. 2017"
        if margin is not None:
            error = f"{error} ± {percent_text(margin)}"
            why += "; ± since clients do not tell the confidences of a few rows"
        results.append(KeyFigure("Calibration error", error, why))
    return results


def _costs(run: Run) -> list[KeyFigure]:
    up, down = _total(run.rounds, "bytes_up"), _total(run.rounds, "bytes_down")
    summary = run.summary
    seconds = summary.seconds if summary else sum(row.seconds for row in run.rounds)
    return [
        KeyFigure("Bytes up", bytes_text(up), f"{up} bytes, clients to server"),
        KeyFigure("Bytes down", bytes_text(down), f"{down} bytes, server to clients"),
        KeyFigure("Time", seconds_text(seconds)),
    ]


def _circumstances(run: Run) -> list[KeyFigure]:
    settings, summary = run.settings, run.summary
    privacy = summary.privacy if summary else settings.privacy and settings.privacy.name
    engine = summary.engine if summary else settings.engine and settings.engine.name
    seed = summary.seed if summary else settings.seed
    model = summary.model_sha256 if summary else None
    return [
        KeyFigure("Privacy", privacy or ABSENT),
        _preprocessing(run),
        *_training(run),
        KeyFigure("Engine", engine or ABSENT),
        KeyFigure("Seed", ABSENT if seed is None else str(seed)),
        KeyFigure("Model", model[:8] if model else ABSENT, f"SHA-256 {model}" if model else ""),
        KeyFigure("Findings", count_severities(run.events)),
    ]


def _preprocessing(run: Run) -> KeyFigure:
    """What was used, and why; the config may leave the choice to the run."""
    used, why = preprocessing_of(run)
    return KeyFigure("Preprocessing", used or ABSENT, why)


def _training(run: Run) -> list[KeyFigure]:
    """The keys of a client's own training, which a task's rule may have chosen."""
    cfg = run.settings.training
    words = [
        f"{name} {value:g}"
        for name, value in (("lr", cfg.lr), ("batch", cfg.batch_size), ("epochs", cfg.epochs))
        if isinstance(value, int | float)
    ]
    full = "training.lr, training.batch_size and training.epochs, in config.yaml"
    return [KeyFigure("Training", ", ".join(words), full)] if words else []


def _num_clients(run: Run) -> int:
    if run.summary is not None and run.summary.num_clients is not None:
        return run.summary.num_clients
    return len({name for row in run.rounds for name in row.cohort})


def _total(rounds: list[RoundRow], name: str) -> int:
    return sum(int(getattr(row, name)) for row in rounds)
