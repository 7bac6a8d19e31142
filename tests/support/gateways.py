"""A gateway in the test's own process, on a release of an untrained heart model, and a caller of it."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from calyx.serving.app import make_app
from calyx.serving.caller import Caller
from calyx.serving.config import ServeConfig
from calyx.serving.gateway import Gateway
from calyx.serving.log_opening import open_log
from calyx.serving.refusals import Refused
from calyx.serving.running import Running, Watcher
from calyx.serving.served import make_served
from calyx.serving.swap import Releases, floor_of, raise_floor, read_floor
from support.releases import SIGNERS, make_release

HEART_ROW = {
    "age": 63,
    "sex": 1,
    "cp": 1,
    "trestbps": 145,
    "chol": 233,
    "fbs": 1,
    "restecg": 2,
    "thalach": 150,
    "exang": 0,
    "oldpeak": 2.3,
    "slope": 3,
    "ca": 0,
    "thal": 6,
}


class Everybody:
    """Doors at which whoever says a name is known, and whoever says none is not."""

    def authorize(self, request, scope):
        name = request.headers.get("authorization", "")
        if not name:
            raise Refused(401, "Who asks?", "Say it.")
        return Caller(name, frozenset([scope]))

    def spend(self, caller, rows):
        if rows > 100:
            raise Refused(429, "Too many", "Come back.", retry_after_s=60)


@dataclass
class Asked:
    """A gateway, the folder it serves, and what it has said to its operator."""

    gateway: Gateway
    watcher: Watcher
    folder: Path
    client: httpx.AsyncClient
    said: list[str]

    async def predict(self, *rows, **named):
        return await self.client.post("/v1/predict", json={"rows": rows}, **named)


@contextmanager
def gateway_on(folder, doors=None, **changed):
    """A gateway of the releases in `folder / "releases"`, one of which is made if there are none."""
    releases, said = folder / "releases", []
    if not releases.exists():
        releases.mkdir()
        make_release(releases / "heart-1")
    cfg = replace(ServeConfig(state_dir=str(folder / "state")), **changed)
    looked = Releases(releases, SIGNERS)
    (folder / "state").mkdir(exist_ok=True)
    release = looked.choose(read_floor(folder / "state"))
    raise_floor(folder / "state", floor_of(release))
    served = make_served(release, cfg)
    with open_log(cfg.log, folder / "state", release.digest) as decisions:
        doors = doors or Everybody()
        gateway = Gateway(cfg, served, doors, decisions)
        running = Running(cfg, looked, doors, None, 1, said.append)
        transport = httpx.ASGITransport(make_app(gateway), raise_app_exceptions=False)
        client = httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers={"authorization": "ward 3"}
        )
        yield Asked(gateway, Watcher(gateway, running), releases, client, said)
