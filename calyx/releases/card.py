"""card.json: what a release says of itself, for people and for machines.

A card is a stranger's until its release is verified, and even then it says only what its signers have
signed: nothing in it names code that is run. It holds no rows, no secrets and no paths of a machine;
clients are counted and not named. See docs/decisions/0084.
"""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from calyx.config.section import Section, canonical_json, config, digest, parse
from calyx.errors import CalyxError, ConfigError, printable
from calyx.files.foreign import parse_json
from calyx.releases.baseline import Baseline
from calyx.releases.card_parts import (
    AuditPart,
    Conformal,
    Ensemble,
    FiguresPart,
    Identity,
    LockPart,
    ModelPart,
    OnnxPart,
    PrivacyPart,
    Reasons,
    Robust,
    SchemaPart,
    Sha256,
    TaskPart,
    check_absent,
)

FORMAT: Literal["calyx-card/1"] = "calyx-card/1"
MOST_CARD_BYTES = 2**26  # one of 100,000 columns with their counts has some 40 million
Confusion = tuple[tuple[Annotated[int, Field(ge=0)], ...], ...]  # [K, K] rows, true class by said
Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
# Parts that a release may lack: then `absent` says why.
_MAY_LACK = ("confusion", "audit", "baseline", "conformal", "ensemble", "robust", "onnx")


@config
class Card:
    """One release, whole. A part that is null has its reason under `absent`."""

    format: Literal["calyx-card/1"]
    release: Identity
    created: Instant  # UTC
    note: str  # the releaser's own: licence, intended use; "" where nothing was said
    task: TaskPart
    schema: SchemaPart
    model: ModelPart
    test: FiguresPart  # on test rows, which no model was trained on or chosen by
    validation: FiguresPart  # of the released round, by which it was chosen
    compared: FiguresPart  # scores to compare with: clients alone, everybody's rows pooled
    confusion: Confusion | None
    audit: AuditPart | None
    baseline: Baseline | None
    privacy: PrivacyPart
    config: Section  # the run's, without paths and names of clients
    config_left_out: Reasons  # keys that are not in it
    config_sha256: Sha256  # of `config` as canonical JSON
    order_sha256: Sha256  # of all that decides the run's bytes but its rounds
    code: Sha256  # of Calyx's own files, as calyx/trust/measured.py takes it
    lock: LockPart
    versions: dict[str, str]  # of the training: Python, the machine's kind, packages
    run: str  # Calyx's id of the run
    conformal: Conformal | None = None
    ensemble: Ensemble | None = None
    robust: Robust | None = None
    onnx: OnnxPart | None = None
    absent: Reasons

    def __post_init__(self) -> None:
        """Raise ValueError where a part is null without a reason, or contradicts another."""
        check_absent({name: getattr(self, name) for name in _MAY_LACK}, self.absent)
        sizes = {len(row) for row in self.confusion or ()} | {len(self.confusion or ())}
        if self.confusion is not None and sizes != {len(self.schema.classes)}:
            raise ValueError("the confusion matrix is of other classes than the schema's")
        if digest(self.config) != self.config_sha256:
            raise ValueError("config_sha256 is the hash of another config")


def read_card(data: bytes) -> Card:
    """A card from the bytes of card.json. Raises CalyxError for what no release can have written."""
    try:
        if len(data) > MOST_CARD_BYTES:
            raise ValueError(f"it has {len(data):,} bytes, more than {MOST_CARD_BYTES:,}")
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        return parse(Card, value, "")
    except (ValueError, ConfigError) as error:
        why = printable(str(error).rstrip(".").replace("The config key ", "its key "), 300)
        raise CalyxError(f"card.json is damaged: {why}.") from None


def card_bytes(card: Card) -> bytes:
    """card.json: canonical JSON, so that equal cards have equal bytes.

    Raises CalyxError for more of them than `read_card` reads.
    """
    value: dict[str, Any] = asdict(card)
    data = canonical_json(value).encode() + b"\n"
    if len(data) > MOST_CARD_BYTES:
        raise CalyxError(
            f"card.json would have {len(data):,} bytes, and at most {MOST_CARD_BYTES:,} are read: a schema "
            f"of {len(card.schema.columns):,} columns with such names cannot be released."
        )
    return data
