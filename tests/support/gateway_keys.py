"""API keys and tokens as callers of a gateway have them, and the files that the gateway reads."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

from calyx.serving.access_config import SCOPES, JwtConfig, LimitsConfig, Scope
from calyx.serving.api_keys import ApiKey, KeyFile, KeyRing, draw_key, text_of, write_key_file
from calyx.serving.authorization import Doors, Failures
from calyx.serving.budgets import Budgets
from calyx.serving.shared_windows import SharedWindows
from calyx.serving.tokens import Tokens

ISSUER, AUDIENCE = "https://login.example.org", "calyx"


def add_key(path: Path, name: str, *scopes: Scope, expires_s: float = 3600, **fields: Any) -> str:
    """Put a key into the file, which need not be there, and return it."""
    key, key_id, hashed = draw_key()
    now = time.time()
    entry = ApiKey(
        id=key_id,
        name=name,
        scopes=scopes or SCOPES,
        sha256=hashed,
        created=text_of(now - 1),
        expires=text_of(now + expires_s),
        **fields,
    )
    before = json.loads(path.read_text())["keys"] if path.exists() else []
    file = KeyFile(keys=(*(ApiKey(**_lists(one)) for one in before), entry))
    write_key_file(path, file)
    return key


def _lists(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"scopes": tuple(entry["scopes"])}


@dataclass(frozen=True)
class Issuer:
    """Signs tokens, and publishes its keys in a file."""

    path: Path
    key: ECKey | OKPKey
    kid: str = "one"

    @classmethod
    def at(cls, path: Path, kid: str = "one") -> "Issuer":
        """An issuer with a new key, the only one in the file."""
        issuer = cls(path, ECKey.generate_key("P-256", {"kid": kid}), kid)
        issuer.publish()
        return issuer

    def publish(self, *others: dict[str, Any]) -> None:
        """Write the file."""
        keys = [self.key.as_dict(private=False) | {"kid": self.kid}, *others]
        self.path.write_text(json.dumps({"keys": keys}))

    def rotate(self, kid: str) -> "Issuer":
        """The issuer with another key, which takes the first one's place in the file."""
        other = replace(self, key=ECKey.generate_key("P-256", {"kid": kid}), kid=kid)
        other.publish()
        return other

    def sign(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that opens everything for an hour, but for what the claims say; None takes one out."""
        all_claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ward",
            "exp": int(time.time()) + 3600,
            "scope": " ".join(SCOPES),
        } | claims
        kept = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": self.kid} | (header or {}), kept, self.key)

    @property
    def cfg(self) -> JwtConfig:
        """How a gateway trusts it."""
        return JwtConfig(issuer=ISSUER, audience=AUDIENCE, keys=str(self.path))


def make_doors(folder: Path, issuer: Issuer | None = None, **limits: Any) -> Doors:
    """Doors of the keys in `folder`/keys.json, and of the issuer's tokens."""
    cfg = LimitsConfig(**limits)
    return Doors(
        KeyRing(folder / "keys.json"),
        None if issuer is None else Tokens(issuer.cfg),
        Budgets(cfg, SharedWindows(folder / "budgets.sqlite")),
        Failures(cfg),
    )
