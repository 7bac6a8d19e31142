"""`calyx doctor site`: what a site's ledger says of its roster, its clock and itself; nothing is written."""

import time
from pathlib import Path

from calyx.cli.checks import Check
from calyx.errors import printable
from calyx.secagg.refusals import Refusal
from calyx.secagg.roster import Roster
from client.gate.ledger import read_ledger
from client.gate.limits import clock_sentence


def ledger_row(path: Path, roster: Roster | None, now: float | None = None) -> Check:
    """Whether what a site has answered lets it answer again. Raises OSError."""
    now = time.time() if now is None else now
    if not path.exists():
        return Check("ledger", "ok", "none yet: this site has answered nothing")
    try:
        ledger = read_ledger(path)
    except ValueError as error:
        return Check("ledger", "problem", printable(str(error)), "put a copy of the file back")
    try:
        if roster is not None:
            ledger.check_roster(roster)
    except Refusal as error:
        mend = "every order is refused until a newer roster is there"
        return Check("ledger", "problem", printable(str(error)), mend)
    if latest := ledger.ahead(now):
        return Check("ledger", "note", clock_sentence(latest, now), "compare with `date`")
    runs, vectors = len(ledger.runs), len(ledger.vectors)
    version = f", roster version {ledger.roster_version}" if ledger.roster_version else ""
    return Check("ledger", "ok", f"runs: {runs}, answers that left: {vectors}{version}")
