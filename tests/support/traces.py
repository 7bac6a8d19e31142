"""What honest servers ask of each client, recorded and put before a ledger again.

A trace is a JSON object: the orders of one flow, each once, and of each client what came of those
that it got: `[index, vector keys or null, whether its shares were revealed]`. Digests are numbered
(`number`), so that a trace holds no bytes of a model, and stays small. They are recorded anew by

    PYTHONPATH=tests python -m support.traces FOLDER

where FOLDER is an empty one, in which the flows run.
"""

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from calyx.config import parse
from calyx.errors import CalyxError
from calyx.order import Order, to_json
from calyx.secagg.roster import make_roster, read_roster, write_roster
from calyx.secagg.rules import Rules
from calyx.secagg.session import Session
from client.ledger import Ledger
from client.limits import Limits
from client.membership import check_members
from client.tombstones import Answers, Tombstone
from support.sites import Sites
from support.taps import Tap, run_server, stage_of

FOLDER = Path(__file__).parents[1] / "client" / "traces"
TEMPLATE = Limits(runs=12, sums=1000, failures=3, joins=2, unfinished=100)  # docs/secagg.md §11
NOW = 1.8e9
_RULES = Rules(5, 3, 1, 128, 32, 25, 1, bytes(32), 1.0, 16, 256, 1)
_HEX = re.compile(r'"([0-9a-f]{64})"')


class Recorder:
    """All that the ledgers of a flow's sites are told, by the name of the site's folder."""

    def __init__(self):
        self.orders, self.clients = [], {}

    def order(self, ledger, order, group, ctx, *_):
        text = to_json(order)
        if text not in self.orders:
            self.orders.append(text)
        told = {"order": self.orders.index(text), "ctx": ctx.hex(), "vector": None, "opened": False}
        self.clients.setdefault(ledger.path.parent.name, []).append(told)

    def vector(self, ledger, answers, gone, stone, now):
        self._of(ledger, stone.ctx)["vector"] = [answers.keys, answers.folds, answers.data, gone]

    def revealed(self, ledger, run, session, number, now):
        self._of(ledger, session.ctx.hex()).update(opened=True, root=session.root.hex())

    def _of(self, ledger, ctx):
        told = self.clients[ledger.path.parent.name]
        return next(one for one in reversed(told) if one["ctx"] == ctx)

    def text(self):
        """The trace, its digests numbered and what orders have in common said once."""
        orders = [json.loads(order) for order in self.orders]
        terms = []
        for order in orders:
            order["terms"]["preprocessing"]["fitted"] = None
            order["abandoned"] = []  # proofs are names and signatures, which other tests check
            if order["terms"] not in terms:
                terms.append(order["terms"])
            order["terms"] = terms.index(order["terms"])
        clients = {
            name: [
                [
                    one["order"],
                    one["ctx"],
                    one["vector"],
                    one.get("root") if one["opened"] else None,
                ]
                for one in told
            ]
            for name, told in self.clients.items()
        }
        value = {"terms": terms, "orders": orders, "clients": clients}
        numbers = {}
        text = json.dumps(value, separators=(",", ":")).replace("},{", "},\n{")
        return _HEX.sub(lambda m: f'"#{numbers.setdefault(m[1], len(numbers) + 1)}"', text) + "\n"


@contextmanager
def recording(monkeypatch):
    """Record what all ledgers are told."""
    recorder = Recorder()
    _watch(monkeypatch, "check_order", recorder.order)  # what is refused is asked all the same
    _watch(monkeypatch, "note_vector", recorder.vector)
    _watch(monkeypatch, "note_revealed", recorder.revealed)
    yield recorder


def _watch(monkeypatch, name, tell):
    real = getattr(Ledger, name)

    def watched(ledger, *arguments):
        tell(ledger, *arguments)
        return real(ledger, *arguments)

    monkeypatch.setattr(Ledger, name, watched)


class Remembered(Ledger):
    """A site's ledger whose file is a list."""

    def __init__(self, lines=()):
        super().__init__()
        self.lines = list(lines)
        for line in lines:
            self._apply(json.loads(json.dumps(line)))

    def _write(self, line):
        self.lines.append(line)
        self._apply(line)


def replay(text):
    """Put a trace before a ledger for each client, which is read anew before each order.

    Returns the joins of the client that has most; a refusal is raised.
    """
    trace = json.loads(re.sub(r'"#(\d+)"', lambda m: f'"{int(m[1]):064x}"', text))
    orders = [
        parse(Order, order | {"terms": trace["terms"][order["terms"]]}, "")
        for order in trace["orders"]
    ]
    return max(_replayed(name, told, orders, trace) for name, told in trace["clients"].items())


def _replayed(name, told, orders, trace):
    ledger, now = Remembered(), NOW
    for index, ctx, vector, root in told:
        ledger, order, now = Remembered(ledger.lines), orders[index], now + 60
        group = next(i for i, names in enumerate(order.groups) if name in names)
        entry = ledger.runs.get(order.run)
        check_members(order, sorted(trace["clients"]), None if entry is None else entry.members)
        ledger.check_order(order, group, bytes.fromhex(ctx))
        ledger.check_limits(order, TEMPLATE, now)
        ledger.note_order(order, group, bytes.fromhex(ctx), now)
        if vector is None:
            continue
        keys, folds, data, gone = vector
        ledger = Remembered(ledger.lines)
        stone = Tombstone(ctx, root or "0" * 64, [0], 1)
        ledger.note_vector(Answers(tuple(keys), tuple(folds), data), gone, stone, now)
        if root is not None:
            session = Session(bytes.fromhex(ctx), 0, _RULES, (0,))
            session.root = bytes.fromhex(root)
            ledger.note_revealed(order.run, session, order.round, now)
    return len(ledger.joins)


def _runs(*words, then=(), tap=None, fails=False):
    """A flow: a run of six sites, and how it goes on; `tap` is between its server and the sites."""

    def flow(folder):
        sites = Sites(folder, "training.epochs=1", *words)
        grid = Tap(sites.inner)
        if tap is not None:
            tap(grid, sites)
        try:
            run_server(sites, grid, folder / "run", **_ALL)
        except CalyxError:
            if not fails:
                raise
        for changes in then:
            run_server(sites, sites.inner, folder / "run", resume=True, **_ALL, **changes)

    return flow


_ALL = {"phases": ["audit", "preprocess", "train", "validate", "release"]}


def _order_of(message):
    content = message.content
    return json.loads(content["order"]["order"]) if "order" in content else None


def _down(rounds, kinds=("train", "evaluate")):
    """The last site does not hear of these rounds."""

    def tap(grid, sites):
        node = list(sites.nodes.values())[-1]

        def request(message):
            order = _order_of(message)
            away = order and order["kind"] in kinds and order["round"] in rounds
            return None if away and message.metadata.dst_node_id == node else message

        grid.request = request

    return tap


def _lost_at(stages, group, count):
    """These stages of round 2's first attempt do not reach the last `count` sites of a group."""

    def tap(grid, sites):
        now = [{}]

        def request(message):
            now[0] = _order_of(message) or now[0]
            at = tuple(now[0].get(name) for name in ("kind", "round", "attempt"))
            if at != ("train", 2, 1) or stage_of(message) not in stages:
                return message
            silent = {sites.nodes[name] for name in now[0]["groups"][group][-count:]}
            return None if message.metadata.dst_node_id in silent else message

        grid.request = request

    return tap


def _new_roster(*words):
    """A flow: two rounds, then a roster without the last site, and two rounds more."""

    def flow(folder):
        sites = Sites(folder, "training.epochs=1", *words)
        run_server(sites, sites.inner, folder / "run", **_ALL)
        gone = list(sites.nodes)[-1]
        old = read_roster(sites.identities.roster)
        clients = {name: key for name, key in old.clients if name != gone}
        newer = write_roster(make_roster(clients, 2, old.digest))
        sites.identities = replace(sites.identities, roster=newer)
        sites.give_roster(newer)
        grid = Tap(sites.inner)
        grid.silent = {sites.nodes[gone]}
        run_server(sites, grid, folder / "run", resume=True, rounds=4, **_ALL)

    return flow


def _several(folder):
    """Two runs of the same sites that take turns."""
    sites = Sites(folder, "training.epochs=1")
    for rounds in (1, 2, 3):
        for seed in (0, 1):
            again = {"resume": True, "rounds": rounds} if rounds > 1 else {"rounds": 1}
            run_server(sites, sites.inner, folder / f"run{seed}", seed=seed, **again)


_GROUPS = ("task.num_clients=10", "privacy.groups=2", "rounds=3")
_SMALL = ("privacy.n_min=3", "privacy.h_min=2")
FLOWS = {
    "with-training": _runs("rounds=3"),
    "separate": _runs("rounds=3", "evaluate=separate"),
    "six-of-nine": _runs("task.num_clients=9", "cohort_size=6", "rounds=4", "evaluate=separate"),
    "six-of-fourteen": _runs("task.num_clients=14", "cohort_size=6", "rounds=4"),
    "groups": _runs(*_GROUPS),
    "scaffold": _runs("strategy=scaffold", "rounds=3", "evaluate=separate"),
    "early-stopping": _runs(
        "rounds=8", "training.lr=0.02", "stopping.patience=1", "stopping.monitor=val_accuracy"
    ),
    "cv-2": _runs("cv.k=2", then=[{"rounds": 3}]),
    "cv-clients": _runs("cv.k=clients", *_SMALL, then=[{"rounds": 3}]),
    "resume": _runs("rounds=2", then=[{"rounds": 3}, {"rounds": 4}]),
    "abandoned": _runs("rounds=3", "min_replies=6", tap=_lost_at((2, 3, 4), 0, 1)),
    "lost-before-its-vector": _runs("rounds=3", tap=_lost_at((1, 2, 3, 4), 0, 1)),
    "a-group-is-lost": _runs(*_GROUPS, "min_replies=5", tap=_lost_at((4,), 1, 3)),
    "a-new-roster": _new_roster("task.num_clients=8"),
    "a-new-roster-of-groups": _new_roster("task.num_clients=12", "privacy.groups=2"),
    "flapping": _runs("task.num_clients=7", "rounds=7", "evaluate=separate", tap=_down((3, 6))),
    "joins-in-round-3": _runs(
        "task.num_clients=7", "rounds=4", tap=_down((0, 1, 2), ("statistics", "train"))
    ),
    "ditto": _runs("strategy=ditto", "rounds=3"),
    "several": _several,
}


def main():
    """Record all flows, below the folder that is the first argument."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[2:] or FLOWS:
        with pytest.MonkeyPatch.context() as patch, recording(patch) as recorder:
            patch.setenv("XDG_STATE_HOME", str(Path(sys.argv[1]) / name / "kept"))
            patch.setattr("client.survey.local_findings", lambda *_: [])  # a second a site
            patch.setattr("client.memory._MAX_OPEN", 64)  # of all these sites, in one process
            FLOWS[name](Path(sys.argv[1]) / name)
        (FOLDER / f"{name}.json").write_text(recorder.text())
        joins = replay((FOLDER / f"{name}.json").read_text())
        told = recorder.clients.values()
        print(
            f"{name}: {len(recorder.orders)} orders, {sum(map(len, told))} asked, {joins} joins at most"
        )


if __name__ == "__main__":
    main()
