"""Who copies a model is slowed and then stopped; who asks of patients is answered."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.populations import SCHEMA, draw_evenly, draw_patients, make_population

from calyx.data.schema import Column, Schema
from calyx.serving.holds import Holds
from calyx.serving.population import read_population
from calyx.serving.reference import draw_reference
from calyx.serving.stealing import Detector, DetectorConfig
from calyx.serving.traces import Queries

POPULATION = make_population()
SCALE = np.array([8.0] * 8 + [3.0, 1.0, 1.0, 1.0])


def _prepare(rows):
    return (rows / SCALE).astype(np.float32)


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """A clock of the test's own."""
    return Clock()


@pytest.fixture
def detector(tmp_path, clock):
    """A detector of the default config, or of another."""

    def make(**keys):
        reference = draw_reference(SCHEMA, POPULATION, _prepare)
        cfg = DetectorConfig(**keys)
        return Detector(cfg, POPULATION, reference, Holds(tmp_path / "holds"), clock)

    return make


def _ask(detector, rows, batch=20, caller="ward"):
    parts = (rows[begin : begin + batch] for begin in range(0, len(rows), batch))
    return [
        detector.observe(caller, Queries(part, _prepare(part), POPULATION.find_cells(part)))
        for part in parts
    ]


def _actions(verdicts):
    return {verdict.action for verdict in verdicts}


def _walk(rng, seeds, rounds):
    """Each row and its steps along a random direction of all numbers (Papernot et al. 2017, alg. 1)."""
    rows = seeds
    for _ in range(rounds):
        step = np.zeros_like(rows)
        step[:, :8] = 0.1 * SCALE[:8] * rng.choice([-1, 1], (len(rows), 8))
        rows = np.concatenate([rows, rows + step])
    return rows


def _try_variants(rng, count):
    """A patient and what would be if two numbers were others, for `count` patients."""
    rows = np.repeat(draw_patients(rng, count), 20, axis=0)
    for place in range(len(rows)):
        if place % 20:
            rows[place, rng.choice(8, 2, replace=False)] = rng.uniform(0, 100, 2)
    return rows


@pytest.mark.parametrize(
    "draw", [draw_evenly, lambda rng, count: _walk(rng, draw_patients(rng, count // 32), 5)]
)
def test_a_thief_is_slowed_and_then_stopped(detector, clock, draw):
    """Each with an alert, a reason, and when to come back."""
    one = detector()
    verdicts = []
    for begin in range(0, 960, 20):
        rows = draw(np.random.default_rng(0), 960)[begin : begin + 20]
        verdicts += _ask(one, rows)
        clock.now += 30  # as long as it is told to wait
    actions = [v.action for v in verdicts]
    assert actions.index("slow") < actions.index("stop")
    assert [v.action for v in verdicts if v.is_alert] == ["slow", "stop"]
    stopped = next(v for v in verdicts if v.action == "stop")
    assert stopped.retry_after_s == 86_400
    assert "looks like copying the model" in stopped.reason
    assert not any(sign in stopped.reason for sign in ("close", "away"))  # which is the log's
    assert actions[-1] == "stop"


@pytest.mark.parametrize("batch", [1, 20, 5000])
def test_patients_in_any_batches_are_answered(detector, batch):
    """One by one, in small batches, and a night's five thousand; and all of them once more."""
    rows = draw_patients(np.random.default_rng(1), 5000 if batch == 5000 else 600)
    assert _actions(_ask(detector(), np.concatenate([rows, rows]), batch)) == {"answer"}


def test_what_ifs_of_patients_are_answered(detector):
    """However many, and however far the numbers that are tried."""
    rows = _try_variants(np.random.default_rng(2), 60)
    assert _actions(_ask(detector(), rows, 20)) == {"answer"}
    assert _actions(_ask(detector(), rows, 1)) == {"answer"}


def test_a_slowed_caller_is_answered_when_it_comes_back_in_time(detector, clock):
    """It waits a second a row, and no longer."""
    one = detector(mode="slow")
    rows = draw_evenly(np.random.default_rng(3), 300)
    first = next(v for v in _ask(one, rows[:200]) if v.action == "slow")
    assert first.retry_after_s == 20
    assert _ask(one, rows[200:220])[0].action == "slow"
    clock.now += 20
    assert _ask(one, rows[200:220])[0].action == "answer"
    assert _ask(one, rows[220:240])[0].action == "slow"


def test_a_stop_is_seen_by_another_replica_and_ends(detector, clock):
    """It is in a file, so that a restart does not lift it; others are answered."""
    rng = np.random.default_rng(4)
    one, other = detector(), detector()
    for begin in range(0, 400, 20):
        _ask(one, draw_evenly(rng, 20 + 0 * begin))
        clock.now += 30
    patients = draw_patients(rng, 20)
    assert _ask(other, patients)[0].action == "stop"
    assert _ask(other, patients, caller="clinic")[0].action == "answer"
    clock.now += 86_401
    assert _ask(other, patients)[0].action == "answer"


@pytest.mark.parametrize(("mode", "alerts"), [("alert", 1), ("off", 0)])
def test_whoever_only_wants_to_know_refuses_nobody(detector, mode, alerts):
    """`alert` tells once, `off` never."""
    verdicts = _ask(detector(mode=mode), draw_evenly(np.random.default_rng(5), 1000))
    assert _actions(verdicts) == {"answer"}
    assert sum(v.is_alert for v in verdicts) == alerts


def test_without_a_baseline_only_nearness_is_judged(tmp_path):
    """And of text nothing, since its numbers are no places."""
    unknown = read_population(SCHEMA, None)
    reference = draw_reference(SCHEMA, unknown, _prepare)
    one = Detector(DetectorConfig(), unknown, reference, Holds(tmp_path / "holds"), Clock())
    rng = np.random.default_rng(7)

    def ask(caller, rows):
        for begin in range(0, len(rows), 20):
            part = rows[begin : begin + 20]
            queries = Queries(part, _prepare(part), unknown.find_cells(part))
            yield one.observe(caller, queries).action

    assert set(ask("evenly", draw_evenly(rng, 400))) == {"answer"}
    assert "slow" in ask("steps", _walk(rng, draw_patients(rng, 20), 4))
    text = Schema((Column("letter", "text"),), ("a", "b"))
    assert len(draw_reference(text, read_population(text, None), _prepare_nothing)) == 0


def _prepare_nothing(rows):
    return rows.astype(np.float32)


def test_memory_is_bounded_however_many_callers_there_are(detector, monkeypatch):
    """The ones that asked least lately are forgotten."""
    import calyx.serving.stealing as room

    monkeypatch.setattr(room, "MOST_BYTES", 200_000)
    one = detector()
    for number in range(50):
        _ask(one, draw_patients(np.random.default_rng(number), 100), caller=str(number))
    assert sum(s.trace.num_bytes for s in one._suspects.values()) == one._bytes <= 200_000 + 40_000
    assert "49" in one._suspects


def test_a_thief_is_stopped_where_the_stop_cannot_be_written(detector, clock, tmp_path):
    """As on a full disk: each time that it asks."""
    one, rows = detector(), draw_evenly(np.random.default_rng(6), 600)
    (tmp_path / "holds").rmdir()
    actions = []
    for begin in range(0, 600, 20):
        actions += [v.action for v in _ask(one, rows[begin : begin + 20])]
        clock.now += 30
    assert actions[0] == "answer"
    assert set(actions[-10:]) == {"stop"}
    (tmp_path / "holds").write_text("in the way")
    assert _ask(one, rows[:1], caller="clinic")[0].action == "stop"  # who is stopped is not known


def test_a_damaged_hold_lets_nobody_in(tmp_path):
    """Who can write into the folder of states might also have cut it short; a person looks."""
    holds = Holds(tmp_path / "holds")
    holds.path_of("ward").write_text("{")
    assert "damaged" in holds.find("ward", 0.0).reason


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(allow_infinity=False), min_size=12, max_size=12), min_size=0, max_size=40
    )
)
def test_any_rows_are_looked_at(tmp_path_factory, rows):
    """However large, equal, few or missing: what is odd is for other checks to refuse."""
    one = Detector(
        DetectorConfig(),
        POPULATION,
        draw_reference(SCHEMA, POPULATION, _prepare),
        Holds(tmp_path_factory.getbasetemp() / "any"),
    )
    values = np.array(rows, dtype=np.float64).reshape(-1, 12)
    with np.errstate(over="ignore"):
        verdict = _ask(one, values, max(1, len(values)))
    assert _actions(verdict) <= {"answer", "slow", "stop"}
