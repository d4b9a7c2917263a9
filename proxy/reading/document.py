"""One JSON document from bytes in pieces: decoded exactly, or pruned if it is too large."""

import json
import re
from decimal import Decimal

import msgspec

from pricing.reason import Reason
from proxy.dialects.contract import Json
from proxy.reading.pruner import Pruner, PruningError

TEXT_CHARS_MAX = 4 * 1024 * 1024  # kept of a body or an event that is not JSON
STEPS_MAX = 3_000_000  # lines and brackets examined in one body: a few seconds of work

_LAST = b"[DONE]"

Item = tuple[Json, str]  # a document and the name of its event

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_SURROGATE = re.compile(rb"\\u[dD][89A-Fa-f][0-9A-Fa-f]{2}")
_UNREADABLE = (ValueError, RecursionError, ArithmeticError)  # msgspec.DecodeError is a ValueError


def decode(data: bytes) -> Json:
    """The value of a JSON document.  Raises ValueError if it is not one.

    Half a surrogate pair, broken UTF-8 and NaN are repaired, since relays send them.
    """
    try:
        return _decoder.decode(data)
    except _UNREADABLE:
        repaired = _SURROGATE.sub(rb"\\ufffd", data).decode("utf-8", "replace")
    try:
        value: Json = json.loads(repaired, parse_float=Decimal, parse_constant=lambda _: None)
    except _UNREADABLE as error:
        raise ValueError("not JSON") from error
    return value


def value_of(data: bytes) -> Json:
    """The value of a document; text if it is not JSON, None if it is empty."""
    if data == _LAST:
        return "[DONE]"  # not JSON, and at the end of nearly every stream
    if not data.strip():
        return None
    try:
        return decode(data)
    except ValueError:
        return data[:TEXT_CHARS_MAX].decode("utf-8", "replace")


class Limits:
    """What framers may keep of one body, and what they had to leave out."""

    def __init__(self, document_bytes_max: int) -> None:
        self.document_bytes_max = document_bytes_max
        self.pruned = False  # a document was kept without its bulk
        self.reasons: dict[Reason, None] = {}
        self._steps = STEPS_MAX

    def flag(self, reason: Reason) -> None:
        """Add a reason why the body was not read in full."""
        self.reasons[reason] = None

    def spend(self, steps: int) -> bool:
        """Whether this many more steps are allowed; if not, that is a reason."""
        self._steps -= steps
        if self._steps < 0:
            self.flag(Reason.BODY_TOO_INTRICATE)
        return self._steps >= 0

    def spend_all(self, steps: int) -> bool:
        """Spend this many steps if as many are left; returns whether they were."""
        if steps > self._steps:
            return False
        self._steps -= steps
        return True


class Document:
    """The bytes of one document, pruned once they exceed the limit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept = bytearray()
        self._pruner: Pruner | None = None
        self._lost = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._lost:
            return
        if self._pruner is None:
            self._kept += data
            if len(self._kept) <= self._limits.document_bytes_max:
                return
            self._pruner = Pruner(self._limits.document_bytes_max)
            data, self._kept = bytes(self._kept), bytearray()
        try:
            self._pruner.feed(data)
        except PruningError:
            self._lost = True
            self._pruner.out.clear()
            self._limits.flag(Reason.BODY_TOO_LARGE)

    def close(self) -> Json:
        """The value; text if it is not JSON, None if it is empty or too large."""
        if self._lost:
            return None
        data = bytes(self._kept) if self._pruner is None else bytes(self._pruner.out)
        if self._pruner is not None:
            self._limits.pruned = True
        return value_of(data)
