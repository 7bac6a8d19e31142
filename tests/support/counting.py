"""A Flower ClientApp that is not ours: its clients count their messages, and may kill their process.

The environment's DIES names a file of a node and when its process dies: `2 once` or `2 always`.
"""

import os
import signal
from pathlib import Path

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query()
def count(message, context):
    """How many messages this client has had, by its state and by what it keeps in its process."""
    die(context.node_id)
    seen = int(context.state["seen"]["n"]) + 1 if "seen" in context.state else 1
    context.state["seen"] = ConfigRecord({"n": seen})
    context.kept["seen"] = kept = context.kept.get("seen", 0) + 1
    message.content["mine"] = ConfigRecord()  # another client's must not have it
    assert set(message.content) == {"mine"}
    return Message(RecordDict({"n": ConfigRecord({"n": seen, "kept": kept})}), reply_to=message)


def die(node):
    """Kill this process, if that is this client's lot now."""
    path = Path(os.environ.get("DIES", "nowhere"))
    who, _, often = path.read_text().partition(" ") if path.exists() else ("", "", "")
    if who == str(node):
        if often == "once":
            path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
