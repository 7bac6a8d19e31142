"""JSON Web Tokens: which are taken. Forged ones are written by hand, as an attacker would."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey
from support.gateway_keys import AUDIENCE, ISSUER, Issuer

from calyx.errors import UserError
from calyx.serving.tokens import BadToken, Tokens, read_key_set

NOW = int(time.time())


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer.at(tmp_path / "jwks.json")


def encode(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(token: str) -> str:
    return token.split(".")[1]


def test_a_token_names_its_caller_and_scopes(issuer: Issuer):
    caller = Tokens(issuer.cfg).check(issuer.sign(scope="predict docs", aud=["other", AUDIENCE]))
    assert caller.name == "jwt:ward"
    assert caller.scopes == {"predict", "docs"}


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": {}},
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"nbf": NOW + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": "two words"},
        {"sub": 7},
        {"sub": "a" * 201},
        {"scope": ["predict"]},
        {"scope": 1},
    ],
    ids=lambda claims: "-".join(claims),  # no time, which each worker reads for itself
)
def test_a_token_for_others_or_without_what_it_must_say_is_refused(issuer: Issuer, claims):
    with pytest.raises(BadToken) as caught:
        Tokens(issuer.cfg).check(issuer.sign(**claims))
    assert not caught.value.is_expired


def test_an_expired_token_is_known_as_such_after_the_leeway(issuer: Issuer):
    token = issuer.sign(exp=NOW)
    assert Tokens(issuer.cfg, now=lambda: NOW + 29).check(token).name == "jwt:ward"
    with pytest.raises(BadToken) as caught:
        Tokens(issuer.cfg, now=lambda: NOW + 31).check(token)
    assert caught.value.is_expired


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": ECKey.generate_key("P-256").as_dict(private=False)},
        {"jku": "https://evil.example.org/keys"},
        {"x5u": "https://evil.example.org/cert"},
        {"x5c": ["MII"]},
        {"cty": "JWT"},
        {"kid": "another"},
        {"kid": "../../dev/null"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_token_that_brings_its_own_key_or_names_none_of_ours_is_refused(issuer: Issuer, header):
    with pytest.raises(BadToken):
        Tokens(issuer.cfg).check(issuer.sign(header))


def forge(issuer: Issuer, kind: str) -> str:
    """A token that the issuer has not signed, of one of the published attacks."""
    signed = issuer.sign()
    claims, signature = claims_of(signed), signed.split(".")[2]
    public = issuer.key.as_pem(private=False)
    header = {"alg": "ES256", "kid": issuer.kid}
    if kind.startswith("alg "):
        return f"{encode(header | {'alg': kind[4:]})}.{claims}."
    if kind == "public key as a shared secret":
        text = f"{encode(header | {'alg': 'HS256'})}.{claims}"
        return f"{text}.{encode(hmac.digest(public, text.encode(), hashlib.sha256))}"
    if kind == "other claims":
        return f"{encode(header)}.{encode({'iss': ISSUER})}.{signature}"
    if kind == "empty signature":
        return f"{encode(header)}.{claims}."
    if kind == "zero signature":  # CVE-2022-21449
        return f"{encode(header)}.{claims}.{encode(bytes(64))}"
    if kind == "algorithm twice":
        twice = b'{"alg":"none","alg":"ES256","kid":"one"}'
        return f"{encode(twice)}.{claims}.{signature}"
    if kind == "crit":
        return f"{encode(header | {'crit': ['exp'], 'exp': 1})}.{claims}.{signature}"
    if kind == "deep header":
        return f"{encode(b'[' * 2000)}.{claims}.{signature}"
    if kind == "large":
        return signed + "A" * 9000
    return kind


@pytest.mark.parametrize(
    "kind",
    [
        "alg none",
        "alg None",
        "alg NONE",
        "alg ",
        "public key as a shared secret",
        "other claims",
        "empty signature",
        "zero signature",
        "algorithm twice",
        "crit",
        "deep header",
        "large",
        "..",
        "a.b.c",
        "a.b.c.d.e",
        "é.é.é",
        "",
    ],
)
def test_a_forged_token_is_refused(issuer: Issuer, kind: str):
    with pytest.raises(BadToken):
        Tokens(issuer.cfg).check(forge(issuer, kind))


def test_claims_that_stand_twice_or_lie_deep_are_refused_though_they_are_signed(issuer: Issuer):
    from joserfc import jws

    exp = NOW + 3600
    start = f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{exp},"sub":"ward"'
    for claims in (
        start + ',"sub":"admin"}',
        start + ',"x":' + "[" * 3000,
        start + ',"x":NaN}',
        "[]",
    ):
        header = {"alg": "ES256", "kid": issuer.kid}
        token = jws.serialize_compact(header, claims.encode(), issuer.key)
        with pytest.raises(BadToken):
            Tokens(issuer.cfg).check(token)


def test_a_rotated_key_set_is_in_force_within_a_second_and_the_old_key_is_not(issuer: Issuer):
    tokens = Tokens(issuer.cfg)
    old = issuer.sign()
    tokens.check(old)
    new = issuer.rotate("two").sign()
    time.sleep(0.3)
    assert tokens.check(new).name == "jwt:ward"
    with pytest.raises(BadToken):
        tokens.check(old)


def test_a_set_with_a_secret_or_a_weak_key_or_one_id_twice_is_refused(issuer: Issuer):
    private = ECKey.generate_key("P-256", {"kid": "two"}).as_dict(private=True)
    weak = RSAKey.generate_key(1024, {"kid": "two"}).as_dict(private=False)
    nameless = ECKey.generate_key("P-256").as_dict(private=False)
    nameless.pop("kid", None)
    shared = {"kty": "oct", "kid": "two", "k": "c2VjcmV0"}
    twin = ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "one"}
    for other in (private, weak, nameless, shared, twin, [], {"kty": "EC", "crv": "P-256"}):
        issuer.publish(other)  # type: ignore[arg-type] # some are no key sets: that is the case
        with pytest.raises(UserError, match="no set of public keys"):
            read_key_set(issuer.path)
    issuer.publish()
    issuer.path.chmod(0o666)
    with pytest.raises(UserError, match="can be changed by others"):
        read_key_set(issuer.path)
