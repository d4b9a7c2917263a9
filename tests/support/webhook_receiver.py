"""A webhook on a real socket that answers as told and remembers what it received.

`statuses` and `answer` may change while it runs.
"""

import asyncio
import json
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


class Receiver:
    """Answers with each of the `statuses` in turn, then with 200.  0: never; -1: disconnects."""

    def __init__(self, *statuses: int, retry_after: str = "", path: str = "/hook") -> None:
        self.statuses = list(statuses)
        self.retry_after = retry_after
        self.bodies: list[dict[str, Any]] = []  # of accepted requests
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []  # of all requests
        self.answer = ""  # the body of each response
        self.asked = 0
        app = web.Application()
        app.router.add_post(path, self._take)
        self._path = path
        self._server = TestServer(app)

    async def __aenter__(self) -> "Receiver":
        await self._server.start_server(shutdown_timeout=0.1)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url(self._path))

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        data = await request.read()
        self.raw.append(data)
        body = json.loads(data)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            await asyncio.sleep(60)
        if status == -1:
            assert request.transport is not None
            request.transport.abort()
        if status == 200:
            self.bodies.append(body)
            self.headers.append(dict(request.headers))
        extra = {"Retry-After": self.retry_after} if self.retry_after and status != 200 else {}
        if 300 <= status < 400:
            extra["Location"] = self.url
        return web.Response(status=status if status > 0 else 200, headers=extra, text=self.answer)

    def told(self) -> list[tuple[str, str]]:
        """(status, name) of each alert, in order of arrival."""
        return [
            (alert["status"], alert["labels"]["alertname"])
            for body in self.bodies
            for alert in body["alerts"]
        ]
