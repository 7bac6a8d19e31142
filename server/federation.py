"""What all exchanges of one training have in common, or of one question beside it."""

from dataclasses import dataclass, field

from calyx.model.weights import Weights
from calyx.questions.segments import Contents
from calyx.run.folder import RunFolder
from calyx.run.order import Terms
from calyx.secagg.roster import Roster
from server.config import RunConfig
from server.exchange.nodes import Nodes
from server.exchange.sending import Channel
from server.exchange.underway import Record, Underway
from server.exchange.watch import Watch
from server.sampling import Dealt, Groups, list_names
from strategies.base import AlgorithmStrategy
from strategies.flower import StockStrategy


@dataclass(frozen=True)
class Clients:
    """Whom a run may ask, and how they are reached."""

    channel: Channel
    roster: Roster | None  # who may take part; None where nothing is encrypted
    dealt: Dealt  # those who are there, in their groups
    members: Groups | None  # all of the roster in their groups, where there are several
    census: Dealt | None = None  # whom questions to everybody ask of them; None asks all

    @property
    def asked(self) -> Dealt:
        """Whom a question to everybody asks, in their groups."""
        return self.dealt if self.census is None else self.census

    @property
    def everybody(self) -> Groups:
        """The same with every name in sight."""
        return list_names(self.asked)

    @property
    def nodes(self) -> Nodes:
        """Those who are there."""
        return self.channel.nodes


@dataclass(frozen=True)
class Federation:
    """Who is asked, in which terms, and where it is written. Made once, and read by each exchange."""

    run: RunConfig
    run_id: str  # as its orders carry it: the run's own, or that of its audit, a fold, their scores
    clients: Clients
    terms: Terms  # the same in all its orders
    contents: Contents  # what clients add up
    template: Weights  # names, shapes and types of the model and of what travels beside it
    folder: RunFolder
    underway: Underway | None  # where clients outlive this server and remember what they answered
    watch: Watch = field(
        default_factory=Watch, kw_only=True
    )  # remembers the sums of earlier exchanges

    @property
    def begun(self) -> Record | None:
        """The last exchange that an earlier server had begun, where clients remember it."""
        return self.underway.begun if self.underway else None


@dataclass(frozen=True)
class Training(Federation):
    """A federation that trains, from one round to the next."""

    strategy: AlgorithmStrategy | StockStrategy
    model: frozenset[str]  # the model's own names in the template
    label: str = ""  # how its lines begin, where a run trains several times

    def of_model(self, weights: Weights) -> Weights:
        """Without what travels beside the model."""
        return {name: array for name, array in weights.items() if name in self.model}
