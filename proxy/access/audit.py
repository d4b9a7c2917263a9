"""Writes the audit log: an entry is on disk before the change that it reports is made.

Entries go to a journal of their own, from which `proxy.delivery.audit` takes them to the store.
One process writes at a time: the meter, or a command while no meter runs.
"""

import asyncio
from dataclasses import replace
from time import time_ns
from uuid import uuid4

import msgspec

from exporters.audit import AuditEntry, encode
from proxy.access.roles import Caller
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.secrecy.scrubbing import scrubbed_document
from proxy.settings.config import Config, JournalOptions
from proxy.settings.places import Places

JOURNAL_BYTES_MAX = 64 * 1024 * 1024  # of entries that the store has not accepted
DOCUMENT_BYTES_MAX = 64 * 1024  # of `before` and of `after`; a longer one is named, not kept
TEXT_CHARACTERS_MAX = 500  # of action and target


class NotAudited(Exception):
    """An entry could not be written, so the change was not made."""


class Audit:
    """The log's writer.  `after` is the writer that was delivered last.

    Raises OSError if the journal cannot be created.
    """

    def __init__(self, config: Config, after: str = "") -> None:
        self._node = config.node
        self._journal = Journal(Places(config.data).audit, "meter", _limits(config), after)
        self._turn = asyncio.Lock()
        self._number = 0

    async def __call__(
        self,
        actor: Caller,
        action: str,
        target: str,
        before: object = None,
        after: object = None,
    ) -> str:
        """Write an entry and return its id.  None for `before` or `after` is nothing.

        Call it before making the change.  Raises NotAudited if the entry is not safe on disk.
        """
        entry = AuditEntry(
            ts_us=time_ns() // 1000,
            id=str(uuid4()),
            node=self._node,
            actor=actor.name,
            role=actor.role,
            action=_text(action),
            target=_text(target),
            before=_document(before),
            after=_document(after),
        )
        async with self._turn:
            await self._append(encode(entry))
        return entry.id

    async def _append(self, frame: bytes) -> None:
        self._number += 1
        errors = self._journal.counters.read()["write_errors"]
        self._journal.append(self._number, Kind.RECORD, frame)
        await self._journal.synced()
        lost = self._journal.forget(self._number)
        if lost or self._journal.counters.read()["write_errors"] != errors:
            raise NotAudited("cannot write the audit log, so nothing was changed: check the disk")

    @property
    def position(self) -> tuple[str, int]:
        """The segment being written: (writer, number)."""
        return self._journal.writer, self._journal.segment

    async def synced(self) -> None:
        """See `Journal.synced`."""
        await self._journal.synced()

    def close(self) -> None:
        """Seal the journal."""
        self._journal.close()


def _limits(config: Config) -> JournalOptions:
    return replace(
        config.journal,
        fsync="always",
        total_bytes_max=JOURNAL_BYTES_MAX,
        segment_bytes_max=JOURNAL_BYTES_MAX // 8,
    )


def _text(text: str) -> str:
    return str(scrubbed_document(text))[:TEXT_CHARACTERS_MAX]


def _document(value: object) -> str:
    """`value` as JSON with its secrets masked."""
    if value is None:
        return ""
    plain = msgspec.to_builtins(value, str_keys=True)
    text = msgspec.json.encode(scrubbed_document(plain)).decode()
    return text if len(text) <= DOCUMENT_BYTES_MAX else f'{{"left_out_bytes":{len(text)}}}'
