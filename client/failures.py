"""A client's own failure: a code that may leave the machine, and a sentence that may not."""

from calyx.wire import FailureCode

_OF_ROWS = frozenset(
    {
        FailureCode.NO_ROWS,
        FailureCode.DATA_UNREADABLE,
        FailureCode.WRONG_SCHEMA,
        FailureCode.MISSING_VALUES,
        FailureCode.INFINITE_VALUES,
        FailureCode.NON_FINITE_UPDATE,
    }
)


class ClientFailure(Exception):
    """This client cannot contribute. `code` is sent; the sentence goes to the client's journal only."""

    def __init__(self, code: FailureCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code

    @property
    def is_of_rows(self) -> bool:
        """Whether other rows might not have failed, so that the code says something of these."""
        return self.code in _OF_ROWS
