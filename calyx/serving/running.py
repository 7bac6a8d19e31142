"""One process that serves: the event loop, the look for newer releases beside it, and how it ends.

A signal ends it in order: nothing new is taken, what is under way is answered, and the log is signed.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits
from typing_extensions import override

from calyx.errors import CalyxError, UserError
from calyx.releases.card_parts import FiguresPart
from calyx.releases.reading import Release
from calyx.serving.app import make_app
from calyx.serving.config import ServeConfig
from calyx.serving.gateway import Doors, Gateway
from calyx.serving.listening import BoundedServer
from calyx.serving.log_opening import open_log
from calyx.serving.served import Served, make_served
from calyx.serving.swap import Rejected, Releases, floor_of, raise_floor, read_floor
from calyx.serving.tls import Certificates

log = logging.getLogger(__name__)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Running:
    """What one process serves, and whom it tells."""

    cfg: ServeConfig
    releases: Releases
    doors: Doors
    certificates: Certificates | None  # None: plain HTTP
    replica: int
    say: Say  # one line to the operator

    @property
    def state_dir(self) -> Path:
        """Where it remembers."""
        return Path(self.cfg.state_dir)


def serve(running: Running, sockets: Sequence[socket.socket]) -> None:
    """Serve until a signal comes. Raises CalyxError where nothing can be served."""
    release = running.releases.choose(read_floor(running.state_dir))
    served = make_served(release, running.cfg)
    _compute_alone()
    raise_floor(running.state_dir, floor_of(release))
    with open_log(running.cfg.log, running.state_dir, release.digest, running.replica) as decisions:
        gateway = Gateway(running.cfg, served, running.doors, decisions)
        gateway.rejected = tuple(running.releases.refused.values())
        for rejected in gateway.rejected if running.replica == 1 else ():
            running.say(_say_refused(rejected, served))
        watcher = Watcher(gateway, running)
        config = make_config(running.cfg, make_app(gateway, watcher.lifespan))
        _Server(config, gateway, running).run(list(sockets))


def _compute_alone() -> None:
    """Compute in one thread: those of a linear-algebra library wait busily for one another.

    Of two replicas on two cores each takes five times the processor time otherwise.
    """
    import torch  # late, as everything that loads it: a parent of replicas forks first

    threadpool_limits(limits=1)
    torch.set_num_threads(1)


def make_config(cfg: ServeConfig, app: ASGIApp) -> uvicorn.Config:
    """What uvicorn is told; connections, TLS and how long either may take are BoundedServer's."""
    return uvicorn.Config(
        app,
        ws="none",
        proxy_headers=False,
        server_header=False,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=cfg.drain_s,
    )


class _Server(BoundedServer):
    """A server which ends with 0 when a signal has asked it to."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, running: Running) -> None:
        super().__init__(config, running.cfg.limits, running.certificates)
        self._gateway = gateway

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # the second one does not wait
        self.should_exit = self._gateway.is_draining = True


class Watcher:
    """Looks for a newer release, and hands it over to the gateway between two requests."""

    def __init__(self, gateway: Gateway, running: Running) -> None:
        self._gateway, self._running = gateway, running
        self._releases = running.releases
        self._said = dict(self._releases.refused)  # what the operator knows already

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Look for newer releases as long as the app lives."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._running.cfg.poll_s)
            served = self._gateway.served
            self._gateway.metrics.note_values(served.version, served.drift)
            try:
                await self.look()
            except (
                Exception
            ):  # an unforeseen failure ends no gateway: the release that answers is good
                log.exception("The folder of releases could not be looked at")

    async def look(self) -> None:
        """Take over a newer release, or say why not."""
        newer, rejected = await asyncio.to_thread(self._find)
        for one in rejected:
            if self._said.get(one.name) != one:
                self._gateway.metrics.refuse()
                self._running.say(_say_refused(one, self._gateway.served))
        self._said = dict(self._releases.refused)
        self._gateway.rejected = tuple(self._said.values())
        if newer is None:
            return
        self._gateway.take(newer)
        signed = ", ".join(newer.release.signed_by)
        self._running.say(
            f"{newer.release.manifest.title} answers from now on; signed by {signed}."
        )

    def _find(self) -> tuple[Served | None, list[Rejected]]:
        """In a thread of its own: read, verify and load, while requests are answered."""
        served = self._gateway.served
        try:
            release, rejected = self._releases.find_newer(floor_of(served.release))
        except UserError as error:  # the folder itself is gone, for now
            log.warning("%s", error)
            return None, []
        if release is None:
            return None, rejected
        try:
            newer = self._load(release, served)
            raise_floor(self._running.state_dir, floor_of(release))
        except CalyxError as error:
            return None, [*rejected, self._releases.reject(release, str(error))]
        return newer, rejected

    def _load(self, release: Release, served: Served) -> Served:
        """A release that may take over. Raises CalyxError."""
        newer = make_served(release, self._running.cfg)
        if newer.schema != served.schema and not self._running.cfg.new_schema:
            raise CalyxError(
                f"{release.manifest.title} has other columns or classes, which callers must know of first; "
                "set serve.new_schema=true, or start the gateway again, to serve it."
            )
        _check_score(release.card.test, served.release.card.test, self._running.cfg.worse_by)
        return newer


def _check_score(newer: FiguresPart, before: FiguresPart, worse_by: float) -> None:
    """Raise CalyxError where a model tested clearly worse; scores that are not told are not compared."""
    if newer.score is None or newer.score != before.score:
        return
    score, old = newer.figures[newer.score], before.figures[newer.score]
    if score is not None and old is not None and score < old - worse_by:
        raise CalyxError(
            f"Its {newer.score} is {score:.3f}, and that of the release that answers {old:.3f}; set "
            "serve.worse_by to let it drop so far, or start the gateway again."
        )


def _say_refused(rejected: Rejected, served: Served) -> str:
    title = served.release.manifest.title
    return f"Refused: {rejected.why} {title} goes on answering."
