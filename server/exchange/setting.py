"""What all exchanges of a run have in common."""

from dataclasses import dataclass, field

from calyx.model.weights import Weights
from calyx.privacy.section import PrivacyConfig
from calyx.questions.layouts import Contents
from calyx.run.order import Terms
from calyx.secagg.roster import Roster
from server.exchange.sending import Channel
from server.exchange.underway import Record, Underway
from server.exchange.watch import Watch
from server.sampling import Groups


@dataclass(frozen=True)
class Setting:
    """What all exchanges of a run have in common."""

    run: str
    channel: Channel
    terms: Terms
    contents: Contents  # what clients add up
    privacy: PrivacyConfig
    template: Weights  # names, shapes and types of the model and of what travels beside it
    rounds: int
    min_replies: int | None
    roster: Roster | None  # who may take part; None where nothing is encrypted
    members: Groups | None = None  # the same names by group, where there are several
    underway: Underway | None = None  # where clients outlive this server and remember it
    watch: Watch = field(default_factory=Watch)  # remembers the sums of earlier exchanges

    @property
    def begun(self) -> Record | None:
        """The last exchange that an earlier server had begun, where clients remember it."""
        return self.underway.begun if self.underway else None
