"""A call that has begun and has no record yet: from its frames to the exchange."""

from dataclasses import dataclass, replace

import msgspec

from pricing.reason import Reason
from proxy.content.capture import Capturing
from proxy.exchange import Begun, Ended, Exchange, Kind, Outcome, Reading, ResponseHead
from proxy.journal.follower import Position
from proxy.journal.frames import Frame
from proxy.reading.reading import CallReader
from proxy.settings.config import Config

_begun = msgspec.json.Decoder(Begun)
_head = msgspec.json.Decoder(ResponseHead)
_ended = msgspec.json.Decoder(Ended)


@dataclass(slots=True)
class OpenCall:
    """`first` is the position of its BEGUN, `segments` are those with frames of it."""

    writer: str
    number: int
    begun: Begun
    begun_ns: int
    first: Position
    reader: CallReader
    segments: set[int]
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
        )

    def take(self, segment: int, frame: Frame) -> Ended | None:
        """Take one more frame; returns how the call ended if it is the last."""
        self.segments.add(segment)
        at_ns = max(0, frame.at_ns - self.begun_ns)
        self.last_ns = max(self.last_ns, at_ns)
        payload = frame.payload
        match frame.kind:
            case Kind.REQUEST:
                self.request_bytes += len(payload)
                self.reader.request(payload, at_ns)
            case Kind.RESPONSE_HEAD:
                self.head = _head.decode(payload)
                self.reader.head(self.head, at_ns)
            case Kind.RESPONSE:
                self._first_byte(at_ns)
                self.response_bytes += len(payload)
                self.reader.response(payload, at_ns)
            case Kind.MESSAGE_UP:
                self.request_bytes += len(payload) - 1
                self.reader.message(True, payload, at_ns)
            case Kind.MESSAGE_DOWN:
                self._first_byte(at_ns)
                self.response_bytes += len(payload) - 1
                self.reader.message(False, payload, at_ns)
            case Kind.ENDED:
                return _ended.decode(payload)
        return None

    def interrupted(self) -> Ended:
        """How it ended if its relay is gone."""
        return Ended(
            outcome=Outcome.INTERRUPTED,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
        )

    def finish(self, ended: Ended) -> Exchange:
        """Everything about the call; called once."""
        self.finishing = True
        reading = self.reader.close()
        missing = max(0, ended.request_bytes - self.request_bytes)
        missing += max(0, ended.response_bytes - self.response_bytes)
        if missing:  # the relay's count lacks what was in flight when the disk refused
            ended = msgspec.structs.replace(ended, dropped_bytes=max(ended.dropped_bytes, missing))
            reading = incomplete(reading)
        return Exchange(
            begun=self.begun,
            head=self.head,
            ended=ended,
            reading=reading,
            first_byte_ns=self.first_byte_ns,
            duration_ns=self.last_ns,
            source=f"{self.writer}:{self.number}",
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
