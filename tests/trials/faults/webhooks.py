"""A webhook on loopback that collects alerts, and the complaints in the log."""

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

MINUTE_S = 59.0  # not 60: log times come from the wall clock
# Each process has a journal of its own, which it names when it complains.
COMPLAINT = re.compile(r"^(\S+ \S+),\d+ ERROR Journal of (\S+):", re.MULTILINE)


@dataclass(slots=True)
class WebhookServer:
    """The statuses received, in order, by alert (name and labels)."""

    url: str = ""
    told: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    async def take(self, request: web.Request) -> web.Response:
        """Receive alerts in Alertmanager's format."""
        body: dict[str, Any] = await request.json()
        for alert in body["alerts"]:
            labels = alert["labels"]
            names = (labels.get(name) for name in ("alertname", "journal", "exporter"))
            self.told[" ".join(filter(None, names))].append(alert["status"])
        return web.Response()

    def over(self) -> bool:
        """Whether every alert has ended."""
        return all(statuses[-1] == "resolved" for statuses in self.told.values())


@asynccontextmanager
async def webhook() -> AsyncIterator[WebhookServer]:
    """A running server."""
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
    """When each process complained about its journal."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for at, name in COMPLAINT.findall(log.read_text(errors="replace")):
        found[name].append(datetime.fromisoformat(at))
    return found


def once_a_minute(times: list[datetime]) -> bool:
    """Whether the times are at least a minute apart."""
    return all((later - at).total_seconds() >= MINUTE_S for at, later in pairwise(times))
