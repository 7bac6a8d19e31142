"""The seam to Flower's Fleet API as the gateway sees it: who has signed a request, and what is in it.

Nothing here says who may do what: that is the SuperLink's. It is what can be known of a request
before its body is read, and of a body before it is passed on.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from calyx.errors import UserError

BELIEVED_S = 305.0  # that Flower believes a signature after its time
AHEAD_S = 5.0  # that its time may lie in the future


@dataclass(frozen=True)
class Signed:
    """What the headers of a request say: by whose key, when, and the signature of that time."""

    key: bytes  # PEM, as it came
    time: str  # ISO 8601 with a zone
    signature: bytes  # ECDSA, DER

    @classmethod
    def read(cls, key: str, time: str, signature: str) -> "Signed":
        """Read a signed request from the texts of its three headers. Raises ValueError."""
        try:
            return cls(b64decode(key, validate=True), time, b64decode(signature, validate=True))
        except binascii.Error:
            raise ValueError("no base64") from None

    def age_s(self, now: float) -> float:
        """Seconds since it was signed; `now` is UNIX time. Raises ValueError for no time."""
        signed = datetime.fromisoformat(self.time)
        if signed.tzinfo is None:
            raise ValueError("a time without a zone")
        return now - signed.timestamp()

    @property
    def nonce(self) -> int:
        """What is the same in every form of this signature. Raises ValueError for no signature.

        An ECDSA signature (r, s) has a second form (r, n - s), and DER has several: this is r.
        """
        return decode_dss_signature(self.signature)[0]

    def is_by(self, key: EllipticCurvePublicKey) -> bool:
        """Whether the time was signed with this key, as Flower's node authentication signs it."""
        try:
            key.verify(self.signature, self.time.encode("ascii"), ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def read_node_key(pem: bytes) -> tuple[bytes, EllipticCurvePublicKey]:
    """A site's public node key as its requests carry it, and as one can verify with it.

    Raises UserError for what is no such key.
    """
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise UserError("This is no public node key; a site makes one with `calyx keys site`.")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), key


def is_own_reply(body: bytes) -> bool:
    """Whether a push-messages is one reply to somebody, in the name of the node that pushes it.

    Flower believes the sender that a message names, and takes orders to nodes by the same call.
    """
    from flwr.proto.fleet_pb2 import PushMessagesRequest

    request = _read(PushMessagesRequest, body)
    if request is None or len(request.messages_list) != 1 or len(request.message_object_trees) != 1:
        return False
    metadata = request.messages_list[0].metadata
    return bool(metadata.reply_to_message_id) and metadata.src_node_id == request.node.node_id


def read_delivered_messages(answer: bytes) -> list[str]:
    """Ids of the messages in an answer to pull-messages."""
    from flwr.proto.fleet_pb2 import PullMessagesResponse

    response = _read(PullMessagesResponse, answer)
    return [message.metadata.message_id for message in response.messages_list] if response else []


def read_confirmed_message(body: bytes) -> str:
    """Id of the message that a confirm-message-received is of: the SuperLink deletes it."""
    from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest

    return str(getattr(_read(ConfirmMessageReceivedRequest, body), "message_object_id", ""))


def read_pulled_object(body: bytes) -> str:
    """Id of the part that a pull-object asks for."""
    from flwr.proto.message_pb2 import PullObjectRequest

    return str(getattr(_read(PullObjectRequest, body), "object_id", ""))


def read_pushed_object(body: bytes) -> str:
    """Id of the part that a push-object brings."""
    from flwr.proto.message_pb2 import PushObjectRequest

    return str(getattr(_read(PushObjectRequest, body), "object_id", ""))


def _read(kind: Any, body: bytes) -> Any:  # noqa: ANN401 - protobuf's
    try:
        return kind.FromString(body)
    except Exception:  # noqa: BLE001 - whatever a site sent: it is no such message
        return None


def readable_keys(
    keys: Iterable[tuple[str, bytes]],
) -> dict[bytes, tuple[str, EllipticCurvePublicKey]]:
    """Sites by the key that their requests carry: name, and the key to verify with.

    What is no key is left out: the SuperLink has refused it.
    """
    by_key = {}
    for name, pem in keys:
        try:
            carried, key = read_node_key(pem)
        except UserError:
            continue
        by_key[carried] = (name, key)
    return by_key
