"""Evidence over HTTP: every leaf with its row for `taximeter audit`, signed heads, and proofs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from aiohttp import web

from exporters.record import EPOCH, TransientError
from proxy.access.audit import Audit
from proxy.console.admission import CALLER
from proxy.console.asking import ASKED, reply
from proxy.evidence import export
from proxy.evidence.collect import Scope, collected
from proxy.evidence.heads import Heads
from proxy.evidence.prove import CallProof, Extension, prove, prove_extension
from proxy.evidence.stream import Answers, leaf_numbers
from proxy.instants import instant

PATH = "/api/audit/evidence"
HEAD_PATH = "/api/audit/head"
PROOF_PATH = "/api/audit/proof/{call_id}"
EXTENSION_PATH = "/api/audit/consistency"
CATCH_UP_S = 10.0  # for rows that were just written to get their leaves
LEAVES_MAX = 2**63 - 1
NO_LEAF = "no leaf of the tree is about this call: it is unknown, or older than the tree"


class EvidenceApi:
    """Handlers.  `caught_up` returns once the store has every row and its leaf."""

    def __init__(
        self,
        store: Answers,
        heads: Heads,
        audit: Audit,
        *,
        caught_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._heads = heads
        self._audit = audit
        self._caught_up = caught_up

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self.evidence),
            web.post(HEAD_PATH, self.head),
            web.get(PROOF_PATH, self.proof),
            web.get(EXTENSION_PATH, self.extension),
        ]

    async def evidence(self, request: web.Request) -> web.StreamResponse:
        """JSON lines: see `proxy.evidence.export`.  They hold rows and content: commands only."""
        since = request[ASKED].one("since")
        if request[ASKED].one("purpose") == "export":
            await self._audit(request[CALLER], "evidence-export", f"since {since or 'the start'}")
        since_us = since_in_us(since, datetime.now(UTC))
        await self._settle()
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        scope = await asyncio.to_thread(self._scope, since_us)
        async for lines in collected(self._store, scope, self._settle):
            await response.write(export.encode(lines))
        await response.write_eof()
        return response

    async def head(self, request: web.Request) -> web.StreamResponse:
        """Sign a head now, and respond with it."""
        try:
            return reply(await self._heads.sign(), 201)
        except OSError as error:
            raise TransientError(f"cannot keep the head: {error.strerror}") from error

    async def proof(self, request: web.Request) -> web.StreamResponse:
        """The inclusion proofs of one call, with its row and content: reading them is an entry."""
        call_id = str(UUID(request.match_info["call_id"]))
        await self._audit(request[CALLER], "content-read", f"proof of call {call_id}")
        found = await self._proof(call_id)
        return reply({"error": NO_LEAF}, 404) if found is None else reply(found)

    async def _proof(self, call_id: str) -> CallProof | None:
        await self._settle()
        numbers = await leaf_numbers(self._store, self._heads.evidence.growth.key.tree, call_id)
        if not numbers:
            return None
        head = self._heads.last
        if head is None or head.size <= max(numbers):
            head = await self._heads.sign()
        return await prove(self._store, head, call_id)

    async def extension(self, request: web.Request) -> web.StreamResponse:
        """That the tree grew from its first `size` leaves, to the newest head: hashes alone."""
        size = request[ASKED].number("size", 0, 1, LEAVES_MAX)
        await self._settle()
        head = self._heads.last
        if head is None or head.size < size:
            head = await self._heads.sign()
        return reply(Extension(head=head, path=await prove_extension(self._store, size, head)))

    def _scope(self, since_us: int) -> Scope:
        growth = self._heads.evidence.growth
        return Scope(
            current=growth.key.tree,
            size=growth.size,
            began_us=growth.began_us,
            since_us=since_us,
            node=growth.node,
        )

    async def _settle(self) -> None:
        """Wait for rows to get their leaves; while the store is away it says so itself."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self._caught_up()
        except TimeoutError:
            pass


def since_in_us(text: str, now: datetime) -> int:
    """`--since` in microseconds since the epoch; 0 without one.  Raises ValueError."""
    return (instant(text, now) - EPOCH) // datetime.resolution if text else 0
