"""Gives every row that the store accepted its leaf.  One block at a time, whoever delivers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import time_ns
from typing import Generic, Protocol, TypeVar

from exporters.clickhouse.corrections import Corrections
from exporters.evidence.leaves import Sealed, sealed
from exporters.record import Batch, Destination, Record, Sendable, TransientError
from proxy.evidence.growth import Block, Growth
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Sendable)
CORRECTIONS = "corrections"  # the stream of repricing; the others are named as their exporters


class Leaves(Protocol):
    """The part of `exporters.clickhouse.evidence.EvidenceTable` that is needed."""

    async def add(self, tree: str, first: int, sealed: Sequence[Sealed]) -> None: ...


class Evidence:
    """The tree of a data directory, which grows.  Raises OSError as `Growth` does."""

    def __init__(self, config: Config, table: Leaves) -> None:
        places = Places(config.data)
        places.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Where there was no store before, every row must have a leaf, whatever instant it claims.
        began_us = time_ns() // 1000 if has_store(config) else 0
        self.growth = Growth(places.evidence_key, places.tree, began_us, config.node)
        if self.growth.mistake:
            log.error("%s; a new tree of evidence begins.", self.growth.mistake)
        self._table = table
        self.turn = asyncio.Lock()  # held while the tree may grow
        self.unsealed = 0  # rows without a leaf, through a fault of ours

    async def add(self, stream: str, token: str, rows: Mapping[str, Sequence[Sendable]]) -> None:
        """Add the leaves of a batch, `rows` by kind, unless it has them already.

        Raises TransientError if they cannot be written now: deliver the batch again.
        """
        async with self.turn:
            await self._finish()
            if self.growth.has(stream, token):
                return
            try:
                block = await asyncio.to_thread(_block, stream, token, rows)
            except Exception:  # a fault of ours must not hold back the rows after these
                self.unsealed += sum(map(len, rows.values()))
                log.exception("Rows have no leaf, so they are not protected against changes.")
                return
            await _kept(self.growth.begin, block)
            await self._finish()

    async def finish(self) -> None:
        """Send what an earlier process may not have sent.  Raises TransientError."""
        async with self.turn:
            await self._finish()

    async def _finish(self) -> None:
        block = self.growth.block
        if block is None:
            return
        try:
            await self._table.add(self.growth.key.tree, self.growth.size, block.sealed)
        except TransientError:
            raise
        except Exception as error:  # PermanentError would make delivery set the rows aside
            raise TransientError(f"cannot write leaves: {type(error).__name__}") from error
        await _kept(self.growth.commit)

    def status(self) -> dict[str, object]:
        """For health."""
        return {"ok": not self.unsealed, "leaves": self.growth.size, "unsealed": self.unsealed}


class Sealing(Generic[S]):
    """An exporter whose rows get their leaves once they are written.

    The outermost one: who counts what was written must hear of it before anybody asks the store.
    """

    def __init__(
        self, inner: Destination[S], evidence: Evidence, kind_of: Callable[[S], str]
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._evidence = evidence
        self._kind_of = kind_of
        self._written = ""  # token of the batch that `inner` took last

    async def export(self, batch: Batch[S]) -> None:
        """See `Destination.export`.  `inner` takes a batch once, however often its leaves fail."""
        if batch.token != self._written:
            await self._inner.export(batch)
            self._written = batch.token
        rows: dict[str, list[Sendable]] = {}
        for row in batch.records:
            rows.setdefault(self._kind_of(row), []).append(row)
        if rows:
            await self._evidence.add(self.name, batch.token, rows)

    async def close(self) -> None:
        """See `Destination.close`."""
        await self._inner.close()


def kind_of_record(record: Record) -> str:
    """The kind of row that a record becomes."""
    if record.is_refusal and not record.is_socket:
        return "refusal"
    return "socket" if record.is_socket else "call"


class Corrected:
    """Writes corrections and then their leaves; the outermost, as `Sealing` is."""

    def __init__(
        self, correct: Callable[[Corrections], Awaitable[None]], evidence: Evidence
    ) -> None:
        self._correct = correct
        self._evidence = evidence
        self._written = ""  # token of the corrections that were written last

    async def correct(self, corrections: Corrections) -> None:
        """See `ClickHouse.correct`.  Repeating a call changes nothing."""
        if not corrections.token or corrections.token != self._written:
            await self._correct(corrections)
            self._written = corrections.token
        if corrections.rows:
            rows = {"correction": corrections.rows}
            await self._evidence.add(CORRECTIONS, corrections.token, rows)


def _block(stream: str, token: str, rows: Mapping[str, Sequence[Sendable]]) -> Block:
    made = [one for kind, of_kind in rows.items() for one in sealed(kind, of_kind)]
    return Block(stream, token, tuple(made))


async def _kept(write: Callable[..., None], *arguments: object) -> None:
    try:
        await asyncio.to_thread(write, *arguments)
    except OSError as error:
        raise TransientError(f"cannot write the state of the tree: {error.strerror}") from error
