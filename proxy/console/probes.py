"""`/livez` and `/readyz`, for balancers and orchestrators; without a token, they say nothing else.

Ready means: not about to stop.  It does not depend on the store or a collector: while those are
away, calls are relayed and recorded all the same.  `/api/health` has the rest.
"""

import msgspec
from aiohttp import web

LIVE, READY = "/livez", "/readyz"
PROBES = frozenset((LIVE, READY))


class Probes:
    """Answers both."""

    def __init__(self) -> None:
        self.ready = True

    def turn_unready(self) -> None:
        """Fail `/readyz` from now on."""
        self.ready = False

    def routes(self) -> list[web.RouteDef]:
        return [web.get(LIVE, self.live), web.get(READY, self.readiness)]

    async def live(self, _: web.Request) -> web.StreamResponse:
        return _answer(ok=True)

    async def readiness(self, _: web.Request) -> web.StreamResponse:
        return _answer(ok=self.ready)


def _answer(*, ok: bool) -> web.Response:
    body = msgspec.json.encode({"status": "ok" if ok else "stopping"})
    return web.Response(body=body, status=200 if ok else 503, content_type="application/json")
