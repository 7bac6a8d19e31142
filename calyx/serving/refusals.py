"""What a caller is told who gets no answer: problem details by RFC 9457, with the request's id.

A refusal is in our own words. What an exception says, and where it was raised, stays in the gateway.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

from starlette.responses import Response
from typing_extensions import override

MOST_PROBLEMS = 20  # told of one request; how many more there are is said


@dataclass(frozen=True)
class Problem:
    """What is wrong with one cell, one row, or one column of a request."""

    row: int | None  # from 0; None: of no row
    column: str | None  # None: of the whole row
    what: str  # what is wrong, and what is allowed


@dataclass(eq=False)
class Refused(Exception):
    """A request that is not answered; raised by every check, and told by `as_response`."""

    status: int  # of HTTP, 400 to 599
    title: str  # a few words for this kind of refusal, always the same
    detail: str  # one sentence: what, and what to do
    retry_after_s: int | None = None  # seconds, where the caller may come back
    problems: Sequence[Problem] = ()  # of the rows, at most `MOST_PROBLEMS`
    more_problems: int = 0  # that are not in the list
    is_logged: bool = (
        True  # False for one of a flood, which would fill the disk: it is counted only
    )

    @override
    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail}"


def as_response(
    refused: Refused, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer that says so, as application/problem+json (RFC 9457)."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
        "request": request_id,
    }
    if refused.problems:
        body["problems"] = [asdict(problem) for problem in refused.problems]
        body["more_problems"] = refused.more_problems
    sent = dict(headers or {})
    if refused.status == HTTPStatus.UNAUTHORIZED:
        sent["www-authenticate"] = "Bearer"  # which RFC 9110 §15.5.2 asks for
    if refused.retry_after_s is not None:
        sent["retry-after"] = str(refused.retry_after_s)
    return Response(
        json.dumps(body), refused.status, headers=sent, media_type="application/problem+json"
    )


def refuse_status(status: int) -> Refused:
    """A refusal of which there is nothing to say but what HTTP calls it."""
    return Refused(status, *_KNOWN.get(status, (HTTPStatus(status).phrase, "See the status.")))


_KNOWN = {
    404: ("No such path", "There is nothing at this path; /docs lists what there is."),
    405: ("Method not allowed", "This path does not take that method; /docs lists those that do."),
    500: (
        "Internal error",
        "The gateway has failed, and says no more here; give its operator the request's id.",
    ),
}
