"""What this client accepts: an order of the kind that was asked for, meant for it, and coherent.

The site's own bounds join here later; a refusal is a ClientFailure with the code order-refused.
"""

from flwr.app import Message

from calyx import wire
from calyx.errors import CalyxError
from calyx.order import Kind, Order, from_json
from calyx.wire import FailureCode
from client.failures import ClientFailure


def accept(message: Message, client: str, kind: Kind) -> Order:
    """The order of `message`, every field checked. Raises ClientFailure."""
    try:
        order = from_json(wire.read_order(message))
    except CalyxError as error:
        raise ClientFailure(FailureCode.ORDER_REFUSED, f"The order was refused: {error}") from None
    if order.kind != kind:
        raise _refused(f"it asks for {order.kind} in a message for {kind}")
    names = [name for group in order.groups for name in group]
    if len(names) != len(set(names)):
        raise _refused("it names a client twice")
    if client not in names:
        raise _refused("its cohort does not hold this client")
    if order.round > order.rounds:
        raise _refused(f"its round {order.round} is after the last, {order.rounds}")
    return order


def _refused(reason: str) -> ClientFailure:
    return ClientFailure(FailureCode.ORDER_REFUSED, f"The order was refused: {reason}.")
