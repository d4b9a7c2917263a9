"""Where evidence comes from: the running console, the store, or an export."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from exporters import audit, content, record
from exporters.clickhouse.audit import AuditTable
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.contents import Contents
from exporters.clickhouse.corrections import Corrections
from exporters.clickhouse.store import Store
from exporters.evidence.checking import Erasure, RowLine, erasures
from exporters.evidence.head import Head
from exporters.record import TransientError
from proxy.commands.console_client import request
from proxy.console.evidence_api import PATH
from proxy.delivery import lag
from proxy.evidence import export, heads
from proxy.evidence.collect import Scope, collected
from proxy.evidence.export import AnyLine
from proxy.evidence.growth import State, state_in
from proxy.evidence.stream import at_once
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store, store_dsn

TIMEOUT_S = 600.0  # between two parts of an answer: a day of rows may be compared with its leaves
NO_TREE = "there is no tree of evidence yet; `taximeter serve` begins one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Lines, and the heads kept beside them.  `damaged` grows while lines are read."""

    lines: Iterator[AnyLine]
    heads: list[Head]
    damaged: list[str] = field(default_factory=list)
    is_offline: bool = False  # from the store itself, while no meter runs
    erasures: list[Erasure] = field(default_factory=list)  # of entries on their way to the store


def from_export(directory: Path) -> Source:
    """The evidence in a directory that `taximeter audit export` wrote.  Raises OSError."""
    damaged: list[str] = []
    kept = export.heads_of(directory)
    return Source(lines=export.read(directory, damaged), heads=kept, damaged=damaged)


@contextmanager
def opened(config: Config, since: str, since_us: int, purpose: str) -> Iterator[Source]:
    """The evidence of the data directory.  Raises OSError or TransientError, also from `lines`."""
    kept = heads.read(Places(config.data).heads)
    query = urlencode({"since": since, "purpose": purpose} if since else {"purpose": purpose})
    with request(config, f"{PATH}?{query}", method="GET", timeout_s=TIMEOUT_S) as answer:
        if answer is not None:
            yield Source(lines=_received(answer), heads=kept)
            return
    places = Places(config.data)
    frames = lag.undelivered_frames(places.audit, places.cursor(AuditTable.name))
    entries = map(audit.decode, frames)
    yield Source(
        lines=_stepped(_stored(config, kept, since_us)),
        heads=kept,
        is_offline=True,
        erasures=[one for entry in entries for one in erasures(entry.after)],
    )


def state(config: Config) -> State:
    """The state of the tree.  Raises OSError if there is none."""
    found = state_in(Places(config.data).tree)
    if found is None:
        raise OSError(NO_TREE)
    return found


def _received(lines: Iterator[bytes]) -> Iterator[AnyLine]:
    try:
        for line in lines:
            yield export.decode(line)
    except (HTTPException, ValueError) as error:
        raise OSError(f"the console's answer was cut short ({error})") from error


async def _stored(
    config: Config, kept: list[Head], since_us: int
) -> AsyncIterator[Sequence[AnyLine]]:
    """The evidence without a running meter."""
    known = state(config)
    if not has_store(config):
        raise TransientError("there is no store")
    store = Store(store_dsn(config), database=config.store.database)
    scope = Scope(
        current=known.tree,
        size=known.size,
        began_us=known.began_us or 0,
        since_us=since_us,
        node=known.node,
    )
    try:
        async for lines in collected(store, scope, at_once):
            added = any(isinstance(line, RowLine) and line.number is None for line in lines)
            yield _without(lines, _waiting(Places(config.data))) if added else lines
    finally:
        await store.close()


def _without(lines: Sequence[AnyLine], waiting: Set[tuple[str, str]]) -> Sequence[AnyLine]:
    """`lines` without rows that are on their way: a kill came between them and their leaves."""
    return [
        line
        for line in lines
        if not isinstance(line, RowLine)
        or line.number is not None
        or (line.call_id, line.source) not in waiting
    ]


def _waiting(places: Places) -> Set[tuple[str, str]]:
    """The ids of what the journals hold for the store, of which some may be in it."""
    found: set[tuple[str, str]] = set()
    for folder, exporter, decode in (
        (places.records, ClickHouse.name, record.decode),
        (places.contents, Contents.name, content.decode),
        (places.audit, AuditTable.name, audit.decode),
    ):
        for frame in lag.undelivered_frames(folder, places.cursor(exporter)):
            one = decode(frame)
            found.add((one.call_id.lower(), one.source))
    if places.reprice_pending.exists():
        pending = msgspec.json.decode(places.reprice_pending.read_bytes(), type=Corrections)
        found |= {(one.call_id, one.source) for one in pending.rows}
    return found


def _stepped(chunks: AsyncIterator[Sequence[AnyLine]]) -> Iterator[AnyLine]:
    with asyncio.Runner() as runner:
        while (lines := runner.run(_next(chunks))) is not None:
            yield from lines


async def _next(chunks: AsyncIterator[Sequence[AnyLine]]) -> Sequence[AnyLine] | None:
    return await anext(chunks, None)
