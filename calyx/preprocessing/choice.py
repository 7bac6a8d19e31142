"""Which preprocessing a run has where its config leaves that to Calyx: `preprocessing=auto`.

One set of constants for all clients where the sums that they are made of can be had, since sites
whose own means are taken away lose what tells them apart; else each client's own. `auto` never
travels: an order says which of the two it is. See docs/decisions/0046.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal

from calyx.data.schema import Schema
from calyx.preprocessing.config import PreprocessingConfig, WrittenPreprocessing
from calyx.words.sentences import join_names

AUTO: Final = "auto"
FROM_SITES = (
    "A site gives sums where it has as many training rows as its client.policy.min_cell (10, "
    "unless it says otherwise), and where its client.policy.statistics lists them."
)


@dataclass(frozen=True)
class Choice:
    """Which preprocessing a run has, and why; constants are fitted later, if at all."""

    cfg: PreprocessingConfig
    is_default: bool = False  # nobody wrote it: where sums lack, each client fits its own
    why_local: str = ""  # the cause and the cure, where it costs something; else empty

    @property
    def warning(self) -> str:
        """What `why_local` costs; empty where it costs nothing."""
        if not self.why_local:
            return ""
        return (
            "Each client's inputs are scaled by its own rows, which costs accuracy where clients differ. "
            f"{self.why_local} With preprocessing=local this is not said."
        )


def choose(written: WrittenPreprocessing, schema: Schema, phases: Sequence[str]) -> Choice:
    """What `auto` stands for in a run of these phases; any other preprocessing as it is written."""
    if written.name != AUTO:
        return Choice(_name_columns(written, written.name))
    own = _name_columns(written, "local")
    if not _learns(schema, own):
        return Choice(own)
    if why := _why_local(schema, phases):
        return Choice(own, why_local=why)
    return Choice(_name_columns(written, "federated"), is_default=True)


def fall_back(choice: Choice, why: str) -> Choice:
    """Each client's own constants after all, since sums lack; `why` is a clause."""
    cause = f"{why[:1].upper()}{why[1:]}. {FROM_SITES}"
    return Choice(_name_columns(choice.cfg, "local"), why_local=cause)


def _name_columns(
    written: WrittenPreprocessing, name: Literal["local", "federated", "none"]
) -> PreprocessingConfig:
    values = {field.name: getattr(written, field.name) for field in fields(written)}
    return PreprocessingConfig(**values | {"name": name})


def _why_local(schema: Schema, phases: Sequence[str]) -> str:
    """Why there can be no sums to scale by, and the cure; empty where there may be."""
    bare = [c.name for c in schema.columns if c.kind == "numeric" and None in (c.low, c.high)]
    if bare:
        columns = "numeric column" if len(bare) == 1 else "numeric columns"
        return (
            f"The schema gives no range of the {columns} {join_names(bare)}: with low and high of each, "
            "everybody's rows tell how to scale them."
        )
    before = phases[: phases.index("preprocess")] if "preprocess" in phases else phases
    if "audit" not in before:
        return "No audit counts everybody's rows before the training: put audit first in phases."
    return ""


def _learns(schema: Schema, cfg: PreprocessingConfig) -> bool:
    """Whether there is anything to learn from rows: pixels and texts are taken as they are."""
    numbers = cfg.scaling != "none" or cfg.outliers != "keep"
    numbers = numbers or cfg.numeric_imputation in ("median", "mode")
    words = cfg.categorical_imputation == "mode"
    return any(
        (c.kind == "numeric" and numbers) or (bool(c.categories) and words) for c in schema.columns
    )
