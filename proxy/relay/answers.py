"""The relay's own answers, for when there is no provider's answer to pass on.

Each error carries the header `x-taximeter-error: CLASS` and a JSON body that the SDKs of OpenAI and
Anthropic show to their users.
"""

from http import HTTPStatus

import msgspec

from proxy.relay.http1 import head

ERROR_HEADER = "x-taximeter-error"


def relay_answer(
    status: int,
    document: object,
    *,
    error: str = "",
    bodyless: bool = False,
    keep_alive: bool = True,
) -> bytes:
    """A whole response, as sent on the wire."""
    body = msgspec.json.encode(document)
    pairs = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
    ]
    if error:
        pairs.append((ERROR_HEADER.encode(), error.encode()))
    if not keep_alive:
        pairs.append((b"Connection", b"close"))
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return head(line, pairs) + (b"" if bodyless else body)


def error_answer(
    status: int,
    kind: str,
    message: str,
    *,
    bodyless: bool = False,
    keep_alive: bool = True,
    **more: object,
) -> bytes:
    """An error: what happened and what to do, in the form that SDKs print."""
    error = {"type": f"taximeter_{kind}", "message": f"Taximeter: {message}", "code": kind, **more}
    document = {"type": "error", "error": error}
    return relay_answer(status, document, error=kind, bodyless=bodyless, keep_alive=keep_alive)
