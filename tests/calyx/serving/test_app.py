"""The gateway's answers and refusals, through its app, on a release of an untrained heart model."""

import asyncio
import json

import numpy as np
import pytest
from support.gateways import HEART_ROW, gateway_on

from calyx.model.released import load_bytes


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    with gateway_on(tmp_path_factory.mktemp("gateway")) as asked:
        yield asked


def run(work):
    return asyncio.run(work)


def test_a_row_is_answered_as_pytorch_computes_it(asked) -> None:
    answer = run(asked.predict(HEART_ROW, HEART_ROW | {"chol": None, "ca": 3}))
    assert answer.status_code == 200
    said = answer.json()
    release = asked.gateway.served.release
    model = load_bytes(release.files["model.safetensors"], release.folder)
    rows = np.array([list(HEART_ROW.values())] * 2, dtype=np.float64)
    rows[1, 4], rows[1, 11] = np.nan, 3
    expected = model.predict(rows)
    told = [list(one["probabilities"].values()) for one in said["predictions"]]
    np.testing.assert_allclose(told, expected, atol=5.1e-4)  # of three decimals
    classes = model.task.schema.classes
    assert [one["label"] for one in said["predictions"]] == [
        classes[i] for i in expected.argmax(axis=1)
    ]
    assert said["release"] == {"name": "heart", "version": 1, "digest": release.digest}


def test_csv_and_json_are_the_same_rows(asked) -> None:
    names = list(reversed(HEART_ROW))
    lines = [",".join(names), ",".join("" if n == "chol" else str(HEART_ROW[n]) for n in names)]
    sent = asked.client.post(
        "/v1/predict",
        content="\r\n".join(lines).encode(),
        headers={"content-type": "text/csv; charset=UTF-8"},
    )
    by_csv, by_json = run(sent).json(), run(asked.predict(HEART_ROW | {"chol": None})).json()
    assert by_csv["predictions"] == by_json["predictions"]


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        ("", 400, "is empty"),
        ("a,b\n1", 400, "line 2: 1 cell"),
        ("\xff", 400, "UTF-8"),
        ("age,age\n1,2", 400, "age twice"),
        ("age,agee\n1,2", 422, "agee"),
        (",".join(HEART_ROW), 422, "no row"),
        (",".join(HEART_ROW) + "\n" + ",".join(["x"] * 13), 422, "age: it must be"),
        (",".join(HEART_ROW) + "\n" + ",".join(["inf"] * 13), 422, "age: it must be"),
        (",".join(HEART_ROW) + ("\n" + ",".join(["1"] * 13)) * 1001, 413, "at most 1000 rows"),
    ],
)
def test_a_csv_that_is_no_rows_of_the_schema_is_refused(asked, body, status, what) -> None:
    headers = {"content-type": "text/csv"}
    data = body.encode("latin-1")
    answer = run(asked.client.post("/v1/predict", content=data, headers=headers))
    assert answer.status_code == status
    assert what in answer.json()["detail"]


async def too_long():
    for _ in range(10):
        yield b" " * 2**20


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/v1/predict", {}, 405),
        ("POST", "/v1/predikt", {}, 404),
        ("GET", "/v1/model/", {}, 404),
        ("GET", "/v1/model%0A", {}, 404),
        ("POST", "/v1/predict", {"content": b"{}"}, 415),
        (
            "POST",
            "/v1/predict",
            {"json": {}, "headers": {"content-type": "application/json; charset=utf-16"}},
            415,
        ),
        ("POST", "/v1/predict", {"json": {}, "headers": {"content-encoding": "gzip"}}, 415),
        ("POST", "/v1/predict", {"json": {"rows": [{}]}}, 422),
        ("POST", "/v1/predict", {"json": {"rows": []}, "headers": {"authorization": ""}}, 401),
        ("POST", "/v1/predict", {"json": {"rows": [HEART_ROW] * 101}}, 429),
        (
            "POST",
            "/v1/predict",
            {"content": too_long(), "headers": {"content-type": "application/json"}},
            413,
        ),
        (
            "POST",
            "/v1/predict",
            {"json": {}, "headers": {"content-length": "1000000000"}},
            413,
        ),
    ],
)
def test_every_refusal_is_a_problem_with_the_requests_id(asked, method, path, sent, status) -> None:
    answer = run(asked.client.request(method, path, **sent))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["request"]) == (status, answer.headers["x-request-id"])
    assert ("retry-after" in answer.headers) == (status == 429)


def test_what_fails_within_says_nothing_of_itself(asked, monkeypatch) -> None:
    def fail(inputs):
        raise RuntimeError("the secret of /etc/shadow")

    monkeypatch.setattr(asked.gateway.served.predictor, "compute", fail)
    answer = run(asked.predict(HEART_ROW))
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_without_room_for_the_log_nothing_is_answered(asked, monkeypatch) -> None:
    from calyx.serving.decisions import NotLogged

    def fail(decision):
        raise NotLogged("The disk is full.")

    def count_answered():
        lines = asked.gateway.metrics.write().decode().splitlines()
        return next(line for line in lines if line.startswith("calyx_rows_total"))

    before = count_answered()
    with monkeypatch.context() as full:
        full.setattr(asked.gateway._decisions, "append", fail)
        answer = run(asked.predict(HEART_ROW))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "predictions" not in answer.text
    assert count_answered() == before
    assert run(asked.predict(HEART_ROW)).status_code == 200
    assert count_answered() != before


def test_every_request_of_a_scope_is_logged_with_its_outcome(asked) -> None:
    number, _ = asked.gateway._decisions.head
    run(asked.predict(HEART_ROW))
    run(asked.predict({}))
    run(asked.client.get("/v1/model", headers={"authorization": ""}))
    lines = sorted((asked.folder.parent / "state" / "log").glob("*.jsonl"))[-1].read_text()
    last = [json.loads(line) for line in lines.splitlines()][-3:]
    said = [
        (one["caller"], one["asked"], one["outcome"], one["status"], one["rows"]) for one in last
    ]
    assert said == [
        ("ward 3", "predict", "answered", 200, 1),
        ("ward 3", "predict", "refused", 422, 0),
        (None, "model", "refused", 401, 0),
    ]
    assert asked.gateway._decisions.head[0] == number + 3


def test_the_page_names_every_column_and_loads_nothing(asked) -> None:
    page = run(asked.client.get("/docs"))
    assert all(f"<td>{name}</td>" in page.text for name in HEART_ROW)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text
    described = run(asked.client.get("/openapi.json")).json()
    row = described["components"]["schemas"]["Row"]
    assert row["required"] == list(HEART_ROW)
    assert row["additionalProperties"] is False


@pytest.mark.parametrize("answer", ["label", "probabilities"])
def test_no_more_is_told_than_the_policy_says(tmp_path, answer) -> None:
    with gateway_on(tmp_path, answer=answer) as asked:
        (told,) = run(asked.predict(HEART_ROW)).json()["predictions"]
    assert told.keys() == {answer, "unusual"}


def test_metrics_count_requests_by_path_and_status(asked) -> None:
    run(asked.predict({}))
    text = run(asked.client.get("/metrics")).text
    assert 'calyx_requests_total{path="/v1/predict",status="422"}' in text
    assert "calyx_release_version 1.0" in text
