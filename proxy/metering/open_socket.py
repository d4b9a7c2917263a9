"""What an open socket needs of its journal, and the exchanges of its responses.  No I/O.

A response that began is needed from its first frame until its record is written.  So a socket is
read again from the beginning of the oldest such response, with the session's state at that place.
"""

from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec.structs import replace

from pricing.cause import Cause
from pricing.reason import Effect, Reason
from proxy.dialects.session import Answer
from proxy.exchange import Begun, Ended, Exchange, Outcome, Reading, ResponseHead
from proxy.metering.progress import Mark, SavedSocket

# A response that keeps more of the journal than this loses its claim to it: should the meter stop
# before the response ends, the next meter has only the rest of it, and its row says so.
HELD_BYTES_MAX = 16 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Marks:
    """From where each response is needed whose record is not written yet, by number."""

    marks: dict[int, Mark] = field(default_factory=dict)
    writing: set[int] = field(default_factory=set)  # ended, and their record is on its way
    recorded: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, saved: SavedSocket) -> "Marks":
        """Those of a socket that an earlier meter read."""
        state = saved.mark.state
        numbers = [0] if state is None else [lane["number"] for lane in state["lanes"]]
        return cls(marks=dict.fromkeys(numbers, saved.mark), recorded=set(saved.recorded))

    def began(self, number: int, mark: Mark) -> None:
        """A response begins at `mark`."""
        self.marks[number] = mark

    def confirm(self, number: int) -> None:
        """The record of a response is written, or it needs none."""
        self.marks.pop(number, None)
        self.writing.discard(number)
        self.recorded.add(number)

    def oldest(self, now: Mark) -> Mark:
        """Where to read from again; `now`, behind the last frame, is the last such place."""
        if now.state is not None:  # of those that ended, only a record on its way needs frames
            needed = self.writing | {lane["number"] for lane in now.state["lanes"]}
            self.marks = {n: mark for n, mark in self.marks.items() if n in needed}
        return min(self.marks.values(), key=lambda mark: (mark.segment, mark.offset), default=now)

    def let_go(self, now: Mark) -> None:
        """Give up the frames of the responses in progress."""
        lanes = [] if now.state is None else now.state["lanes"]
        for number in [0] if now.state is None else [lane["number"] for lane in lanes]:
            self.marks[number] = now

    def forget(self, mark: Mark) -> None:
        """Forget the records of responses that are not read again from `mark`."""
        if (state := mark.state) is not None:
            again = {lane["number"] for lane in state["lanes"]}
            self.recorded = {n for n in self.recorded if n > state["begun"] or n in again}


def response(
    begun: Begun, head: ResponseHead | None, answer: Answer, ended: Outcome, source: str
) -> Exchange:
    """The exchange of one response; `ended` is how the socket ended, which may have cut it.

    Its call id depends on nothing but the socket and its number.
    """
    name = f"taximeter:{begun.call_id}:{answer.number}"
    outcome = Outcome.OK
    if answer.cut:  # the end of a socket is in order, but not that of a response in progress
        outcome = Outcome.CLIENT_GONE if ended is Outcome.OK else ended
    first = None if answer.first_ns is None else max(0, answer.first_ns - answer.began_ns)
    return Exchange(
        begun=msgspec.structs.replace(
            begun,
            call_id=str(uuid5(NAMESPACE_URL, name)),
            wall_ns=begun.wall_ns + answer.began_ns,
            in_flight=None,  # it says what was in flight when the socket began
        ),
        head=head,
        ended=Ended(outcome=outcome),
        reading=answer.reading,
        first_byte_ns=first,
        duration_ns=max(0, answer.ended_ns - answer.began_ns),
        source=f"{source}:{answer.number}",
        socket_id=begun.call_id,
    )


def of_connection(reading: Reading) -> Reading:
    """The reading of the socket itself: not billed, unless something on it may have been missed."""
    causes: list[Cause] = [
        cause for cause in reading.reasons if cause is not Reason.BILLED_BY_RESPONSE
    ]
    missed = any(cause.reason.effect in (Effect.MISSING, Effect.UNKNOWN) for cause in causes)
    if not missed:
        causes.append(Reason.BILLED_BY_RESPONSE)
    return replace(reading, billable=missed, reasons=tuple(causes))
