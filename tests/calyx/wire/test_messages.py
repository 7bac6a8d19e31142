"""What crosses the wire is checked before it is used, in both directions."""

import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import example, given
from hypothesis import strategies as st

from calyx.errors import WireError
from calyx.flower.messages import as_task
from calyx.vector.contribution import Layout
from calyx.vector.quantise import FixedPoint
from calyx.wire import messages as wire
from calyx.wire import records

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
    return ArrayRecord(dict(records.weights_record(TEMPLATE)) | arrays)


def test_weights_come_back_in_the_models_order_and_types():
    shuffled = ArrayRecord(dict(reversed(list(records.weights_record(TEMPLATE).items()))))
    weights = records.read_weights(shuffled, TEMPLATE)
    assert list(weights) == ["w", "n"]
    assert all(weights[k].tobytes() == TEMPLATE[k].tobytes() for k in TEMPLATE)
    assert weights["w"].flags.writeable


def test_float64_that_some_strategies_return_is_rounded():
    wide = Array(np.full((2, 3), 0.1))
    assert records.read_weights(record(w=wide), TEMPLATE)["w"].dtype == np.float32


HUGE = npy(np.zeros(1, np.float32)).replace(b"(1,), }          ", b"(200000000000,), }")
HOSTILE = {
    "a missing tensor": ArrayRecord({"w": records.weights_record(TEMPLATE)["w"]}),
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
    with pytest.raises(WireError):
        records.read_weights(hostile, TEMPLATE)


def test_values_cross_bit_for_bit():
    odd = np.array([[0.0, -0.0, 1e-45], [np.inf, np.nan, -3.4e38]], np.float32)
    template = {"w": odd, "one": np.array(2.5, np.float32), "none": np.zeros((0, 3), np.float32)}
    weights = records.read_weights(records.weights_record(template), template)
    assert {k: (v.tobytes(), v.shape, v.dtype) for k, v in weights.items()} == {
        k: (v.tobytes(), v.shape, v.dtype) for k, v in template.items()
    }


def test_columns_first_in_memory_crosses_as_the_same_values():
    template = {"w": np.asfortranarray(TEMPLATE["w"])}
    weights = records.read_weights(records.weights_record(template), template)
    assert weights["w"].tolist() == TEMPLATE["w"].tolist()


def test_an_integer_buffer_is_not_taken_as_float64():
    with pytest.raises(WireError, match="tensor n is float64"):
        records.read_weights(record(n=Array(np.array(3.0))), TEMPLATE)


def test_float64_is_rounded_to_the_nearest():
    wide = np.array([[0.1, 1 + 2.0**-25, 1e-50], [1 / 3, -0.1, 2.0**24 + 1]])
    weights = records.read_weights(record(w=Array(wide)), TEMPLATE)
    assert weights["w"].tobytes() == wide.astype(np.float32).tobytes()


def head(text, version=b"\x01\x00"):
    """The head of an .npy array that says `text`, whatever that is."""
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "said",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 2000000), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -3), }",
        b"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3], }",
        b"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
        b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }",
        b"__import__('os').getcwd()",
        b"[]",
        b"",
    ],
)
def test_a_head_that_says_something_else_is_refused(said):
    array = Array("float32", (2, 3), "numpy.ndarray", head(said) + b"\0" * 24)
    with pytest.raises(WireError, match="does not hold what its record declares"):
        records.read_weights(record(w=array), TEMPLATE)


def test_a_head_that_asks_for_much_is_refused_without_room_for_it():
    declared = Array("float32", (100_000, 2_000_000), "numpy.ndarray", HUGE)
    tracemalloc.start()
    try:
        for array in (declared, Array("float32", (2, 3), "numpy.ndarray", HUGE)):
            with pytest.raises(WireError):
                records.read_weights(record(w=array), TEMPLATE)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_only_the_first_version_of_the_head_is_read():
    said = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
    good = Array("float32", (2, 3), "numpy.ndarray", head(said) + b"\0" * 24)
    assert records.read_weights(record(w=good), TEMPLATE)["w"].tolist() == [[0.0] * 3] * 2
    second = Array("float32", (2, 3), "numpy.ndarray", head(said, b"\x02\x00") + b"\0" * 24)
    with pytest.raises(WireError):
        records.read_weights(record(w=second), TEMPLATE)


SOUND = npy(np.zeros((2, 3), np.float32))


# Found by trying all: each makes the parser of heads raise something of its own.
@example(8, 1)
@example(10, 35)
@given(st.integers(0, len(SOUND) - 25), st.integers(0, 255))
def test_a_damaged_byte_before_the_values_is_seen_or_changes_nothing(at, value):
    data = SOUND[:at] + bytes([value]) + SOUND[at + 1 :]
    array = Array("float32", (2, 3), "numpy.ndarray", data)
    try:
        weights = records.read_weights(record(w=array), TEMPLATE)
    except WireError:
        return
    assert weights["w"].tolist() == [[0.0] * 3] * 2


@given(st.binary(max_size=300))
def test_any_bytes_for_a_tensor_are_weights_or_refused(data):
    try:
        weights = records.read_weights(
            record(w=Array("float32", (2, 3), "numpy.ndarray", data)), TEMPLATE
        )
    except WireError:
        return
    assert weights["w"].shape == (2, 3)


def test_a_vector_takes_three_bytes_an_element_and_comes_back():
    vector = np.arange(LAYOUT.length, dtype=np.uint32)
    content = wire.vector_content(vector, LAYOUT.fixed)
    assert wire.payload_bytes(content) == 3 * LAYOUT.length
    assert (
        wire.read_vector(message(content), LAYOUT.length, LAYOUT.fixed).tolist() == vector.tolist()
    )


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
        {"vector": vector_record(size=0)},
        {"vector": vector_record(dtype="float32")},
        {"vector": vector_record(), "more": ArrayRecord({})},
        {"vector": vector_record(), "error": ConfigRecord({"text": "row 17"})},
        {"vector": ArrayRecord({"vector": vector_record()["vector"], "w": Array(np.zeros(1))})},
        {"vector": ArrayRecord({"w": vector_record()["vector"]})},
        {"vector": ArrayRecord({})},
        {"update": vector_record()},
    ],
)
def test_a_reply_that_is_not_exactly_one_vector_is_refused(content):
    with pytest.raises(WireError):
        wire.read_vector(message(RecordDict(content)), LAYOUT.length, LAYOUT.fixed)


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
    good = wire.order_content(TEMPLATE, "{}")
    assert wire.read_order(message(good)) == "{}"
    for bad in (
        {**good, "more": ConfigRecord({})},
        {"arrays": good["arrays"]},
        {**good, "order": MetricRecord({})},
    ):
        with pytest.raises(WireError):
            wire.read_order(message(RecordDict(dict(bad))))


def test_the_orders_weights_come_back_in_the_models_order():
    values = {k: (v + 1).astype(v.dtype) for k, v in TEMPLATE.items()}
    found = wire.read_order_weights(message(wire.order_content(values, "{}")), TEMPLATE)
    assert list(found) == list(TEMPLATE)
    for name, array in found.items():
        assert array.dtype == TEMPLATE[name].dtype
        assert np.array_equal(array, values[name])
        assert array.flags.writeable


def flat(data, stype="calyx.model.weights", name="arrays", dtype="uint8"):
    arrays = ArrayRecord({name: Array(dtype, (len(data),), stype, data)})
    return RecordDict({"arrays": arrays, "order": ConfigRecord({"order": "{}"})})


@pytest.mark.parametrize("change", [-1, 1, 1000])
def test_order_weights_of_another_length_are_refused(change):
    size = sum(v.nbytes for v in TEMPLATE.values())
    assert wire.read_order_weights(message(flat(bytes(size))), TEMPLATE)
    with pytest.raises(WireError, match="not the"):
        wire.read_order_weights(message(flat(bytes(size + change))), TEMPLATE)


def test_order_weights_of_another_kind_are_refused():
    size = sum(v.nbytes for v in TEMPLATE.values())
    two = flat(bytes(size))
    two["arrays"]["more"] = Array("uint8", (1,), "calyx.model.weights", b"x")
    stock = RecordDict({"arrays": records.weights_record(TEMPLATE), "order": ConfigRecord({})})
    for bad in (flat(bytes(size), stype="numpy.ndarray"), flat(bytes(size), name="w"), two, stock):
        with pytest.raises(WireError):
            wire.read_order_weights(message(bad), TEMPLATE)


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "\x1b[31mred"])
def test_a_name_that_cannot_be_shown_is_refused(name):
    assert wire.read_name(message(wire.name_content("clinic north"))) == "clinic north"
    with pytest.raises(WireError):
        wire.read_name(message(wire.name_content(name)))


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_the_largest_and_smallest_elements_come_back(bits):
    layout = replace(LAYOUT, fixed=FixedPoint(modulus_bits=bits, n_max=16, clip=1.0))
    vector = np.full(layout.length, layout.fixed.mask, dtype=np.uint32)
    vector[::2] = 0
    content = wire.vector_content(vector, layout.fixed)
    assert (
        wire.read_vector(message(content), layout.length, layout.fixed).tolist() == vector.tolist()
    )
    assert wire.payload_bytes(content) == layout.length * bits // 8


@given(st.binary(min_size=3 * LAYOUT.length, max_size=3 * LAYOUT.length))
def test_any_bytes_of_the_right_length_are_residues(data):
    array = Array("uint24", (LAYOUT.length,), "calyx.residues", data)
    content = RecordDict({"vector": ArrayRecord({"vector": array})})
    vector = wire.read_vector(message(content), LAYOUT.length, LAYOUT.fixed)
    expected = [int.from_bytes(data[i : i + 3], "little") for i in range(0, len(data), 3)]
    assert vector.tolist() == expected


@given(st.text(max_size=30), st.integers(0, 300))
def test_no_text_that_a_client_makes_up_is_shown(text, code):
    said = wire.failure_reason(message(error=Error(code, text)))
    known = {c.value for c in wire.FailureCode}
    assert said in known or said in (
        "an unknown failure",
        f"Flower's error {code}",
        wire._FLOWERS.get(code),
    )


def test_a_code_is_shown_for_our_own_errors_only():
    assert wire.failure_reason(message(error=Error(2, "no-rows"))) == "Flower's error 2"
    assert wire.failure_reason(message(error=Error(100, "no-rows\n"))) == "an unknown failure"
    assert wire.failure_reason(message(error=Error(100, None))) == "an unknown failure"


def test_an_engines_reason_is_one_short_printable_clause():
    for bad in ("two\nlines", "x" * 300, "\x1b[31mred"):
        assert wire.failure_reason(message(error=Error(8, f"engine: {bad}"))) == "Flower's error 8"


def test_codes_have_numbers_of_their_own_above_flowers():
    as_task(1)
    order = Message(RecordDict(), dst_node_id=2, message_type="train")
    numbers = [wire.failure(code, order).error.code for code in wire.FailureCode]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) >= 100


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"name": ConfigRecord({})},
        {"name": ConfigRecord({"name": 5})},
        {"name": ConfigRecord({"name": b"north"})},
        {"name": MetricRecord({"name": 1.0})},
    ],
)
def test_an_answer_without_a_name_is_refused(content):
    with pytest.raises(WireError, match="no printable name"):
        wire.read_name(message(RecordDict(content)))


def test_an_order_with_a_second_text_is_refused():
    arrays = records.weights_record(TEMPLATE)
    for config in ({"order": "{}", "more": "x"}, {"order": b"{}"}, {"orders": "{}"}, {}):
        content = RecordDict({"arrays": arrays, "order": ConfigRecord(config)})
        with pytest.raises(WireError, match="order is no text"):
            wire.read_order(message(content))


def test_one_array_record_is_wanted():
    record = records.weights_record(TEMPLATE)
    for content in ({}, {"a": record, "b": record}, {"a": ConfigRecord({})}):
        with pytest.raises(WireError, match="array records instead of one"):
            wire.only_arrays(RecordDict(content))
    assert wire.only_arrays(RecordDict({"any": record})) == record


def test_payload_is_array_data_and_texts_in_bytes():
    content = RecordDict(
        {
            "a": ArrayRecord({"x": Array("uint8", (5,), "raw", b"12345")}),
            "b": ArrayRecord({"y": Array("uint8", (2,), "raw", b"12")}),
            "c": ConfigRecord({"text": "né", "number": 5}),
            "m": MetricRecord({"loss": 1.0}),
        }
    )
    assert wire.payload_bytes(content) == 5 + 2 + 3
