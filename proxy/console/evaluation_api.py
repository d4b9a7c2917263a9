"""Runs of evaluations: their results with what their calls cost.  Commands write them here.

`GET /api/evaluations` lists runs, `GET /api/evaluations/{run_id}` has one with all its results.
"""

import msgspec
from aiohttp import web

from exporters.clickhouse.evaluations import RUNS, Answers, Evaluations, stored
from exporters.evaluation import Evaluation
from proxy.console.asking import reply

PATH = "/api/evaluations"
BODY_BYTES_MAX = 64 * 1024 * 1024


class EvaluationApi:
    """Handlers."""

    def __init__(self, store: Answers, evaluations: Evaluations) -> None:
        self._store, self._evaluations = store, evaluations

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self.runs),
            web.get(PATH + "/{run_id}", self.run),
            web.post(PATH, self.write),
        ]

    async def runs(self, _: web.Request) -> web.StreamResponse:
        """The newest runs."""
        return reply(await self._store.ask(RUNS, {}))

    async def run(self, request: web.Request) -> web.StreamResponse:
        """One run: `run`, `results`, and `calls` by model, case and sample."""
        found = await stored(self._store, request.match_info["run_id"])
        return reply({"error": "no run with this id"}, 404) if found is None else reply(found)

    async def write(self, request: web.Request) -> web.StreamResponse:
        """See `exporters.evaluation.Evaluation` for the body."""
        body = bytearray()
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                raise ValueError(f"more than {BODY_BYTES_MAX:,} bytes")
        await self._evaluations.write(msgspec.json.decode(bytes(body), type=Evaluation))
        return reply({"ok": True}, 201)
