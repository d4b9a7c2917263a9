"""One deletion: what goes is listed, an entry says so, and then it goes.

The order is in a file until it is done, so that a crash leaves nothing half deleted: the next
process does the same again.  Nothing of a project under a legal hold is deleted.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import msgspec

from exporters.clickhouse.erasing import Deletion
from exporters.clickhouse.selection import Selection
from exporters.evidence.checking import DELETED, Erasure
from exporters.record import EPOCH
from proxy.access.roles import Caller, Role, Way
from proxy.journal.disk import write_atomically


class Notes(Protocol):
    """Writes an entry of the audit log, as `proxy.access.audit.Audit` does."""

    async def __call__(
        self, actor: Caller, action: str, target: str, before: object = None, after: object = None
    ) -> object: ...


class Erases(Protocol):
    """The part of `exporters.clickhouse.erasing.Erasing` that is needed."""

    async def count(self, kinds: Sequence[str], whose: Selection) -> int: ...

    async def count_gone(self, kinds: Sequence[str], before_us: int) -> int: ...

    async def now_us(self) -> int: ...

    async def list(self, deletion: Deletion) -> Sequence[Erasure]: ...

    async def delete(self, deletion: Deletion) -> None: ...


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A deletion and its entry, as the file has it until it is done."""

    deletion: Deletion
    actor: str
    role: str
    action: str
    target: str
    calls: int


class Erased(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many calls lost rows or content, and how many kept them for a legal hold."""

    deleted: int
    held: int = 0


class Eraser:
    """`paused` holds back rows on their way, `note` writes an entry, `held` names projects.

    Its methods raise TransientError, NotAudited or OSError; then nothing, or not all, is deleted,
    and `finish` does the rest.
    """

    def __init__(
        self,
        store: Erases,
        file: Path,
        note: Notes,
        paused: Callable[[], AbstractAsyncContextManager[object]],
        held: tuple[str, ...] = (),
    ) -> None:
        self._store = store
        self._file = file
        self._note = note
        self._paused = paused
        self._held = held
        self._turn = asyncio.Lock()

    async def erase(
        self, actor: Caller, action: str, target: str, kinds: Sequence[str], whose: Selection
    ) -> Erased:
        """Delete these kinds of rows of all calls that `whose` selects."""
        async with self._turn:
            await self._finish()
            allowed = replace(whose, not_in=tuple(sorted({*whose.not_in, *self._held})))
            calls = await self._store.count(kinds, allowed)
            held = await self._store.count(kinds, whose) - calls if self._held else 0
            if calls:
                deletion = _deletion(kinds, allowed.condition())
                await self._carry_out(_order(actor, action, target, deletion, calls))
            return Erased(calls, held)

    async def note_gone(
        self, actor: Caller, action: str, target: str, kinds: Sequence[str], before: datetime
    ) -> int:
        """Write an entry of what the tables' own TTL deleted before then; returns of how many."""
        async with self._turn:
            await self._finish()
            before_us = (before - EPOCH) // timedelta(microseconds=1)
            calls = await self._store.count_gone(kinds, before_us)
            if calls:
                deletion = _deletion(kinds, "0", before_us)
                await self._carry_out(_order(actor, action, target, deletion, calls))
            return calls

    async def finish(self) -> None:
        """Do what an earlier process left undone."""
        async with self._turn:
            await self._finish()

    async def _finish(self) -> None:
        try:
            order = msgspec.json.decode(self._file.read_bytes(), type=Order)
        except FileNotFoundError:
            return
        except msgspec.MsgspecError as error:
            raise OSError(f"{self._file} is damaged; remove it, and delete again") from error
        await self._carry_out(order)

    async def _carry_out(self, order: Order) -> None:
        async with self._paused():  # every row that the store has, has its leaf
            if not order.deletion.until_us:
                until = msgspec.structs.replace(order.deletion, until_us=await self._store.now_us())
                order = msgspec.structs.replace(order, deletion=until)
                await asyncio.to_thread(write_atomically, self._file, msgspec.json.encode(order))
            erasures = await self._store.list(order.deletion)
        caller = Caller(order.actor, Role(order.role), Way.COMMAND)
        after = {"calls": order.calls, "kinds": order.deletion.kinds, DELETED: erasures}
        await self._note(caller, order.action, order.target, after=after)
        await self._store.delete(order.deletion)
        self._file.unlink()


def _deletion(kinds: Sequence[str], condition: str, gone_before_us: int = 0) -> Deletion:
    return Deletion(
        id=str(uuid4()),
        condition=condition,
        kinds=tuple(kinds),
        until_us=0,
        gone_before_us=gone_before_us,
    )


def _order(actor: Caller, action: str, target: str, deletion: Deletion, calls: int) -> Order:
    return Order(
        deletion=deletion,
        actor=actor.name,
        role=actor.role,
        action=action,
        target=target,
        calls=calls,
    )
