"""Which calls have their record, in a file that survives the meter.

Call numbers of a writer increase by one, so "done" is a number below which all calls are done, and
the few above it.  The file is written after the records; later records are found in the record
journal itself.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from proxy.journal.disk import write_atomically


class WriterProgress(msgspec.Struct, kw_only=True):
    """One relay's journal: where to continue reading, and which of its calls are done."""

    segment: int = 0
    offset: int = 0
    below: int = 1
    above: set[int] = msgspec.field(default_factory=set)
    seen: int = 0  # the highest call number seen

    def is_done(self, call: int) -> bool:
        return call < self.below or call in self.above

    def done(self, call: int) -> None:
        self.above.add(call)

    def compact(self, open_calls: Iterable[int]) -> None:
        """Raise `below` to the first call that is still open."""
        self.below = max(self.below, min(open_calls, default=self.seen + 1))
        self.above = {call for call in self.above if call >= self.below}


class Progress(msgspec.Struct, kw_only=True):
    """The whole file.  `records_*` is the position of the record journal when it was written."""

    records_writer: str = ""
    records_segment: int = 0
    writers: dict[str, WriterProgress] = msgspec.field(default_factory=dict)
    lost: dict[str, int] = msgspec.field(default_factory=dict)  # counters of writers that are gone

    @classmethod
    def load(cls, path: Path) -> "Progress":
        """What `save` wrote; empty if there is no file.  Raises ValueError if it is damaged."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except msgspec.DecodeError as error:
            raise ValueError(f"{path} is damaged ({error}); remove it to start over") from error

    def save(self, path: Path) -> None:
        write_atomically(path, msgspec.json.encode(self))

    def writer(self, name: str) -> WriterProgress:
        return self.writers.setdefault(name, WriterProgress())
