"""`/api/session`: who is asking.  `/api/access`: the named tokens; a new one is shown once."""

import asyncio
from pathlib import Path

import msgspec
from aiohttp import web

from proxy.access import tokens
from proxy.access.audit import Audit
from proxy.access.page_token import PageTokens
from proxy.access.roles import Role
from proxy.console.admission import CALLER
from proxy.console.asking import reply

PATH = "/api/access"
ONE = "/api/access/{name}"


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/access`."""

    name: str
    role: Role


class AccessApi:
    """Handlers over the file of tokens."""

    def __init__(self, file: Path, pages: PageTokens, audit: Audit) -> None:
        self._file = file
        self._pages = pages
        self._audit = audit
        self._turn = asyncio.Lock()  # of those who change the file

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/session", self.session),
            web.get(PATH, self.list),
            web.post(PATH, self.add),
            web.delete(ONE, self.remove),
        ]

    async def session(self, request: web.Request) -> web.StreamResponse:
        """Name and role of the caller, and the token that its page sends with a change."""
        caller = request[CALLER]
        page_token = self._pages.of(caller) if caller.is_page else None
        return reply({"name": caller.name, "role": caller.role, "page_token": page_token})

    async def list(self, _: web.Request) -> web.StreamResponse:
        """The tokens by name, without anything from which they could be made."""
        return reply([one.shown() for one in tokens.load(self._file)])

    async def add(self, request: web.Request) -> web.StreamResponse:
        """See `NewToken` for the body; the only response that ever has the token."""
        new = msgspec.json.decode(await request.read(), type=NewToken)
        async with self._turn:
            token, after = tokens.planned(self._file, new.name, new.role)
            shown = after[-1].shown()
            await self._audit(request[CALLER], "access-add", new.name, after=shown)
            tokens.save(self._file, after)
        return reply(shown | {"token": token}, 201)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Remove a token, and so end the sessions that began with it."""
        async with self._turn:
            gone, rest = tokens.without(self._file, request.match_info["name"])
            shown = gone.shown()
            await self._audit(request[CALLER], "access-remove", gone.name, before=shown)
            tokens.save(self._file, rest)
        return reply(shown)
