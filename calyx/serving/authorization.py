"""Who asks, and whether he may: an API key or a token in the `authorization` header, and nowhere else.

What is told to somebody who shows none that fits is one sentence, whatever is wrong with it; only whoever
holds a key hears that it has expired or is revoked. Nothing of a key or a token is told, logged or counted.
Decision 0088.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from calyx.machine.neighbourhoods import Buckets, neighbourhood
from calyx.serving.access_config import LimitsConfig
from calyx.serving.api_keys import PREFIX, KeyRing, why_over
from calyx.serving.budgets import BUDGETS, Budgets
from calyx.serving.caller import Caller
from calyx.serving.config import ServeConfig
from calyx.serving.refusals import Refused
from calyx.serving.shared_windows import SharedWindows
from calyx.serving.tokens import BadToken, Tokens

_BEARER = "bearer "
_MOST_FLOODS = 10_000  # addresses whose floods are counted


class Doors:
    """Who may ask for what, and how much."""

    def __init__(
        self,
        keys: KeyRing | None,
        tokens: Tokens | None,
        budgets: Budgets,
        failures: "Failures",
        now: Callable[[], float] = time.time,
    ) -> None:
        """Without `keys` and `tokens` nobody is let in."""
        self._keys, self._tokens, self._budgets = keys, tokens, budgets
        self._failures, self._now = failures, now

    def authorize(self, request: Request, scope: str) -> Caller:
        """Who asks.

        Raises Refused: 401 where that is not known, 403 where he may not, and 429 for too many requests.
        Who shows a key that fits is never refused for what others at his address do.
        """
        try:
            caller = self._identify(request.headers.getlist("authorization"))
        except Refused:
            self._failures.count(request.client.host if request.client else "")
            raise
        prove = request.scope.get("state", {}).get("prove")
        if prove is not None:
            prove(caller.name)  # its connection is no stranger's any more
        self._budgets.spend_request(caller)
        if scope not in caller.scopes:
            raise Refused(
                403,
                "Not allowed",
                f"This caller may not ask for {scope}; its key needs that scope.",
            )
        return caller

    def spend(self, caller: Caller, rows: int) -> None:
        """Take rows from a caller's budget of the day. Raises Refused, 429."""
        self._budgets.spend(caller, rows)

    def _identify(self, headers: list[str]) -> Caller:
        if len(headers) != 1 or headers[0][: len(_BEARER)].lower() != _BEARER:
            raise _unknown()
        text = headers[0][len(_BEARER) :].strip(" ")
        return self._find_key(text) if text.startswith(PREFIX) else self._check_token(text)

    def _find_key(self, text: str) -> Caller:
        key = None if self._keys is None else self._keys.find(text)
        if key is None:
            raise _unknown()
        why = why_over(key, self._now())
        if why is not None:
            raise Refused(
                401, f"Key {why}", f"This key is {why}; ask the gateway's operator for another."
            )
        return Caller(key.name, frozenset(key.scopes), key.requests_per_minute, key.rows_per_day)

    def _check_token(self, text: str) -> Caller:
        if self._tokens is None:
            raise _unknown()
        try:
            return self._tokens.check(text)
        except BadToken as bad:
            if bad.is_expired:
                detail = "This token has expired; ask its issuer for another."
                raise Refused(401, "Token expired", detail) from None
            raise _unknown() from None


def _unknown() -> Refused:
    return Refused(
        401,
        "Unknown caller",
        "Send a key or a token of this gateway as `authorization: Bearer …`; its operator makes keys.",
    )


@dataclass(frozen=True)
class _Rate:
    requests_per_s: float
    burst: int
    refused_cost: int = 1


class Failures:
    """How often each address has been refused: beyond the limit its refusals are 429.

    Only those: keys are too long to be guessed, so that this spares work and log, and shuts nobody out.
    Of the refusals with 429 in a row the 1st, 10th, 100th … is logged, so that nobody fills the disk.
    """

    def __init__(self, cfg: LimitsConfig, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        rate = _Rate(cfg.failures_per_minute / 60, cfg.failures_per_minute)
        self._buckets, self._wait_s = Buckets(rate), max(1, round(1 / rate.requests_per_s))
        self._floods: dict[str, int] = {}  # address → refusals with 429 since its last 401

    def count(self, address: str) -> None:
        """Count a refusal. Raises Refused, 429, where there are too many."""
        of = neighbourhood(address)
        if self._buckets.allow(of, self._now()):
            self._floods.pop(of, None)
            return
        if len(self._floods) > _MOST_FLOODS:
            self._floods.clear()
        count = self._floods[of] = self._floods.get(of, 0) + 1
        raise Refused(
            429,
            "Too many failures",
            "Too many requests from this address showed no key that fits; come back later.",
            retry_after_s=self._wait_s,
            is_logged=str(count).strip("0") == "1",
        )


def open_doors(cfg: ServeConfig) -> Doors:
    """Read the files of keys, and the budgets. Raises UserError for what is absent or damaged."""
    return Doors(
        None if cfg.keys is None else KeyRing(Path(cfg.keys)),
        None if cfg.jwt is None else Tokens(cfg.jwt),
        Budgets(cfg.limits, SharedWindows(Path(cfg.state_dir) / BUDGETS)),
        Failures(cfg.limits),
    )
