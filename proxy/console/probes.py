"""The probes of the console's port; see `proxy.probes`."""

import msgspec
from aiohttp import web

from proxy.probes import PROBES, answer


class Probes:
    """Answers them for `instance`; `stopping` fails readiness from then on."""

    def __init__(self, instance: str = "") -> None:
        self._instance = instance
        self.stopping = False

    def turn_unready(self) -> None:
        """Fail `/readyz` from now on."""
        self.stopping = True

    def routes(self) -> list[web.RouteDef]:
        return [web.get(path, self.probe) for path in sorted(PROBES)]

    async def probe(self, request: web.Request) -> web.StreamResponse:
        status, document = answer(request.path, stopping=self.stopping, instance=self._instance)
        body = msgspec.json.encode(document)
        return web.Response(body=body, status=status, content_type="application/json")
