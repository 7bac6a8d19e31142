"""Ask clients the question `hits`, which nothing here imports, and print what they answer as JSON."""

import json
from dataclasses import replace

from flwr.app import ConfigRecord, Message
from support.clients import Clients, code_of
from support.federation import Federation

from calyx.cli.site_file import task_template
from calyx.cli.stages import progress_line
from calyx.model.weights import hash_weights
from calyx.wire import messages as wire
from calyx.wire import records
from client.gate.looseness import looser
from server.exchange.cohort_grid import CohortGrid

LISTED = "client.policy.questions=[statistics,train,evaluate,test,hits]"


def figures(federation, kind):
    """What is said of the sums of one exchange with everybody."""
    content = wire.strategy_content(records.weights_record(federation.template), ConfigRecord())
    messages = [Message(content, node, "query") for node in federation.nodes.values()]
    outcome = CohortGrid(federation.setting, federation.exchange(kind)).attempt(messages).outcome
    assert not outcome.dropped, outcome.dropped
    return outcome.figures(federation.setting.contents).values


def refusals(federation):
    """What a client says to an order of the question, to the next ones, and where it is not listed."""
    clients = Clients(federation)
    name, order = clients.names[0], clients.order(kind="hits")
    other = {key: value + 1 for key, value in federation.template.items()}
    later = clients.order(kind="hits", round=2, weights=hash_weights(other))
    clients.advance(order, 2)  # masked vectors have left
    unlisted = clients.fresh(name, policy=clients.section["policy"] | {"questions": None})
    replies = {
        "the same model": clients.ask(name, clients.order(kind="hits", run="another")),
        "another model": clients.ask(name, later, other),
        "not listed": clients.ask(name, order, context=unlisted),
    }
    return {what: code_of(reply) for what, reply in replies.items()}


def looser_than_usual():
    """What `calyx doctor site` says of a policy that lists the question."""
    template = task_template("csv")
    policy = replace(template.policy, questions=("train", "hits"))
    return [one.sentence for one in looser(policy, template, 5)]


federation = Federation("privacy=secagg", "task.num_clients=5", LISTED)
answers = {
    "hits": figures(federation, "hits")["accuracy"],
    "test": figures(federation, "test")["accuracy"],
    "shown": progress_line("query.hits", 2, 5),
    "refused": refusals(federation),
    "looser": looser_than_usual(),
}
print(json.dumps(answers))
