"""A server that dies inside an exchange, with clients that remember what they have answered."""

import json

import pytest
from support.federation import Federation
from support.sites import RUN, Sites
from support.taps import Tap, run_server, stage_of

from calyx.errors import RoundFailed, UserError
from calyx.files.plain import read_lines
from calyx.secagg.roster import make_roster, read_roster, write_roster
from client.gate import ledger, memory
from server.exchange.underway import Underway


class Died(BaseException):
    """kill -9 of the server."""


@pytest.fixture(autouse=True)
def fresh_memory():
    yield
    memory._open.clear()
    ledger.open_ledger.cache_clear()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The models' hashes of runs in which nobody dies, by mode of evaluation."""
    found = {}
    for evaluate in ("with_training", "separate"):
        folder = tmp_path_factory.mktemp("whole")
        federation = Federation(*RUN, f"evaluate={evaluate}")
        run_server(federation, federation.inner, folder / "run")
        found[evaluate] = summary(folder / "run")["model_sha256"]
    return found


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def dying_at(tap, exchange, stage, when):
    """Let the server die in the n-th exchange, before a stage's requests or after its replies."""
    seen = []

    def reaches(message):
        if stage_of(message) == 0 and message.content not in seen:
            seen.append(message.content)
        return len(seen) == exchange and stage_of(message) == stage

    def request(message):
        if reaches(message) and when == "before":
            raise Died
        return message

    def reply(message, answer):
        if reaches(message) and when == "after":
            raise Died
        return answer

    tap.request, tap.reply = request, reply


def die(federation, folder, where):
    tap = Tap(federation.inner)
    dying_at(tap, *where)
    with pytest.raises(Died):
        run_server(federation, tap, folder)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("stage", range(5))
def test_a_run_whose_server_dies_at_any_stage_goes_on_to_the_same_bytes(
    tmp_path, undisturbed, stage, when
):
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (2, stage, when))
    run_server(federation, federation.inner, tmp_path / "run", resume=True)
    found = summary(tmp_path / "run")
    assert found["model_sha256"] == undisturbed["with_training"]
    assert len(read_lines(tmp_path / "run" / "rounds.jsonl")) == 2


@pytest.mark.parametrize("exchange", [1, 2, 5])  # a training, an evaluation, the test
def test_so_it_does_when_models_are_evaluated_separately(tmp_path, undisturbed, exchange):
    federation = Sites(tmp_path, "evaluate=separate")
    die(federation, tmp_path / "run", (exchange, 4, "after"))
    run_server(federation, federation.inner, tmp_path / "run", resume=True)
    assert summary(tmp_path / "run")["model_sha256"] == undisturbed["separate"]


def test_it_may_die_again_and_again(tmp_path, undisturbed):
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (1, 3, "after"))
    for stage in (2, 4, 3):
        tap = Tap(federation.inner)
        dying_at(tap, 1, stage, "after")
        with pytest.raises(Died):
            run_server(federation, tap, tmp_path / "run", resume=True)
    run_server(federation, federation.inner, tmp_path / "run", resume=True)
    assert summary(tmp_path / "run")["model_sha256"] == undisturbed["with_training"]


@pytest.mark.parametrize("stage", [2, 3])
def test_a_client_that_was_restarted_meanwhile_answers_the_next_attempt(
    tmp_path, undisturbed, stage
):
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (2, stage, "after"))
    federation.restart(next(iter(federation.nodes)))
    run_server(federation, federation.inner, tmp_path / "run", resume=True)
    assert summary(tmp_path / "run")["model_sha256"] == undisturbed["with_training"]


def test_a_sum_that_too_few_can_give_up_ends_the_run_in_words_and_changes_nothing(tmp_path):
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (2, 2, "after"))
    for name in list(federation.nodes)[:3]:
        federation.restart(name)
    before = {p: p.read_bytes() for p in (tmp_path / "run" / "checkpoints").rglob("*.json")}
    with pytest.raises(RoundFailed, match="3 of 4 clients gave up the sum of round 2"):
        run_server(federation, federation.inner, tmp_path / "run", resume=True)
    after = {p: p.read_bytes() for p in (tmp_path / "run" / "checkpoints").rglob("*.json")}
    assert before == after


def test_what_is_on_disk_is_masked_or_public(tmp_path):
    """Nothing but what the wire shows: no plain vector, no share that a client had not sent."""
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (2, 4, "before"))
    kept = (tmp_path / "run" / "underway").read_bytes()
    secrets = [opened.session for opened in memory._open.values()]
    assert secrets
    for session in secrets:
        assert session.own_share not in kept
        assert not [
            both for both in session.held.values() if both[:33] in kept or both[33:] in kept
        ]


@pytest.mark.parametrize("damage", [b"", b"x", b"\x04\0\0\0nul", b"\x02\0\0\0{}"])
def test_a_damaged_record_is_one_sentence(tmp_path, damage):
    federation = Sites(tmp_path)
    roster = read_roster(federation.identities.roster)
    path = tmp_path / "underway"
    path.write_bytes(damage)
    with pytest.raises(RoundFailed, match="is damaged"):
        Underway(path, "run", roster)


def test_a_record_of_another_run_or_round_is_passed_over(tmp_path):
    federation = Sites(tmp_path)
    roster = read_roster(federation.identities.roster)
    underway, exchange = Underway(tmp_path / "underway", "run", roster), federation.exchange()
    assert underway.find(exchange) is None
    underway.note_order(exchange)
    assert underway.begun is None  # it is this server's own
    again = Underway(tmp_path / "underway", "run", roster)
    assert again.find(exchange).attempt == 1
    assert again.find(federation.exchange("evaluate")) is None
    assert Underway(tmp_path / "underway", "other", roster).find(exchange) is None
    newer = read_roster(write_roster(make_roster(dict(roster.clients), 2, bytes(32))))
    assert not Underway(tmp_path / "underway", "run", newer).is_bound(again.begun)


@pytest.mark.parametrize("stage", [2, 3, 4])
def test_fewer_rounds_cannot_leave_a_training_undone(tmp_path, undisturbed, stage):
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (2, stage, "after"))
    with pytest.raises(UserError, match="Round 2 is under way at the sites"):
        run_server(federation, federation.inner, tmp_path / "run", resume=True, rounds=1)
    run_server(federation, federation.inner, tmp_path / "run", resume=True)
    assert summary(tmp_path / "run")["model_sha256"] == undisturbed["with_training"]


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
@pytest.mark.parametrize("exchange", [3, 4])  # the last model's evaluation, and the test
def test_more_rounds_first_end_what_was_begun(tmp_path, exchange, stage):
    federation = Sites(tmp_path)
    die(federation, tmp_path / "run", (exchange, stage, "after"))
    run_server(federation, federation.inner, tmp_path / "run", resume=True, rounds=3)
    assert summary(tmp_path / "run")["rounds"] == 3


def test_a_longer_run_whose_best_model_stays_the_same_tests_it_once(tmp_path):
    federation = Sites(tmp_path, "training.lr=5", "stopping.monitor=val_loss")
    run_server(federation, federation.inner, tmp_path / "run")
    before = summary(tmp_path / "run")
    run_server(federation, federation.inner, tmp_path / "run", resume=True, rounds=3)
    after = summary(tmp_path / "run")
    assert before["best_round"] == after["best_round"]
    assert before["test_confusion"] == after["test_confusion"]
    assert after["rounds"] == 3


def test_a_longer_run_that_fails_at_once_is_still_the_finished_one(tmp_path):
    federation = Sites(tmp_path)
    run_server(federation, federation.inner, tmp_path / "run")
    before = summary(tmp_path / "run")
    tap = Tap(federation.inner)
    dying_at(tap, 1, 0, "before")
    with pytest.raises(Died):
        run_server(federation, tap, tmp_path / "run", resume=True, rounds=3)
    assert summary(tmp_path / "run") == before


@pytest.mark.parametrize("stage", [2, 4])
def test_so_it_does_where_a_drawn_cohort_trains_and_everybody_validates(tmp_path, stage):
    words = ("cohort_size=5", "rounds=3")
    whole = Federation(*RUN, *words)
    run_server(whole, whole.inner, tmp_path / "whole")
    federation = Sites(tmp_path, *words)
    die(federation, tmp_path / "run", (4, stage, "after"))  # round 2's evaluation
    run_server(federation, federation.inner, tmp_path / "run", resume=True)
    found = summary(tmp_path / "run")
    assert found["model_sha256"] == summary(tmp_path / "whole")["model_sha256"]
    rows = read_lines(tmp_path / "run" / "rounds.jsonl")
    assert [row["validated_on"]["clients"] for row in rows] == [6, 6, 6]
