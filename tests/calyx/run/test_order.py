"""The order: one canonical byte string, and what travels in it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calyx.composing.compose import compose, resolve
from calyx.config.section import canonical_json
from calyx.errors import ConfigError
from calyx.run.order import (
    MAX_ORDER_BYTES,
    Order,
    from_json,
    run_digest,
    terms_of,
    to_json,
    travelling,
)


def load(*overrides):
    return resolve(compose(list(overrides)))


def order():
    return Order(
        protocol="calyx/1",
        run="r",
        kind="train",
        round=1,
        attempt=1,
        weights="0" * 64,
        is_validated=False,
        previous=(),
        abandoned=(),
        groups=(("a", "b"),),
        members=None,
        rounds=3,
        best=0,
        deadline_s=60.0,
        terms=terms_of(load()),
    )


def test_an_order_comes_back_from_its_canonical_json():
    text = to_json(order())
    assert from_json(text) == order()
    assert canonical_json(json.loads(text)) == text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda o, t: "no json",
        lambda o, t: "[1]",
        lambda o, t: " " + t,
        lambda o, t: json.dumps(o, sort_keys=True),
        lambda o, t: canonical_json(o | {"extra": 1}),
        lambda o, t: canonical_json(o | {"protocol": "calyx/0"}),
        lambda o, t: canonical_json(o | {"attempt": 0}),
        lambda o, t: canonical_json(o | {"terms": o["terms"] | {"server": {}}}),
        lambda o, t: canonical_json(o | {"run": "x" * (MAX_ORDER_BYTES + 1)}),
        lambda o, t: "[" * 100_000,
        lambda o, t: canonical_json(o | {"round": -1}),
        lambda o, t: canonical_json(o | {"round": True}),
        lambda o, t: canonical_json(o | {"round": 1.0}),
        lambda o, t: canonical_json(o | {"rounds": 0}),
        lambda o, t: canonical_json(o | {"deadline_s": 0.0}),
        lambda o, t: canonical_json(o | {"kind": "Train!"}),
        lambda o, t: canonical_json(o | {"groups": ["a", "b"]}),
        lambda o, t: canonical_json(o | {"run": ""}),
        lambda o, t: canonical_json(o | {"run": "x" * 201}),  # what a ledger's line would hold
        lambda o, t: canonical_json(o | {"run": "r\nr"}),
        lambda o, t: canonical_json(o | {"run": "r\u202er"}),
        lambda o, t: canonical_json(o | {"groups": [["a", "b" * 201]]}),
        lambda o, t: canonical_json(o | {"members": [["a", "b\x1b[2J"]]}),
        lambda o, t: canonical_json(o | {"deadline_s": 1e300}),
        lambda o, t: canonical_json({k: v for k, v in o.items() if k != "weights"}),
        lambda o, t: json.dumps(dict(reversed(o.items())), separators=(",", ":")),
        lambda o, t: t.replace('"attempt":1', '"attempt":1,"attempt":1'),
        lambda o, t: t.replace('"round":1', '"round":1' + "0" * 5000),
        lambda o, t: t.replace('"run":"r"', '"run":"\\ud800"'),
        lambda o, t: t.replace('"seed":1', '"seed":NaN'),
        lambda o, t: t.replace('"mu"', '"nu"').replace('"local":{}', '"local":{"mu":NaN}'),
    ],
)
def test_anything_else_is_refused(spoil):
    text = to_json(order())
    with pytest.raises(ConfigError):
        from_json(spoil(json.loads(text), text))


def test_paths_hardware_engine_and_the_servers_half_do_not_travel():
    config = load(
        "task=heart", "task.data_dir=/secret", "strategy=fedopt", "hardware=cpu", "engine.workers=1"
    )
    text = canonical_json(travelling(config))
    assert "secret" not in text
    assert "beta1" not in text
    assert set(json.loads(text)) == {
        "task",
        "strategy",
        "training",
        "preprocessing",
        "privacy",
        "w_max",
        "statistics",
        "cv",
        "cohort_size",
        "seed",
    }


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("rounds=99", True),
        ("engine.workers=0", True),
        ("baselines=true", True),
        ("hardware=cpu", True),
        ("deadline_s=5.0", True),
        ("retries=3", True),
        ("seed=9", False),
        ("strategy.server.lr=0.5", False),
        ("stopping.patience=3", False),
        ("cohort_size=3", False),
        ("training.lr=0.7", False),
        ("privacy.bits=16", False),
        ("min_replies=3", False),
    ],
)
def test_a_run_is_another_only_if_what_decides_its_bytes_is(override, same):
    base, other = load("strategy=fedopt"), load("strategy=fedopt", override)
    assert (run_digest(base) == run_digest(other)) is same


def test_an_order_that_is_too_long_is_refused_unread():
    with pytest.raises(ConfigError, match=f"more than {MAX_ORDER_BYTES}"):
        from_json("x" * (MAX_ORDER_BYTES + 1))


def test_no_client_has_a_field_of_its_own_in_the_order():
    fields = set(json.loads(to_json(order())))
    assert fields == {
        "abandoned",
        "attempt",
        "best",
        "deadline_s",
        "groups",
        "is_validated",
        "kind",
        "members",
        "previous",
        "protocol",
        "round",
        "rounds",
        "run",
        "terms",
        "weights",
    }


def test_the_hyperparameters_that_travel_are_those_of_the_config():
    config = load("strategy=fedprox", "strategy.local.mu=0.25", "training.lr=0.125")
    sent = json.loads(to_json(replace(order(), terms=terms_of(config))))["terms"]
    assert sent["strategy"] == {"name": "fedprox", "local": {"mu": 0.25}}
    assert sent["training"] == config["training"]
    assert sent["training"]["lr"] == 0.125
    assert sent["privacy"] == config["privacy"]


@given(st.text(max_size=60))
def test_any_text_is_refused_in_a_sentence(text):
    with pytest.raises(ConfigError):
        from_json(text)
