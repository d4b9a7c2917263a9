"""Which calls have their record, in a file that survives the meter.

Call numbers of a writer increase by one, so "done" is a number below which all calls are done, and
the few above it.  A socket may be open for days: what must be remembered of it stands here, so that
the journal of what is charged can be deleted.  The file is written after the records; later records
are found in the record journal itself.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from proxy.dialects.session import State
from proxy.exchange import Begun, ResponseHead
from proxy.journal.disk import write_atomically


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in a socket's frames from which it can be read again, and what was before it."""

    segment: int
    offset: int
    request_bytes: int = 0
    response_bytes: int = 0
    first_byte_ns: int | None = None
    last_ns: int = 0
    state: State | None = None  # None: what was being read is lost


class SavedSocket(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An open socket; `recorded` are the responses that have their record, if read again."""

    begun: Begun
    begun_ns: int
    mark: Mark
    head: ResponseHead | None = None
    recorded: list[int] = msgspec.field(default_factory=list)


class WriterProgress(msgspec.Struct, kw_only=True):
    """One relay's journal: where to continue reading, and which of its calls are done."""

    segment: int = 0
    offset: int = 0
    below: int = 1
    above: set[int] = msgspec.field(default_factory=set)
    # The highest call number seen by this meter.  What an earlier one saw and did not finish is not
    # done, and may not have been read again yet.
    seen: int = 0
    sockets: dict[int, SavedSocket] = msgspec.field(default_factory=dict)  # open ones, by number

    def is_done(self, call: int) -> bool:
        return (call < self.below or call in self.above) and call not in self.sockets

    def done(self, call: int) -> None:
        self.above.add(call)
        self.sockets.pop(call, None)

    def compact(self, open_calls: Iterable[int]) -> None:
        """Raise `below` to the first call that is still open, saved sockets aside."""
        self.below = max(self.below, min(open_calls, default=self.seen + 1))
        self.above = {call for call in self.above if call >= self.below}


class Progress(msgspec.Struct, kw_only=True):
    """The whole file.  `records_*` is the position of the record journal when it was written."""

    records_writer: str = ""
    records_segment: int = 0
    writers: dict[str, WriterProgress] = msgspec.field(default_factory=dict)
    lost: dict[str, int] = msgspec.field(default_factory=dict)  # counters of writers that are gone
    # Sources of batch items and responses that an earlier meter recorded, of calls not done: they
    # may be read again, also by the meter after the next.
    parts: set[str] = msgspec.field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> "Progress":
        """What `save` wrote; empty if there is no file.  Raises ValueError if it is damaged."""
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
            for writer in found.writers.values():
                writer.seen = 0
            return found
        except FileNotFoundError:
            return cls()
        except msgspec.DecodeError as error:
            raise ValueError(f"{path} is damaged ({error}); remove it to start over") from error

    def save(self, path: Path) -> None:
        self.parts = {source for source in self.parts if not self._is_done(source)}
        write_atomically(path, msgspec.json.encode(self))

    def _is_done(self, source: str) -> bool:
        name, number, _ = source.split(":", 2)
        return name not in self.writers or self.writers[name].is_done(int(number))

    def lose(self, counters: Mapping[str, int]) -> None:
        """Keep the counters of a writer that is gone."""
        for name, value in counters.items():
            self.lost[name] = self.lost.get(name, 0) + value

    def writer(self, name: str) -> WriterProgress:
        return self.writers.setdefault(name, WriterProgress())
