"""A card's figures in words: each with its value or the reason why there is none. Pure."""

from dataclasses import dataclass

from calyx.pages.key_figures import KeyFigure
from calyx.pages.scales import score_text
from calyx.releases.card import Card
from calyx.releases.card_parts import FiguresPart
from calyx.words.digits import ABSENT, count_text, number_text, percent_text

_WORDS = {
    "accuracy": "Accuracy",
    "r2": "R²",
    "loss": "Loss",
    "rmse": "RMSE",
    "mae": "MAE",
    "majority": "Always the commonest class",
    "client_mean": "Mean over clients",
    "client_sd": "Deviation over clients",
    "client_worst_decile": "Worst tenth of clients, at most",
    "calibration_error": "Calibration error",
    "calibration_error_margin": "Calibration error, off by at most",
    "local_mean": "A client's training alone, mean",
    "local_worst": "A client's training alone, worst",
    "federated": "Federated",
    "pooled": "All rows in one place",
    "local_own": "Alone, own test rows",
    "pooled_own": "All rows in one place, own test rows",
    "personal": "Own model, own test rows",
    "gain": "Gain of the combination",
    "best_member": "Best member",
    "mean_member": "Mean of members",
    "score": "Combined",
    "robust_accuracy": "Accuracy on moved rows",
}
_SHARES = ("accuracy", "majority", "calibration_error", "error_margin")
_SCORES = (
    "r2",
    "client_mean",
    "client_sd",
    "worst_decile",
    "local_mean",
    "local_worst",
    "federated",
    "pooled",
    "local_own",
    "pooled_own",
    "personal",
    "gain",
    "member",
    "score",
)


@dataclass(frozen=True)
class FigureLine:
    """One figure: `value` is a dash where `why` says why there is none."""

    label: str
    value: str
    why: str


def lines_of(part: FiguresPart, metric: str) -> list[FigureLine]:
    """All figures of a part, in its order; its scores are of this metric."""
    return [
        FigureLine(word_of(name), _value(name, value, metric), part.absent.get(name, ""))
        for name, value in part.figures.items()
    ]


def word_of(name: str) -> str:
    """A figure's name for a person; whose it is stands beside it."""
    short, whose = name, ""
    for prefix in ("test_", "best_val_", "val_"):
        short = short.removeprefix(prefix)
    if short.startswith("personal_") and short != "personal":
        short, whose = short.removeprefix("personal_"), ", own models"
    return _WORDS.get(short, short) + whose


def _value(name: str, value: float | None, metric: str) -> str:
    if value is None:
        return ABSENT
    if name.endswith(_SHARES):
        return percent_text(value)
    if name.endswith(_SCORES):
        return score_text(value, metric)
    return number_text(value)


def score_of(card: Card) -> KeyFigure:
    """The figure by which models of the task are compared, on test rows."""
    name = card.test.score or f"test_{card.task.metric}"
    value = card.test.figures.get(name)
    why = "" if value is not None else card.test.absent.get(name, "the run does not tell it")
    return KeyFigure(f"{word_of(name)} on test rows", score_text(value, card.task.metric), why)


def head_figures(card: Card) -> list[KeyFigure]:
    """What a reader looks for first."""
    test, metric = card.test.figures, card.task.metric
    rows = card.test.rows
    results = []
    if (mean := test.get("test_client_mean")) is not None:
        spread = test.get("test_client_sd")
        text = score_text(mean, metric)
        text += "" if spread is None else f" ± {score_text(spread, metric)}"
        results.append(KeyFigure("On a client's own rows", text, "mean and deviation over clients"))
    for name in ("client_worst_decile", "majority", "calibration_error", "rmse", "mae"):
        if f"test_{name}" in test:
            value = _value(name, test[f"test_{name}"], metric)
            margin = test.get(f"test_{name}_margin")
            value += f" ± {percent_text(margin)}" if margin is not None else ""
            why = card.test.absent.get(f"test_{name}", "")
            results.append(KeyFigure(word_of(name), value, why))
    if rows is not None and rows.rows is not None:
        results.append(KeyFigure("Test rows", count_text(rows.rows), f"of {rows.clients} clients"))
    return [*results, *_circumstances(card)]


def _circumstances(card: Card) -> list[KeyFigure]:
    clients = card.privacy.clients
    sums = {"secagg": "encrypted sums", "none": "nothing encrypted"}[card.privacy.mode]
    return [
        KeyFigure("Clients", ABSENT if clients is None else str(clients)),
        KeyFigure("Privacy", sums),
        KeyFigure("Trained with", f"{card.model.strategy}, {card.model.rounds} rounds"),
        KeyFigure("Numbers in the model", f"{card.model.parameters:,}"),
    ]
