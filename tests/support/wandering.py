"""Honest runs of all kinds, by chance: sites come and go, orders are lost, servers die, runs go on.

A search by hand for what an honest server is refused, beside the flows that are known
(`support.flows`); one that it finds becomes a flow there. Each number is a run, always the same one:

    PYTHONPATH=tests python -m support.wandering FOLDER FIRST LAST

where FOLDER is an empty one. It prints each run, how its processes ended, and what ledgers refused.
"""

import logging
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from calyx.errors import CalyxError
from client.gate.ledger import Ledger
from support.flows import ALL, SMALL, Died, Orders
from support.sites import Sites
from support.taps import run_server

_CHECKS = ("check_roster", "check_members", "check_order", "check_limits", "check_scored")
_TRIES, _CALM = 14, 10  # processes of a server; of the last ones no harm is done
_TEMPLATE = {"runs": 12, "sums": 1300, "joins": 2, "unfinished": 100, "failures": 3}


def words_of(rng):
    """A config: sites, groups, cohorts, evaluation, strategy, folds."""
    groups = rng.choice([1, 1, 2])
    n = rng.choice([7, 8, 9] if groups == 1 else [10, 12])
    limits = dict(_TEMPLATE)
    words = [f"task.num_clients={n}", f"privacy.groups={groups}", *SMALL]
    words += [f"retries={rng.choice([0, 1, 2])}"]
    words += [f"strategy={rng.choice(['fedavg', 'scaffold', 'ditto', 'fedbn', 'fedprox'])}"]
    if rng.random() < 0.35:
        words.append(f"cohort_size={6 if groups == 1 else 8}")
        limits["joins"] = 12
    if rng.random() < 0.5:
        words.append(f"evaluate={rng.choice(['separate', 'with_training'])}")
    if rng.random() < 0.2:
        words.append(f"cv.k={rng.choice(['2', 'clients'])}")
        limits["runs"] = n + 2  # a run, a fold each, their scores
    if rng.random() < 0.3:
        words.append("stopping.patience=1")
    return [*words, *(f"client.policy.{name}_a_day={most}" for name, most in limits.items())]


def harm(grid, rng, share):
    """Lose this share of a site's exchanges from some stage on, and kill the server now and then."""
    orders, lost = Orders(), {}

    def request(message):
        at, stage = orders.see(message)
        if at is None or stage is None:
            return message
        key = (at, message.metadata.dst_node_id)
        if key not in lost:
            lost[key] = rng.randrange(5) if rng.random() < share else 9
        return None if lost[key] <= stage < 5 else message

    def reply(message, answer):
        if orders.see(message)[0] is not None and rng.random() < share / 60:
            raise Died
        return answer

    grid.request, grid.reply = request, reply


def wander(folder, rng):
    """One run with all that happens to it; its config, and how each process of its server ended."""
    words = words_of(rng)
    sites, run = Sites(folder, *words), folder / "run"
    rounds, target, share = rng.choice([1, 2]), rng.choice([2, 3, 4]), rng.choice([0, 0.05, 0.15])
    ends = []
    for number in range(_TRIES):
        is_calm = number >= _CALM
        away = rng.sample(list(sites.nodes), rng.choice([0, 0, 1, 2]) * (not is_calm))
        for name in rng.sample(list(sites.nodes), rng.choice([0, 0, 1, 2]) * (number > 0)):
            sites.restart(name)
        grid = sites.without(*away)
        harm(grid, rng, share * (not is_calm))
        is_begun = any(run.glob("checkpoints/round-*"))
        try:
            run_server(sites, grid, run, resume=is_begun, rounds=rounds, **ALL)
        except Died:
            ends.append("killed")
        except CalyxError as error:
            ends.append(str(error)[:60])
        else:
            ends.append(f"{rounds} rounds")
            if rounds >= target:
                break
            rounds += 1
    return words, ends


def main():
    """Wander, and print."""
    folder, first, last = Path(sys.argv[1]), *map(int, sys.argv[2:4])
    logging.disable(logging.CRITICAL)
    os.environ["XDG_STATE_HOME"] = str(folder / "kept")
    refused = Counter()

    def watch(patch, name):
        real = getattr(Ledger, name)

        def watched(ledger, *arguments):
            try:
                return real(ledger, *arguments)
            except Exception as error:
                refused[f"{ledger.path.parent.name}: {error}"] += 1
                raise

        patch.setattr(Ledger, name, watched)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "client.learning.measurement.local_findings", lambda *_: []
        )  # a second a site
        for name in _CHECKS:
            watch(patch, name)
        for number in range(first, last):
            refused.clear()
            words, ends = wander(folder / str(number), random.Random(number))
            print(
                number, *words[:2], *words[4:-5], ends, *refused.items(), sep="\n    ", flush=True
            )


if __name__ == "__main__":
    main()
