"""A server app that puts chosen questions to every site and writes down all that it sees of the replies.

It takes the place of Calyx's own server app on the operator's machine; sites run their installed
code and cannot tell. Run as a program it submits such a run:
`python timing_server.py CONTROL_PORT AUTHORITY JOB OUT`.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from calyx.flower.bell import app_bell
from calyx.flower.messages import Operator
from calyx.questions.registry import question_of
from calyx.wire import messages as wire
from server.exchange.nodes import read_nodes

LOOK_S = 0.2  # between two looks for replies where nobody rings; a look costs a SuperLink 40 ms
PATIENCE_S = 60.0

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask the questions of the job one after another; a row of each reply goes to a file."""
    job = json.loads(str(context.run_config["config"]))
    names = {node: name for name, node in read_nodes(grid, PATIENCE_S).items()}
    rows = []
    for number, question in enumerate(json.loads(Path(job["questions"]).read_text())):
        for row in _ask(grid, question, names):
            rows.append({"question": number} | row)
        time.sleep(LOOK_S)
    Path(job["out"]).write_text(json.dumps(rows))


def _ask(grid: Grid, question: dict[str, Any], names: dict[int, str]) -> Iterator[dict[str, Any]]:
    weights = {name: np.array(v, np.float32) for name, v in question["weights"].items()}
    asked = {}
    content = wire.order_content(weights, question["order"])
    messages = [Message(content, node, question_of("train").message_type) for node in names]
    sent, started = time.time(), time.monotonic()
    for number, message in zip(grid.push_messages(messages), messages, strict=True):
        asked[number] = message
    bell = app_bell()
    if bell is not None:
        bell.ring()
    rank, deadline = 0, started + PATIENCE_S
    while asked and time.monotonic() < deadline:
        for reply in grid.pull_messages(list(asked)):
            about, own = reply.metadata, asked.pop(reply.metadata.reply_to_message_id).metadata
            yield {
                "site": names[about.src_node_id],
                "sent": sent,
                "arrived_s": time.monotonic() - started,
                "rank": rank,
                "created_s": about.created_at - own.created_at,
                "lifetime_s": own.ttl - about.ttl,
                "code": wire.failure_reason(reply) if reply.has_error() else None,
            }
            rank += 1
        if asked and bell is not None:
            bell.wait(LOOK_S, 1)
        elif asked:
            time.sleep(LOOK_S)
    if asked:
        raise RuntimeError(f"{len(asked)} sites did not answer")


def submit(control_port: str, authority: str, job: str, out: str) -> None:
    """Start it, and wait for its end."""
    from calyx.flower.bundle import bundle

    operator = Operator(f"127.0.0.1:{control_port}", Path(authority))
    paths = {"questions": str(Path(job).absolute()), "out": str(Path(out).absolute())}
    run_id = operator.start(bundle(), {"config": json.dumps(paths)})
    while operator.status(run_id)[0] != "finished":
        time.sleep(0.5)
    if operator.status(run_id)[1] != "completed":
        raise SystemExit(operator.status(run_id)[2])


if __name__ == "__main__":
    submit(*sys.argv[1:])
