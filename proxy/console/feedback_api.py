"""Feedback about calls: `POST /api/feedback` takes it, before or after the calls are stored.

It is data, as calls are, and no change of a setting: each row names whose token sent it, and there
is no entry in the audit log.
"""

from datetime import UTC, datetime

from aiohttp import web

from exporters.clickhouse.feedback import FeedbackTable
from exporters.record import TransientError
from proxy.console.admission import CALLER
from proxy.console.asking import reply
from proxy.console.given_feedback import statements

PATH = "/api/feedback"


class FeedbackApi:
    """The handler."""

    def __init__(self, table: FeedbackTable, node: str = "") -> None:
        self._table, self._node = table, node

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.add)]

    async def add(self, request: web.Request) -> web.StreamResponse:
        """One statement or a list; see `proxy.console.given_feedback`.  All are stored or none."""
        body, caller = await request.read(), request[CALLER]
        given = statements(body, datetime.now(UTC), actor=caller.name, node=self._node)
        try:
            await self._table.write(given)
        except TransientError as error:
            text = f"cannot write to the store, so nothing was kept; send it again: {error}"
            return reply({"error": text}, 503)
        return reply({"accepted": len(given), "ids": [one.id for one in given]}, 201)
