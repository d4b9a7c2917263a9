"""`POST /api/backup`, for `taximeter backup`: the meter's process owns the embedded store."""

from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web

from proxy.access.audit import Audit
from proxy.backup.backup import Manifest
from proxy.console.admission import CALLER
from proxy.console.asking import reply

PATH = "/api/backup"


class BackupOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to; an absolute path that is empty or missing."""

    directory: str


class BacksUp(Protocol):
    """Raises ValueError for a place that is in use, and TransientError if work cannot pause."""

    async def __call__(self, to: Path) -> Manifest: ...


class BackupApi:
    """The handler over the process that can stop writing for a moment."""

    def __init__(self, backs_up: BacksUp, audit: Audit) -> None:
        self._backs_up = backs_up
        self._audit = audit

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.backup)]

    async def backup(self, request: web.Request) -> web.StreamResponse:
        """See `BackupOrder` for the body; responds with the manifest, without its files."""
        order = msgspec.json.decode(await request.read(), type=BackupOrder)
        await self._audit(request[CALLER], "backup", order.directory)
        try:
            manifest = await self._backs_up(Path(order.directory))
        except OSError as error:
            text = f"the meter cannot write {order.directory}: {error.strerror}"
            return reply({"error": text}, 503)
        return reply(shown(manifest))


def shown(manifest: Manifest) -> dict[str, object]:
    """The manifest with the sum of its files in place of them."""
    document: dict[str, object] = msgspec.to_builtins(manifest)
    return document | {"files": len(manifest.files), "bytes": manifest.bytes}
