"""`/api/prices`: the user's own price files, to read and to change.

A file that is saved is used after the next reload; what does not load is not saved.
"""

import asyncio
import re
from hashlib import sha256
from pathlib import Path

import msgspec
from aiohttp import web

from pricing import TariffError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import reply
from proxy.metering import own_tariffs
from proxy.settings.config import Config

PATH = "/api/prices"
ONE = "/api/prices/{name}"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\.toml")
FILES_MAX = 200  # a new one beyond that is refused
BYTES_MAX = 512 * 1024  # of one file
NONE = "no directory for own prices is configured; set tariffs under [metering]"
NEXT = (
    "Saved. Reload Taximeter (SIGHUP) to price new calls with it; taximeter reprice does old ones."
)


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of PUT: the new text, and the digest of the one it replaces ("" for a new file)."""

    text: str
    replaces: str = ""


class TariffFilesApi:
    """Handlers over `metering.tariffs`; a change is in the audit log before it is made."""

    def __init__(self, config: Config, audit: Audit) -> None:
        self._config, self._audit = config, audit
        self._turn = asyncio.Lock()  # of those who change files

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.list), web.put(ONE, self.put)]

    async def list(self, _: web.Request) -> web.StreamResponse:
        """The files by name, each with its text and digest."""
        place = self._config.metering.tariffs
        texts = {} if place is None else await asyncio.to_thread(own_tariffs.texts, place)
        files = [{"name": n, "text": text, "digest": _digest(text)} for n, text in texts.items()]
        return reply({"directory": None if place is None else str(place), "files": files})

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Make or replace a file, if all tariffs still load with it."""
        name, place = request.match_info["name"], self._config.metering.tariffs
        change = msgspec.json.decode(await request.read(), type=Change)
        if place is None:
            return reply({"error": NONE}, 409)
        if not NAME.fullmatch(name):
            raise ValueError("name: small letters, digits and . _ -, and .toml at the end")
        if len(change.text.encode()) > BYTES_MAX:
            raise ValueError(f"text: at most {BYTES_MAX:,} bytes")
        async with self._turn:
            return await self._save(request, place, name, change)

    async def _save(
        self, request: web.Request, place: Path, name: str, change: Change
    ) -> web.StreamResponse:
        texts = await asyncio.to_thread(own_tariffs.texts, place)
        before = texts.get(name)
        if change.replaces != ("" if before is None else _digest(before)):
            said = f"{name} has changed since you read it; load it again, or choose another name"
            return reply({"error": said}, 409)
        if before is None and len(texts) >= FILES_MAX:
            return reply({"error": f"there are {FILES_MAX} files already"}, 409)
        changed = {name: change.text}
        try:
            await asyncio.to_thread(own_tariffs.book_with, place, self._config, changed)
        except TariffError as error:
            raise ValueError(f"not saved: {error}") from None
        old, new = None if before is None else {"text": before}, {"text": change.text}
        await self._audit(request[CALLER], "tariffs-edit", name, before=old, after=new)
        try:
            await asyncio.to_thread(own_tariffs.write, place, changed)
        except OSError as error:
            return reply({"error": f"cannot write {place / name}: {error.strerror}"}, 500)
        shown = {"name": name, "digest": _digest(change.text), "next": NEXT}
        return reply(shown, 201 if before is None else 200)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
