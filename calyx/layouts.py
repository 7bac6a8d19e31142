"""Which vector a client sends, and which rules its sum obeys: derived alike on both sides."""

from dataclasses import dataclass

from calyx.metrics import CLIPPED, EVALUATION_W_MAX, LOSS, confusion_count
from calyx.order import Kind
from calyx.privacy import PrivacyConfig
from calyx.secagg.encoding import hash_of
from calyx.secagg.rules import Rules
from calyx.secagg.vector import Layout
from calyx.tasks.base import Task
from calyx.weights import Shapes

PRG_KEY_BYTES = {"aes-128": 16, "aes-256": 32}


@dataclass(frozen=True)
class Parts:
    """The vector of an exchange: what a training adds up, what an evaluation adds up, or both."""

    train: Layout | None
    evaluation: Layout | None

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Those that are there, in the order in which they stand in the vector."""
        return tuple(part for part in (self.train, self.evaluation) if part is not None)

    @property
    def length(self) -> int:
        """Elements of the whole vector."""
        return sum(layout.length for layout in self.layouts)


def parts_of(
    kind: Kind, is_validated: bool, privacy: PrivacyConfig, model: tuple[Task, Shapes]
) -> Parts:
    """Training sends the update, its loss and the number of cut coordinates; evaluation counts.

    With `is_validated`, a training also sends what an evaluation of its incoming weights would.
    `model` is the task and the shapes of the model's float tensors. Evaluations are weighed by
    rows up to 2^20: their sums need no step of w_max, so the task's bound does not blur them.
    """
    task, shapes = model
    fixed = privacy.fixed_point()
    confusion = confusion_count(len(task.schema.classes))
    evaluation = Layout(fixed, privacy.w_max(EVALUATION_W_MAX), (), (LOSS,), (confusion,))
    if kind != "train":
        return Parts(None, evaluation)
    train = Layout(fixed, privacy.w_max(task.w_max), shapes, (LOSS,), (CLIPPED,))
    return Parts(train, evaluation if is_validated else None)


def rules_of(privacy: PrivacyConfig, parts: Parts, roster: int, groups: tuple[int, int]) -> Rules:
    """The rules of one group's sum; `groups` is how many there are, and how many clients it has."""
    count, size = groups
    first = parts.layouts[0]
    return Rules(
        n_min=privacy.n_min,
        h_min=privacy.h_min,
        colluders=privacy.colluders(roster, size),
        n_max=privacy.n_max,
        modulus_bits=privacy.bits,
        bits=first.fixed.bits,
        length=parts.length,
        layout=hash_of("layout", *[repr(layout) for layout in parts.layouts]),
        clip=privacy.clip,
        mask_key_bytes=PRG_KEY_BYTES[privacy.prg],
        w_max=first.w_max,
        groups=count,
    )
