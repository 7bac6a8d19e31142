"""A round in which nobody does anything: a thousand messages out, a thousand replies in.

`python -m benchmarks.engine.noop CLIENTS WORKERS ROUNDS` prints the seconds of each round as JSON.
Each client answers with its name, by the same app and the same grid as in a run.
"""

import json
import sys
import time

from flwr.app import Message, RecordDict

from calyx.composing.compose import compose, resolve
from calyx.data.names import client_names
from calyx.simulation.clients import Account
from calyx.simulation.embedded import EmbeddedGrid
from calyx.simulation.identities import throw_away
from calyx.simulation.workers import WorkerPool
from calyx.wire import messages as wire
from server.config import read_run


class _Nobody:
    """Looks on and does nothing."""

    def on_answer(self, client: str, account: Account) -> None:
        """Nothing."""

    def on_death(self, client: str, reason: str) -> None:
        """Nothing."""

    def on_progress(self, kind: str, done: int, total: int) -> None:
        """Nothing."""


def main(clients: str, workers: str, rounds: str) -> None:
    """Ask everybody, `rounds` times."""
    section = read_run(resolve(compose(["privacy=none"]))).client
    nobody = throw_away(client_names(int(clients)), is_encrypted=False)
    seconds = []
    with WorkerPool(int(workers)) as pool:
        grid = EmbeddedGrid(pool, nobody, section, _Nobody())
        nodes = list(grid.get_node_ids())
        for _ in range(int(rounds)):
            started = time.perf_counter()
            asked = [Message(RecordDict(), node, wire.NAME_QUERY) for node in nodes]
            replies = list(grid.send_and_receive(asked))
            if len(replies) != len(nodes) or any(reply.has_error() for reply in replies):
                raise SystemExit("a client did not answer")
            seconds.append(time.perf_counter() - started)
    json.dump(seconds, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
