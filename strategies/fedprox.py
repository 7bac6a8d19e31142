"""FedProx: FedAvg with a proximal term. Li et al., MLSys 2020, arXiv:1812.06127, eq. 2."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from calyx.config.section import config
from strategies.algorithm import Algorithm, NoKeys
from strategies.local import LocalObjective, Start

if TYPE_CHECKING:
    from torch import Tensor


@config
class FedProxLocal(LocalObjective):
    """The client's half: it adds (μ/2)·‖w − w_t‖² to the loss."""

    draws: ClassVar[bool] = False

    mu: Annotated[float, Field(ge=0, le=1e6)]  # μ in eq. 2; 0 is FedAvg

    def penalty(self, parameters: "Mapping[str, Tensor]", start: Start) -> "Tensor | None":
        """(μ/2)·‖w − w_t‖² over all trained parameters."""
        if self.mu == 0:
            return None
        squares = [((p - start.model[name]) ** 2).sum() for name, p in parameters.items()]
        return sum(squares[1:], squares[0]) * (self.mu / 2)


class FedProx(Algorithm[NoKeys]):
    """The server's step is FedAvg's."""

    local_objective = FedProxLocal
