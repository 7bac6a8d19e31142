"""Ditto: a personal model beside the global one. Li et al., ICML 2021, arXiv:2012.04221, alg. 1.

The global model is FedAvg's and never sees the personal ones, which never leave their clients.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from calyx.config.section import config
from strategies.algorithm import Algorithm, NoKeys
from strategies.local import LocalObjective, Start

if TYPE_CHECKING:
    from torch import Tensor


@config
class PersonalObjective(LocalObjective):
    """What a personal model v is trained with: (λ/2)·‖v − w‖² is added (eq. 1)."""

    draws: ClassVar[bool] = False

    lam: Annotated[float, Field(ge=0, le=1e6)]

    def penalty(self, parameters: "Mapping[str, Tensor]", start: Start) -> "Tensor | None":
        """`start.beside` is the global model w that the round began with."""
        if self.lam == 0:
            return None
        squares = [((p - start.beside[name]) ** 2).sum() for name, p in parameters.items()]
        return sum(squares[1:], squares[0]) * (self.lam / 2)


@config
class DittoLocal(LocalObjective):
    """The client's half: plain training of the global model, then of its own."""

    has_state: ClassVar[bool] = True

    lam: Annotated[
        float, Field(ge=0, le=1e6)
    ]  # λ in eq. 1: how near its own model stays; 0 is training alone

    def personal(self) -> LocalObjective:
        """With the same epochs, learning rate and early stopping as the global model's."""
        return PersonalObjective(lam=self.lam)


class Ditto(Algorithm[NoKeys]):
    """The server's step is FedAvg's."""

    local_objective = DittoLocal
