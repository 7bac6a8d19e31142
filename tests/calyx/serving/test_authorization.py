"""Who gets past the doors: every kind of credential that must not, at every path, by every method."""

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gateway_keys import Issuer, add_key, make_doors
from support.gateways import HEART_ROW, gateway_on

from calyx.serving.access_config import SCOPES

PATHS = {  # protected ones, their method and the scope that each needs
    "/v1/predict": ("POST", "predict"),
    "/v1/model": ("GET", "model"),
    "/metrics": ("GET", "metrics"),
    "/docs": ("GET", "docs"),
    "/openapi.json": ("GET", "docs"),
}
OPEN = ("/healthz", "/readyz")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "GETS")
SPELLINGS = ("{}/", "/{}", "{}%2f", "/x/..{}", "{};a=b", "{}?a=b", "{}%00", "/%2e{}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("doors")
    keys = folder / "keys.json"
    issuer = Issuer.at(folder / "jwks.json")
    made = {scope: add_key(keys, f"only-{scope}", scope) for scope in SCOPES}
    made["all"] = add_key(keys, "all")
    made["expired"] = add_key(keys, "expired", expires_s=-1)
    made["revoked"] = add_key(keys, "revoked", revoked="2026-01-01T00:00:00Z")
    made["poor"] = add_key(keys, "poor", requests_per_minute=2, rows_per_day=3)
    doors = make_doors(folder, issuer, failures_per_minute=10**6)
    with gateway_on(folder, doors) as asked:
        del asked.client.headers["authorization"]
        yield SimpleNamespace(folder=folder, issuer=issuer, keys=made, asked=asked)


def ask(site, path, method, headers=(), **sent):
    return asyncio.run(site.asked.client.request(method, path, headers=list(headers), **sent))


def bearer(text):
    return [("authorization", f"Bearer {text}")]


def credentials(site):
    """Header lines that must open nothing, by what they are."""
    sign, good = site.issuer.sign, site.keys["all"]
    other = Issuer(site.folder / "other.json", site.issuer.rotate("one").key)
    site.issuer.publish()
    none = "eyJhbGciOiJub25lIiwia2lkIjoib25lIn0." + sign().split(".")[1] + "."
    return {
        "none": [],
        "empty": [("authorization", "")],
        "scheme alone": [("authorization", "Bearer")],
        "no scheme": [("authorization", good)],
        "basic": [("authorization", "Basic YWxsOmFsbA==")],
        "two": bearer(good) * 2,
        "another header": [("x-api-key", good)],
        "a cookie": [("cookie", f"authorization=Bearer {good}")],
        "unknown": bearer(good[:-4] + "AAAA"),
        "expired": bearer(site.keys["expired"]),
        "revoked": bearer(site.keys["revoked"]),
        "alg none": bearer(none),
        "other audience": bearer(sign(aud="another")),
        "other issuer": bearer(sign(iss="another")),
        "expired token": bearer(sign(exp=int(time.time()) - 3600)),
        "not yet": bearer(sign(nbf=int(time.time()) + 3600)),
        "another's key": bearer(other.sign()),
        "two keys in one": bearer(f"{good},{good}"),
        "a query": [],
    }


def test_no_credential_that_must_not_opens_any_path_by_any_method(site):
    tried = 0
    for kind, headers in credentials(site).items():
        for path, (own, _) in PATHS.items():
            query = f"?access_token={site.keys['all']}" if kind == "a query" else ""
            for method in METHODS:
                answer = ask(site, path + query, method, headers)
                is_own = method == own or (method, own) == ("HEAD", "GET")
                assert answer.status_code == (401 if is_own else 405), (kind, method, path)
                tried += 1
            for spelling in SPELLINGS:
                status = ask(site, spelling.format(path), own, headers).status_code
                assert status in (401, 404, 405), (kind, spelling, path)
    assert tried == 19 * 5 * 10


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_what_its_scope_names_and_a_token_too(site, scope):
    token = site.issuer.sign(sub=f"only-{scope}", scope=scope)
    for credential in (site.keys[scope], token):
        for path, (method, needed) in PATHS.items():
            body = {"json": {"rows": [HEART_ROW]}} if method == "POST" else {}
            status = ask(site, path, method, bearer(credential), **body).status_code
            assert status == (200 if needed == scope else 403), path


def test_whether_the_gateway_lives_is_told_to_anybody(site):
    assert [ask(site, path, "GET").status_code for path in OPEN] == [200, 200]


def test_unknown_and_wrong_secrets_cannot_be_told_apart(site):
    known = site.keys["all"]
    unknown = known[:6] + "0" * 16 + known[22:]
    wrong = known[:-4] + "AAAA"
    said = [ask(site, "/v1/model", "GET", bearer(one)) for one in (unknown, wrong, "x")]
    told = [one.json() | {"request": ""} for one in said]
    assert told[0] == told[1] == told[2]
    assert all(one.headers["www-authenticate"] == "Bearer" for one in said)
    assert known not in said[1].text


def test_the_holder_of_a_key_hears_that_it_is_over(site):
    titles = {
        kind: ask(site, "/v1/model", "GET", bearer(site.keys[kind])).json()["title"]
        for kind in ("expired", "revoked")
    }
    assert titles == {"expired": "Key expired", "revoked": "Key revoked"}


def test_a_caller_beyond_its_budget_hears_when_to_come_back(site):
    rows = {"json": {"rows": [HEART_ROW] * 2}}
    answers = [
        ask(site, "/v1/predict", "POST", bearer(site.keys["poor"]), **rows) for _ in range(3)
    ]
    assert [one.status_code for one in answers] == [200, 429, 429]
    assert [one.json()["title"] for one in answers[1:]] == ["Budget spent", "Too many requests"]
    assert all(int(one.headers["retry-after"]) > 0 for one in answers[1:])


def test_failures_of_an_address_are_slowed_and_a_key_from_there_is_not(tmp_path: Path):
    key = add_key(tmp_path / "keys.json", "ward")
    with gateway_on(tmp_path, make_doors(tmp_path, failures_per_minute=5)) as asked:
        del asked.client.headers["authorization"]
        site = SimpleNamespace(asked=asked)
        said = [ask(site, "/v1/model", "GET", bearer("x")).status_code for _ in range(105)]
        assert said == [401] * 5 + [429] * 100
        assert ask(site, "/v1/model", "GET", bearer(key)).status_code == 200
    (file,) = (tmp_path / "state" / "log").rglob("*.jsonl")
    logged = [json.loads(line).get("status") for line in file.read_text().splitlines()]
    # Of a flood's refusals the 1st, the 10th and the 100th.
    assert [status for status in logged if status] == [401] * 5 + [429] * 3 + [200]


def test_nothing_of_a_key_or_token_is_logged_or_counted(site, caplog):
    token = site.issuer.sign(aud="another")
    with caplog.at_level("DEBUG", logger="calyx"):
        for text in (site.keys["all"], site.keys["revoked"], token):
            ask(site, "/v1/model", "GET", bearer(text))
    counted = ask(site, "/metrics", "GET", bearer(site.keys["all"])).text
    logged = b"".join(p.read_bytes() for p in (site.folder / "state").rglob("*") if p.is_file())
    for text in (site.keys["all"], site.keys["revoked"], token):
        # The random part of a key may hold "_" itself; of a token it is the signature.
        secret = text.split("_", 2)[2] if text.startswith("calyx_") else text.rpartition(".")[2]
        assert secret not in counted + caplog.text
        assert secret.encode() not in logged


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*PATHS, *OPEN, "/", "/v1/", "/docs/../v1/model"]),
    st.sampled_from(METHODS),
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ").replace(b"\r", b" ")),
    st.binary(max_size=200),
)
def test_no_header_and_no_body_is_answered_with_500_or_lets_in(site, path, method, header, body):
    async def send():
        request = httpx.Request(
            method, f"http://gateway{path}", headers=[(b"authorization", header)], content=body
        )
        return await site.asked.client.send(request)

    status = asyncio.run(send()).status_code
    assert status in ((200,) if path in OPEN else ()) + (401, 404, 405)
