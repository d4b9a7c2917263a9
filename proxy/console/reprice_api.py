"""The one thing that the console writes: `POST /api/reprice`, for `taximeter reprice`.

The embedded store belongs to the meter's process, so the command must ask it.  The console is
read-only for everybody else: the command shows a token that this process puts into a file which
only the same user can read, and comes from this machine.  The answer is lines of JSON: `done` and
`calls` as it goes on, then `result`, or `error`.
"""

import hmac
import ipaddress
import secrets
from pathlib import Path

import msgspec
from aiohttp import web

from exporters.record import TransientError
from proxy.journal.disk import write_atomically
from proxy.meter.restating import Order, Restating

PATH = "/api/reprice"
HEADER = "X-Taximeter-Command"
TOKEN = "command.token"  # in the state directory, 0600


def token(state: Path) -> str:
    """What the running meter wrote down.  Raises OSError."""
    return (state / TOKEN).read_text()


class RepriceApi:
    """Prices stored calls again for whoever holds the token."""

    def __init__(self, restating: Restating, state: Path) -> None:
        self._restating = restating
        self._token = secrets.token_urlsafe(32)
        write_atomically(state / TOKEN, self._token.encode())

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.reprice)]

    async def reprice(self, request: web.Request) -> web.StreamResponse:
        """See `Order` for the body."""
        given = request.headers.get(HEADER, "").encode("utf-8", "surrogateescape")
        known = hmac.compare_digest(given, self._token.encode())
        if not known or not _from_here(request) or "Origin" in request.headers:
            raise web.HTTPForbidden(reason="ask with: taximeter reprice")
        order = msgspec.json.decode(await request.read(), type=Order)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        try:
            last: dict[str, object] = {
                "result": await self._restating.run(order, _Progress(response))
            }
        except (ValueError, OSError, TransientError) as error:
            last = {"error": str(error), "mistake": isinstance(error, ValueError)}
        await response.write(msgspec.json.encode(last) + b"\n")
        return response


class _Progress:
    """Says how far it is.  Raises ConnectionError once the command is gone, which ends the run."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def __call__(self, done: int, calls: int) -> None:
        line = msgspec.json.encode({"done": done, "calls": calls})
        await self._response.write(line + b"\n")


def _from_here(request: web.Request) -> bool:
    peer = request.remote or ""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
