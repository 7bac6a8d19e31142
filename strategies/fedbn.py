"""FedBN: some layers stay at home. Li et al., ICLR 2021, arXiv:2102.07623.

The paper keeps batch normalisation local. Where a model has none, the last layer can stay instead,
as in FedPer (Arivazhagan et al. 2019, arXiv:1912.00818): a common representation, a head each.
"""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from glob import escape
from typing import ClassVar, Literal, Self

from calyx.config.section import config
from calyx.model.makeup import Makeup
from calyx.model.weights import Weights
from strategies.algorithm import Algorithm, NoKeys
from strategies.local import LocalObjective


@config
class FedBNLocal(LocalObjective):
    """The client's half: tensors that match `keep` are trained, kept, and never sent."""

    has_state: ClassVar[bool] = True

    # Patterns of tensors' names; "norm": the layers that carry running statistics; "last": the
    # layer that is computed last, and what is computed after it.
    keep: Literal["norm", "last"] | tuple[str, ...]

    def suited(self, makeup: Makeup) -> Self:
        """With the names of the last layer, which follow from the model's computation."""
        if self.keep != "last":
            return self
        if not makeup.head:
            raise ValueError(
                "keep=last needs a model that takes rows of zeros and ones, since which layer is last "
                "follows from its computation; name the tensors in a list, keep=[head.*]"
            )
        return replace(self, keep=tuple(escape(name) for name in makeup.head))

    def shared(self, names: Sequence[str]) -> tuple[str, ...]:
        """The others. Raises ValueError where nothing is kept, or nothing is left to share."""
        kept = self._kept(names)
        shown = ", ".join(names)
        if not kept:
            raise ValueError(f"keep matches no tensor of this model, which are {shown}")
        if len(kept) == len(names):
            raise ValueError(f"keep matches every tensor of this model ({shown}): none is shared")
        return tuple(name for name in names if name not in kept)

    def localised(self, model: Weights, own: Weights) -> Weights:
        """The global model with this client's own tensors in place."""
        return {name: own.get(name, array) for name, array in model.items()}

    def _kept(self, names: Sequence[str]) -> set[str]:
        layers = [name.rpartition(".")[0] for name in names]
        if self.keep == "last":
            return {n for n, layer in zip(names, layers, strict=True) if layer == layers[-1]}
        if self.keep == "norm":
            normed = {n.rpartition(".")[0] for n in names if n.split(".")[-1] == "running_mean"}
            return {n for n, layer in zip(names, layers, strict=True) if layer in normed}
        return {name for name in names if any(fnmatchcase(name, p) for p in self.keep)}


class FedBN(Algorithm[NoKeys]):
    """The server's step is FedAvg's, over the shared tensors."""

    local_objective = FedBNLocal
