"""Whoever calls the gateway, once it is known who that is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who asks, and for what he may. Several keys of one name are one caller, with one budget."""

    name: str  # of an API key; of a token `jwt:` and its subject, so that none passes for a key
    scopes: frozenset[str]
    requests_per_minute: int | None = None  # None: as serve.limits says
    rows_per_day: int | None = None
