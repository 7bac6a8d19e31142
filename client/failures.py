"""A client's own failure: a code that may leave the machine, and a sentence that may not."""

from calyx.wire import FailureCode


class ClientFailure(Exception):
    """This client cannot contribute. `code` is sent; the sentence goes to the client's journal only."""

    def __init__(self, code: FailureCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
