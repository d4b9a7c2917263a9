"""Writes one call to the journal, within the configured limits."""

from collections.abc import Awaitable
from operator import itemgetter
from typing import Protocol

import msgspec
from aiohttp.http import RawResponseMessage

from proxy.exchange import Begun, Ended, Kind, Outcome, ResponseHead
from proxy.relay.fields import noted
from proxy.secrecy.mask import MASKED_BYTES_MIN, Mask, masked
from proxy.settings.config import JournalOptions

# Names of their own: to look a member up in an Enum costs more than to append a frame.
_REQUEST, _HEAD, _RESPONSE, _ENDED = (
    int(kind) for kind in (Kind.REQUEST, Kind.RESPONSE_HEAD, Kind.RESPONSE, Kind.ENDED)
)
_encode = msgspec.json.Encoder().encode
_value = itemgetter(1)  # of a pair


class CallJournal(Protocol):
    """The part of `proxy.journal.journal.Journal` that a call uses.  Nothing here raises."""

    def begin(self, begun: Begun) -> int: ...
    def append(self, call: int, kind: int, payload: bytes, at_ns: int | None = None) -> bool: ...
    def dropped(self, call: int) -> int: ...
    def flush(self) -> None: ...
    def settle(self) -> Awaitable[None] | None: ...


class CallLog:
    """Counts all bytes, keeps those within the limits, and records the end once.

    `secret` is the caller's credential; where a provider's response repeats it, it is masked.
    """

    def __init__(
        self, journal: CallJournal, limits: JournalOptions, begun: Begun, secret: str = ""
    ) -> None:
        self._journal = journal
        self._secret = secret.encode("utf-8", "surrogateescape")
        self._mask: Mask | None = None  # while the body of an error response passes
        self._request_room = limits.request_bytes_max
        self._response_room = limits.response_bytes_max
        self._limits = limits
        self._call = journal.begin(begun)
        self._beyond = 0  # bytes beyond a limit
        self.request_bytes = 0
        self.response_bytes = 0
        self.overhead_ns = 0  # our own share of the time
        self.caller_wait_ns = 0
        self.blocked_by: tuple[str, ...] = ()  # budgets that refuse it, or would
        self.sent = False  # a byte of the request may have left
        self.ended = False

    @property
    def number(self) -> int:
        """Of the call in the journal."""
        return self._call

    def request(self, data: bytes) -> None:
        """Record bytes of the request body that pass now."""
        self.request_bytes += len(data)
        room = self._request_room
        if len(data) > room:
            self._beyond += len(data) - room
            data = data[:room]
        self._request_room = room - len(data)
        if data:
            self._journal.append(self._call, _REQUEST, data)

    def response(self, data: bytes, at_ns: int | None = None) -> None:
        """Record bytes of the response body that came at `at_ns`, or now."""
        self.response_bytes += len(data)
        if self._mask is not None:
            data = self._mask.feed(data)
        self._keep_response(data, at_ns)

    def _keep_response(self, data: bytes, at_ns: int | None) -> None:
        room = self._response_room
        if len(data) > room:
            self._beyond += len(data) - room
            data = data[:room]
        self._response_room = room - len(data)
        if data:
            self._journal.append(self._call, _RESPONSE, data, at_ns)

    def message(self, kind: Kind, opcode: int, payload: bytes) -> None:
        """Record a WebSocket message, whole or not at all.

        The limit is that of each, since a socket has no length, and what is metered is deleted.
        """
        size = len(payload)
        if kind is Kind.MESSAGE_UP:
            self.request_bytes += size
            size_max = self._limits.request_bytes_max
        else:
            self.response_bytes += size
            size_max = self._limits.response_bytes_max
        if size > size_max:
            self._beyond += size
            return
        if kind is Kind.MESSAGE_DOWN:
            payload = masked(payload, self._secret)
        self._journal.append(self._call, kind, bytes((opcode,)) + payload)

    def skipped(self, size: int) -> None:
        """Count bytes that passed and belong to no readable message."""
        self._beyond += size

    def waited(self, ns: int) -> None:
        """Count time spent waiting for the caller to take bytes."""
        self.caller_wait_ns += ns

    def response_head(self, message: RawResponseMessage, at_ns: int) -> None:
        """Record the head that came at `at_ns`."""
        if message.code >= 400:
            self._mask = Mask(self._secret)
        pairs, reason = message.raw_headers, message.reason
        secret = self._secret
        values = b"\n".join(map(_value, pairs))
        if len(secret) >= MASKED_BYTES_MIN and values.find(secret) >= 0:
            pairs = tuple([(name, masked(value, secret)) for name, value in pairs])
        if not reason.isascii() or len(reason) >= MASKED_BYTES_MIN:
            data = masked(reason.encode("utf-8", "surrogateescape"), secret)
            reason = data.decode("utf-8", "replace")
        found = ResponseHead(status=message.code, reason=reason, headers=noted(pairs))
        self._journal.append(self._call, _HEAD, _encode(found), at_ns)

    def end(self, outcome: Outcome, error: str = "", at_ns: int | None = None) -> None:
        """Record the end at `at_ns`, or now, once; later ends are consequences of the first."""
        if self.ended:
            return
        self.ended = True
        if self._mask is not None:
            self._keep_response(self._mask.close(), at_ns)
        ended = Ended(
            outcome=outcome,
            sent=self.sent,
            error=error,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            dropped_bytes=self._beyond + self._journal.dropped(self._call),
            overhead_us=self.overhead_ns // 1000,
            caller_wait_us=self.caller_wait_ns // 1000,
            blocked_by=self.blocked_by,
        )
        self._journal.append(self._call, _ENDED, _encode(ended), at_ns)

    def flush(self) -> None:
        self._journal.flush()
