"""Who is told of a fault: a webhook on loopback, and what it was told."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiohttp import web

MINUTE_S = 59.0  # a log's clock has no sight of the monotonic one
# Each process writes a journal of its own, and names it in its complaints.
COMPLAINT = re.compile(r"^(\S+ \S+),\d+ ERROR Journal of (\S+):", re.MULTILINE)


@dataclass(slots=True)
class WebhookServer:
    """What came, by alert: its name and labels; `firing` and `resolved` in their order."""

    url: str = ""
    told: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    async def take(self, request: web.Request) -> web.Response:
        """Alertmanager's format."""
        body: dict[str, Any] = await request.json()
        for alert in body["alerts"]:
            labels = alert["labels"]
            names = (labels.get(name) for name in ("alertname", "journal", "exporter"))
            self.told[" ".join(filter(None, names))].append(alert["status"])
        return web.Response()

    def over(self) -> bool:
        """Whether everything that began has ended."""
        return all(statuses[-1] == "resolved" for statuses in self.told.values())


@asynccontextmanager
async def webhook() -> AsyncIterator[WebhookServer]:
    """A running one."""
    found = WebhookServer()
    app = web.Application()
    app.router.add_post("/", found.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}/"
    try:
        yield found
    finally:
        await runner.cleanup()


def complaints(log: Path) -> dict[str, list[datetime]]:
    """When each process complained of its journal."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for at, name in COMPLAINT.findall(log.read_text(errors="replace")):
        found[name].append(datetime.fromisoformat(at))
    return found


def once_a_minute(times: list[datetime]) -> bool:
    """Whether no two are closer."""
    return all((later - at).total_seconds() >= MINUTE_S for at, later in pairwise(times))
