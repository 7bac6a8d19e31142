"""An attack on a model's inputs, as a config says it; apart from the computation, which needs PyTorch.

The inputs of a row are moved by at most `epsilon` each (the L∞ ball), towards a greater loss: in one
step (`fgsm`, Goodfellow et al. 2015, arXiv:1412.6572) or in several from a random place in the ball
(`pgd`, Madry et al. 2018, arXiv:1706.06083). Numbers are in units of the model's inputs: of a pixel those
of the image's own range, of a scaled number standard deviations of its column.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from calyx.config.section import Section, config

STEPS = 10  # of pgd, where nobody says how many
REACH = (
    2.5  # times epsilon is the way of all steps together: from any place of the ball to any edge
)
SHARE = 1.0  # of a batch's rows, as in Madry et al.
MOST_STEPS = 1000  # each costs as much as a step of the training
Epsilon = Annotated[float, Field(gt=0, le=1e6)]


@config
class AttackConfig:
    """How rows are moved. Raises ValueError for steps that are not the method's."""

    method: Literal["fgsm", "pgd"]
    epsilon: Epsilon  # ε, by which an input moves at most
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)]
    step_size: Epsilon  # α, of each step

    def __post_init__(self) -> None:
        """Check that one step is one step, and of the whole way."""
        if self.method == "fgsm" and (self.steps, self.step_size) != (1, self.epsilon):
            raise ValueError(
                "method=fgsm is one step of epsilon: leave steps and step_size out, or use method=pgd"
            )


@config
class AdversarialConfig(AttackConfig):
    """The section `strategy.local.adversarial`: of each batch a share of the rows is moved."""

    share: Annotated[float, Field(gt=0, le=1)]  # of a batch's rows, rounded up


@config
class RobustConfig:
    """The section `robust`: how often a run asks how its model stands an attack, and which.

    Raises ValueError for an attack that nobody asks for, or of which nothing says how strong it is.
    """

    every: Annotated[int, Field(ge=1, lt=2**31)] | None  # rounds between two; null never asks
    method: Literal["fgsm", "pgd"]
    epsilon: Epsilon | None
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None
    step_size: Epsilon | None

    def __post_init__(self) -> None:
        """Check that there is an attack, or none."""
        if self.every is None and self.epsilon is not None:
            raise ValueError("epsilon is of no use without every: set robust.every, such as 5")
        if self.every is not None and self.epsilon is None:
            raise ValueError("every needs an epsilon: set robust.epsilon, such as 0.1")
        if self.every is not None:
            self.attack()

    def attack(self) -> AttackConfig | None:
        """What rows are moved by; None where nobody asks. Raises ValueError as `AttackConfig` does."""
        epsilon, steps, step_size = self.epsilon, self.steps, self.step_size
        if self.every is None or epsilon is None or steps is None or step_size is None:
            return None
        return AttackConfig(method=self.method, epsilon=epsilon, steps=steps, step_size=step_size)


NO_ROBUST = RobustConfig(every=None, method="pgd", epsilon=None, steps=None, step_size=None)


def travelling_attack(section: Mapping[str, Any]) -> Section:
    """Of a section `robust` what clients need: all but how often."""
    return {key: section[key] for key in ("method", "epsilon", "steps", "step_size")}


def complete_attack(section: Mapping[str, Any]) -> dict[str, Any]:
    """The section of an attack with steps and step size where nobody has said them.

    A section that says no method, or an epsilon that is no number, stays as it is: who parses it says so.
    """
    method, epsilon = section.get("method"), section.get("epsilon")
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float):
        return dict(section)
    if method not in ("fgsm", "pgd"):
        return dict(section)
    complete = dict(section)
    if complete.get("steps") is None:
        complete["steps"] = 1 if method == "fgsm" else STEPS
    steps = complete["steps"]
    if complete.get("step_size") is None and isinstance(steps, int) and steps > 0:
        complete["step_size"] = epsilon if method == "fgsm" else REACH * epsilon / steps
    return complete
