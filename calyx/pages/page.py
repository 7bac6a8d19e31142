"""Renders a run folder as one HTML page, `report.html`, beside the files it was read from.

The page is self-contained: style and drawings are inside, and there is no script. All text from
the folder is untrusted; the template escapes it.
"""

import re
from functools import partial
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from calyx.errors import UserError
from calyx.files.foreign import check_own
from calyx.files.plain import write_atomically
from calyx.pages import client_figures, data, figures
from calyx.pages.class_figures import class_section
from calyx.pages.conclusions import conclude
from calyx.pages.findings import group_events
from calyx.pages.folder import Run, read_run
from calyx.pages.folds import folds
from calyx.pages.key_figures import key_figures
from calyx.pages.scales import bytes_text, pick, score_text, seconds_text, shorten
from calyx.pages.timeline import time_section
from calyx.words.digits import in_column, number_text, percent_text, spread_of
from server.attendance import sentences

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MOST_BYTES = 1_000_000
MOST_ROWS = 200  # of a table of rounds or clients
MOST_FINDINGS = 120
MOST_CONFIG = 20_000  # characters
OPEN_ROWS = 8  # findings that are shown before the rest is folded


def write_report(run: Path) -> Path:
    """Write `run/report.html`, whole or not at all, and return its path.

    Raises UserError if `run` is not a run folder, a file in it is damaged, or it cannot be written.
    """
    page = render(read_run(run))
    check_own(run)
    return save_page(run / "report.html", page)


def save_page(path: Path, page: bytes) -> Path:
    """Write a page whole or not at all, over whatever is there; returns its path. Raises UserError."""
    try:
        write_atomically(path, page)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None
    return path


def render(run: Run) -> bytes:
    """The page as UTF-8. Raises UserError if it would have more than MOST_BYTES."""
    lines = client_figures.client_lines(run)
    findings, conclusions = group_events(run.events), conclude(run)
    html = template(
        "page.html.j2"
    ).render(
        run=run,
        style=Markup(resource("page.css")),  # noqa: S704 - our own file
        head=_head(run),
        data=_data(run),
        times=time_section(run.profile),
        status=_status(run),
        absentees=_absentees(run),
        verdict=conclusions.verdict,
        remarks=conclusions.remarks,
        comparison=figures.comparison(run),
        same_rows=figures.same_rows(run),
        score=partial(score_text, metric=run.metric),
        has_own_rounds=figures.has_own_beside(run),
        has_own=run.summary is not None and run.summary.models == "both",
        key_figures=key_figures(run),
        learning=figures.learning_figures(run),
        classes=class_section(run),
        clients=client_figures.client_figures(run),
        client_lines=[lines[index] for index in pick(len(lines), MOST_ROWS)],
        num_clients=len(lines),
        order=client_figures.order_text(lines),
        rounds=[run.rounds[index] for index in pick(len(run.rounds), MOST_ROWS)],
        best=figures.best_round(run),
        spreads=[
            spread_of(row.train_loss for row in run.rounds),
            spread_of(row.figure("val_loss") for row in run.rounds),
            spread_of(row.figure("val_rmse") for row in run.rounds),
        ],
        findings=findings[:MOST_FINDINGS],
        num_findings=len(findings),
        open_rows=OPEN_ROWS,
        config=run.config_text[:MOST_CONFIG],
    )
    page = encode(html)
    if len(page) > MOST_BYTES:
        raise UserError(
            f"The report of {run.path} would have {len(page)} bytes, more than {MOST_BYTES}; "
            "its events or its config hold unusually long text."
        )
    return page


def _data(run: Run) -> Markup:
    """The sections of the data and the cross-validation, rendered by a template that escapes."""
    audit = run.audit
    findings = audit.findings if audit else ()
    drift = (audit.drift or ()) if audit else ()
    html = template("data.html.j2").render(
        audit=audit,
        grave=[f for f in findings if f.severity != "info"][:MOST_FINDINGS],
        light=[f for f in findings if f.severity == "info"][:MOST_FINDINGS],
        labels=data.label_lines(audit) if audit else [],
        lines=data.lines(audit) if audit else [],
        num_columns=len(audit.columns) if audit else 0,
        open_columns=data.OPEN_COLUMNS,
        drifted=[d for d in drift if d.severity in ("warning", "alert")],
        unsure=[d for d in drift if d.severity == "unknown"],
        folds=folds(run.summary, run.clients.cv),
        metric=run.metric,
    )
    return Markup(html)  # noqa: S704 - escaped by the template


def encode(html: str) -> bytes:
    """A page as a file; a sign that a terminal would obey, and no page may hold, becomes �."""
    return CONTROLS.sub("\ufffd", html).encode("utf-8", "replace")


def template(name: str) -> Template:
    """One of our templates, which escapes what it is given."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "bytes": bytes_text,
        "column": in_column,
        "number": number_text,
        "percent": percent_text,
        "seconds": seconds_text,
        "sentence": lambda text: text[:1].upper() + text[1:],  # Jinja's own makes all else small
        "short": shorten,
    }
    return environment.from_string(resource(name))


def resource(name: str) -> str:
    """The text of a file beside this one."""
    return files("calyx.pages").joinpath(name).read_text(encoding="utf-8")


def _head(run: Run) -> tuple[str, str]:
    if run.summary is not None and run.has_training:
        return run.summary.task, run.summary.strategy
    return run.settings.task.name, run.settings.strategy.name


def _status(run: Run) -> str:
    done = len(run.rounds)
    if not run.has_training:
        return ""
    if run.summary is None:
        most = f" of at most {run.settings.rounds}" if run.settings.rounds else ""
        return f"Unfinished: {done}{most} rounds so far. There are no test figures yet."
    if run.summary.rounds != done:
        return (
            f"The summary speaks of {run.summary.rounds} rounds, rounds.jsonl has {done}: "
            "the run was taken up again, or lines are missing."
        )
    why = run.summary.absent.get("best_round")
    if why is not None:
        return f"No round is called best, and the model is that of the last one: {why}."
    return ""


def _absentees(run: Run) -> list[str]:
    return sentences(run.summary.absentees) if run.summary else []
