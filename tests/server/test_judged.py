"""What a server makes of an evaluation's sums, over the real clients of a small federation."""

import numpy as np
import pytest
from flwr.serverapp.strategy import FedAvg
from support.federation import Federation

from server.exchange.exchange import total_counts


@pytest.fixture(scope="module")
def federation():
    return Federation()


def evaluated(federation, weights, groups=None):
    """The outcome of an evaluation of these weights, and the replies that a strategy sees."""
    strategy = FedAvg(min_evaluate_nodes=1, min_available_nodes=1)
    exchange = federation.exchange("evaluate", groups)
    answer = federation.attempt(strategy, exchange, weights=weights)
    return answer.outcome, answer.evaluated


def test_a_model_that_diverges_drops_nobody_and_has_no_figures(federation):
    weights = {k: np.full_like(v, 1e38) for k, v in federation.template.items()}
    outcome, replies = evaluated(federation, weights)
    assert outcome.dropped == {}
    found = outcome.figures(federation.setting.contents)
    rows = outcome.populations(federation.setting.contents)[""].rows
    assert found.absent["loss"] == f"{rows} of {rows} rows have an output that is not finite"
    assert found.values == {"loss": None, "accuracy": None}
    assert [next(iter(reply.content.metric_records.values())) for reply in replies] == [
        {"num-examples": rows}
    ]


def test_figures_are_the_same_in_one_group_and_in_several(federation):
    one, _ = evaluated(federation, federation.template)
    groups = tuple((name,) for name in federation.nodes)
    several, replies = evaluated(federation, federation.template, groups=groups)
    contents = federation.setting.contents
    assert one.figures(contents) == several.figures(contents)
    assert one.populations(contents)[""] == several.populations(contents)[""]
    assert len(replies) == 3


def test_whose_rows_they_are_is_part_of_the_population(federation):
    whole, _ = evaluated(federation, federation.template)
    few, _ = evaluated(federation, federation.template, groups=(("client-00", "client-01"),))
    contents = federation.setting.contents
    assert whole.populations(contents)[""].who != few.populations(contents)[""].who
    assert sum(whole.populations(contents)[""].labels) == total_counts(whole.evaluated)["rows"][0]
