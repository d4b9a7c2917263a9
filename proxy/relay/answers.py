"""The relay's own answers, for when there is no provider's answer to pass on.

Each error carries the header `x-taximeter-error: CLASS` and a JSON body that the SDKs of OpenAI and
Anthropic show to their users.
"""

from http import HTTPStatus

import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from proxy.relay.fields import Pairs
from proxy.relay.foreign import SpeaksHttp2, SpeaksTls, reason
from proxy.relay.http1 import CLOSE, head
from proxy.relay.parsing import HeadTooLarge

ERROR_HEADER = "x-taximeter-error"
TLS = "this port speaks HTTP without TLS. Begin the base URL with http://, or set proxy.tls_cert."
HTTP2 = (
    "this port speaks HTTP/1.1, not HTTP/2 without TLS (h2c). Set the client to HTTP/1.1, as with "
    "curl --http1.1."
)


def relay_answer(
    status: int,
    document: object,
    *,
    error: str = "",
    more: Pairs = (),
    bodyless: bool = False,
    keep_alive: bool = True,
) -> bytes:
    """A whole response, as sent on the wire; `more` are headers."""
    body = msgspec.json.encode(document)
    lines = [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    lines += [b"%b: %b" % pair for pair in more]
    if error:
        lines.append(f"{ERROR_HEADER}: {error}".encode())
    if not keep_alive:
        lines.append(CLOSE)
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
    return head(line, (), lines) + (b"" if bodyless else body)


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


def unreadable_answer(error: HttpProcessingError) -> bytes:
    """Answers what is not a request; the connection ends with it."""
    if isinstance(error, HeadTooLarge):
        text = f"the request has {error.what}; the limit is upstream.{error.option}."
        return error_answer(431, "head_too_large", text, keep_alive=False)
    if isinstance(error, SpeaksHttp2):
        text = HTTP2
    elif isinstance(error, SpeaksTls):
        text = TLS
    else:
        text = f"the request is not valid HTTP/1.1: {reason(error)}."
    return error_answer(400, "bad_request", text, keep_alive=False)
