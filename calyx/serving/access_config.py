"""The sections `serve.jwt`, `serve.tls`, `serve.limits`: who is let in, over what, for how much."""

from typing import Annotated, Literal

from pydantic import Field

from calyx.config.section import PositiveFloat, config

Scope = Literal["predict", "model", "metrics", "docs"]
SCOPES: tuple[Scope, ...] = ("predict", "model", "metrics", "docs")
# Of asymmetric keys only: with a shared secret, whoever may check a token could write one.
Algorithm = Literal[
    "Ed25519", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"
]
Budget = Annotated[int, Field(ge=1, le=10**12)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


@config
class JwtConfig:
    """Tokens that somebody else signs. All three names are needed: a token for others opens nothing here."""

    issuer: Text  # that a token's `iss` must be
    audience: Text  # that a token's `aud` must be or hold
    keys: Text  # file of the issuer's public keys, a JSON Web Key Set; read again when it changes
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("Ed25519", "ES256")
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 30  # by which two machines' clocks may differ


@config
class TlsConfig:
    """The gateway's certificate, read again when it changes, and whose certificates callers must show."""

    certificate: Text  # file: PEM, the gateway's own first, then those between it and a root
    key: Text  # file: its private key, readable by its owner only
    clients: Text | None = (
        None  # file: PEM of who signs callers' certificates; None: none is asked for
    )


@config
class LimitsConfig:
    """What one caller may ask for, unless its key says otherwise, and how many may be connected."""

    requests_per_minute: Budget = 6_000
    rows_per_day: Budget = 1_000_000
    failures_per_minute: Budget = 60  # that an address has refused with 401; then it is 429
    connections: Annotated[int, Field(ge=16, le=100_000)] = 2_000  # at a time, of each replica
    head_s: PositiveFloat = 10.0  # for a TLS handshake, and for a request's line and headers
    body_s: PositiveFloat = 60.0  # for a request's body
    answer_s: PositiveFloat = 60.0  # for the answer, as fast as it is read
    idle_s: PositiveFloat = 60.0  # between two requests of a connection
