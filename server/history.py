"""What the rounds of a run come to in its summary: the best one's figures and the last one's."""

from dataclasses import dataclass
from typing import Any

from calyx.config.section import RunConfig
from calyx.run.folder import Row
from server.checkpoints import RunState
from server.stopping import choose_model, why_unranked


@dataclass(frozen=True)
class History:
    """Figures by name, and why those that are None are."""

    figures: Row
    absent: dict[str, str]


def history_of(run: RunConfig, state: RunState, rows: list[Row], clients: int) -> History:
    """The history of a run whose rounds are done; `clients` might take part in it.

    Raises ValueError for a run of no rounds.
    """
    model, last = choose_model(state), rows[-1]
    best = rows[model.round - 1] if model.value is not None else None
    names = [key for key in last if key.startswith("val_")]
    figures: dict[str, Any] = {
        "rounds": len(rows),
        "monitor": run.stopping.monitor,
        "mode": run.stopping.mode,
        "objective": run.stopping.objective,
        "best_round": best and model.round,
        "released_round": model.round,
        **{f"best_{key}": best and best[key] for key in names},
        **{key: best and best[key] for key in last if key.endswith("validated_on")},
        "final_train_loss": last["train_loss"],
        "capped_clients": max(row["capped_clients"] for row in rows),
        **{f"final_{key}": last[key] for key in names},
        "bytes_up": sum(row["bytes_up"] for row in rows),
        "bytes_down": sum(row["bytes_down"] for row in rows),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
    }
    absent = _of_row(last, "final_")
    if best is not None:
        return History(figures, _of_row(best, "best_") | absent)
    unranked = why_unranked(run, clients)
    why = unranked or f"no round has a {run.stopping.monitor}"
    unknown = dict.fromkeys(["best_round", "validated_on", *(f"best_{key}" for key in names)], why)
    own = {} if unranked else _of_row(last, "best_")  # as the last round's model is released
    return History(figures, unknown | own | absent)


def _of_row(row: Row, prefix: str) -> dict[str, str]:
    return {f"{prefix}{name}": why for name, why in row.get("absent", {}).items()}
