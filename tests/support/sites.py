"""Clients in this process that remember, as sites on machines of their own do."""

from client import ledger, memory
from client.config import node_config
from support.federation import Federation

RUN = ("privacy=secagg", "task.num_clients=6", "rounds=2")


class Sites(Federation):
    """Clients with a state folder each, as on machines of their own."""

    def __init__(self, folder, *overrides):
        super().__init__(*RUN, *overrides, "engine=superlink")
        memory._open.clear()
        ledger.open_ledger.cache_clear()
        self._folder = folder
        self.give_roster(self.identities.roster)

    def give_roster(self, roster):
        """Each site pins this one from now on."""
        for name, node in self.nodes.items():
            section = self.plan.run.client | {"state_dir": str(self._folder / name)}
            keys = (self.identities.private[name], roster)
            self.inner._contexts[node].node_config.update(node_config(name, section, keys))

    def restart(self, name):
        """A client's process is gone, and with it its memory."""
        for key in [key for key in memory._open if key[0] == self.nodes[name]]:
            del memory._open[key]
