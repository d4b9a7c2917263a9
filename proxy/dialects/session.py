"""Sockets that carry many responses: each is read on its own, and is done when it ends.

A `Session` finds the lane of each message.  A lane is one response in progress, with a reader of
its own, so that nothing of one response is charged to another.  Responses are numbered in the order
in which they begin.  The number depends on the messages alone: a meter that reads them again after
a crash gives the same response the same number.

`state` is what a session must remember besides the messages that will be read again: a few names,
and which lanes were open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import msgspec
from msgspec.structs import replace

from pricing.reason import Reason
from proxy.dialects.contract import Ask, Endpoint, Json, Reader
from proxy.dialects.draft import Draft
from proxy.exchange import Reading

LANES_MAX = 1_024  # in progress at a time
DONE_MAX = 64  # ids of ended responses that are remembered, so that none is charged twice


@dataclass(slots=True)
class Lane:
    """One response in progress.  `key` is its id, "" until the provider has named it."""

    number: int
    began_ns: int
    reader: Reader
    key: str = ""
    stream: str = ""  # the name that the caller gave its stream
    torn: bool = False  # its beginning was read by a meter that is gone
    first_ns: int | None = None  # when the provider first said something of it
    last_ns: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One response that has ended; `cut` if that is because the socket did."""

    number: int
    reading: Reading
    began_ns: int
    first_ns: int | None
    ended_ns: int
    cut: bool = False


class SavedLane(TypedDict):
    """A lane as part of a state."""

    number: int
    began_ns: int
    key: str
    stream: str


class State(TypedDict):
    """What a session remembers, as JSON."""

    begun: int
    ended: int
    lanes: list[SavedLane]
    done: list[str]
    facts: dict[str, str]


@dataclass(slots=True)
class _News:
    """What happened since somebody last asked."""

    began: list[tuple[int, State]] = field(default_factory=list)
    ended: list[Answer] = field(default_factory=list)


class Session:
    """What all readers of such sockets share.  A dialect adds `read` and `sent`."""

    FACTS: tuple[str, ...] = ()  # fields of the dialect's own that belong to the state: text

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self.draft = Draft(ask, endpoint)  # of the connection
        self.lanes: dict[int, Lane] = {}  # by number
        self.begun = self.ended = 0
        self._done: dict[str, None] = {}
        self._news = _News()

    def make(self, ask: Ask, key: str) -> Reader:
        """A reader for one response; `key` is its id, if that is known already."""
        raise NotImplementedError

    def finish(self, lane: Lane) -> None:
        """Tell the lane's reader, before it closes, what only the session knows."""

    def sent(self, document: Json, at_ns: int) -> None:
        """Take one message of the caller."""
        raise NotImplementedError

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        raise NotImplementedError

    def ask_of(self, number: int, request: Mapping[str, object]) -> Ask:
        """The request of one response; what it says is heard apart from the others."""
        ask = self.draft.ask
        if (capture := ask.capture) is not None:
            apart = lambda text, of: capture(text, (number, of))  # noqa: E731
            return replace(ask, request=request, capture=apart)
        return replace(ask, request=request)

    def begin(
        self,
        at_ns: int,
        request: Mapping[str, object] | None = None,
        *,
        key: str = "",
        stream: str = "",
    ) -> Lane | None:
        """Open a lane; None if there are too many."""
        if len(self.lanes) >= LANES_MAX:
            self.draft.flag(Reason.TOO_MANY_PARTS)
            return None
        before = self.state()
        self.begun += 1
        reader = self.make(self.ask_of(self.begun, request or {}), key)
        lane = Lane(self.begun, at_ns, reader, key, stream, last_ns=at_ns)
        self.lanes[lane.number] = lane
        self._news.began.append((lane.number, before))
        return lane

    def end(self, lane: Lane, at_ns: int, *, cut: bool = False) -> None:
        """Close a lane: its response is done, or cut."""
        del self.lanes[lane.number]
        self.ended += 1
        if lane.key:
            self._done[lane.key] = None
            if len(self._done) > DONE_MAX:
                del self._done[next(iter(self._done))]
        self.finish(lane)
        reading = lane.reader.close()
        cut = cut and not reading.complete
        reasons = reading.reasons
        if cut and reading.billable:
            reasons = (*reasons, Reason.USAGE_NOT_FINAL)
        if lane.torn:
            reasons = (*reasons, Reason.BYTES_DROPPED)
        self._news.ended.append(
            Answer(
                number=lane.number,
                reading=replace(
                    reading,
                    reasons=tuple(dict.fromkeys(reasons)),
                    complete=reading.complete and not cut,
                    session_id=reading.session_id or self.draft.session_id,
                ),
                began_ns=lane.began_ns,
                first_ns=lane.first_ns,
                ended_ns=at_ns,
                cut=cut,
            )
        )

    def drop(self, lane: Lane) -> None:
        """Forget a lane of which nothing is billed: its request was refused."""
        del self.lanes[lane.number]

    def is_done(self, key: str) -> bool:
        """Whether the response of this id has ended."""
        return bool(key) and key in self._done

    def again(self, key: str) -> None:
        """The response of this id has begun, once more if it had ended."""
        self._done.pop(key, None)

    def hear_from(self, lane: Lane, at_ns: int) -> None:
        """The provider says something about a response."""
        if lane.first_ns is None:
            lane.first_ns = at_ns
        lane.last_ns = at_ns

    def of(self, key: str) -> Lane | None:
        """The open lane of the response with this id."""
        return next((lane for lane in self.lanes.values() if key and lane.key == key), None)

    def waiting(self, stream: str = "", *, any_stream: bool = False) -> Lane | None:
        """The oldest lane that was asked for and has not begun: of its stream, or any other."""
        unnamed = [lane for lane in self.lanes.values() if not lane.key]
        mine = [lane for lane in unnamed if lane.stream == stream]
        return next(iter(mine or (unnamed if any_stream else ())), None)

    def settle(self, now_ns: int) -> None:
        """End what is due by now, even if no message comes."""

    # -- for the meter --------------------------------------------------------------------------

    def take_began(self) -> list[tuple[int, State]]:
        """The numbers of lanes that began since the last call, and the state before each."""
        began, self._news.began = self._news.began, []
        return began

    def take_ended(self) -> list[Answer]:
        """The responses that ended since the last call."""
        ended, self._news.ended = self._news.ended, []
        return ended

    def state(self) -> State:
        """What must be remembered to read on from here."""
        lanes = [
            SavedLane(number=one.number, began_ns=one.began_ns, key=one.key, stream=one.stream)
            for one in self.lanes.values()
        ]
        facts = {name: str(getattr(self, name)) for name in self.FACTS}
        facts |= {name: str(getattr(self.draft, name)) for name in _DRAFTED}
        return State(
            begun=self.begun, ended=self.ended, lanes=lanes, done=[*self._done], facts=facts
        )

    def restore(self, state: State) -> None:
        """Take over what an earlier meter remembered.  Lanes that were open then are torn."""
        self.begun, self.ended = state["begun"], state["ended"]
        self._done = dict.fromkeys(state["done"])
        for name, value in state["facts"].items():
            setattr(self.draft if name in _DRAFTED else self, name, value)
        for saved in state["lanes"]:
            reader = self.make(self.ask_of(saved["number"], {}), saved["key"])
            self.lanes[saved["number"]] = Lane(**saved, reader=reader, torn=True)

    def close(self) -> Reading:
        """The reading of the connection; the responses still open are cut.  See `Reader.close`."""
        draft = self.draft
        for lane in [*self.lanes.values()]:
            self.end(lane, lane.last_ns, cut=True)
        draft.billable = False
        draft.flag(Reason.BILLED_BY_RESPONSE)
        draft.attributes["session.responses"] = self.ended
        return draft.reading()


_DRAFTED = ("request_model", "response_model", "session_id", "error_type", "error_message")
