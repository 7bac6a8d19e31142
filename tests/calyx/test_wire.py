"""What crosses the wire is checked before it is used, in both directions."""

import io

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from calyx import wire
from calyx.flower import as_task
from calyx.secagg.quantise import FixedPoint
from calyx.secagg.vector import Layout

TEMPLATE = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
LAYOUT = Layout(FixedPoint(modulus_bits=24, n_max=16, clip=1.0), 64, (("w", (2, 3)),), (), ())


def message(content=None, error=None):
    as_task(1)
    order = Message(RecordDict(), dst_node_id=2, message_type="train")
    return Message(error, reply_to=order) if error else Message(content, reply_to=order)


def npy(array, **kwargs):
    stream = io.BytesIO()
    np.save(stream, array, **kwargs)
    return stream.getvalue()


def record(**arrays):
    return ArrayRecord(dict(wire.weights_record(TEMPLATE)) | arrays)


def test_weights_come_back_in_the_models_order_and_types():
    shuffled = ArrayRecord(dict(reversed(list(wire.weights_record(TEMPLATE).items()))))
    weights = wire.read_weights(shuffled, TEMPLATE)
    assert list(weights) == ["w", "n"]
    assert all(weights[k].tobytes() == TEMPLATE[k].tobytes() for k in TEMPLATE)
    assert weights["w"].flags.writeable


def test_float64_that_some_strategies_return_is_rounded():
    wide = Array(np.full((2, 3), 0.1))
    assert wire.read_weights(record(w=wide), TEMPLATE)["w"].dtype == np.float32


HUGE = npy(np.zeros(1, np.float32)).replace(b"(1,), }          ", b"(200000000000,), }")
HOSTILE = {
    "a missing tensor": ArrayRecord({"w": wire.weights_record(TEMPLATE)["w"]}),
    "another name": record(v=Array(np.zeros(1, np.float32))),
    "another shape": record(w=Array(np.zeros((3, 2), np.float32))),
    "another type": record(w=Array(np.zeros((2, 3), np.int32))),
    "a type that is not its bytes": record(
        w=Array("float32", (2, 3), "numpy.ndarray", npy(np.zeros((2, 3), np.int32)))
    ),
    "another shape in its bytes": record(
        w=Array("float32", (2, 3), "numpy.ndarray", npy(np.zeros(6, np.float32)))
    ),
    "a head that asks for 745 GiB": record(w=Array("float32", (2, 3), "numpy.ndarray", HUGE)),
    "cut bytes": record(
        w=Array("float32", (2, 3), "numpy.ndarray", npy(np.zeros((2, 3), np.float32))[:-1])
    ),
    "bytes too many": record(
        w=Array("float32", (2, 3), "numpy.ndarray", npy(np.zeros((2, 3), np.float32)) + b"x")
    ),
    "another encoding": record(w=Array("float32", (2, 3), "pickle", b"x" * 152)),
    "columns first": record(
        w=Array("float32", (2, 3), "numpy.ndarray", npy(np.zeros((2, 3), np.float32, order="F")))
    ),
    "a pickle": record(
        w=Array(
            "float32", (2, 3), "numpy.ndarray", npy(np.array([[{}] * 3] * 2), allow_pickle=True)
        )
    ),
    "object type": record(w=Array("object", (2, 3), "numpy.ndarray", b"x" * 200)),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_weights_are_refused_unparsed(hostile):
    with pytest.raises(wire.WireError):
        wire.read_weights(hostile, TEMPLATE)


@given(st.binary(max_size=300))
def test_any_bytes_for_a_tensor_are_weights_or_refused(data):
    try:
        weights = wire.read_weights(
            record(w=Array("float32", (2, 3), "numpy.ndarray", data)), TEMPLATE
        )
    except wire.WireError:
        return
    assert weights["w"].shape == (2, 3)


def test_a_vector_takes_three_bytes_an_element_and_comes_back():
    vector = np.arange(LAYOUT.length, dtype=np.uint32)
    content = wire.vector_content(vector, LAYOUT.fixed)
    assert wire.payload_bytes(content) == 3 * LAYOUT.length
    assert wire.read_vector(message(content), LAYOUT).tolist() == vector.tolist()


def vector_record(
    dtype="uint24", length=LAYOUT.length, stype="calyx.residues", size=3 * LAYOUT.length
):
    return ArrayRecord({"vector": Array(dtype, (length,), stype, b"\0" * size)})


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"vector": ConfigRecord({"vector": "x"})},
        {"vector": vector_record(), "metrics": MetricRecord({"loss": 1.0})},
        {"vector": vector_record(dtype="uint32")},
        {"vector": vector_record(length=10**12)},
        {"vector": vector_record(stype="numpy.ndarray")},
        {"vector": vector_record(size=3 * LAYOUT.length - 1)},
        {"vector": vector_record(size=10**6)},
    ],
)
def test_a_reply_that_is_not_exactly_one_vector_is_refused(content):
    with pytest.raises(wire.WireError):
        wire.read_vector(message(RecordDict(content)), LAYOUT)


def test_a_failure_is_one_code_and_no_text_of_a_client_is_passed_on():
    as_task(1)
    order = Message(RecordDict(), dst_node_id=2, message_type="train")
    for code in wire.FailureCode:
        assert wire.failure_reason(wire.failure(code, order)) == code.value
    assert wire.failure_reason(wire.engine_failure("it died", order)) == "it died"
    for code in (2, 8, 100, 999):
        said = wire.failure_reason(message(error=Error(code, "row 17 has HIV")))
        assert "row" not in said


def test_a_message_with_more_than_weights_and_order_is_refused():
    good = wire.order_content(wire.weights_record(TEMPLATE), "{}")
    assert wire.read_order(message(good)) == "{}"
    for bad in (
        {**good, "more": ConfigRecord({})},
        {"arrays": good["arrays"]},
        {**good, "order": MetricRecord({})},
    ):
        with pytest.raises(wire.WireError):
            wire.read_order(message(RecordDict(dict(bad))))


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "\x1b[31mred"])
def test_a_name_that_cannot_be_shown_is_refused(name):
    assert wire.read_name(message(wire.name_content("clinic north"))) == "clinic north"
    with pytest.raises(wire.WireError):
        wire.read_name(message(wire.name_content(name)))
