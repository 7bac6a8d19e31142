"""Who is there: stable client names and the nodes that carry them in this run. See docs/decisions/0007."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from calyx.errors import CalyxError, WireError
from calyx.flower.replies import registered_names, send_and_wait
from calyx.wire import messages as wire

log = logging.getLogger(__name__)
Nodes = Mapping[str, int]  # client name → Flower node id, sorted by name


@runtime_checkable
class KnowsClients(Protocol):
    """A grid that knows by itself which client each node is, as one process that plays all of them does.

    Its mapping may be arithmetic, and hold nobody (decision 0077).
    """

    @property
    def client_nodes(self) -> Nodes:
        """All clients."""


def read_nodes(grid: Grid, deadline_s: float) -> Nodes:
    """Who is there: of a grid that knows nobody by name, every node is asked.

    Raises CalyxError if none answers or two give the same name.
    """
    if isinstance(grid, KnowsClients):
        return grid.client_nodes
    questions = [
        Message(RecordDict(), node, wire.NAME_QUERY) for node in sorted(grid.get_node_ids())
    ]
    replies = send_and_wait(grid, questions, deadline_s)
    answers = [m for m in replies if m.has_content()]
    named = []
    for message in answers:
        try:
            named.append((wire.read_name(message), message.metadata.src_node_id))
        except WireError as error:  # one client's nonsense is its own failure
            log.warning("Node %s is left out: %s", message.metadata.src_node_id, error)
    named = _without_borrowed(named, registered_names(grid))
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise CalyxError(
            f"Two nodes call themselves {min(twice)}; give each client a name of its own."
        )
    if not named:
        said = {wire.failure_reason(m) for m in replies if m.has_error()}
        reason = f" ({', '.join(sorted(said))})" if said else ""
        raise CalyxError(
            f"No client answered{reason}; see that clients are connected, and start again."
        )
    return dict(sorted(named))


def _without_borrowed(
    named: list[tuple[str, int]], registered: dict[int, str]
) -> list[tuple[str, int]]:
    """Names with nodes, without those that call themselves like one whose key has that name.

    `registered` is what the operator calls each node: a member cannot end a run by another's name.
    """
    owners = {name for name, node in named if registered.get(node) == name}
    kept = [
        (name, node) for name, node in named if name not in owners or registered.get(node) == name
    ]
    for name, node in sorted(set(named) - set(kept)):
        log.warning("Node %s is left out: it calls itself %s, and another's key is.", node, name)
    return kept
