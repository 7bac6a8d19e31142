"""A request's body as bytes: of a known type, and never more of it in memory than is allowed."""

from starlette.requests import ClientDisconnect, Request

from calyx.serving.refusals import Refused

JSON, CSV = "application/json", "text/csv"


def read_type(request: Request) -> str:
    """`JSON` or `CSV`. Raises Refused, 415."""
    named = request.headers.get("content-type", "").partition(";")
    kind, charset = named[0].strip().lower(), named[2].replace('"', "").strip().lower()
    if (
        kind not in (JSON, CSV)
        or charset not in ("", "charset=utf-8")
        or "content-encoding" in request.headers
    ):
        raise Refused(
            415,
            "Unsupported media type",
            f"Send {JSON} or {CSV}, in UTF-8 and not compressed, and say so in content-type.",
        )
    return kind


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The whole body. Raises Refused: 413 for more than `most_bytes`, 400 where it is cut off."""
    declared = request.headers.get("content-length", "")
    if declared and (not declared.isdecimal() or len(declared) > 15 or int(declared) > most_bytes):
        raise _too_large(most_bytes)
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most_bytes:
                raise _too_large(most_bytes)
            parts.append(part)
    except ClientDisconnect:
        raise Refused(400, "Cut off", "The connection ended within the body.") from None
    if not size and "upgrade" in request.headers:
        raise Refused(
            400,
            "No upgrade",
            "A request that asks for another protocol has no body here; send it without `upgrade`, as "
            "HTTP/1.1 (of Java's HttpClient: `version(HTTP_1_1)`).",
        )
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(most_bytes: int) -> Refused:
    detail = f"A body has at most {most_bytes:,} bytes; send the rows in several requests."
    return Refused(413, "Body too large", detail)
