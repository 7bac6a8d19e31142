"""What a task of `NamedClients` refuses before a row is read. See docs/decisions/0051."""

from collections.abc import Sequence

from calyx.errors import ConfigError, printable


def refuse_stranger(task: str, client: str, clients: Sequence[str]) -> None:
    """Raise ConfigError unless the client is one of those that a task with its own rows has."""
    if client not in clients:
        raise ConfigError(
            f"task={task} has no client {printable(client, 60)}; it has {clients[0]} … {clients[-1]}."
        )
