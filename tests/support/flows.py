"""Flows of honest runs, of which `support.traces` records what each client is asked.

Six sites of digits in this process, which remember as machines of their own do, and the program's own
server over them; a tap between the two plays what happens to networks and machines.
"""

import json

from calyx.run.folder import RunFolder
from calyx.secagg.refusals import RefusalCode
from calyx.wire import messages as wire
from server.left_out import leave_out
from support.sites import Sites
from support.taps import Tap, run_server, stage_of

ALL = {"phases": ["audit", "preprocess", "train", "validate", "release"]}
SMALL = ("privacy.n_min=3", "privacy.h_min=2")


class Died(BaseException):
    """kill -9 of the server."""


def _runs(*words, then=(), tap=None):
    """A flow: a run of six sites, and how it goes on, a resume for each of `then`'s changes.

    `tap` is between the server and the sites until it is resumed.
    """

    def flow(folder):
        sites = Sites(folder, *words)
        grid = Tap(sites.inner)
        if tap is not None:
            tap(grid, sites)
        run_server(sites, grid, folder / "run", **ALL)
        for changes in then:
            run_server(sites, sites.inner, folder / "run", resume=True, **ALL, **changes)

    return flow


class Orders:
    """The order that an exchange is about, as a tap sees its messages."""

    def __init__(self):
        self.of = {}

    def see(self, message):
        """(kind, round, attempt) of what the message's node was last asked, and its stage."""
        node, stage = message.metadata.dst_node_id, stage_of(message)
        if message.has_content() and "order" in message.content:
            stage = 0  # of statistics, too
            self.of[node] = json.loads(wire.read_order(message))
        order = self.of.get(node)
        return (None, stage) if order is None else (_at(order), stage)

    def groups(self, node):
        """Of the order that this node got last."""
        return self.of[node]["groups"]


def _at(order):
    return order["kind"], order["round"], order["attempt"]


def _last(sites, number=1):
    return set(list(sites.nodes.values())[-number:])


def down(rounds, kinds=("train", "evaluate")):
    """The last site is not there in these rounds."""

    def tap(grid, sites):
        orders, away = Orders(), _last(sites)

        def request(message):
            at, _ = orders.see(message)
            is_down = at is not None and at[0] in kinds and at[1] in rounds
            return None if is_down and message.metadata.dst_node_id in away else message

        grid.request = request

    return tap


def _silent(stage, sites=1, at=("train", 2, 1)):
    """The last sites are silent from a stage of one attempt on, until it is over."""

    def tap(grid, site_list):
        orders, away = Orders(), _last(site_list, sites)

        def request(message):
            here, now = orders.see(message)
            is_silent = here == at and now is not None and stage <= now < 5
            return None if is_silent and message.metadata.dst_node_id in away else message

        grid.request = request

    return tap


def _fails(group, at=("train", 2, 1)):
    """Three of a group's sites keep from opening its sum: it is lost, and no attempt follows."""

    def tap(grid, sites):
        orders = Orders()

        def request(message):
            here, stage = orders.see(message)
            node = message.metadata.dst_node_id
            if here != at or stage != 4:
                return message
            away = orders.groups(node)[group][:3]
            return None if node in {sites.nodes[name] for name in away} else message

        grid.request = request

    return tap


def _accused(grid, sites):
    """Two sites say in round 2 that the last one's sealed shares are no good."""
    orders, liars = Orders(), list(sites.nodes.values())[:2]
    last = len(sites.nodes) - 1

    def request(message):
        orders.see(message)
        return message

    def reply(message, answer):
        at = orders.see(message)
        if at != (("train", 2, 1), 2) or message.metadata.dst_node_id not in liars:
            return answer
        return wire.refusal(wire.RefusalNote(RefusalCode.SEALED_SHARE, 2, bytes(32), last), message)

    grid.request, grid.reply = request, reply


def _dies(*words, at):
    """A flow: the server is killed after each of these (kind, round), stage; then it goes on."""

    def flow(folder):
        sites = Sites(folder, *words)
        for number, where in enumerate([*at, None]):
            grid, orders = Tap(sites.inner), Orders()

            def reply(message, answer, orders=orders, where=where):
                here, stage = orders.see(message)
                if here is not None and (here[:2], stage) == where:
                    raise Died
                return answer

            grid.reply = reply
            try:
                run_server(sites, grid, folder / "run", resume=number > 0, **ALL)
            except Died:
                continue

    return flow


def _several(folder):
    """Two runs of the same sites that take turns, of models of their own."""
    sites = Sites(folder)
    for rounds in (1, 2, 3):
        for seed in (0, 1):
            again = {"resume": True, "rounds": rounds} if rounds > 1 else {"rounds": 1}
            run_server(sites, sites.inner, folder / f"run{seed}", seed=seed, **again)


def _audit_alone(folder):
    sites = Sites(folder)
    run_server(sites, sites.inner, folder / "audit", phases=["audit"])


def _kept_audit(folder):
    """An audit alone; then a run whose audit is the kept one, since sites answer once."""
    sites = Sites(folder, "rounds=2")
    run_server(sites, sites.inner, folder / "audit", phases=["audit"])
    run_server(sites, sites.inner, folder / "run", **ALL)


def _new_rosters(*words):
    """A flow: between two rounds a site is removed, and then another one comes, which is in no group."""

    def flow(folder):
        sites = Sites(folder, "task.num_clients=10", *SMALL, "rounds=1", *words)
        names = list(sites.nodes)
        sites.pin(1, names[:9])
        run_server(sites, sites.inner, folder / "run", **ALL)
        for version, roster in enumerate((names[1:9], names[1:]), 2):
            sites.pin(version, roster)
            run_server(sites, sites.inner, folder / "run", resume=True, rounds=version, **ALL)

    return flow


def _without_changed(folder):
    """A site's rows have changed, and the run goes on without it."""
    sites = Sites(folder, "task.num_clients=10", "privacy.groups=2", *SMALL, "rounds=1")
    run_server(sites, sites.inner, folder / "run", **ALL)
    leave_out(RunFolder(folder / "run"), {"client-03": "order"}, 2)
    run_server(sites, sites.inner, folder / "run", resume=True, rounds=3, **ALL)


def _comes_back(folder):
    """One of two groups' sites is not there while the run is resumed for a round, and then is."""
    sites = Sites(folder, "task.num_clients=10", "privacy.groups=2", *SMALL, "rounds=1")
    run_server(sites, sites.inner, folder / "run", **ALL)
    run_server(sites, sites.without("client-04"), folder / "run", resume=True, rounds=2, **ALL)
    run_server(sites, sites.inner, folder / "run", resume=True, rounds=3, **ALL)


SEVEN = "task.num_clients=7"


def _comes_to_folds(*words):
    """A flow: a site is there from the second round of a run, and of its folds, on."""

    def flow(folder):
        sites = Sites(folder, *words, "rounds=1")
        away = list(sites.nodes)[2]
        run_server(sites, sites.without(away), folder / "run", **ALL)
        run_server(sites, sites.inner, folder / "run", resume=True, rounds=2, **ALL)

    return flow


_COMES_LATE = ("statistics", "train")
FLOWS = {
    # The nine of STRICT's first page.
    "with-training": _runs("rounds=3"),
    "separate": _runs("rounds=3", "evaluate=separate"),
    "six-of-nine": _runs("task.num_clients=9", "cohort_size=6", "rounds=4"),
    "six-of-fourteen": _runs("task.num_clients=14", "cohort_size=6", "rounds=4"),
    "groups": _runs("task.num_clients=10", "privacy.groups=2", "rounds=3"),
    "scaffold": _runs("strategy=scaffold", "rounds=3", "evaluate=separate"),
    "early-stopping": _runs("rounds=6", "stopping.patience=1", "training.lr=5"),
    "cv-2": _runs("cv.k=2", then=[{"rounds": 3}]),
    "cv-clients": _runs("cv.k=clients", *SMALL, then=[{"rounds": 3}]),
    "resume": _runs(then=[{"rounds": 3}, {"rounds": 4}]),
    # What else happens to honest runs.
    "sampled-with-training": _runs(
        "task.num_clients=9", "cohort_size=6", "evaluate=with_training", then=[{"rounds": 4}]
    ),
    "sampled-and-resumed": _runs(
        "task.num_clients=9",
        "cohort_size=6",
        "rounds=1",
        then=[{"rounds": 2}, {"rounds": 3}, {"rounds": 4}],
    ),
    "abandoned": _runs(SEVEN, "rounds=3", tap=_silent(3, sites=3)),
    "lost-before-its-vector": _runs("rounds=3", tap=_silent(1)),
    "lost-after-its-vector": _runs("rounds=3", tap=_silent(3)),
    "a-group-fails": _runs(
        "task.num_clients=10", "privacy.groups=2", "rounds=4", "min_replies=5", tap=_fails(1)
    ),
    "accused": _runs("rounds=3", *SMALL, "min_replies=5", tap=_accused),
    "server-dies": _dies(
        "rounds=4",
        at=[(("train", 1), 0), (("train", 2), 2), (("train", 3), 4), (("evaluate", 4), 3)],
    ),
    "flapping": _runs(SEVEN, "rounds=7", tap=down((3, 6))),
    "flapping-separate": _runs(SEVEN, "rounds=7", "evaluate=separate", tap=down((3, 6))),
    "comes-in-round-3": _runs(SEVEN, "rounds=4", tap=down((0, 1, 2), _COMES_LATE)),
    "comes-to-folds": _comes_to_folds(SEVEN, "cv.k=2"),
    "comes-to-folds-of-clients": _comes_to_folds(*SMALL, "cv.k=clients"),
    "comes-back": _comes_back,
    "new-rosters": _new_rosters(),
    "new-rosters-of-groups": _new_rosters("privacy.groups=2"),
    "without-changed": _without_changed,
    "several": _several,
    "audit-alone": _audit_alone,
    "kept-audit": _kept_audit,
    "ditto": _runs("strategy=ditto", "rounds=3"),
    "fedbn": _runs("strategy=fedbn", "rounds=3"),
}
