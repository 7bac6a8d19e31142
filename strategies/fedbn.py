"""FedBN: some layers stay at home. Li et al., ICLR 2021, arXiv:2102.07623.

The paper keeps batch normalisation local. Where a model has none, the last layer can stay instead,
as in FedPer (Arivazhagan et al. 2019, arXiv:1912.00818): a common representation, a head each.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from calyx.config import config
from calyx.weights import Weights
from strategies.algorithm import Algorithm, NoKeys
from strategies.local import Finished, LocalObjective, Sent


@config
class FedBNLocal(LocalObjective):
    """The client's half: tensors that match `keep` are trained, kept, and never sent."""

    has_state: ClassVar[bool] = True

    # Patterns of tensors' names; "norm": the layers that carry running statistics; "last": the
    # last layer.
    keep: Literal["norm", "last"] | tuple[str, ...]

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

    def send(self, done: Finished) -> Sent:
        """The update of the shared tensors; all others stay."""
        names = self.shared([k for k, v in done.start.items() if v.dtype.kind == "f"])
        update = {k: done.local[k] - done.start[k] for k in names}
        return Sent(update, own={k: v for k, v in done.local.items() if k not in names})

    def _kept(self, names: Sequence[str]) -> set[str]:
        layers = [name.rpartition(".")[0] for name in names]
        if self.keep == "last":
            return {n for n, layer in zip(names, layers, strict=True) if layer == layers[-1]}
        if self.keep == "norm":
            normed = {n.rpartition(".")[0] for n in names if n.endswith(".running_mean")}
            return {n for n, layer in zip(names, layers, strict=True) if layer in normed}
        return {name for name in names if any(fnmatchcase(name, p) for p in self.keep)}


class FedBN(Algorithm[NoKeys]):
    """The server's step is FedAvg's, over the shared tensors."""

    local_objective = FedBNLocal
