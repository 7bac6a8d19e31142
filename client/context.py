"""A client's Flower context that lives as long as the client's process does."""

from collections.abc import Mapping
from typing import Any

from flwr.app import Context, RecordDict


class LivingContext(Context):
    """A context that stays in its process from message to message, with what is kept in it.

    `state` is Flower's, and may travel. `kept` holds live objects by name and never does: in another
    process, or after this one has died, it is empty.
    """

    kept: dict[str, Any]  # whatever the client's own code wants to find again

    def __init__(self, run_id: int, node_id: int, node_config: Mapping[str, str]) -> None:
        super().__init__(run_id, node_id, dict(node_config), RecordDict(), {})
        self.kept = {}

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what is kept."""
        return vars(self) | {"kept": {}}
