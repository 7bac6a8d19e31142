"""Clients in this process that remember, as sites on machines of their own do."""

from dataclasses import replace

from calyx.secagg.keys import identity_of
from calyx.secagg.roster import make_roster, write_roster
from client.config import node_config
from client.gate import ledger, memory
from support.federation import Federation
from support.taps import Tap

RUN = ("privacy=secagg", "task.num_clients=6", "rounds=2")


class Sites(Federation):
    """Clients with a state folder each, as on machines of their own."""

    def __init__(self, folder, *overrides):
        super().__init__(*RUN, *overrides, "engine=superlink")
        memory._open.clear()
        ledger.open_ledger.cache_clear()
        self._folder = folder
        self._start()

    def _start(self):
        for name, node in self.nodes.items():
            section = self.plan.run.client | {"state_dir": str(self._folder / name)}
            keys = self.identities.keys_of(name)
            self.inner.clients.context_of(node, None).node_config.update(
                node_config(name, section, keys)
            )

    def restart(self, name):
        """A client's process is gone, and with it its memory."""
        for key in [key for key in memory._open if key[0] == self.nodes[name]]:
            del memory._open[key]

    def pin(self, version, names):
        """The consortium signs another version of the roster, and all pin it."""
        keys = {name: identity_of(self.identities.private_of(name)) for name in names}
        roster = write_roster(make_roster(keys, version, bytes(32)))
        self.identities = replace(self.identities, roster=roster)
        self._start()

    def without(self, *names):
        """The grid, to which these are not connected."""
        grid, away = Tap(self.inner), {self.nodes[name] for name in names}
        grid.get_node_ids = lambda: [n for n in self.inner.get_node_ids() if n not in away]
        return grid
