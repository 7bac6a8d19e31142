"""A strategy sees exactly the cohort and one reply a group; Flower's own need not know."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg
from support.federation import Federation

from calyx.errors import CalyxError
from calyx.flower.messages import rebuild_message
from calyx.machine.hardware import Hardware
from calyx.model.weights import initial_model, load_into, weights_of
from calyx.questions.registry import question_of
from calyx.questions.segments import Inquiry
from calyx.vector.figures import IMPOSSIBLE
from calyx.wire import messages as wire
from calyx.wire import records
from client.learning.training import LocalJob, train
from client.rows.data import prepare_rows
from server.exchange.cohort_grid import CohortGrid
from server.exchange.exchange import TooFewReplies, total_counts
from strategies.algorithm import NoKeys
from strategies.base import AlgorithmStrategy
from strategies.fedavg import FedAvg as OurFedAvg
from strategies.local import LocalObjective


@pytest.fixture(scope="module")
def federation():
    return Federation("privacy.clip=1.0")  # nothing is cut, so that means are those by hand


@pytest.fixture(scope="module")
def plain(federation):
    """Weights and examples of each client, trained by hand without any grid."""
    run, found = federation.plan.run, {}
    for name in federation.nodes:
        participant = prepare_rows(
            federation.setting.terms, federation.plan.preprocessing, name, None
        )
        model = initial_model(participant.task, participant.num_inputs, run.seed)
        load_into(model, federation.template)
        job = LocalJob(
            run.training, LocalObjective(), Hardware("cpu", 1, "float32", True), run.seed, 1, name
        )
        train(model, participant.parts["train"], participant.parts["validation"], job)
        found[name] = (weights_of(model), len(participant.parts["train"]))
    return found


def mean(plain, w_max):
    weights = [min(n, w_max) for _, n in plain.values()]
    return {
        k: np.average([w[k] for w, _ in plain.values()], axis=0, weights=weights)
        for k in next(iter(plain.values()))[0]
    }


def train_round(federation, strategy, exchange, setting=None):
    answer = federation.attempt(strategy, exchange, setting)
    aggregated, metrics = strategy.aggregate_train(1, answer.trained)
    return records.read_weights(aggregated, federation.template), metrics, answer


def ours(federation):
    return AlgorithmStrategy(OurFedAvg(NoKeys()), federation.template)


def theirs(cls=FedAvg, **settings):
    return cls(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1, **settings)


def test_one_reply_is_the_weighted_mean_of_the_clients_plain_updates(federation, plain):
    weights, metrics, answer = train_round(federation, ours(federation), federation.exchange())
    expected = mean(plain, federation.setting.contents.w_max)
    assert len(answer.trained) == 1
    for name in weights:
        np.testing.assert_allclose(weights[name], expected[name], atol=1e-5)
        assert abs(weights[name] - federation.template[name]).max() > 1e-3
    assert 0 < metrics["train_loss"] < 5


@pytest.mark.parametrize("groups", [1, 3])
def test_flowers_fedavg_gives_what_ours_gives(federation, groups):
    names = tuple(federation.nodes)
    exchange = federation.exchange(
        groups=(names,) if groups == 1 else tuple((name,) for name in names)
    )
    mine, _, _ = train_round(federation, ours(federation), exchange)
    flower, metrics, answer = train_round(federation, theirs(), exchange)
    assert len(answer.trained) == groups
    for name in mine:
        np.testing.assert_allclose(flower[name], mine[name], atol=1e-6)
    assert "train_loss" in metrics


def test_flowers_fedadam_works_unchanged_and_its_float64_is_rounded(federation):
    weights, _, _ = train_round(federation, theirs(FedAdam, eta=0.01), federation.exchange())
    assert all(v.dtype == np.float32 for v in weights.values())


def test_an_evaluation_says_the_counts_of_all_rows(federation):
    strategy = theirs()
    answer = federation.attempt(strategy, federation.exchange("evaluate"))
    rows = sum(
        len(
            prepare_rows(federation.setting.terms, federation.plan.preprocessing, n, None).parts[
                "validation"
            ]
        )
        for n in federation.nodes
    )
    counts = total_counts(answer.outcome.evaluated)
    assert counts["rows"][0] == counts["labels"].sum() == rows
    metrics = strategy.aggregate_evaluate(1, answer.evaluated)
    assert metrics["val_accuracy"] == pytest.approx(counts["hits"][0] / rows)
    assert 0 < metrics["val_loss"] < 5


class Meddler:
    """A grid that passes messages on and changes the replies of one client."""

    def __init__(self, inner, victim, change):
        self._inner, self._victim, self._change = inner, victim, change

    def send_and_receive(self, messages, *, timeout=None):
        replies = []
        for reply in reversed(list(self._inner.send_and_receive(messages, timeout=timeout))):
            changed = self._change(reply) if reply.metadata.src_node_id == self._victim else [reply]
            replies += changed
        return replies


def meddled(federation, change, min_replies=None):
    victim = federation.nodes["client-01"]
    return federation.over(Meddler(federation.inner, victim, change), min_replies)


def spoil(reply):
    data = reply.content["vector"]["vector"].data
    reply.content["vector"]["vector"].data = data[:-4]
    return [reply]


def lie(reply):
    array = reply.content["vector"]["vector"]
    array.data = b"\xff" * len(array.data)
    return [reply]


def fail(reply):
    """An error of Flower's own in place of the reply, with words of the client's."""
    return [Message(metadata=reply.metadata, error=Error(2, "my row 5"))]


def another(reply):
    """A second answer to the same message, well-formed and different."""
    array = reply.content["vector"]["vector"]
    forged = Array(array.dtype, array.shape, array.stype, bytes(len(array.data)))
    content = RecordDict({"vector": ArrayRecord({"vector": forged})})
    return rebuild_message(reply.metadata, content)


def test_the_order_of_replies_and_a_second_reply_change_no_byte(federation):
    weights, _, _ = train_round(federation, ours(federation), federation.exchange())
    setting = meddled(federation, lambda reply: [reply, another(reply)])
    again, _, _ = train_round(federation, ours(federation), federation.exchange(), setting)
    assert all(weights[k].tobytes() == again[k].tobytes() for k in weights)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda reply: [], "no reply before the deadline"),
        (fail, "Flower's error 2"),
        (spoil, "bytes, not"),
    ],
)
def test_a_client_without_a_sound_vector_is_left_out_with_a_reason(
    federation, plain, change, reason
):
    setting = meddled(federation, change)
    weights, _, answer = train_round(federation, ours(federation), federation.exchange(), setting)
    assert list(answer.outcome.dropped) == ["client-01"]
    assert reason in answer.outcome.dropped["client-01"]
    expected = mean(
        {k: v for k, v in plain.items() if k != "client-01"}, federation.setting.contents.w_max
    )
    for name in weights:
        np.testing.assert_allclose(weights[name], expected[name], atol=1e-5)


def test_a_group_whose_sum_is_unsound_counts_as_dropped(federation):
    groups = tuple((name,) for name in federation.nodes)
    exchange = federation.exchange(groups=groups)
    _, _, answer = train_round(federation, ours(federation), exchange, meddled(federation, lie))
    assert len(answer.trained) == 2
    assert "unsound" in answer.outcome.dropped["client-01"]


def rows_more(setting, kind):
    """A client's vector in an evaluation, where it counts one row more than it has labels."""
    inquiry = Inquiry(setting.contents, setting.run.privacy, setting.terms)
    (evaluation,) = question_of(kind).segments(inquiry).evaluations
    cells = np.cumsum([c.size * evaluation.fixed.limbs(c.maximum) for c in evaluation.counts])
    place = evaluation.ends[2] + cells[[c.name for c in evaluation.counts].index("rows") - 1]

    def change(reply):
        array = reply.content["vector"]["vector"]
        residues = np.frombuffer(array.data, "<u4").copy()
        residues[place] += 1
        array.data = residues.tobytes()
        return [reply]

    return change


@pytest.mark.parametrize("kind", ["evaluate", "test"])
def test_an_evaluation_that_no_rows_can_have_loses_its_group_or_its_figures(federation, kind):
    setting = meddled(federation, rows_more(federation.setting, kind))
    apart = federation.exchange(kind, groups=tuple((name,) for name in federation.nodes))
    for exchange, lost in ((apart, ["client-01"]), (federation.exchange(kind), [])):
        outcome = federation.attempt(theirs(), exchange, setting).outcome
        assert list(outcome.dropped) == lost
    assert [odd.group for odd in outcome.odd] == [0]
    absent = outcome.figures(setting.contents).absent
    assert set(absent.values()) == {IMPOSSIBLE}


def test_too_few_replies_end_the_stage_and_say_who_is_missing(federation):
    setting = meddled(federation, spoil, min_replies=3)
    with pytest.raises(TooFewReplies, match=r"2 of 3 clients .* needs 3 \(client-01: "):
        train_round(federation, ours(federation), federation.exchange(), setting)


def test_a_strategy_sees_the_cohorts_nodes_only(federation):
    exchange = federation.exchange(groups=(("client-02", "client-00"),))
    nodes = list(CohortGrid(federation.setting, exchange).get_node_ids())
    assert nodes == [federation.nodes["client-00"], federation.nodes["client-02"]]


def test_a_strategy_that_addresses_others_or_says_different_things_is_refused(federation):
    grid = CohortGrid(federation.setting, federation.exchange())
    arrays = records.weights_record(federation.template)
    messages = list(ours(federation).configure_train(1, arrays, ConfigRecord(), grid))
    with pytest.raises(CalyxError, match="one message to each client"):
        grid.send_and_receive(messages[:2])
    other = records.weights_record({k: v + 1 for k, v in federation.template.items()})
    messages[0] = Message(
        wire.strategy_content(other, ConfigRecord()), messages[0].metadata.dst_node_id, "train"
    )
    with pytest.raises(CalyxError, match="different messages"):
        grid.send_and_receive(messages)


def test_replies_of_single_clients_cannot_be_pulled(federation):
    grid = CohortGrid(federation.setting, federation.exchange())
    with pytest.raises(NotImplementedError):
        grid.push_messages([])
    with pytest.raises(NotImplementedError):
        grid.pull_messages([])
