"""card.html: a release's card for people, one page that needs no network and no script.

Everything on it is read from the card, whose names and texts are a stranger's: the template escapes them,
and what is cut is said.
"""

from dataclasses import dataclass, replace

from markupsafe import Markup

from calyx.config.section import canonical_json
from calyx.findings.finding import Severity
from calyx.pages.card_columns import columns_of, count_columns, target_of
from calyx.pages.card_figures import FigureLine, head_figures, lines_of, score_of
from calyx.pages.card_sets import OF, set_lines
from calyx.pages.class_figures import confusion_figure
from calyx.pages.classes import count_classes
from calyx.pages.figures import Figure
from calyx.pages.page import MOST_BYTES, encode, resource, template
from calyx.releases.card import Card
from calyx.words.digits import percent_text
from calyx.words.sentences import join_names, say_count

MOST_COLUMNS = 200  # in the table
OPEN_COLUMNS = 24  # before the rest is folded
MOST_FINDINGS = 60
MOST_CONFIG = 20_000  # characters
MOST_PACKAGES = 600
_NAMES = {
    "confusion": "which class is taken for which",
    "audit": "the audit of the training's rows",
    "baseline": "counts of the training's rows, to compare later ones with",
    "conformal": "prediction sets",
    "ensemble": "a combination of models",
    "robust": "accuracy on rows that an attacker moved",
    "onnx": "the model as ONNX",
}


@dataclass(frozen=True)
class Group:
    """Figures of one kind, with whose they are."""

    title: str
    of: str
    lines: list[FigureLine]


def card_page(card: Card) -> bytes:
    """The page as UTF-8, at most MOST_BYTES long: what would be more is left out, and said."""
    page = _render(card, MOST_COLUMNS, MOST_CONFIG)
    if len(page) > MOST_BYTES:  # long names of many columns
        page = _render(card, OPEN_COLUMNS, 0)
    return page


def _render(card: Card, most_columns: int, most_config: int) -> bytes:
    config = canonical_json(card.config) if most_config else ""
    findings = card.audit.findings if card.audit else ()
    grave = [one for one in findings if one.severity != "info"]
    columns = columns_of(card, most_columns)
    html = template(
        "card.html.j2"
    ).render(
        card=card,
        style=Markup(resource("page.css") + resource("card.css")),  # noqa: S704 - our own files
        does=_say_does(card),
        score=score_of(card),
        keys=head_figures(card),
        confusion=_confusion(card),
        groups=_groups(card),
        columns=columns,
        num_columns=count_columns(card),
        open_columns=OPEN_COLUMNS,
        labels=_labels(card),
        hidden_labels=card.baseline.hidden_labels if card.baseline else 0,
        grave=grave[:MOST_FINDINGS],
        light=[one for one in findings if one.severity == "info"][:MOST_FINDINGS],
        num_findings=len(findings),
        found=_count_findings(card),
        lacking=_lacking(card),
        target=target_of(card),
        config=config[:most_config],
        is_config_cut=len(config) > most_config or not most_config,
        packages=list(card.lock.packages.items())[:MOST_PACKAGES],
    )
    return encode(html)


def _say_does(card: Card) -> str:
    """One sentence: what comes out, and of what."""
    inputs = len(card.schema.columns)
    of = f"from {inputs} column{'' if inputs == 1 else 's'}"
    target, classes = card.schema.target, card.schema.classes
    if target is not None:
        return f"Estimates {target.name} {of}."
    if len(classes) <= 4:
        return f"Tells {', '.join(classes[:-1])} and {classes[-1]} apart {of}."
    return f"Tells {len(classes)} classes apart {of}."


def _confusion(card: Card) -> Figure | None:
    if card.confusion is None:
        return None
    known = count_classes(card.schema.classes, card.confusion)
    if known is None:
        return None
    figure = confusion_figure(known)
    is_other = (card.test.score or "").startswith("personal_")
    return replace(figure, note=f"{figure.note} Of the common model.") if is_other else figure


def _groups(card: Card) -> list[Group]:
    titled = [
        ("On test rows", card.test),
        ("On validation rows", card.validation),
        ("Beside other models", card.compared),
    ]
    if card.ensemble is not None:
        titled.append((f"As a combination ({card.ensemble.combine})", card.ensemble.figures))
    if card.robust is not None:
        titled.append((f"Against {card.robust.attack}", card.robust.figures))
    metric = card.task.metric
    groups = [Group(title, of.of, lines_of(of, metric)) for title, of in titled if of.figures]
    sets = Group("As prediction sets", OF, set_lines(card))
    return [*groups, sets] if sets.lines else groups


def _lacking(card: Card) -> list[tuple[str, str]]:
    """What a release might hold and this one does not, each with the reason."""
    never = {"confusion"} if card.schema.target is not None else set()  # without classes
    return [(_NAMES[name], why) for name, why in sorted(card.absent.items()) if name not in never]


def _count_findings(card: Card) -> str:
    """How many findings of each severity the audit has, in words."""
    counts = card.audit.by_severity if card.audit else {}
    words: tuple[tuple[Severity, str], ...] = (
        ("error", "error"),
        ("warning", "warning"),
        ("info", "note"),
    )
    told = [say_count(counts[key], word) for key, word in words if counts.get(key)]
    return join_names(told) or "nothing"


def _labels(card: Card) -> list[tuple[str, str]]:
    """Each class, and the share of the training's rows that it has, where that is told."""
    counts = card.baseline.labels if card.baseline else ()
    total = sum(counts)
    shares = [percent_text(n / total) if total else "" for n in counts]
    shares = shares if len(shares) == len(card.schema.classes) else [""] * len(card.schema.classes)
    return list(zip(card.schema.classes, shares, strict=True))
