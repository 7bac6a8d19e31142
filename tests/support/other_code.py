"""Submit, as a hostile operator would, a run whose bundle is not the installed code."""

import json
import sys
import time
from pathlib import Path

from calyx.composing.compose import compose, resolve
from calyx.flower.messages import Operator, build_bundle
from server.job import Engine, to_run_config

TEXT = """\
[project]
name = "x"
version = "1.0.0"
license = { file = "LICENSE" }
dependencies = ["flwr>=1.41,<1.42"]
[tool.flwr.app]
publisher = "x"
fab-format-version = 1
flwr-version-target = "1.41.0"
[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "evil:app"
[tool.flwr.app.config]
config = ""
"""


def main(control_port, roster, *overrides):
    """Start it, wait for its end, and print Flower's id, how it ended and in which words."""
    operator = Operator(f"127.0.0.1:{control_port}", Path("keys/ca.crt"))
    files = {"pyproject.toml": TEXT.encode(), "evil.py": b"raise SystemExit"}
    evil = build_bundle(files | {"LICENSE": b"x", "README.md": b"x"})
    config = resolve(compose([*overrides, "engine=superlink"]))
    text = Path(roster).read_text()
    engine = Engine(name="superlink", clients_remember=True)
    job = to_run_config(config, Path("evil"), resume=False, roster=text, engine=engine)
    run_id = operator.start(evil, job)
    deadline = time.monotonic() + 90
    while operator.status(run_id)[0] != "finished" and time.monotonic() < deadline:
        time.sleep(0.5)
    print(json.dumps([run_id, *operator.status(run_id)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
