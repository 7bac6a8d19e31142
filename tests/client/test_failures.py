"""What a client's own code raises is one failure of that client, whatever it is."""

import pytest

from calyx.wire.messages import FailureCode
from client.failures import ClientFailure, tell_cause


def test_a_model_that_ends_its_process_is_a_failure_of_its_client():
    with (
        pytest.raises(ClientFailure, match="SystemExit: 3") as caught,
        tell_cause("a", is_site=False),
    ):
        raise SystemExit(3)
    assert caught.value.code == FailureCode.INTERNAL_ERROR
