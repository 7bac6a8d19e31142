"""What a client never does twice, across attempts, runs and restarts."""

import json
import time
from dataclasses import replace

import numpy as np
from support.clients import LINKS, Clients, code_of, secrets_of
from support.federation import Federation

from calyx.model.weights import hash_weights
from calyx.secagg.keys import sign
from calyx.secagg.roster import make_roster, write_roster
from calyx.tasks.digits import Digits
from calyx.wire import messages as wire
from client.gate import ledger, memory
from client.rows import data


def test_a_round_rolled_back_a_context_used_again_and_changed_terms_are_refused(clients):
    name = clients.names[0]
    other = {k: v + v.dtype.type(1) for k, v in clients.federation.template.items()}
    later = clients.order(round=2, weights=hash_weights(other), previous=LINKS)
    assert clients.ask(name, later, weights=other).has_content()
    assert code_of(clients.ask(name, later, weights=other)) == "context-reused"
    assert code_of(clients.ask(name, clients.order(round=1))) == "round-replayed"
    assert code_of(clients.ask(name, clients.order(round=2, previous=LINKS))) == "round-replayed"
    changed = replace(clients.with_terms("training", lr=0.1), round=3, weights=hash_weights(other))
    assert code_of(clients.ask(name, changed, weights=other)) == "rules-changed"
    again = replace(later, attempt=2)
    assert clients.ask(name, again, weights=other).has_content()


def test_a_client_stays_in_its_group():
    two = Federation(
        "privacy=secagg",
        "task.num_clients=8",
        "privacy.groups=2",
        "privacy.n_min=3",
        "privacy.h_min=1",
    )
    clients = Clients(two)
    names = tuple(clients.names)
    groups = (names[:4], names[4:])
    first = clients.order(groups=groups, members=groups)
    assert clients.ask(names[0], first).has_content()
    for members, code in ((groups[::-1], "rules-changed"), (groups, "rules-changed")):
        moved = clients.order(groups=groups[::-1], members=members, attempt=2)
        assert code_of(clients.ask(names[0], moved)) == code
    # A ledger of before says nothing of members, and knows the group.
    clients.contexts[names[0]] = clients.fresh(names[0])
    old = clients.order(groups=groups[::-1], members=groups[::-1], run="old")
    assert clients.ask(names[0], old).has_content()


def test_no_second_vector_leaves_for_a_model_whatever_the_run_is_called(clients):
    clients.advance(clients.order(), 2)
    for order in (
        clients.order(run="renamed"),
        clients.order(attempt=2),
        clients.order(run="joined", round=2, previous=LINKS),
        clients.order(is_validated=True, attempt=2),
    ):
        assert code_of(clients.ask(clients.names[0], order)) == "second-vector"
    # Another quantity of the same model is another matter.
    judged = clients.order(kind="evaluate", run="joined", previous=LINKS)
    assert clients.ask(clients.names[0], judged).has_content()


def test_what_a_training_validated_is_not_evaluated_again(clients):
    clients.advance(clients.order(is_validated=True), 2)
    judged = clients.order(kind="evaluate", run="joined", previous=LINKS)
    refused = clients.ask(clients.names[0], judged)
    assert code_of(refused) == "second-vector"


def test_an_attempt_that_ended_before_its_vector_is_free(clients):
    clients.advance(clients.order(), 1)
    assert clients.ask(clients.names[0], clients.order(attempt=2)).has_content()


def abandonment(clients, server, signers):
    signatures = {}
    for name in signers:
        _, body = wire.read_stage(clients.stage(name, 5, server.ctx, b""))
        signatures[name] = body.hex()
    return {"ctx": server.ctx.hex(), "root": server.root.hex(), "signatures": signatures}


def test_a_second_vector_needs_enough_who_gave_the_first_sum_up(clients):
    server, _ = clients.advance(clients.order(), 2)
    needed = server.rules.abandon_quorum(5)
    name = clients.names[0]
    proof = abandonment(clients, server, clients.names[:needed])
    few = {**proof, "signatures": dict(list(proof["signatures"].items())[1:])}
    foreign = {**proof, "root": "0" * 64}
    forged = {**few, "signatures": few["signatures"] | {clients.names[0]: "00" * 64}}
    for number, wrong in enumerate((few, foreign, forged), start=2):
        order = clients.order(attempt=number, abandoned=(wrong,))
        assert code_of(clients.ask(name, order)) == "second-vector"
    again = clients.order(attempt=9, abandoned=(proof,))
    assert clients.ask(name, again).has_content()
    # Who has given a sum up does not help to open it.
    for gone in clients.names[1:needed]:
        reply = clients.stage(gone, 3, server.ctx, b"")
        assert code_of(reply) == "wrong-stage"


def test_signatures_of_another_context_prove_nothing(clients):
    server, _ = clients.advance(clients.order(), 2)
    private = {n: clients.federation.identities.private_of(n) for n in clients.names}
    signatures = {n: sign(private[n], "abandon", bytes(32), server.root).hex() for n in private}
    proof = {"ctx": server.ctx.hex(), "root": server.root.hex(), "signatures": signatures}
    order = clients.order(attempt=2, abandoned=(proof,))
    assert code_of(clients.ask(clients.names[0], order)) == "second-vector"


def test_a_root_that_is_not_its_own_is_refused_in_the_next_order(clients):
    server, _ = clients.advance(clients.order(), 4)
    link = {"ctx": server.ctx.hex(), "root": "0" * 64}
    other = {k: v + v.dtype.type(1) for k, v in clients.federation.template.items()}
    order = clients.order(round=2, previous=(link,), weights=hash_weights(other))
    assert code_of(clients.ask(clients.names[0], order, weights=other)) == "chain-broken"
    sound = clients.order(
        round=2, previous=({**link, "root": server.root.hex()},), weights=hash_weights(other)
    )
    assert clients.ask(clients.names[0], sound, weights=other).has_content()


class OnASite:
    """A client with a state folder, as on a machine of its own."""

    def __init__(self, clients, folder):
        self.clients, self.folder, self.name = clients, folder, clients.names[0]
        self.restart()

    def restart(self):
        """The process is gone, and with it its memory; the disk is not."""
        memory._open.clear()
        ledger.open_ledger.cache_clear()
        context = self.clients.fresh(self.name, state_dir=str(self.folder))
        self.clients.contexts[self.name] = context


def test_a_sites_ledger_outlives_its_process_and_holds_no_secret(clients, tmp_path):
    site = OnASite(clients, tmp_path / "state")
    server, requests = clients.advance(clients.order(), 2)
    assert not clients.contexts[site.name].state  # nothing rides in Flower's memory
    secrets = secrets_of(clients)
    on_disk = b"".join(p.read_bytes() for p in (tmp_path / "state").rglob("*") if p.is_file())
    assert b"vector" in on_disk
    assert not [s for s in secrets if s in on_disk or s.hex().encode() in on_disk]
    site.restart()
    refused = clients.stage(site.name, 3, server.ctx, requests[0])
    assert code_of(refused) == "wrong-stage"  # a crash is a dropout
    for order in (clients.order(run="renamed"), clients.order(attempt=2)):
        assert code_of(clients.ask(site.name, order)) == "second-vector"


def test_an_encrypted_run_is_left_by_a_client_whose_rows_have_changed(
    clients, tmp_path, monkeypatch
):
    """Of a task that reads no folder, too. No order decides it: it is none of a day's failures."""
    site = OnASite(clients, tmp_path / "state")
    assert clients.ask(site.name, clients.order()).has_content()
    whole = Digits.load
    monkeypatch.setattr(Digits, "load", lambda *where: whole(*where).take(np.arange(30)))
    data.forget()
    order = clients.order(kind="test", attempt=2)
    assert code_of(clients.ask(site.name, order)) == "rows-changed"
    lines = (tmp_path / "state" / "ledger.jsonl").read_text().splitlines()
    assert "failure" not in {json.loads(line)["event"] for line in lines}
    data.forget()


def test_the_tombstone_is_on_disk_before_the_vector_exists(clients, tmp_path, monkeypatch):
    site = OnASite(clients, tmp_path / "state")
    server, requests = clients.advance(clients.order(), 1)
    seen = []

    def watched(*arguments):
        lines = (tmp_path / "state" / "ledger.jsonl").read_text().splitlines()
        seen.append(json.loads(lines[-1])["event"])
        raise RuntimeError("the power fails")

    monkeypatch.setattr("calyx.secagg.participant.apply_masks", watched)
    reply = clients.stage(site.name, 2, server.ctx, requests[0])
    assert seen == ["vector"]
    assert code_of(reply) == "internal-error"
    monkeypatch.undo()
    site.restart()
    assert code_of(clients.ask(site.name, clients.order(attempt=2))) == "second-vector"


def test_shares_leave_after_the_line_of_the_sum_that_they_open(clients, tmp_path, monkeypatch):
    site = OnASite(clients, tmp_path / "state")
    server, requests = clients.advance(clients.order(), 3)

    monkeypatch.setattr(ledger, "append_lines", lambda path, lines: 1 / (lines == []))
    assert code_of(clients.stage(site.name, 4, server.ctx, requests[0])) == "internal-error"
    monkeypatch.undo()
    assert code_of(clients.stage(site.name, 4, server.ctx, requests[0])) == "wrong-stage"


def test_a_line_that_a_crash_cut_off_does_not_spoil_the_ledger(clients, tmp_path):
    site = OnASite(clients, tmp_path / "state")
    clients.advance(clients.order(), 2)
    path = tmp_path / "state" / "ledger.jsonl"
    with path.open("ab") as file:
        file.write(b'{"event": "vec')
    site.restart()
    assert code_of(clients.ask(site.name, clients.order(run="renamed"))) == "second-vector"
    judged = clients.order(kind="evaluate", run="joined", previous=LINKS)
    assert clients.ask(site.name, judged).has_content()
    site.restart()
    assert code_of(clients.ask(site.name, judged)) == "context-reused"


def test_runs_and_sums_a_day_are_limited(clients, tmp_path, monkeypatch):
    policy = clients.section["policy"] | {"runs_a_day": 2, "sums_a_day": 3}
    name = clients.names[0]
    clients.contexts[name] = clients.fresh(name, policy=policy)
    assert clients.ask(name, clients.order(run="a")).has_content()
    assert clients.ask(name, clients.order(run="b")).has_content()
    assert code_of(clients.ask(name, clients.order(run="c"))) == "daily-limit"
    # An order counts when it is taken, whatever comes of it: a failure, too, says something.
    assert clients.ask(name, clients.order(run="b", attempt=2)).has_content()
    assert code_of(clients.ask(name, clients.order(run="b", attempt=3))) == "daily-limit"
    now = time.time()
    monkeypatch.setattr("client.gate.secure_mod.time.time", lambda: now + 86_401)
    assert clients.ask(name, clients.order(run="c", kind="test")).has_content()


def test_a_site_writes_its_refusals_in_words_into_its_own_log(clients, tmp_path):
    site = OnASite(clients, tmp_path / "state")
    clients.advance(clients.order(), 2)
    clients.ask(site.name, clients.order(run="renamed"))
    last = json.loads((tmp_path / "state" / "events.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["code"]) == ("refusal", "second-vector")
    assert "its sum may still open" in last["message"]


def reissued(clients, version, without=()):
    """The same clients' roster under another version."""
    public = {n: clients.roster.key(u) for n, u in clients.roster.indices.items()}
    kept = {n: key for n, key in public.items() if n not in without}
    return write_roster(make_roster(kept, version, bytes(32)))


def test_a_new_roster_ends_an_open_context(clients):
    server, requests = clients.advance(clients.order(), 1)
    name = clients.names[0]
    clients.contexts[name].node_config["client-roster"] = reissued(clients, 2)
    assert code_of(clients.stage(name, 2, server.ctx, requests[0])) == "outside-policy"
    assert "secagg-session" not in clients.contexts[name].state


def test_a_removed_client_is_refused_at_once(clients):
    name, removed = clients.names[0], clients.names[4]
    clients.contexts[name].node_config["client-roster"] = reissued(clients, 2, without=[removed])
    assert code_of(clients.ask(name, clients.order())) == "outside-policy"


def test_a_roster_is_never_older_than_one_that_was_seen(clients):
    name = clients.names[0]
    config = clients.contexts[name].node_config
    config["client-roster"] = reissued(clients, 3)
    assert clients.ask(name, clients.order()).has_content()
    config["client-roster"] = reissued(clients, 2)
    assert code_of(clients.ask(name, clients.order(attempt=2))) == "outside-policy"


def test_two_contexts_of_one_site_never_give_two_vectors_for_a_model(clients, tmp_path):
    site = OnASite(clients, tmp_path / "state")
    server, requests = clients.advance(clients.order(), 1)
    first = clients.contexts[site.name]
    second = clients.fresh(site.name, state_dir=str(tmp_path / "state"))
    second.node_id = 99  # the same site, connected twice
    clients.contexts[site.name] = second
    clients.advance(clients.order(attempt=2), 2)
    reply = clients.stage(site.name, 2, server.ctx, requests[0], context=first)
    assert code_of(reply) == "second-vector"


def test_what_a_task_fails_by_is_in_the_sites_own_log_and_a_code_in_its_reply(
    clients, tmp_path, monkeypatch, caplog
):
    def broken(*_):
        raise RuntimeError("secret row 7")

    site = OnASite(clients, tmp_path / "state")
    monkeypatch.setattr("client.learning.update.train", broken)
    reply = clients.ask(site.name, clients.order())
    assert code_of(reply) == reply.error.reason == "internal-error"
    last = json.loads((tmp_path / "state" / "events.jsonl").read_text().splitlines()[-1])
    assert last["message"].startswith("RuntimeError: secret row 7 (gate/test_ledger.py, line ")
    (record,) = (one for one in caplog.records if one.name == "client.failures")
    assert record.getMessage() == f"{site.name} failed: {last['message']}"
    assert record.exc_info  # the site's terminal has the traceback, too
