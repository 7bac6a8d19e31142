"""The engine `ray`: the same apps on Flower's own simulation, for a cluster of machines; an extra.

It knows no algorithm and no round. What is Flower's or Ray's is in `calyx/flower/ray.py`.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flwr.app import Context, Message
from flwr.serverapp import Grid

from calyx.config.section import Section
from calyx.flower.bundle import code_hash
from calyx.flower.messages import as_task
from calyx.machine.proxies import past_proxies
from calyx.simulation.delivery import Onlooker
from calyx.simulation.engine import RayConfig
from calyx.simulation.identities import Identities
from calyx.simulation.planning import Plan
from calyx.wire.messages import engine_failure
from client.config import node_config

PARTITION = "partition-id"  # which client a simulated node is, from 0; Flower's key


@dataclass(frozen=True)
class SimulatedClients:
    """All clients as one app, which an actor gets with each message: the partition says which."""

    identities: Identities
    section: Section  # `client` of the config
    code: str  # hash of the launcher's; another machine must not train with other code
    store: Path  # of what strategies keep; machines of a cluster must share it

    def __call__(self, message: Message, context: Context) -> Message:
        """In an actor: be the client of this context, whose state goes back with the reply."""
        from client.app import app

        as_task(context.run_id, context.node_id)
        if _code_here() != self.code:
            return engine_failure("its machine has other code than the launcher", message)
        name = self.identities.clients[int(context.node_config[PARTITION])]
        config = dict[str, str | int | float | bool](
            node_config(name, self.section, self.identities.keys_of(name), self.store)
        )
        own = Context(
            context.run_id, context.node_id, config, context.state, dict(context.run_config)
        )
        return app(message, own)


@lru_cache(maxsize=1)
def _code_here() -> str:
    return code_hash()


@contextmanager
def open_grid(
    plan: Plan,
    engine: RayConfig,
    identities: Identities,
    onlooker: Onlooker,
    run_id: int,
    *,
    store: Path,
) -> Iterator[Grid]:
    """A grid over Ray's actors for a run, whose clients keep what they need in the folder `store`.

    Raises CalyxError; leaving it ends what it started.
    """
    _settle_environment(is_ours=engine.address is None)
    from calyx.flower.ray import Cluster, Simulation  # late: it imports Ray

    workers = engine.count(len(plan.task.clients))
    clients = SimulatedClients(identities, plan.run.client, code_hash(), store.absolute())
    simulation = Simulation(
        Cluster(engine.address, workers),
        clients,
        len(identities.clients),
        run_id,
        onlooker.on_progress,
    )
    with simulation as grid:
        yield grid


def _settle_environment(*, is_ours: bool) -> None:
    """What Ray reads when it is imported; its processes inherit it."""
    os.environ.update(past_proxies(os.environ))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Clients see the machine's GPUs, as in the embedded engine; Ray would hide them.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # What Ray's own processes say of a client that died: events.jsonl says it, in our words.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    if is_ours and "RAY_AUTH_MODE" not in os.environ:
        # Ray's ports are open to the network, and who reaches them runs code: it needs our token.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
