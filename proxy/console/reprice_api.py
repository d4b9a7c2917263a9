"""`POST /api/reprice`, for `taximeter reprice`; see `proxy.console.command_token` for access.

The response is lines of JSON: `done` and `calls` as it progresses, then `result` or `error`.
"""

import msgspec
from aiohttp import web

from exporters.record import TransientError
from proxy.console.command_token import CommandToken
from proxy.repricing.run import RepriceOrder, Repricing

PATH = "/api/reprice"


class RepriceApi:
    """Reprices stored calls for our own command."""

    def __init__(self, repricing: Repricing, command: CommandToken) -> None:
        self._repricing = repricing
        self._command = command

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.reprice)]

    async def reprice(self, request: web.Request) -> web.StreamResponse:
        """See `RepriceOrder` for the body."""
        if not self._command.authorizes(request):
            raise web.HTTPForbidden(reason="not allowed here; use: taximeter reprice")
        order = msgspec.json.decode(await request.read(), type=RepriceOrder)
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
