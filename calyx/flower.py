"""The one seam to Flower's internals; a contract test holds it. Flower is pinned to 1.41.

Everything else in Calyx uses the public `flwr.app`, `flwr.serverapp` and `flwr.clientapp` only.
"""

import logging

from flwr.app import Message, Metadata, RecordDict
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = [
    "SERVER_NODE",
    "Run",
    "as_task",
    "empty_run",
    "label_message",
    "quiet_flower",
    "rebuild_message",
]

SERVER_NODE = 1  # the node id that Flower gives its server


def as_task(run_id: int, node_id: int = SERVER_NODE) -> None:
    """Say who this process is: a `Message` cannot be made before."""
    TaskIdentity.run_id = run_id
    TaskIdentity.node_id = node_id
    TaskIdentity.task_id = node_id


def empty_run(run_id: int) -> Run:
    """A description of a run that no SuperLink knows."""
    return Run.create_empty(run_id)


def label_message(metadata: Metadata, message_id: str) -> None:
    """Give a message the id that a SuperLink would give it, so that replies can name it."""
    metadata.__dict__["_message_id"] = message_id


def rebuild_message(metadata: Metadata, content: RecordDict) -> Message:
    """A message as it was before it went through a pipe; Flower's own engines do the same."""
    # Flower's types name the public forms only.
    message: Message = Message(metadata=metadata, content=content)  # type: ignore[call-overload]
    return message


def quiet_flower() -> None:
    """Flower logs two lines a stage at INFO; ours say more. Warnings and errors remain."""
    logging.getLogger("flwr").setLevel(logging.WARNING)
