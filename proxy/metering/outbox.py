"""Records on their way into the record journal, in order, until it has taken them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.record import Record, encode
from proxy.content.content_journal import ContentJournal
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.metering.open_call import OpenCall

OnRecord = Callable[[Record], None]
Taken = Callable[[OpenCall, int], None]


@dataclass(slots=True)
class _Finished:
    """Records of a call that has ended, or of its response `number`; those still to be written."""

    call: OpenCall
    number: int
    records: list[bytes]


class Outbox:
    """`taken` is told when all records of a call, or of one response, are in the journal.

    A call is reported after all its responses.
    """

    def __init__(
        self,
        journal: Journal,
        contents: ContentJournal | None,
        on_record: OnRecord,
        written: set[str],
        taken: Taken,
    ) -> None:
        """`written` are the sources of records that an earlier meter wrote."""
        self._journal, self._contents = journal, contents
        self._on_record, self._written, self._taken = on_record, written, taken
        self._finished: list[_Finished] = []
        self._kept = 0  # records appended so far: numbers them

    def __bool__(self) -> bool:
        """Whether records wait."""
        return bool(self._finished)

    def keep(self, call: OpenCall, records: Sequence[Record], number: int = 0) -> None:
        """Queue records for writing; that of the call itself is last.  `number`: see `Taken`."""
        new = [record for record in records if record.source not in self._written]
        self._finished.append(_Finished(call, number, list(map(encode, new))))
        if self._contents and new and not number:
            self._contents.keep(call.reader.captured, new[-1])
        for record in new:
            self._on_record(record)

    def write(self) -> bool:
        """Append the records, and report what the journal took; False if some must wait."""
        if self._finished and self._journal.blocked:
            return False
        if self._contents:
            self._contents.flush()
        appended = [[self._append(record) for record in one.records] for one in self._finished]
        self._journal.flush()
        waiting: list[_Finished] = []
        for one, numbers in zip(self._finished, appended, strict=True):
            pairs = zip(one.records, numbers, strict=True)
            one.records = [record for record, number in pairs if self._journal.forget(number)]
            if one.records or any(before.call is one.call for before in waiting):
                waiting.append(one)
            else:
                self._taken(one.call, one.number)
        self._finished = waiting
        return not waiting

    def _append(self, record: bytes) -> int:
        """The number by which the journal reports whether it lost the record."""
        self._kept += 1
        self._journal.append(self._kept, Kind.RECORD, record)
        return self._kept
