"""What exchanges and the round loop work with, the same in every round."""

from dataclasses import dataclass

from calyx.config.section import RunConfig
from calyx.model.weights import Weights
from calyx.run.folder import RunFolder
from server.exchange.setting import Setting
from server.sampling import Groups
from strategies.base import AlgorithmStrategy
from strategies.flower import StockStrategy


@dataclass(frozen=True)
class Place:
    """A run's config, what its exchanges have in common, and where it is written."""

    run: RunConfig
    setting: Setting
    folder: RunFolder


@dataclass(frozen=True)
class Federation(Place):
    """With a strategy, what the round loop needs."""

    strategy: AlgorithmStrategy | StockStrategy
    dealt: Groups  # the whole roster, in groups
    template: Weights  # names, shapes and types of the model and of what travels beside it
    model: frozenset[str]  # the model's own names in it
    label: str = ""  # how its lines begin, where a run trains several times

    def of_model(self, weights: Weights) -> Weights:
        """Without what travels beside the model."""
        return {name: array for name, array in weights.items() if name in self.model}
