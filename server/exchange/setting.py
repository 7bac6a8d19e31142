"""What all exchanges of a run have in common."""

from dataclasses import dataclass

from calyx.model.weights import Weights
from calyx.privacy.section import PrivacyConfig
from calyx.questions.layouts import Contents
from calyx.run.order import Terms
from calyx.secagg.roster import Roster
from server.exchange.underway import Underway
from server.sampling import Groups


@dataclass(frozen=True)
class Setting:
    """What all exchanges of a run have in common."""

    run: str
    terms: Terms
    contents: Contents  # what clients add up
    privacy: PrivacyConfig
    template: Weights  # names, shapes and types of the model and of what travels beside it
    rounds: int
    deadline_s: float
    min_replies: int | None
    roster: Roster | None  # who may take part; None where nothing is encrypted
    members: Groups | None = None  # the same names by group, where there are several
    underway: Underway | None = None  # where clients outlive this server and remember it
