"""Tokens that somebody else has signed: JSON Web Tokens (RFC 7519), checked as RFC 8725 advises.

The gateway decides which algorithms there are, and the file of keys which keys: a token that names a key
itself, or where one lies (`jwk`, `jku`, `x5c`, `x5u`), or that asks for something by `crit`, is refused.
Signatures and claims are checked by the library joserfc; here it is told what to expect.
"""

import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from typing_extensions import override

from calyx.errors import UserError
from calyx.files.foreign import parse_json
from calyx.files.outputs import show_path
from calyx.serving.access_config import JwtConfig
from calyx.serving.caller import Caller
from calyx.serving.watched import Watched, refuse_writable
from calyx.trust.key_files import read_bytes

MOST_TOKEN_BYTES = 2**13
MOST_KEYS = 100
_MOST_KEYS_BYTES = 2**20
_LEAST_RSA_BITS = 2048
_HEADERS = {"alg", "kid", "typ"}
_KINDS = {
    "Ed": "OKP",
    "ES": "EC",
    "PS": "RSA",
    "RS": "RSA",
}  # of keys, by an algorithm's first letters
_SUBJECT = re.compile(r"[\x21-\x7e]{1,200}")
Key = ECKey | OKPKey | RSAKey


class BadToken(Exception):
    """A token that opens nothing. Of its text nothing is told; `is_expired` where all else fits."""

    def __init__(self, *, is_expired: bool = False) -> None:
        super().__init__("expired" if is_expired else "bad token")
        self.is_expired = is_expired


class Tokens:
    """Checks tokens of one issuer. The file of its keys may change at any time."""

    def __init__(self, cfg: JwtConfig, now: Callable[[], float] = time.time) -> None:
        """Raise UserError where the file of keys is absent, or no set of public keys."""
        self._cfg, self._now = cfg, now
        self._keys: dict[str | None, Key] = {}
        self._watched = Watched(self._take, Path(cfg.keys))

    def _take(self) -> None:
        self._keys = read_key_set(Path(self._cfg.keys))

    def check(self, text: str) -> Caller:
        """Who shows the token. Raises BadToken."""
        self._watched.look()
        try:
            key = self._choose_key(text)
            token = jwt.decode(text, key, algorithms=list(self._cfg.algorithms), decoder_cls=_Once)
            self._claims().validate(token.claims)
        except ExpiredTokenError:
            raise BadToken(is_expired=True) from None
        except (JoseError, ValueError, TypeError, RecursionError, OverflowError):
            raise BadToken from None
        subject, scope = token.claims["sub"], token.claims.get("scope", "")
        if not isinstance(scope, str) or _SUBJECT.fullmatch(subject) is None:
            raise BadToken
        return Caller(f"jwt:{subject}", frozenset(scope.split(" ")))

    def _claims(self) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(self._now()),
            leeway=self._cfg.leeway_s,
            iss={"essential": True, "value": self._cfg.issuer},
            aud={"essential": True, "value": self._cfg.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    def _choose_key(self, text: str) -> Key:
        """The key that the header's `kid` names, or the only one. Raises ValueError or BadToken."""
        if len(text) > MOST_TOKEN_BYTES or text.count(".") != 2 or not text.isascii():
            raise BadToken
        encoded = text.partition(".")[0]
        header = parse_json(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        if not isinstance(header, dict) or not header.keys() <= _HEADERS:
            raise BadToken
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._cfg.algorithms or not isinstance(kid, str | None):
            raise BadToken
        key = self._keys.get(kid)
        if kid is None and len(self._keys) == 1:
            key = next(iter(self._keys.values()))
        if (
            key is None
            or key.key_type != _KINDS[algorithm[:2]]
            or key.get("alg") not in (None, algorithm)
        ):
            raise BadToken
        return key


class _Once(json.JSONDecoder):
    """Reads claims of which each stands once: of two that differ, two readers may take another one."""

    def __init__(self) -> None:
        super().__init__()

    @override
    def decode(self, s: str, *_: Any) -> Any:
        return parse_json(s.encode())


def read_key_set(path: Path) -> dict[str | None, Key]:
    """The public keys of a JSON Web Key Set by their ids; None is the id of one that has none.

    Keys for encryption, and of kinds that sign no token here, are left out. Raises UserError, also for a
    private or shared key, which a gateway must not have.
    """
    data, mode = read_bytes(path, "set of keys", _MOST_KEYS_BYTES)
    refuse_writable(path, mode)
    reason = "it is damaged, or another kind of file"
    try:
        value = parse_json(data)
        entries = value["keys"] if isinstance(value, dict) else None
        if isinstance(entries, list) and 0 < len(entries) <= MOST_KEYS:
            return _read_keys(entries)
    except UserError as error:
        reason = str(error)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        pass
    raise UserError(
        f"{show_path(path)} is no set of public keys: {reason}; get the issuer's key set (JWKS) again."
    )


def _read_keys(entries: list[Any]) -> dict[str | None, Key]:
    keys: dict[str | None, Key] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise ValueError
        if entry.get("kty") == "oct" or "d" in entry:
            raise UserError("it holds a private or shared key")
        if entry.get("use", "sig") != "sig" or entry.get("kty") not in _KINDS.values():
            continue
        [key] = KeySet.import_key_set({"keys": [entry]}).keys
        if not isinstance(key, Key):
            continue
        if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
            raise UserError(f"an RSA key has fewer than {_LEAST_RSA_BITS:,} bits")
        kid = entry.get("kid")
        if kid in keys:
            raise UserError("two keys have the same id")
        keys[kid] = key
    if not keys:
        raise UserError("no key in it signs tokens")
    if None in keys and len(keys) > 1:
        raise UserError("a key has no id, and there are others")
    return keys
