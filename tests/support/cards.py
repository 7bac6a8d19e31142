"""A card of an untrained heart model, made without a run; its figures are made up, and known."""

from dataclasses import replace

from calyx.cli.release.parts import lock_part, schema_part
from calyx.config.section import digest
from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.releases.card import FORMAT, Card
from calyx.releases.card_parts import (
    FiguresPart,
    Identity,
    ModelPart,
    PrivacyPart,
    RowsPart,
    TaskPart,
)
from calyx.tasks.heart import Heart
from calyx.trust.measured import contents

CONFIG = {"task": {"name": "heart"}, "rounds": 8}
NOT_MADE = "it was not made"
ABSENT = dict.fromkeys(("audit", "conformal", "ensemble", "robust", "onnx"), NOT_MADE)
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


def card_of(model_sha256="0" * 64, name="heart", version=1, parent=None, **changed):
    """A card of a release of Heart on this machine; `changed` are fields of `Card`."""
    card = Card(
        format=FORMAT,
        release=Identity(name=name, version=version, parent=parent),
        created="2026-01-31T12:00:00Z",
        note="CC BY 4.0",
        task=TaskPart(name="heart", metric="accuracy"),
        schema=schema_part(Heart.schema),
        model=ModelPart(
            sha256=model_sha256,
            parameters=72,
            whose="common",
            strategy="fedavg",
            preprocessing={"name": "federated"},
            training={"epochs": 2},
            rounds=8,
            released_round=8,
            seed=1,
            stopped_because="all rounds are done",
        ),
        test=FiguresPart(
            of="the common model on everybody's test rows",
            figures={"test_loss": 0.41, "test_accuracy": 0.75, "test_client_sd": None},
            absent={"test_client_sd": "only one client has a score, which has no spread"},
            rows=RowsPart(over="rows", clients=4, asked=4, rows=200),
        ),
        validation=FiguresPart(of="the same", figures={}, absent={}, rows=None),
        compared=FiguresPart(of="no others", figures={}, absent={}, rows=None),
        confusion=((70, 30), (20, 80)),
        audit=None,
        baseline=BASELINE,
        privacy=PrivacyPart(
            mode="secagg",
            guarantee=("Every sum covers four.",),
            not_protected=(),
            clients=4,
            sums=1,
        ),
        config=CONFIG,
        config_left_out={},
        config_sha256=digest(CONFIG),
        order_sha256="1" * 64,
        code=contents().code,
        lock=lock_part(),
        versions={"python": "3.12"},
        run="a-run",
        absent=ABSENT,
    )
    return replace(card, **changed)
