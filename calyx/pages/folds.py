"""The section "Cross-validation" of a run's page, from the summary and the clients' own lines."""

import math
from dataclasses import dataclass

from markupsafe import Markup

from calyx.run.rows import ClientRow
from calyx.run.summary import CrossValidation, Summary
from calyx.words import digits

MOST_ROWS = 200  # of the table


@dataclass(frozen=True)
class Folds:
    """A cross-validation as the page shows it."""

    title: str
    figure: str
    note: str
    rows: list[tuple[str, str]]
    picture: Markup


def folds(summary: Summary | None, clients: dict[str, ClientRow]) -> Folds | None:
    """The section's content; None of a run without."""
    cv = summary.cv if summary else None
    if cv is None:
        return None
    if cv.k == "clients":
        names = list(cv.clients)
        scores = [clients[n].score("test_") if n in clients else None for n in names]
        title = "Each client left out once"
        note = "A model is trained without a client, and judged on all of that client's rows."
    else:
        scores = list(cv.folds or ())
        names = [f"fold {i + 1}" for i in range(len(scores))]
        title = f"{cv.k} folds"
        note = "A model is trained without a fold of everybody's rows, and judged on that fold."
    sd = "" if cv.sd is None else f" ± {digits.share(cv.sd)}"
    few = f", over {cv.scored} of {cv.scored + cv.unscored}" if cv.scored and cv.unscored else ""
    rows = [
        (name, f"— {cv.absent.get(f'folds.{i}', '')}" if score is None else digits.share(score))
        for i, (name, score) in enumerate(zip(names, scores, strict=True))
    ]
    return Folds(
        title=title,
        figure=f"— {cv.absent.get('mean', '')}"
        if cv.mean is None
        else f"{digits.share(cv.mean)}{sd}{few}",
        note=f"{note} {say_together(cv)}".rstrip(),
        rows=rows[:MOST_ROWS] if any(score is not None for score in scores) else [],
        picture=_points([score for score in scores if score is not None], cv),
    )


def say_together(cv: CrossValidation) -> str:
    """One sentence on what the folds' models come to together, and what that gains; "" where nobody asked."""
    if cv.ensemble is None:
        return ""
    how, told = cv.ensemble.combine, cv.ensemble.figures
    score, best, mean = (told.get(name) for name in ("score", "best_member", "mean_member"))
    head = f"Together ({how}), on the test rows, which none of them has trained on:"
    if score is None or best is None or mean is None:
        absent = cv.ensemble.absent
        why = absent.get("score") or absent["mean_member"]
        return f"{head} — {why}."
    return (
        f"{head} {digits.share(score)}, {_signed(score - mean)} to the mean of the members and "
        f"{_signed(score - best)} to the best of them."
    )


def _signed(gain: float) -> str:
    return f"{'+' if gain >= 0 else '−'}{digits.share(abs(gain))}"


def _points(scores: list[float], cv: CrossValidation) -> Markup:
    """The folds on a line to 1 from 0, or from a round number below the least, and their mean."""
    if not scores or cv.mean is None:
        return Markup("")
    ticks = _ticks(min(0.0, cv.mean, *scores))

    def place(value: float) -> float:
        return 20 + 560 * (value - ticks[0]) / (1 - ticks[0])

    dots = "".join(
        f'<circle class="dot own" cx="{place(score):.1f}" cy="30" r="7"/>' for score in scores
    )
    texts = "".join(
        f'<text class="tick middle" x="{place(tick):.0f}" y="62">{tick:g}</text>' for tick in ticks
    )
    # Numbers only.
    return Markup(  # noqa: S704
        '<svg viewBox="0 0 600 70" role="img" aria-label="scores of the folds">'
        '<line class="base" x1="20" x2="580" y1="30" y2="30"/>'
        f'<line class="reference" x1="{place(cv.mean):.1f}" x2="{place(cv.mean):.1f}" y1="8" y2="46"/>'
        f"{dots}{texts}</svg>"
    )


def _ticks(least: float) -> list[float]:
    """Where the line has numbers: quarters, or 1, 0 and a round number at or below an R² under 0."""
    if least >= 0:
        return [0.0, 0.25, 0.5, 0.75, 1.0]
    least = min(least, -0.1)
    power = 10.0 ** math.floor(math.log10(-least))
    low = -math.ceil(-least / power) * power
    return [low, 0.0, 1.0] if low > -10 else [low, 1.0]
