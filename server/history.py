"""What the rounds of a run come to in its summary: the best one's figures and the last one's."""

from dataclasses import replace

from calyx.run.rows import Absent, RoundRow
from calyx.run.summary import Summary
from server.checkpoints import RunState
from server.config import RunConfig
from server.stopping import choose_model, why_unranked


def add_rounds(
    summary: Summary, run: RunConfig, state: RunState, rows: list[RoundRow], clients: int
) -> Summary:
    """The summary of a run whose rounds are done, with what they say; `clients` might take part in it.

    Raises ValueError for a run of no rounds.
    """
    model, last = choose_model(state), rows[-1]
    best = rows[model.round - 1] if model.value is not None else None
    figures = best.figures if best else dict.fromkeys(last.figures)
    return replace(
        summary,
        rounds=len(rows),
        monitor=run.stopping.monitor,
        mode=run.stopping.mode,
        objective=run.stopping.objective,
        best_round=model.round if best else None,
        released_round=model.round,
        best={f"best_{name}": value for name, value in figures.items()},
        validated_on=best.validated_on if best else dict.fromkeys(last.validated_on),
        final_train_loss=last.train_loss,
        capped_clients=max(row.capped_clients for row in rows),
        final={f"final_{name}": value for name, value in last.figures.items()},
        bytes_up=sum(row.bytes_up for row in rows),
        bytes_down=sum(row.bytes_down for row in rows),
        seconds=round(sum(row.seconds for row in rows), 3),
        absent=_reasons(best, last, run, clients) | summary.absent,
    )


def _reasons(best: RoundRow | None, last: RoundRow, run: RunConfig, clients: int) -> Absent:
    """Why figures of the best round or of the last one are not told."""
    absent = _prefix_names(last, "final_")
    if best is not None:
        return _prefix_names(best, "best_") | absent
    unranked = why_unranked(run, clients)
    why = unranked or f"no round has a {run.stopping.monitor}"
    names = ["best_round", "validated_on", *(f"best_{name}" for name in last.figures)]
    own = {} if unranked else _prefix_names(last, "best_")  # as the last round's model is released
    return dict.fromkeys(names, why) | own | absent


def _prefix_names(row: RoundRow, prefix: str) -> Absent:
    return {f"{prefix}{name}": why for name, why in row.absent.items()}
