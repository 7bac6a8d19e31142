"""What a run's summary says of its model, as parts of a card: figures, whose they are, why one is absent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calyx.cli.release.model import Chosen
from calyx.config.section import parse
from calyx.model.attack_config import RobustConfig
from calyx.model.metrics import ROBUST
from calyx.model.populations import Population
from calyx.releases.card_parts import FiguresPart, Reasons, Robust, RowsPart
from calyx.run.rows import whose_of
from calyx.run.summary import BaselineScores, Summary

_NOT_TOLD = "the run does not tell it"
_SCORES = (
    "local_mean",
    "local_worst",
    "federated",
    "pooled",
    "local_own",
    "pooled_own",
    "personal",
)


def test_part(summary: Summary, chosen: Chosen) -> FiguresPart:
    """Figures on test rows; those of one client's own model stay with it, and are not in a summary."""
    whose = {
        "common": f"the common model on {summary.testers} test rows",
        "own": "all clients' own models, each on its own client's test rows",
        "both": f"the common model (test_*) and the clients' own (personal_*) on {summary.testers} test rows",
    }[summary.models]
    if chosen.client is not None:
        whose += "; the figures of this client's model alone are in no file of the run"
    head = "personal_" if summary.models == "both" and chosen.has_own_weights else "test_"
    part = _figures(summary.tested, summary.absent, whose, whose_of(summary.tested_on, head))
    score = f"{head}{summary.metric}"
    return replace(part, score=score if score in part.figures else None)


def validation_part(summary: Summary) -> FiguresPart:
    """Figures of the round whose model is released, by one of which it was chosen."""
    whose = f"the model after round {summary.released_round}, on validation rows"
    if summary.best_round is None:
        whose += "; no round was chosen by them"
    else:
        whose += f"; the round was chosen by {summary.monitor}"
    return _figures(summary.best, summary.absent, whose, summary.whose("best_val_loss"))


def compared_part(summary: Summary) -> FiguresPart:
    """Scores to compare the model's with, which only a simulation can train."""
    baselines = summary.baselines
    if baselines is None:
        why = "the run trained no baselines"
        of = "models to compare with"
        return FiguresPart(
            of=of,
            figures=dict.fromkeys(_SCORES[:4]),
            absent=dict.fromkeys(_SCORES[:4], why),
            rows=None,
        )
    values = {name: _score(baselines, name) for name in _SCORES}
    told = {n: v for n, v in values.items() if v is not None or n in baselines.absent}
    score = {"accuracy": "accuracy", "r2": "R²"}[summary.metric]
    whose = (
        f"{score} on everybody's test rows: local_* of each client's training alone, federated of "
        "this run, pooled of one training on all rows; *_own on each client's own test rows"
    )
    return _figures(told, baselines.absent, whose, None)


def robust_part(summary: Summary, config: Mapping[str, Any]) -> Robust | None:
    """How the model stood rows that clients moved against it; None where the run asked nothing of that."""
    section = config.get("robust")
    attack = None if section is None else parse(RobustConfig, section, "robust").attack()
    head = f"test_{ROBUST}"
    told = {n: v for n, v in summary.tested.items() if n.startswith(head)}
    if attack is None or not told:
        return None
    plain = f"test_{summary.metric}"
    told[plain] = summary.tested.get(plain)
    values = {name.removeprefix("test_"): value for name, value in told.items()}
    absent = {name.removeprefix("test_"): why for name, why in summary.absent.items()}
    whose = (
        f"the model on {summary.testers} test rows, as they are and as each client moved them against it "
        f"({attack.method}, {attack.steps} steps, {attack.epsilon:g} of an input at most)"
    )
    of = whose_of(summary.tested_on, "test_")
    return Robust(
        attack=attack.method,
        epsilon=attack.epsilon,
        steps=attack.steps,
        figures=_figures(values, absent, whose, of),
    )


def _score(baselines: BaselineScores, name: str) -> float | None:
    value: float | None = getattr(baselines, name)
    return value


def _figures(
    values: Mapping[str, float | None],
    absent: Mapping[str, str],
    of: str,
    whose: Population | None,
) -> FiguresPart:
    """Each value, or its reason."""
    reasons: Reasons = {
        name: absent.get(name, _NOT_TOLD) for name, value in values.items() if value is None
    }
    return FiguresPart(of=of, figures=dict(values), absent=reasons, rows=rows_part(whose))


def rows_part(whose: Population | None) -> RowsPart | None:
    """Whose rows figures are of; None where that is not told."""
    if whose is None:
        return None
    values: dict[str, Any] = {
        name: getattr(whose, name)
        for name in ("over", "clients", "asked", "rows", "target_mean", "target_sd")
    }
    return RowsPart(**values, labels=whose.labels or ())
