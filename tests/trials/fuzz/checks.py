"""Checks what must hold for every damaged call.

Nothing raises, nothing takes longer than `CPU_S_MAX`, the reading is the same at random cuts, and
the store can take the row.  There is one exception: how much of a broken content coding can be
decoded depends on the cuts, and so does whether zstd notices; one of the readings must report it.
"""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import TypeVar

from msgspec.structs import replace

from exporters.content import Captured
from pricing.reason import Reason
from proxy.content.capture import Capture, Capturing
from proxy.dialects.contract import Json
from proxy.exchange import Begun, Reading, ResponseHead
from proxy.reading.eventstream import EventStream
from proxy.reading.pruner import Pruner, PruningError
from proxy.reading.reading import CallReader
from proxy.relay.websocket import Message, MessageReader
from proxy.secrecy.kinds import CREDENTIAL, KINDS
from proxy.settings.config import ContentOptions, MeteringOptions, Provider
from trials.fuzz import rows
from trials.fuzz.calls import RecordedCall, every
from trials.fuzz.damage import damaged

T = TypeVar("T")

CPU_S_MAX = 2.0  # for all readings of one damaged call
CUTS_MAX = 12
SMALL_DOCUMENT_BYTES = 512  # so low that almost every document is pruned
SMALL_SHARE = 0.15
ROW_EVERY = 5  # one in so many calls is also metered, and its content captured
CAPTURE = ContentOptions(capture=True, bytes_max=4_096, redact=tuple(set(KINDS) - {CREDENTIAL}))
BROKEN = frozenset({Reason.CONTENT_ENCODING_CORRUPT, Reason.REQUEST_CONTENT_ENCODING_CORRUPT})


class TooSlow(BaseException):
    """`CPU_S_MAX` was used up.  Not an `Exception`, which the code under test may catch."""


class Disagreement(Exception):
    """Two readings of the same bytes differ."""


class Strict(CallReader):
    """A meter that raises the errors which the real one survives."""

    def _guard(self, step: Callable[[], object]) -> None:
        step()


def check(seed: int, number: int) -> None:
    """Damage one call and check it.  Raises what is wrong with it."""
    random = Random(f"{seed}/{number}")
    calls = every()
    call = damaged(random.choice(calls), calls, random)
    small = random.random() < SMALL_SHARE
    limits = (
        MeteringOptions(document_bytes_max=SMALL_DOCUMENT_BYTES) if small else MeteringOptions()
    )
    with cpu_limited():
        whole = read(call, limits, lambda data: [data])
        cut = read(call, limits, lambda data: pieces(data, random))
        parts(call, random)
        if number % ROW_EVERY == 0:
            rows.check(call, whole)
            content(call, limits, random)
    if whole != cut and not _broken(whole, cut):
        raise Disagreement(difference(whole, cut))


class StrictCapture(Capture):
    """Raises the errors which the real one survives, and keeps the content."""

    kept: Captured | None = None

    def _guarded(self, step: Callable[[], T]) -> T | None:
        return step()

    def close(self, request: Json, *, cut: bool = False) -> Captured | None:
        self.kept = super().close(request, cut=cut)
        return self.kept


def content(call: RecordedCall, limits: MeteringOptions, random: Random) -> None:
    """Check that captured content is bounded JSON, the same at random cuts, and not held back."""
    capturing = Capturing(CAPTURE)
    free = capturing.free
    whole, cut = StrictCapture(capturing), StrictCapture(capturing)
    readings = (
        read(call, limits, lambda data: [data], whole),
        read(call, limits, lambda data: pieces(data, random), cut),
    )
    if whole.kept is None or capturing.free != free:
        raise Disagreement("content: not kept, or still held")
    if whole.kept != cut.kept and not _broken(*readings):
        raise Disagreement("content: depends on the cuts")
    for text in (whole.kept.request, whole.kept.response):
        if len(text.encode()) > CAPTURE.bytes_max:
            raise Disagreement("content: too long")
        for line in filter(None, text.split("\n")):
            json.loads(line)


def _broken(whole: Reading, cut: Reading) -> bool:
    """Whether a reading reports a broken content coding."""
    return not BROKEN.isdisjoint((*whole.reasons, *cut.reasons))


def case(seed: int, number: int) -> RecordedCall:
    """The damaged call with that number."""
    random = Random(f"{seed}/{number}")
    return damaged(random.choice(every()), every(), random)


def read(
    call: RecordedCall,
    limits: MeteringOptions,
    cut: Callable[[bytes], list[bytes]],
    capture: Capture | None = None,
) -> Reading:
    """The reading of a call whose bodies arrive in the pieces that `cut` makes."""
    begun = Begun(
        call_id="fuzz",
        wall_ns=0,
        method=call.method,
        target=call.target,
        provider=call.provider,
        upstream="https://provider.example",
        headers=call.request_headers,
        websocket=bool(call.messages),
    )
    provider = Provider(name=call.provider, dialect=call.family)
    reader = Strict(begun, provider, limits, capture=capture)
    for piece in cut(call.request):
        reader.request(piece, 0)
    reader.head(ResponseHead(status=call.status, headers=call.headers), 0)
    for up, message in call.messages:
        reader.message(up, message, 0)
    for piece in cut(call.response):
        reader.response(piece, 0)
    return _with_responses(reader.close(), [one.reading for one in reader.take_ended()])


def _with_responses(reading: Reading, responses: Sequence[Reading]) -> Reading:
    """The reading of a socket together with those of its responses, as if it were one call."""
    if not responses:
        return reading
    own = [cause for cause in reading.reasons if cause is not Reason.BILLED_BY_RESPONSE]
    return replace(
        reading,
        parts=(*reading.parts, *(part for one in responses for part in one.parts)),
        reasons=tuple(dict.fromkeys((*own, *(why for one in responses for why in one.reasons)))),
        billable=any(one.billable for one in responses),
    )


def parts(call: RecordedCall, random: Random) -> None:
    """Run the standalone parsers: they may raise only the error that they document."""
    events = EventStream()
    with suppress(ValueError):
        for piece in pieces(call.response, random):
            for _ in events.feed(piece):
                pass
    pruner = Pruner(SMALL_DOCUMENT_BYTES)
    with suppress(PruningError):
        for piece in pieces(call.response, random):
            pruner.feed(piece)
    frames = b"".join(frame(message) for _, message in call.messages[:64]) or call.response
    deflate = random.random() < 0.5
    _same_messages(frames, deflate, pieces(frames, random))


def _same_messages(frames: bytes, deflate: bool, cut: list[bytes]) -> None:
    found = []
    for fed in ([frames], cut):
        reader, messages = MessageReader(deflate=deflate), list[Message]()
        with suppress(ValueError):
            for piece in fed:
                for message in reader.feed(piece):
                    messages.append(message)  # one by one: those before an error count
        found.append((messages, reader.skipped_bytes))
    if found[0] != found[1]:
        raise Disagreement("WebSocket messages")


def frame(message: bytes) -> bytes:
    """One message as an unmasked WebSocket frame."""
    opcode, payload = message[:1] or b"\x01", message[1:]
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7f" + size.to_bytes(8)
    return bytes([0x80 | opcode[0] & 0x7F]) + length + payload


def pieces(data: bytes, random: Random) -> list[bytes]:
    """`data` cut at random, also into single bytes and empty pieces."""
    count = random.randint(0, CUTS_MAX)
    edges = sorted(random.randint(0, len(data)) for _ in range(count))
    if edges and random.random() < 0.5:  # single bytes, to cut characters and CRLFs
        edges += range(edges[0], min(edges[0] + 16, len(data)))
        edges.sort()
    starts, ends = [0, *edges], [*edges, len(data)]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)]


def difference(one: Reading, other: Reading) -> str:
    """The fields in which two readings differ."""
    names = [name for name in one.__struct_fields__ if getattr(one, name) != getattr(other, name)]
    shown = [
        f"{name}: {getattr(one, name)!r:.200} / {getattr(other, name)!r:.200}" for name in names
    ]
    return "; ".join(shown)


@contextmanager
def cpu_limited() -> Iterator[None]:
    """Raises TooSlow inside the block once it has used `CPU_S_MAX` of CPU time."""

    def stop(number: int, at: object) -> None:
        raise TooSlow(f"more than {CPU_S_MAX:g} s of CPU time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_S_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
