"""Which vector a stage's clients send: derived alike on the server and on every client."""

from calyx.metrics import CLIPPED, EVALUATION_W_MAX, LOSS, confusion_count
from calyx.order import Kind
from calyx.privacy import PrivacyConfig
from calyx.secagg.vector import Layout
from calyx.tasks.base import Task
from calyx.weights import Shapes


def layout_of(kind: Kind, privacy: PrivacyConfig, task: Task, shapes: Shapes) -> Layout:
    """Training sends the update, its loss and the number of cut coordinates; evaluation counts.

    `shapes` are the float tensors of the model. Evaluations are weighed by rows up to 2^20: their
    sums need no step of w_max, so the task's bound does not blur them.
    """
    fixed = privacy.fixed_point()
    if kind == "train":
        return Layout(fixed, privacy.w_max(task.w_max), shapes, (LOSS,), (CLIPPED,))
    confusion = confusion_count(len(task.schema.classes))
    return Layout(fixed, privacy.w_max(EVALUATION_W_MAX), (), (LOSS,), (confusion,))
