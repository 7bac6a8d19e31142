"""The gateway believes exactly the signatures that Flower's node authentication believes."""

from types import SimpleNamespace

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flwr.common import constant
from flwr.proto.fleet_pb2 import ActivateNodeRequest
from flwr.supercore import constant as core
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.superlink.routers.fleet.node_auth import authenticate_node
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from benchmarks.malformed import NodeKey
from calyx.errors import UserError
from calyx.fleet.proofs import Proofs
from calyx.flower import fleet as flower_fleet
from calyx.flower import messages as flower
from calyx.trust.certificates import make_node_key


def is_believed_by_flower(key, headers):
    """As the SuperLink decides on the call that only needs the key itself."""
    body = ActivateNodeRequest(public_key=key.public)
    try:
        authenticate_node(
            SimpleNamespace(headers=headers, state=SimpleNamespace(protobuf_request=body))
        )
    except HTTPException:
        return False
    return True


@pytest.mark.parametrize("ahead_s", [-4000, -310, -300, -1, 0, 3, 10, 4000])
def test_a_time_is_believed_where_flower_believes_it(ahead_s):
    key = NodeKey()
    headers = Headers(key.headers(ahead_s))
    assert (Proofs({"north": key.public}).name(headers) == "north") is is_believed_by_flower(
        key, headers
    )


def test_another_keys_signature_is_believed_by_neither():
    key = NodeKey()
    headers = Headers(NodeKey().headers(claims=key.public))
    assert Proofs({"north": key.public}).name(headers) is None
    assert not is_believed_by_flower(key, headers)


def test_what_flowers_own_client_signs_is_believed(tmp_path):
    make_node_key("north", tmp_path)
    private = load_pem_private_key((tmp_path / "north.node.key").read_bytes(), None)
    request = httpx.Request("POST", "https://x/v1/fleet/get-run")
    context = SimpleNamespace(request=request)
    NodeAuthHttpInterceptor(private, private.public_key()).intercept(context, lambda _: None)
    public = (tmp_path / "north.node.pub").read_bytes()
    assert Proofs({"north": public}).name(Headers(dict(request.headers))) == "north"


def test_the_names_and_times_are_flowers():
    assert flower.SITE_HEADER == core.FLEET_HTTP_PUBLIC_KEY_HEADER
    assert flower.SIGNATURE_HEADER == core.FLEET_HTTP_SIGNATURE_HEADER
    assert flower.TIME_HEADER == constant.TIMESTAMP_HEADER
    assert flower_fleet.BELIEVED_S == constant.TIMESTAMP_TOLERANCE + constant.SYSTEM_TIME_TOLERANCE
    assert flower_fleet.AHEAD_S == constant.SYSTEM_TIME_TOLERANCE


def test_a_key_file_with_other_line_ends_is_the_key_that_requests_carry():
    key = NodeKey()
    carried, public = flower_fleet.read_node_key(key.public.replace(b"\n", b"\r\n"))
    assert carried == key.public == public_key_to_bytes(public)
    with pytest.raises(UserError, match="no public node key"):
        flower_fleet.read_node_key(b"x")
