"""A server app that asks every site for nothing but its name, again and again, and times it.

It takes the place of Calyx's own server app on the operator's machine; sites run their installed
code and cannot tell. Run as a program it submits such a run:
`python noop.py CONTROL_PORT AUTHORITY OUT COUNT`.
"""

import json
import sys
import time
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from calyx.flower.messages import Operator
from calyx.flower.replies import send_and_wait
from calyx.wire import messages as wire

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Write the seconds of each stage to the file that the run config names."""
    job = json.loads(str(context.run_config["config"]))
    seconds = []
    for _ in range(job["count"]):
        started = time.monotonic()
        asked = [Message(RecordDict(), node, wire.NAME_QUERY) for node in grid.get_node_ids()]
        replies = send_and_wait(grid, asked, 60.0)
        if len(replies) != job["sites"] or any(m.has_error() for m in replies):
            raise RuntimeError("a site did not answer")
        seconds.append(time.monotonic() - started)
    Path(job["out"]).write_text(json.dumps(seconds))


def submit(control_port: str, authority: str, out: str, count: str) -> None:
    """Start it, and wait for its end."""
    from calyx.flower.bundle import bundle

    operator = Operator(f"127.0.0.1:{control_port}", Path(authority))
    job = {"out": str(Path(out).absolute()), "count": int(count), "sites": len(operator.nodes())}
    run_id = operator.start(bundle(), {"config": json.dumps(job)})
    while operator.status(run_id)[0] != "finished":
        time.sleep(0.5)
    if operator.status(run_id)[1] != "completed":
        raise SystemExit(operator.status(run_id)[2])


if __name__ == "__main__":
    submit(*sys.argv[1:])
