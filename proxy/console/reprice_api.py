"""`POST /api/reprice`, for `taximeter reprice`; no one else may name a directory of tariffs.

The response is lines of JSON: `done` and `calls` as it progresses, then `result` or `error`.
"""

import msgspec
from aiohttp import web

from exporters.record import TransientError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.repricing.run import RepriceOrder, Repricing

PATH = "/api/reprice"


class RepriceApi:
    """Reprices stored calls for our own command."""

    def __init__(self, repricing: Repricing, audit: Audit) -> None:
        self._repricing = repricing
        self._audit = audit

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.reprice)]

    async def reprice(self, request: web.Request) -> web.StreamResponse:
        """See `RepriceOrder` for the body."""
        order = msgspec.json.decode(await request.read(), type=RepriceOrder)
        if order.write:
            await self._audit(request[CALLER], "reprice", "calls", after=order)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            last: dict[str, object] = {
                "result": await self._repricing.run(order, _Progress(response))
            }
        except (ValueError, OSError, TransientError) as error:
            last = {"error": str(error), "mistake": isinstance(error, ValueError)}
        await response.write(msgspec.json.encode(last) + b"\n")
        return response


class _Progress:
    """Reports progress.  Raises ConnectionError once the command is gone, which ends the run."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def __call__(self, done: int, calls: int) -> None:
        line = msgspec.json.encode({"done": done, "calls": calls})
        await self._response.write(line + b"\n")
