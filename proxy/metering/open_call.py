"""A call that has begun and has no record yet: from its frames to the exchange."""

import asyncio
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from pricing.reason import Reason
from proxy.content.capture import Capturing
from proxy.exchange import Begun, Ended, Exchange, Kind, Outcome, Reading, ResponseHead
from proxy.journal.follower import Position
from proxy.journal.frames import Frame
from proxy.metering.open_socket import HELD_BYTES_MAX, Marks, of_connection, response
from proxy.metering.progress import Mark, SavedSocket
from proxy.reading.reading import CallReader
from proxy.settings.config import Config

_begun = msgspec.json.Decoder(Begun)
_head = msgspec.json.Decoder(ResponseHead)
_ended = msgspec.json.Decoder(Ended)
# Looked up once: a member of an enumeration takes as long to find as most frames to read.
_REQUEST, _RESPONSE_HEAD, _RESPONSE = Kind.REQUEST, Kind.RESPONSE_HEAD, Kind.RESPONSE
_MESSAGE_UP, _MESSAGE_DOWN, _ENDED = Kind.MESSAGE_UP, Kind.MESSAGE_DOWN, Kind.ENDED


@dataclass(slots=True)
class OpenCall:
    """`first` is the position of its BEGUN, `segments` are those with frames of it.

    `marks` are those of a socket, and `at` is the position behind its last frame that was taken.
    """

    writer: str
    number: int
    begun: Begun
    begun_ns: int
    first: Position
    reader: CallReader
    segments: set[int]
    at: Position
    marks: Marks | None = None
    saved: SavedSocket | None = None
    counting: set[asyncio.Task[None]] = field(default_factory=set)  # responses being counted
    head: ResponseHead | None = None
    first_byte_ns: int | None = None
    last_ns: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    finishing: bool = False

    @classmethod
    def begin(
        cls,
        writer: str,
        segment: int,
        frame: Frame,
        config: Config,
        capturing: Capturing | None,
    ) -> "OpenCall":
        """From a BEGUN frame.  Raises msgspec.DecodeError for an invalid payload."""
        begun = _begun.decode(frame.payload)
        provider = config.providers.get(begun.provider)
        capture = capturing.begin(begun) if capturing else None
        return cls(
            writer=writer,
            number=frame.call,
            begun=begun,
            begun_ns=frame.at_ns,
            first=Position(segment, frame.start),
            reader=CallReader(begun, provider, config.metering, capture=capture),
            segments={segment},
            at=Position(segment, frame.end),
            marks=Marks() if begun.websocket else None,
        )

    @classmethod
    def restore(
        cls,
        writer: str,
        number: int,
        saved: SavedSocket,
        config: Config,
        capturing: Capturing | None,
    ) -> "OpenCall":
        """A socket that an earlier meter read up to its mark."""
        begun, mark = saved.begun, saved.mark
        capture = capturing.begin(begun) if capturing else None
        provider = config.providers.get(begun.provider)
        reader = CallReader(begun, provider, config.metering, capture=capture)
        if saved.head is not None:
            reader.head(saved.head, 0)
        reader.restore(mark.state)
        at = Position(mark.segment, mark.offset)
        return cls(
            writer=writer,
            number=number,
            begun=begun,
            begun_ns=saved.begun_ns,
            first=at,
            reader=reader,
            segments=set(),
            at=at,
            marks=Marks.of(saved),
            saved=saved,
            head=saved.head,
            first_byte_ns=mark.first_byte_ns,
            last_ns=mark.last_ns,
            request_bytes=mark.request_bytes,
            response_bytes=mark.response_bytes,
        )

    def take(self, segment: int, frame: Frame) -> Ended | None:
        """Take one more frame; returns how the call ended if it is the last."""
        if self.marks is None:
            return self._take(segment, frame)
        if (segment, frame.start) < self.at:
            return None  # an earlier meter took it
        before = self._mark(segment, frame.start)
        ended = self._take(segment, frame)
        self.at = Position(segment, frame.end)
        for number, state in self.reader.take_began():
            self.marks.began(number, msgspec.structs.replace(before, state=state))
        return ended

    def _take(self, segment: int, frame: Frame) -> Ended | None:
        self.segments.add(segment)
        at_ns = max(0, frame.at_ns - self.begun_ns)
        self.last_ns = max(self.last_ns, at_ns)
        payload = frame.payload
        kind = frame.kind
        if kind == _RESPONSE:
            self._first_byte(at_ns)
            self.response_bytes += len(payload)
            self.reader.response(payload, at_ns)
        elif kind == _REQUEST:
            self.request_bytes += len(payload)
            self.reader.request(payload, at_ns)
        elif kind == _RESPONSE_HEAD:
            self.head = _head.decode(payload)
            self.reader.head(self.head, at_ns)
        elif kind == _MESSAGE_UP:
            self.request_bytes += len(payload) - 1
            self.reader.message(True, payload, at_ns)
        elif kind == _MESSAGE_DOWN:
            self._first_byte(at_ns)
            self.response_bytes += len(payload) - 1
            self.reader.message(False, payload, at_ns)
        elif kind == _ENDED:
            return _ended.decode(payload)
        return None

    def interrupted(self) -> Ended:
        """How it ended if its relay is gone."""
        return Ended(
            outcome=Outcome.INTERRUPTED,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
        )

    def answered(self, ended: Outcome = Outcome.OK) -> list[tuple[int, Exchange]]:
        """The responses that ended and are not recorded yet, each with its number."""
        if self.marks is None:
            return []
        found = []
        for answer in self.reader.take_ended():
            if answer.number not in self.marks.recorded:
                self.marks.writing.add(answer.number)
                exchange = response(self.begun, self.head, answer, ended, self.source)
                found.append((answer.number, exchange))
        return found

    def settle(self, now_ns: int) -> None:
        """End the responses that are due by now on the relay's clock."""
        self.reader.settle(max(self.last_ns, now_ns - self.begun_ns))

    @property
    def source(self) -> str:
        """Where it stands in the journal."""
        return f"{self.writer}:{self.number}"

    def finish(self, ended: Ended) -> Exchange:
        """Everything about the call; called once.  `answered` then has the responses it cut."""
        self.finishing = True
        reading = self.reader.close()
        missing = max(0, ended.request_bytes - self.request_bytes)
        missing += max(0, ended.response_bytes - self.response_bytes)
        if missing:  # the relay's count lacks what was in flight when the disk refused
            ended = msgspec.structs.replace(ended, dropped_bytes=max(ended.dropped_bytes, missing))
            reading = incomplete(reading)
        session = self.head is not None and self.reader.state() is not None
        reading = of_connection(reading) if session else reading
        return Exchange(
            begun=self.begun,
            head=self.head,
            ended=ended,
            reading=reading,
            first_byte_ns=self.first_byte_ns,
            duration_ns=self.last_ns,
            source=self.source,
            socket_id=self.begun.call_id if session and not reading.billable else "",
        )

    # -- what the journal must keep -------------------------------------------------------------

    def save(self) -> SavedSocket | None:
        """What a later meter needs to read on; None: all frames from `first` on."""
        if self.marks is None:
            return None
        if self.finishing:
            return self.saved and self._saved(self.marks, self.saved.mark)
        now = self._now()
        mark = self.marks.oldest(now)
        whole = now.state is None and not self.marks.marks  # nothing was released yet
        held = self.request_bytes + self.response_bytes
        held -= 0 if whole else mark.request_bytes + mark.response_bytes
        if held > HELD_BYTES_MAX:
            self.marks.let_go(now)
            mark = self.marks.oldest(now)
        elif whole:
            return None
        self.marks.forget(mark)
        self.first = Position(mark.segment, mark.offset)
        self.segments = {segment for segment in self.segments if segment >= mark.segment}
        self.saved = self._saved(self.marks, mark)
        return self.saved

    def _saved(self, marks: Marks, mark: Mark) -> SavedSocket:
        return SavedSocket(
            begun=self.begun,
            begun_ns=self.begun_ns,
            head=self.head,
            mark=mark,
            recorded=sorted(marks.recorded),
        )

    def _now(self) -> Mark:
        return msgspec.structs.replace(self._mark(*self.at), state=self.reader.state())

    def _mark(self, segment: int, offset: int) -> Mark:
        return Mark(
            segment=segment,
            offset=offset,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            first_byte_ns=self.first_byte_ns,
            last_ns=self.last_ns,
        )

    def _first_byte(self, at_ns: int) -> None:
        if self.first_byte_ns is None:
            self.first_byte_ns = at_ns


def incomplete(reading: Reading) -> Reading:
    """The reading of bodies that were not kept in full: a count of their text is incomplete."""
    count = reading.count and replace(reading.count, output_known=False)
    return replace(reading, count=count, reasons=(*reading.reasons, Reason.BYTES_DROPPED))


def without_audit(exchange: Exchange) -> Exchange:
    """The exchange without what would be counted beside its reported usage."""
    return replace(exchange, reading=replace(exchange.reading, audit=None))
