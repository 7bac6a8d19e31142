"""The one wrapper of a grid: a strategy sees exactly the cohort, and one reply a group.

It is made anew for each attempt of an exchange, and remembers nothing. There is never a second wrapper.
"""

from collections.abc import Iterable

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from calyx.flower.messages import Run
from server.exchange.attempt import attempt
from server.exchange.exchange import Exchange
from server.exchange.setting import Setting


class CohortGrid(Grid):
    """The grid of one exchange, as a strategy of Flower's takes it."""

    def __init__(self, setting: Setting, exchange: Exchange) -> None:
        self._setting, self._exchange = setting, exchange
        self._inner = setting.channel.grid

    def get_node_ids(self) -> Iterable[int]:
        """Nodes of the cohort's clients that are connected, in the order of their names."""
        return self._setting.channel.nodes_of(self._exchange.cohort)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send the exchange's order with the strategy's weights; return one reply a group.

        The run's own deadline counts, not `timeout`. Raises as `attempt`.
        """
        answer = attempt(self._setting, self._exchange, messages)
        return answer.trained or answer.evaluated

    @property
    def run(self) -> Run:
        """The inner grid's."""
        return self._inner.run

    def set_run(self, run: Run) -> None:
        """Pass on."""
        self._inner.set_run(run)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Pass on."""
        return self._inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Refused: replies of single clients are not to be had."""
        raise NotImplementedError(
            "Only send_and_receive is possible: a strategy sees sums of replies."
        )

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Refused: replies of single clients are not to be had."""
        raise NotImplementedError(
            "Only send_and_receive is possible: a strategy sees sums of replies."
        )
