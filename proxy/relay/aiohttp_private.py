"""The only file that touches private names of aiohttp.

aiohttp may move or drop these names in any release, so pyproject.toml holds it below the next minor
version and `tests/test_aiohttp_private.py` looks each one up.  They are needed for three things
that aiohttp offers no other way: failing a body whose framing is damaged (aiohttp leaves its reader
waiting forever), reading what arrived before a stream broke, and knowing which connections are
idle.
"""

import asyncio
from functools import partial
from typing import Any

from aiohttp import BaseConnector, web
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo


def arrived(payload: StreamReader) -> bytes:
    """The bytes that have arrived and were not read.

    Unlike `payload.read_nowait()`, this also works after the stream broke.
    """
    return b"" if payload is EMPTY_PAYLOAD else payload._read_nowait(-1)


class UpstreamConnection(ResponseHandler):
    """A connection to a provider."""

    def data_received(self, data: bytes) -> None:
        """Fail a body whose framing is damaged."""
        super().data_received(data)
        payload, error = self._payload, self.exception()
        if error is not None and payload is not None and not payload.is_eof():
            payload.set_exception(error)


def make_upstream_connections(connector: BaseConnector) -> None:
    """Have `connector` make an `UpstreamConnection` for each connection that it opens."""
    factory = partial(UpstreamConnection, loop=asyncio.get_running_loop())
    connector._factory = factory  # type: ignore[assignment]  # a subclass


class CallerProtocol(RequestHandler):
    """A connection from a caller that knows when it is idle, and tells a subclass."""

    __slots__ = ()

    def received_while_idle(self, data: bytes) -> None:
        """`data` arrived, which is at most a part of a request head."""

    def request_began(self) -> None:
        """A request head was received whole."""

    def request_ended(self) -> None:
        """The request was answered, and the connection is still open."""

    def is_idle(self) -> bool:
        """Whether it waits for a request, or for the rest of a request head."""
        return self._waiter is not None and not self._waiter.done()

    def data_received(self, data: bytes) -> None:
        """Fail a body whose framing is damaged."""
        super().data_received(data)
        if self._messages and self._current_request is not None:
            content = self._current_request.content
            if isinstance(self._messages[-1][0], _ErrInfo) and not content.is_eof():
                content.set_exception(RequestPayloadError("not a chunked body"))
        elif self.is_idle():
            self.received_while_idle(data)

    async def _handle_request(self, *arguments: Any) -> tuple[web.StreamResponse, bool]:
        self.request_began()
        try:
            return await super()._handle_request(*arguments)
        finally:
            if self.transport is not None:
                self.request_ended()
