"""A card of an untrained heart model with figures that are made up, and known."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.releases.card_parts import FiguresPart, PrivacyPart, RowsPart
from calyx.releases.writing import Place
from support.releases import card_of as bare_card

PLACE = Place(Path("heart-1"), "heart", 1, None, datetime(2026, 1, 31, 12, tzinfo=UTC))
BASELINE = Baseline(
    sites=4,
    rows=920,
    labels=(411, 509),
    columns=(
        ColumnBaseline(
            name="age", edges=(18.0, 45.0, 60.0, 100.0), counts=(200, 500, 210), margin=3, missing=0
        ),
        ColumnBaseline(name="sex", codes=(0.0, 1.0), counts=(190, 710), hidden=20, missing=0),
        ColumnBaseline(name="ca", absent="one site alone shows values: they would be its own"),
    ),
)
TEST = FiguresPart(
    of="the common model on everybody's test rows",
    figures={"test_loss": 0.41, "test_accuracy": 0.75, "test_client_sd": None},
    absent={"test_client_sd": "only one client has a score, which has no spread"},
    rows=RowsPart(over="rows", clients=4, asked=4, rows=200),
)
PRIVACY = PrivacyPart(
    mode="secagg", guarantee=("Every sum covers four.",), not_protected=(), clients=4, sums=1
)


def card_of(**changed):
    """The card of a first release; `changed` are fields of `Card`."""
    figures = {"test": TEST, "confusion": ((70, 30), (20, 80)), "baseline": BASELINE}
    card = bare_card(b"", PLACE, note="CC BY 4.0", privacy=PRIVACY, **figures)
    return replace(card, **changed)


ABSENT = card_of().absent
