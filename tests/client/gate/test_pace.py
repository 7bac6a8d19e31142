"""When a reply leaves: the clock is passed in, nobody sleeps."""

import pytest
from flwr.app import Message, RecordDict
from support.clients import Clients, code_of
from support.federation import Federation

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.fleet import site as sites
from calyx.fleet.site import SiteConfig, Worker
from calyx.flower.bundle import bundle_hash
from calyx.flower.messages import as_task
from calyx.flower.site import NotAdmitted
from calyx.model.weights import hash_weights
from client import journal
from client.gate.pace import Clock, leaves_at, note_rows, take_note, wait
from client.gate.policy import PolicyConfig
from client.learning import training

PACE_S = 2.0


@pytest.mark.parametrize(
    ("came", "now", "moment", "number"),
    [
        (10.0, 10.0, 12.0, 1),
        (10.0, 11.999, 12.0, 1),
        (10.0, 12.0, 12.0, 1),
        (10.0, 12.001, 14.0, 2),
        (10.5, 75.0, 76.5, 33),
    ],
)
def test_a_reply_leaves_at_the_first_multiple_that_its_work_is_done_by(came, now, moment, number):
    leaving = leaves_at(came, now, PACE_S)
    assert (leaving.moment, leaving.number) == (moment, number)


def test_no_reply_leaves_before_its_work_is_done_however_numbers_are_rounded():
    for pace_s in (0.1, 0.3, 2.0, 1e-3):
        for step in range(1, 200):
            came, now = 1e6 + 0.7, 1e6 + 0.7 + step * pace_s
            leaving = leaves_at(came, now, pace_s)
            assert now <= leaving.moment < now + 1.001 * pace_s


class Time:
    """A clock of this test's own, and what happened when."""

    def __init__(self):
        self.now, self.events, self.drawn = 100.0, [], 0.0
        self.clock = Clock(lambda: self.now, self.sleep, lambda: self.drawn)

    def sleep(self, seconds):
        self.now += seconds

    def note(self, what):
        self.events.append((what, round(self.now - 100, 6)))


@pytest.mark.parametrize(
    ("worked", "drawn", "number"), [(1.95, 0.2, 1), (1.95, 0.3, 2), (1.79, 1.0, 1), (2.0, 0.0, 1)]
)
def test_the_edge_of_a_multiple_is_drawn_within_its_last_tenth(worked, drawn, number):
    """So that work of a chosen length does not tell milliseconds: 1.95 + 0.2 · drawn against 2."""
    time = Time()
    came, time.drawn, time.now = time.now, drawn, time.now + worked
    assert wait(time.clock, came, PACE_S) == number
    assert time.now == pytest.approx(came + number * PACE_S)


class Link:
    """A connection over which two messages come; the bundle's hash is asked for in 5 s."""

    node_id = 7

    def __init__(self, time, kinds):
        self.time, self.kinds = time, list(kinds)

    def bundle_hash(self, run_id):
        self.time.now += 5
        return bundle_hash()

    def receive(self):
        self.time.note("asks")
        if not self.kinds:
            raise NotAdmitted("the test is over")
        as_task(1)
        return Message(RecordDict(), 7, self.kinds.pop(0))

    def reply(self, reply, asked):
        self.time.note(code_of(reply) if reply.has_error() else "replies")


class NoPatience:
    def reset(self):
        pass

    def sleep(self):
        pass


def exchanges(clients, tmp_path, monkeypatch, app, *kinds, pace_s=PACE_S):
    """What a server sees of a site whose app is `app(message, context, site, time)`, and when."""
    time, policy = Time(), clients.section["policy"] | {"pace_s": pace_s}
    section = clients.section | {"state_dir": str(tmp_path), "policy": policy, "name": "a"}
    where = {"server": "127.0.0.1:1", "authority": "", "node_key": "", "manifest": None}
    cfg = SiteConfig(**where, client=section)
    site = sites.read_site(sites.node_config("a", section))
    monkeypatch.setattr("client.app.app", lambda m, context: app(m, context, site, time))
    monkeypatch.setattr(sites, "Patience", NoPatience)
    link = Link(time, kinds)
    with pytest.raises(NotAdmitted):
        sites._answer_all(link, Worker(link, cfg, time.clock), lambda line: None)
    return time.events


def working(seconds, looks=True, error=None):
    """An app that works so long, and looks at rows or not."""

    def app(message, context, site, time):
        if looks:
            note_rows(context, site)
        time.now += seconds
        if error is not None:
            raise error
        return Message(RecordDict(), reply_to=message)

    return app


@pytest.mark.parametrize("seconds", [0.01, 1.99])
def test_a_server_sees_the_same_times_whatever_the_work_was(
    clients, tmp_path, monkeypatch, seconds
):
    """From the moment on when the server could delay nothing more: it chose when the hash came."""
    found = exchanges(clients, tmp_path, monkeypatch, working(seconds), "train", "evaluate")
    assert found == [("asks", 0), ("replies", 7), ("asks", 7), ("replies", 9), ("asks", 9)]


def test_work_of_more_than_one_multiple_leaves_at_the_next_and_is_in_the_journal(
    clients, tmp_path, monkeypatch
):
    with journal.collect_notes() as notes:
        found = exchanges(clients, tmp_path, monkeypatch, working(4.5), "train")
    assert found == [("asks", 0), ("replies", 11), ("asks", 11)]
    (line,) = [note.fields for note in notes if note.kind == "pace"]
    assert line == {"message": "train", "multiple": 3, "pace_s": 2.0}


def test_what_was_settled_before_rows_leaves_at_once_and_so_does_all_without_a_pace(
    clients, tmp_path, monkeypatch
):
    early = exchanges(clients, tmp_path, monkeypatch, working(0.5, looks=False), "train")
    assert early == [("asks", 0), ("replies", 5.5), ("asks", 5.5)]
    none = exchanges(clients, tmp_path, monkeypatch, working(0.5), "train", pace_s=0)
    assert none == [("asks", 0), ("replies", 5.5), ("asks", 5.5)]


def test_work_that_fails_in_a_way_that_nobody_thought_of_shows_no_time_either(
    clients, tmp_path, monkeypatch
):
    broken = working(0.5, error=OSError("the disk is full"))
    found = exchanges(clients, tmp_path, monkeypatch, broken, "train")
    assert found == [("asks", 0), ("asks", 7)]


def test_ctrl_c_ends_the_wait_and_nothing_leaves(clients, tmp_path, monkeypatch):
    def interrupted(self, seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(Time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exchanges(clients, tmp_path, monkeypatch, working(0.5), "train")


@pytest.fixture
def paced(five, tmp_path):
    """Clients on machines of their own; the first looks at the clock."""
    made = Clients(five)
    policy = made.section["policy"] | {"pace_s": PACE_S}
    made.contexts[made.names[0]] = made.fresh(made.names[0], state_dir=str(tmp_path), policy=policy)
    return made


def has_looked(clients, order, weights=None):
    """Of the first client, and whether it answered."""
    reply = clients.ask(clients.names[0], order, weights)
    return take_note(clients.contexts[clients.names[0]]), reply.has_content()


def test_rows_are_looked_at_by_what_is_answered_and_not_by_what_is_refused_before(paced):
    assert has_looked(paced, paced.order(attempt=1)) == (True, True)
    # The same order again, weights of nobody, a deadline that leaves no time: no row was looked at.
    assert has_looked(paced, paced.order(attempt=1)) == (False, False)
    assert has_looked(paced, paced.order(attempt=2, weights="0" * 64)) == (False, False)
    assert has_looked(paced, paced.order(attempt=3, deadline_s=5.9)) == (False, False)
    statistics = {"kind": "statistics", "round": 0, "weights": hash_weights({})}
    assert has_looked(paced, paced.order(run="other", **statistics), {}) == (True, True)
    # Rows are looked at before it is known that their statistics were given.
    assert has_looked(paced, paced.order(run="again", **statistics), {})[0]


def test_a_failure_after_rows_waits(paced, monkeypatch):
    def broken(self):
        raise RuntimeError

    monkeypatch.setattr(training._Loop, "epoch", broken)
    assert has_looked(paced, paced.order()) == (True, False)


def test_stages_after_the_first_and_names_wait_for_nothing(paced):
    server, requests = paced.advance(paced.order(), 0)
    name = paced.names[0]
    assert take_note(paced.contexts[name])  # of stage 0
    reply = paced.stage(name, 1, server.ctx, requests[0])
    assert reply.has_content()
    assert not take_note(paced.contexts[name])


def test_a_deadline_of_less_than_three_multiples_is_outside_the_policy(paced):
    name = paced.names[0]
    assert code_of(paced.ask(name, paced.order(deadline_s=5.9))) == "outside-policy"
    assert paced.ask(name, paced.order(deadline_s=6.0)).has_content()


@pytest.mark.parametrize("pace_s", [1e-300, 0.009, -1, float("inf"), float("nan")])
def test_a_pace_that_no_clock_keeps_is_refused(clients, pace_s):
    policy = clients.section["policy"] | {"pace_s": pace_s}
    with pytest.raises(ConfigError, match="pace_s"):
        parse(PolicyConfig, policy, "client.policy")


def test_in_simulation_nobody_waits(five):
    clients = Clients(five, policy=five.plan.run.client["policy"] | {"pace_s": PACE_S})
    assert clients.ask(clients.names[0], clients.order()).has_content()
    assert not take_note(clients.contexts[clients.names[0]])


def test_a_site_with_a_pace_runs_all_epochs_and_sends_the_same_bytes(monkeypatch):
    """Its second epoch is worse than its first, so that early stopping ends there."""
    words = ("training.epochs=5", "training.lr=50", "training.early_stopping.patience=1")
    federation = Federation("task.num_clients=3", *words)
    policy, epochs, sent = federation.plan.run.client["policy"], [], []
    epoch = training._Loop.epoch
    monkeypatch.setattr(training._Loop, "epoch", lambda loop: epochs.append(1) or epoch(loop))
    for pace_s in (0.0, PACE_S):
        clients = Clients(federation, policy=policy | {"pace_s": pace_s})
        epochs.clear()
        reply = clients.ask(clients.names[0], clients.order())
        sent.append((len(epochs), [list(r.values()) for r in reply.content.values()]))
    assert sent[0][0] < sent[1][0] == 5
    assert sent[0][1] == sent[1][1]
