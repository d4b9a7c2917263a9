"""The relay's own answers, for when there is no provider's answer to pass on.

Each error carries the header `x-taximeter-error: CLASS` and a JSON body that the SDKs of OpenAI and
Anthropic show to their users.
"""

from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from proxy.relay.http1 import head

ERROR_HEADER = "x-taximeter-error"


class RelayAnswer(web.StreamResponse):
    """A whole response, without the headers that aiohttp would add."""

    def __init__(
        self,
        status: int,
        document: object,
        *,
        error: str = "",
        bodyless: bool = False,
        keep_alive: bool = True,
    ) -> None:
        super().__init__(status=status)
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
        self.data = head(line, pairs) + (b"" if bodyless else body)
        self._to: AbstractStreamWriter | None = None
        self._lives = keep_alive

    @property
    def keep_alive(self) -> bool | None:
        return self._lives

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self._to = request.writer
        return self._to

    async def write_eof(self, data: bytes = b"") -> None:
        if self._to is not None:
            to, self._to = self._to, None
            await to.write(self.data)


class Written(web.StreamResponse):
    """Tells aiohttp that the response was already sent, and whether the connection stays open."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._lives = keep_alive

    @property
    def keep_alive(self) -> bool | None:
        return self._lives

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


KEPT = Written(keep_alive=True)
CLOSED = Written(keep_alive=False)


def error_answer(
    status: int,
    kind: str,
    message: str,
    *,
    bodyless: bool = False,
    keep_alive: bool = True,
    **more: object,
) -> RelayAnswer:
    """An error: what happened and what to do, in the form that SDKs print."""
    error = {"type": f"taximeter_{kind}", "message": f"Taximeter: {message}", "code": kind, **more}
    document = {"type": "error", "error": error}
    return RelayAnswer(status, document, error=kind, bodyless=bodyless, keep_alive=keep_alive)
