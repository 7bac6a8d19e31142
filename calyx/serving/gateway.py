"""One process of the gateway: who asks, what is answered, and what is written down of it.

Every request goes one way: who may (401, 403, 429), the body's type and size (415, 413), the rows (400,
422), the budget (429), the detector of stealing (429), the model, the log, and only then the answer. What
is refused on the way is logged as well, and where nothing can be logged nothing is answered (503).
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from calyx.serving.access_config import Scope
from calyx.serving.answers import Told
from calyx.serving.bodies import JSON, read_body, read_type
from calyx.serving.caller import Caller
from calyx.serving.config import ServeConfig
from calyx.serving.csv_rows import read_csv
from calyx.serving.decisions import Decision, DecisionLog, Outcome
from calyx.serving.description import POLICY
from calyx.serving.log_files import NotLogged
from calyx.serving.metrics import Metrics
from calyx.serving.refusals import Refused, as_response, refuse_status
from calyx.serving.served import Served
from calyx.serving.stealing import Verdict
from calyx.serving.swap import Rejected
from calyx.serving.traces import Queries
from calyx.serving.unusual import find_unusual

log = logging.getLogger(__name__)


class Doors(Protocol):
    """Who may ask for what, and how often; `calyx.serving.authorization.Doors` are the gateway's own."""

    def authorize(self, request: Request, scope: Scope) -> Caller:
        """Who asks. Raises Refused, 401 or 403, and 429 for too many requests."""

    def spend(self, caller: Caller, rows: int) -> None:
        """Take rows from a caller's budget of the day. Raises Refused, 429."""


@dataclass(eq=False)
class Exchange:
    """One request on its way, as much as is logged of it."""

    request: Request
    id: str
    scope: Scope  # that it needs
    started: float = field(default_factory=time.perf_counter)
    caller: Caller | None = None
    rows: int = 0
    unusual: int = 0
    outcome: Outcome = "refused"
    kept: str | None = None  # hash of its rows, where they are kept
    is_logged: bool = True


Answer = Callable[[Exchange, Caller, Served], Awaitable[Response]]


class Gateway:
    """What one process answers by. `served` is replaced between two requests, never within one."""

    def __init__(
        self,
        cfg: ServeConfig,
        served: Served,
        doors: Doors,
        decisions: DecisionLog,
    ) -> None:
        self.cfg, self.served, self.metrics = cfg, served, Metrics()
        self._doors, self._decisions = doors, decisions
        self.rejected: tuple[Rejected, ...] = ()  # releases that are there, and not served
        self.is_draining = False
        self.metrics.take(served.version)

    def take(self, served: Served) -> None:
        """Answer by another release from now on."""
        self.metrics.note_values(self.served.version, self.served.drift)
        self._decisions.take_release(served.release.digest)
        self.served = served
        self.metrics.take(served.version)

    async def exchange(self, request: Request, scope: Scope, answer: Answer) -> Response:
        """Answer one request or refuse it, and write that down."""
        now = Exchange(request, request.scope["calyx.id"], scope)
        served = self.served
        try:
            now.caller = self._doors.authorize(request, scope)
            response = await answer(now, now.caller, served)
        except Refused as refused:
            response, now.is_logged = as_response(refused, now.id), refused.is_logged
        except NotLogged as error:
            response = _refuse_unlogged(now, error)
        except Exception:
            now.outcome = "failed"
            log.exception("The request %s failed", now.id)
            response = as_response(refuse_status(500), now.id)
        return self._write_down(now, served, response)

    def _write_down(self, now: Exchange, served: Served, response: Response) -> Response:
        seconds = time.perf_counter() - now.started
        decision = Decision(
            request=now.id,
            caller=None if now.caller is None else now.caller.name,
            asked=now.scope,
            outcome=now.outcome,
            status=response.status_code,
            release=served.release.digest,
            version=served.version,
            rows=now.rows,
            unusual=now.unusual,
            microseconds=int(seconds * 1e6),
            kept=now.kept,
        )
        try:
            if now.is_logged:
                self._decisions.append(decision)
        except NotLogged as error:
            response = _refuse_unlogged(now, error)
        if now.rows and response.status_code == 200:
            self.metrics.count_rows(now.rows, now.unusual)
        self.metrics.count_request(now.request.url.path, response.status_code, seconds)
        return response

    async def predict(self, now: Exchange, caller: Caller, served: Served) -> Response:
        """The predictions of the rows in a request's body. Raises Refused."""
        kind = read_type(now.request)
        body = await read_body(now.request, self.cfg.body_bytes)
        reader = served.reader
        rows = reader.read_json(body) if kind == JSON else read_csv(reader, body)
        now.rows = len(rows)
        self._doors.spend(caller, len(rows))
        cells = served.population.find_cells(rows)
        try:
            inputs = served.predictor.prepare(rows)
        except ValueError:
            raise Refused(
                422,
                "Rows that the model does not take",
                "A value is missing in a column for which the model has nothing to put in its place.",
            ) from None
        queries = Queries(rows, inputs, cells)
        self._judge(now, served.detector.observe(caller.name, queries))
        outputs = served.predictor.compute(inputs)
        unusual = find_unusual(served.population, cells)
        now.unusual = sum(map(bool, unusual))
        served.drift.add(cells)
        now.kept = self._decisions.keep_rows(now.id, body)
        now.outcome = "answered"
        told = Told(served.named, unusual)
        return Response(served.answers.write(outputs, told), media_type="application/json")

    def _judge(self, now: Exchange, verdict: Verdict) -> None:
        """Raise Refused, 429, where the detector slows or stops a caller."""
        if verdict.is_alert:
            self.metrics.count_alert()
        if verdict.action == "answer":
            return
        now.outcome = "slowed" if verdict.action == "slow" else "stopped"
        raise Refused(
            429,
            "Slowed" if verdict.action == "slow" else "Stopped",
            verdict.reason,
            retry_after_s=verdict.retry_after_s,
        )

    async def tell_model(self, now: Exchange, caller: Caller, served: Served) -> Response:
        """The release's card."""
        now.outcome = "answered"
        return Response(served.release.files["card.json"], media_type="application/json")

    async def tell_metrics(self, now: Exchange, caller: Caller, served: Served) -> Response:
        """The counts, for Prometheus."""
        now.outcome = "answered"
        self.metrics.note_values(served.version, served.drift)
        return Response(self.metrics.write(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def tell_openapi(self, now: Exchange, caller: Caller, served: Served) -> Response:
        """The description for programs."""
        now.outcome = "answered"
        return Response(served.description.openapi, media_type="application/json")

    async def tell_docs(self, now: Exchange, caller: Caller, served: Served) -> Response:
        """The description for people."""
        now.outcome = "answered"
        headers = {"content-security-policy": POLICY}
        return Response(served.description.page, media_type="text/html", headers=headers)

    def tell_ready(self) -> dict[str, object]:
        """Whether it answers, by which release, and which folders it has refused."""
        manifest = self.served.release.manifest
        return {
            "ready": not self.is_draining,
            "release": {"name": manifest.name, "version": manifest.version},
            "refused": [one.name for one in self.rejected],
        }


def _refuse_unlogged(now: Exchange, error: NotLogged) -> Response:
    log.error("%s", error)
    detail = "The decision cannot be logged, and without that nothing is answered."
    return as_response(Refused(503, "Not logged", detail, retry_after_s=10), now.id)
