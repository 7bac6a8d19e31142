"""The same no-op stage with stock Flower: its SuperLink, SuperNodes and `send_and_receive`.

Run as a program it registers nodes with a SuperLink, or submits a run to it:
`python stock.py register PORT AUTHORITY KEY…`, `python stock.py submit PORT AUTHORITY OUT COUNT SITES`.
"""

import json
import sys
import time
from pathlib import Path

from calyx.flower.messages import Operator, build_bundle

PROJECT = """\
[project]
name = "stock-noop"
version = "1.0.0"
license = { file = "LICENSE" }
dependencies = ["flwr>=1.41,<1.42"]
[tool.flwr.app]
publisher = "calyx"
fab-format-version = 1
flwr-version-target = "1.41.0"
[tool.flwr.app.components]
serverapp = "stock_noop:server"
clientapp = "stock_noop:client"
[tool.flwr.app.config]
config = ""
"""
APP = """\
import json
import time
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

server, client = ServerApp(), ClientApp()


@server.main()
def main(grid, context):
    job = json.loads(context.run_config["config"])
    seconds = []
    while len(list(grid.get_node_ids())) < job["sites"]:
        time.sleep(0.2)
    for _ in range(job["count"]):
        started = time.monotonic()
        asked = [Message(RecordDict(), node, "query") for node in grid.get_node_ids()]
        replies = list(grid.send_and_receive(asked, timeout=120))
        assert len(replies) == job["sites"] and not any(m.has_error() for m in replies), replies
        seconds.append(time.monotonic() - started)
    Path(job["out"]).write_text(json.dumps(seconds))


@client.query()
def answer(message, context):
    return Message(RecordDict(), reply_to=message)
"""


def register(port: str, authority: str, *keys: str) -> None:
    """Let the owners of these public keys connect. Raises where the SuperLink is not up."""
    operator = Operator(f"127.0.0.1:{port}", Path(authority))
    for key in keys:
        operator.register(Path(key).name, Path(key).read_bytes())


def submit(port: str, authority: str, out: str, count: str, sites: str) -> None:
    """Start the run, and wait for its end."""
    operator = Operator(f"127.0.0.1:{port}", Path(authority))
    files = {"pyproject.toml": PROJECT.encode(), "stock_noop.py": APP.encode()}
    bundle = build_bundle(files | {"LICENSE": b"x", "README.md": b"x"})
    job = {"out": str(Path(out).absolute()), "count": int(count), "sites": int(sites)}
    run_id = operator.start(bundle, {"config": json.dumps(job)})
    while operator.status(run_id)[0] != "finished":
        time.sleep(0.5)
    if operator.status(run_id)[1] != "completed":
        raise SystemExit(operator.status(run_id)[2])


if __name__ == "__main__":
    if sys.argv[1] == "register":
        register(*sys.argv[2:])
    else:
        submit(*sys.argv[2:])
