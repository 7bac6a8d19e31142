"""A client's own failure: a code that may leave the machine, and a sentence that may not."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from calyx.errors import ConfigError
from calyx.secagg.refusals import Refusal
from calyx.tasks.causes import cause_of
from calyx.tasks.task import Task
from calyx.wire.messages import FailureCode

log = logging.getLogger(__name__)
_OF_ROWS = frozenset(
    {
        FailureCode.NO_ROWS,
        FailureCode.DATA_UNREADABLE,
        FailureCode.WRONG_SCHEMA,
        FailureCode.MISSING_VALUES,
        FailureCode.INFINITE_VALUES,
        FailureCode.NON_FINITE_UPDATE,
        FailureCode.INTERNAL_ERROR,
    }
)


class ClientFailure(Exception):
    """This client cannot contribute. `code` is sent; the sentence goes to the client's journal only.

    `cause` is a digest of all that it came of, where the same would fail again; else empty.
    """

    def __init__(self, code: FailureCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.cause = code, ""

    @property
    def is_of_rows(self) -> bool:
        """Whether other rows might not have failed, so that the code says something of these."""
        return self.code in _OF_ROWS


@contextmanager
def tell_cause(client: str, task: Task | None = None, *, is_site: bool) -> Iterator[None]:
    """Raise as a ClientFailure, with its cause, whatever is raised in the block and is no sentence yet.

    A site logs the traceback; in simulation, where the journal is listened to, only --debug does.
    """
    try:
        yield
    except (ConfigError, ClientFailure, Refusal):
        raise
    except (Exception, SystemExit) as error:
        cause = f"{cause_of(error, task)}."
        if is_site or log.isEnabledFor(logging.DEBUG):
            log.exception("%s failed: %s", client, cause)
        raise ClientFailure(FailureCode.INTERNAL_ERROR, cause) from error
