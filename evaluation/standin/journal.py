"""Records what the stand-in received and answered, to compare both ends of a proxy.

It holds callers' keys in plain text: use it with invented keys on loopback only.
"""

import hashlib
from collections import deque

import msgspec

ENTRIES_MAX = 10_000
BODY_KEPT_MAX = 65_536


class Received(msgspec.Struct, kw_only=True):
    """A request as received."""

    method: str
    target: str  # path and query, not normalised
    headers: list[tuple[str, str]]  # in order, in their original case
    body_sha256: str
    body_bytes: int
    body: str | None = None  # None: larger than BODY_KEPT_MAX, or not text


class Answered(msgspec.Struct, kw_only=True):
    """A response as sent; hash and size are of the body after content coding."""

    status: int = 0
    body_sha256: str = ""
    body_bytes: int = 0
    outcome: str = ""  # ok | error_event | cut | client_gone; "": in progress
    operation: str = ""
    model: str = ""
    reported: bool = False  # the body has the usage
    usage: dict[str, int] | None = None  # the partition and its totals; None: not billed
    output_tokens_sent: int = 0


class SeenExchange(msgspec.Struct, kw_only=True):
    """A request and its response, numbered in order of arrival."""

    number: int
    received: Received
    answered: Answered


class StandinJournal:
    """The newest `ENTRIES_MAX` exchanges; older ones are only counted."""

    def __init__(self) -> None:
        self._exchanges: deque[SeenExchange] = deque(maxlen=ENTRIES_MAX)
        self._count = 0
        self._cleared = 0

    def receive(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> SeenExchange:
        """Add a request; the caller fills in `answered`."""
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
        """Remove all exchanges; numbering continues."""
        self._exchanges.clear()
        self._cleared = self._count

    def exchanges(self) -> list[SeenExchange]:
        """All exchanges, oldest first."""
        return list(self._exchanges)

    def encoded(self) -> bytes:
        """As JSON: the exchanges, and how many were dropped."""
        dropped = self._count - self._cleared - len(self._exchanges)
        return msgspec.json.encode({"exchanges": self.exchanges(), "dropped": dropped})


def _text(body: bytes) -> str | None:
    if len(body) > BODY_KEPT_MAX:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
