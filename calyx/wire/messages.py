"""What crosses the wire, typed. Record keys exist in this file only.

Both directions are read with the same distrust: names, types, shapes and lengths are compared
with what the reader expects before a byte of an array is interpreted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from calyx.errors import WireError
from calyx.model.weights import Array, Weights
from calyx.secagg.refusals import RefusalCode
from calyx.vector.quantise import FixedPoint, Residues, pack, unpack
from calyx.wire.records import weights_record

_ARRAYS = "arrays"  # the weights, under the key that Flower's own strategies use
_CONFIG = "config"  # likewise
_METRICS = "metrics"  # likewise
_ORDER = "order"
_VECTOR = "vector"
_NAME = "name"
_CTX, _BODY, _SECAGG = "ctx", "body", "secagg"
_RAW = "calyx.residues"  # how a vector's bytes are laid out: 2, 3 or 4 little-endian an element
_FLAT = "calyx.model.weights"  # all tensors of a model in its own order, little-endian
_ENGINE = "engine: "  # how an engine's own reason begins
_ERROR_BASE = 100  # Flower's own error codes lie below
_REFUSAL_BASE = 200
_FLOWERS = {
    0: "its reply holds no message",
    3: "its message expired",
    4: "its message was lost",
    5: "it is not connected any more",
}
_REFUSAL = re.compile(r"([a-z-]{1,40}) stage=([0-4]) ctx=([0-9a-f]{64}) accused=([0-9]{1,7}|none)")

WEIGHT_KEY = "num-examples"  # what Flower's strategies weigh replies by
NAME_QUERY = "query.name"
STAGE_TYPES = {1: "query.share", 2: "query.mask", 3: "query.consent", 4: "query.reveal"}
ABANDON_TYPE = "query.abandon"
MAX_BODY_BYTES = 2**33  # of one stage: 2^30 elements of 4 bytes and their control data


class FailureCode(StrEnum):
    """Why a client gives no contribution: the one word that leaves it. Details stay in its journal."""

    NO_ROWS = "no-rows"
    DATA_UNREADABLE = "data-unreadable"
    WRONG_SCHEMA = "wrong-schema"
    MISSING_VALUES = "missing-values"
    INFINITE_VALUES = "infinite-values"
    ORDER_REFUSED = "order-refused"
    WEIGHTS_REFUSED = "weights-refused"
    NON_FINITE_UPDATE = "non-finite-update"
    INTERNAL_ERROR = "internal-error"
    BUNDLE_REFUSED = "bundle-refused"  # the run was submitted with other code than is installed
    ROWS_CHANGED = "rows-changed"  # they are not those that this client began the run with


def order_content(weights: Mapping[str, Array], order: str) -> RecordDict:
    """A stage's message to every client of the cohort: the weights and the order.

    The weights are one array: a SuperLink is asked once for each part of a message.
    """
    flat = b"".join(
        np.asarray(v, order="C").astype(_little(v), copy=False).tobytes() for v in weights.values()
    )
    array = FlowerArray("uint8", (len(flat),), _FLAT, flat)
    return RecordDict(
        {_ARRAYS: ArrayRecord({_ARRAYS: array}), _ORDER: ConfigRecord({_ORDER: order})}
    )


def read_order_weights(message: Message, template: Mapping[str, Array]) -> Weights:
    """The weights of an order's message, with the template's names, types and shapes.

    Raises WireError unless there are exactly as many bytes as they need.
    """
    record = only_arrays(message.content)
    array = record.get(_ARRAYS)
    size = sum(like.nbytes for like in template.values())
    if len(record) != 1 or array is None or array.stype != _FLAT or len(array.data) != size:
        raise WireError(f"The order's weights are not the {size} bytes of this model.")
    weights, at = {}, 0
    for name, like in template.items():
        part = np.frombuffer(array.data, dtype=_little(like), count=like.size, offset=at)
        weights[name] = part.reshape(like.shape).astype(like.dtype)
        at += like.nbytes
    return weights


def _little(array: Array) -> "np.dtype[Any]":
    return array.dtype.newbyteorder("<")


def strategy_content(weights: ArrayRecord, settings: ConfigRecord) -> RecordDict:
    """What a strategy hands to the grid, with the keys of Flower's own strategies."""
    return RecordDict({_ARRAYS: weights, _CONFIG: settings})


def read_order(message: Message) -> str:
    """The order's JSON text. Raises WireError if the message holds anything but weights and order."""
    records = message.content
    if set(records) != {_ARRAYS, _ORDER}:
        raise WireError(
            f"The message holds {sorted(records)} instead of the weights and the order."
        )
    order = records[_ORDER]
    text = order.get(_ORDER) if isinstance(order, ConfigRecord) and len(order) == 1 else None
    if not isinstance(text, str):
        raise WireError("The message's order is no text.")
    return text


def only_arrays(content: RecordDict) -> ArrayRecord:
    """The one array record of a message. Raises WireError."""
    records = list(content.array_records.values())
    if len(records) != 1:
        raise WireError(f"The message holds {len(records)} array records instead of one.")
    return records[0]


def vector_content(vector: Residues, fixed: FixedPoint) -> RecordDict:
    """A client's contribution, and nothing else of it."""
    array = FlowerArray(
        f"uint{fixed.modulus_bits}", (len(vector),), _RAW, pack(vector, fixed.modulus_bits)
    )
    return RecordDict({_VECTOR: ArrayRecord({_VECTOR: array})})


def read_vector(message: Message, length: int, fixed: FixedPoint) -> Residues:
    """The contribution [D] of a reply. Raises WireError unless it has exactly `length` elements."""
    records = message.content
    record = records.get(_VECTOR)
    if set(records) != {_VECTOR} or not isinstance(record, ArrayRecord) or set(record) != {_VECTOR}:
        raise WireError("The reply holds something else than one vector.")
    array, bits = record[_VECTOR], fixed.modulus_bits
    declared = (array.stype, array.dtype, tuple(array.shape))
    if declared != (_RAW, f"uint{bits}", (length,)):
        raise WireError(
            f"The vector is declared as {declared}, not {length} elements of {bits} bits."
        )
    if len(array.data) != length * bits // 8:
        raise WireError(f"The vector has {len(array.data)} bytes, not {length * bits // 8}.")
    return unpack(array.data, bits)


def stage_content(ctx: bytes, body: bytes) -> RecordDict:
    """A request or a reply of one stage of `calyx-secagg/1`."""
    return RecordDict({_SECAGG: ConfigRecord({_CTX: ctx, _BODY: body})})


def read_stage(message: Message) -> tuple[bytes, bytes]:
    """Context and body of a stage's request or reply. Raises WireError."""
    record = message.content.get(_SECAGG)
    if set(message.content) != {_SECAGG} or not isinstance(record, ConfigRecord):
        raise WireError("The message holds something else than one stage's request.")
    ctx, body = record.get(_CTX), record.get(_BODY)
    if set(record) != {_CTX, _BODY} or not isinstance(ctx, bytes) or not isinstance(body, bytes):
        raise WireError("A stage's request must hold a context and a body, both bytes.")
    if len(ctx) != 32 or len(body) > MAX_BODY_BYTES:
        raise WireError("A stage's context or body has a wrong length.")
    return ctx, body


def group_content(
    weights: Mapping[str, Array], weight: int, metrics: Mapping[str, float]
) -> RecordDict:
    """What a strategy sees of a group: its mean weights (none when evaluating), weight and metrics."""
    values: dict[str, int | float | list[int] | list[float]] = {WEIGHT_KEY: weight, **metrics}
    records = RecordDict({_METRICS: MetricRecord(values)})
    if weights:
        records[_ARRAYS] = weights_record(weights)
    return records


def read_metrics(reply: Message) -> dict[str, float]:
    """The weight and the metrics of a group's reply to a strategy."""
    record = next(iter(reply.content.metric_records.values()))
    return {k: float(v) for k, v in record.items() if not isinstance(v, list)}


def failure(code: FailureCode, message: Message) -> Message:
    """The reply of a client that does not contribute: a code, and no text of an exception."""
    return Message(Error(_ERROR_BASE + list(FailureCode).index(code), code.value), reply_to=message)


@dataclass(frozen=True)
class RefusalNote:
    """What leaves a client that refuses a stage (§5): where, why, and whom it accuses, if anybody."""

    code: RefusalCode
    stage: int
    ctx: bytes
    accused: int | None


def refusal(note: RefusalNote, message: Message) -> Message:
    """The reply of a client that refuses: no secret, and no text of an exception."""
    accused = "none" if note.accused is None else note.accused
    text = f"{note.code.value} stage={note.stage} ctx={note.ctx.hex()} accused={accused}"
    return Message(
        Error(_REFUSAL_BASE + list(RefusalCode).index(note.code), text), reply_to=message
    )


def read_refusal(message: Message) -> RefusalNote | None:
    """The refusal in a reply without content, if that is what it is."""
    note = _REFUSAL.fullmatch(message.error.reason or "")
    if note is None or note[1] not in [c.value for c in RefusalCode]:
        return None
    accused = None if note[4] == "none" else int(note[4])
    return RefusalNote(RefusalCode(note[1]), int(note[2]), bytes.fromhex(note[3]), accused)


def failure_reason(message: Message) -> str:
    """Why a reply carries no content, in a word or a short sentence that may be shown."""
    code, reason = message.error.code, message.error.reason or ""
    if code >= _REFUSAL_BASE:
        note = read_refusal(message)
        return f"{note.code.value} (stage {note.stage})" if note else "an unknown failure"
    if code >= _ERROR_BASE:
        known = [c.value for c in FailureCode]
        return reason if reason in known else "an unknown failure"
    # Text of Flower's own errors may hold an exception of the client: only ours is passed on.
    ours = reason.startswith(_ENGINE) and reason.isprintable() and len(reason) <= 200
    return reason.removeprefix(_ENGINE) if ours else _FLOWERS.get(code, f"Flower's error {code}")


def engine_failure(sentence: str, message: Message) -> Message:
    """The reply that an engine gives in place of a client that cannot answer any more."""
    return Message(Error(8, _ENGINE + sentence), reply_to=message)


def name_content(name: str) -> RecordDict:
    """A client's answer to the question for its name."""
    return RecordDict({_NAME: ConfigRecord({_NAME: name})})


def read_name(message: Message) -> str:
    """The stable name that a client gives itself. Raises WireError."""
    record = message.content.get(_NAME)
    name = record.get(_NAME) if isinstance(record, ConfigRecord) else None
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise WireError("A client gave no printable name of 1 to 200 characters.")
    return name


def payload_bytes(content: RecordDict) -> int:
    """Payload bytes of a message: array data, texts and bytes, the same on every engine."""
    total = 0
    for record in content.values():
        for value in record.values():
            if isinstance(value, FlowerArray):
                total += len(value.data)
            elif isinstance(value, (str, bytes)):
                total += len(value.encode() if isinstance(value, str) else value)
    return total
