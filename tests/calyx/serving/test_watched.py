"""What a gateway sees in its callers' rows by the release's baseline: through its app, on real releases."""

import asyncio

import numpy as np
import pytest
from support.gateways import HEART_ROW, gateway_on
from support.releases import SCHEMA, make_release

from calyx.releases.baseline import Baseline, ColumnBaseline
from calyx.serving.holds import Hold, Holds


def _count(column):
    """Of a number, a thousand rows in the three bins of ten around the value of `HEART_ROW`."""
    if column.categories:
        counts = (500,) * len(column.categories)
        return ColumnBaseline(name=column.name, codes=column.categories, counts=counts)
    edges = np.linspace(column.low, column.high, 11)
    middle = int(np.searchsorted(edges, HEART_ROW[column.name], "right")) - 1
    counts = [0] * 10
    for place in range(max(0, middle - 1), min(10, middle + 2)):
        counts[place] = 400
    return ColumnBaseline(name=column.name, edges=tuple(edges.tolist()), counts=tuple(counts))


BASELINE = Baseline(sites=4, rows=1000, columns=tuple(map(_count, SCHEMA.columns)))


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "releases").mkdir()
    make_release(tmp_path / "releases" / "heart-1", baseline=BASELINE)
    with gateway_on(tmp_path) as asked:
        yield asked


def _draw_evenly(count):
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        row = {}
        for c in SCHEMA.columns:
            drawn = rng.choice(c.categories) if c.categories else rng.uniform(c.low, c.high)
            row[c.name] = float(drawn)
        rows.append(row)
    return rows


def test_a_value_far_from_the_trainings_is_answered_and_named(asked) -> None:
    answer = asyncio.run(asked.predict(HEART_ROW, HEART_ROW | {"age": 19, "chol": 600}))
    assert [one["unusual"] for one in answer.json()["predictions"]] == [[], ["age", "chol"]]
    text = asyncio.run(asked.client.get("/metrics")).text
    assert 'calyx_values_total{cell="0",column="age",version="1"} 1.0' in text
    assert "calyx_unusual_rows_total 1.0" in text


def test_a_thief_is_refused_with_a_time_and_others_are_answered(asked) -> None:
    """First slowed; then, where the file of its stop is there, stopped until that ends."""
    slowed = asyncio.run(asked.predict(*_draw_evenly(80)))
    assert (slowed.status_code, slowed.json()["title"]) == (429, "Slowed")
    assert slowed.headers["retry-after"] == "64"  # a second a row, of as many as may be asked
    assert "calyx_stealing_alerts_total 1.0" in asyncio.run(asked.client.get("/metrics")).text
    holds = Holds(asked.folder.parent / "state" / "stopped")
    holds.add(Hold(caller="ward 3", since=0, until=1e11, reason="Tested."))
    stopped = asyncio.run(asked.predict(HEART_ROW))
    assert (stopped.status_code, stopped.json()["title"]) == (429, "Stopped")
    assert int(stopped.headers["retry-after"]) > 86_400
    other = asyncio.run(asked.predict(HEART_ROW, headers={"authorization": "clinic"}))
    assert other.status_code == 200
