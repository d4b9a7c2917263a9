"""What the stand-in received and answered, so that a test can compare both ends of a proxy.

Keys of callers are in it as they came: it is for made-up keys on loopback only.
"""

import hashlib
from collections import deque

import msgspec

ENTRIES_MAX = 10_000
BODY_KEPT_MAX = 65_536


class Received(msgspec.Struct, kw_only=True):
    """A request as it came off the wire."""

    method: str
    target: str  # path and query, not normalised
    headers: list[tuple[str, str]]  # in order, with their case
    body_sha256: str
    body_bytes: int
    body: str | None = None  # None: larger than BODY_KEPT_MAX, or not text


class Answered(msgspec.Struct, kw_only=True):
    """What was answered; hash and size are of the body as sent, content coding included."""

    status: int = 0
    body_sha256: str = ""
    body_bytes: int = 0
    outcome: str = ""  # ok | error_event | cut | client_gone; "": still under way
    operation: str = ""
    model: str = ""
    reported: bool = False  # the usage is in the body
    usage: dict[str, int] | None = None  # the partition and its totals; None: nothing to bill
    output_tokens_sent: int = 0


class SeenExchange(msgspec.Struct, kw_only=True):
    """Both, numbered in order of arrival."""

    number: int
    received: Received
    answered: Answered


class StandinJournal:
    """The newest `ENTRIES_MAX` exchanges; what fell out is counted."""

    def __init__(self) -> None:
        self._exchanges: deque[SeenExchange] = deque(maxlen=ENTRIES_MAX)
        self._count = 0
        self._cleared = 0

    def receive(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> SeenExchange:
        """Note a request; the caller fills in `answered`."""
        exchange = SeenExchange(
            number=self._count,
            received=Received(
                method=method,
                target=target,
                headers=headers,
                body_sha256=hashlib.sha256(body).hexdigest(),
                body_bytes=len(body),
                body=_text(body),
            ),
            answered=Answered(),
        )
        self._exchanges.append(exchange)
        self._count += 1
        return exchange

    def clear(self) -> None:
        """Forget all of them; numbers go on."""
        self._exchanges.clear()
        self._cleared = self._count

    def exchanges(self) -> list[SeenExchange]:
        """Oldest first."""
        return list(self._exchanges)

    def encoded(self) -> bytes:
        """As JSON: the exchanges, and how many fell out."""
        dropped = self._count - self._cleared - len(self._exchanges)
        return msgspec.json.encode({"exchanges": self.exchanges(), "dropped": dropped})


def _text(body: bytes) -> str | None:
    if len(body) > BODY_KEPT_MAX:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
