"""`POST /api/notices`: takes what a process beside the meter has to tell, which owns the outbox."""

from collections.abc import Sequence

import msgspec
from aiohttp import web

from exporters.notify.notice import Notice
from proxy.console.asking import reply
from proxy.notices.notices import Notices

PATH = "/api/notices"


class Telling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body.  `targets` are names of `[notify.NAME]`; none: those of `alerts.notify`."""

    notice: Notice
    targets: Sequence[str] = ()


class NoticesApi:
    """The handler; `usual` are the targets of a notice that names none."""

    def __init__(self, notices: Notices, usual: Sequence[str]) -> None:
        self._notices, self._usual = notices, usual

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.tell)]

    async def tell(self, request: web.Request) -> web.StreamResponse:
        """Tell it, unless it was told before."""
        told = msgspec.json.decode(await request.read(), type=Telling)
        return reply({"new": self._notices.tell(told.notice, told.targets or self._usual)}, 201)
