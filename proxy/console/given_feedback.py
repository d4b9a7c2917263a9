"""Reads feedback as it is given: one statement or a list, in JSON.  Pure: `now` is a parameter.

Everything is checked before anything is kept; what is not understood is refused with what was
probably meant.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import msgspec

from exporters.clickhouse.query import microseconds
from exporters.feedback import CALL, REQUEST, SESSION, TRACE, Feedback
from proxy.instants import instant
from proxy.query.asked import near
from proxy.secrecy.scrubbing import scrubbed_document

STATEMENTS_MAX = 1_000  # of one request
TEXT_LENGTH_MAX = 500  # characters of a value that is a text
NAME_LENGTH_MAX = 100  # of `name`, `source`, `id` and the ids of targets
LEAD = timedelta(days=1)  # how far `at` may be ahead of our clock; more is a wrong unit
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

# Key of a statement → what it is about.
TARGETS: Mapping[str, str] = {
    "call_id": CALL,
    "request_id": REQUEST,
    "session": SESSION,
    "trace_id": TRACE,
}
KEYS = (*TARGETS, "name", "value", "success", "source", "at", "id")
_LATER = {"session_id": "session", "trace": "trace_id", "request": "request_id", "call": "call_id"}


def statements(body: bytes, now: datetime, *, actor: str = "", node: str = "") -> list[Feedback]:
    """The statements of a request, each target and id once: the last one stays.

    Raises ValueError, which names the statement and the key.
    """
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(f"expected a JSON object, or a list of them: {error}") from error
    listed = document if isinstance(document, list) else [document]
    if not listed:
        raise ValueError("the list is empty; give at least one statement")
    if len(listed) > STATEMENTS_MAX:
        raise ValueError(f"more than {STATEMENTS_MAX:,} statements; send them in several requests")
    found: dict[tuple[str, str, str], Feedback] = {}
    for number, one in enumerate(listed):
        where = f"[{number}]." if isinstance(document, list) else ""
        read = _Statement(one, where, now).read(actor, node)
        key = (read.about, read.target, read.id)
        found.pop(key, None)
        found[key] = read
    return list(found.values())


class _Statement:
    """One statement; `where` comes before the keys in errors."""

    def __init__(self, given: object, where: str, now: datetime) -> None:
        if not isinstance(given, dict):
            kind = "each statement" if where else "the body"
            raise ValueError(f"{where[:-1]}{' ' if where else ''}{kind} must be a JSON object")
        self._given: dict[str, object] = given
        self._where = where
        self._now = now

    def read(self, actor: str, node: str) -> Feedback:
        for key in self._given:
            if key not in KEYS:
                hint = f"did you mean {_LATER[key]}?" if key in _LATER else near(key, KEYS)
                raise ValueError(f"{self._where}{key[:NAME_LENGTH_MAX]}: unknown key; {hint}")
        about, target = self._target()
        at = self._at()
        value = self._value()
        name, source = self._text("name", required=True), self._text("source")
        text = msgspec.json.encode(value).decode()
        content = [about, target, name, text, source, None if at is None else microseconds(at)]
        return Feedback(
            ts_us=microseconds(at or self._now),
            received_us=microseconds(self._now),
            about=about,
            target=target,
            id=self._text("id") or _digest(content),
            name=name,
            value=text,
            success=self._success(value),
            source=source,
            actor=actor,
            node=node,
        )

    def _target(self) -> tuple[str, str]:
        named = [key for key in TARGETS if self._given.get(key) not in (None, "")]
        if len(named) != 1:
            which = f"{' and '.join(named)} are given" if named else "no target is given"
            wanted = ", ".join(TARGETS)
            raise self._wrong("", f"{which}; give exactly one of {wanted}")
        key = named[0]
        text = self._text(key, required=True)
        if key == "call_id":
            try:
                return CALL, str(UUID(text))
            except ValueError:
                raise self._wrong(key, "expected the id of a call, a UUID") from None
        if key == "trace_id":
            text = text.lower()
            if len(text) != 32 or set(text) - set("0123456789abcdef"):
                raise self._wrong(key, "expected 32 hexadecimal digits")
        return TARGETS[key], text

    def _value(self) -> bool | int | float | str:
        value = self._given.get("value")
        if value is None:
            raise self._wrong("value", "required: true, false, a number or a short text")
        if isinstance(value, str):
            if not value or len(value) > TEXT_LENGTH_MAX:
                raise self._wrong("value", f"a text has 1 to {TEXT_LENGTH_MAX} characters")
            return str(scrubbed_document(value))
        if isinstance(value, bool):
            return value
        if isinstance(value, int | float) and abs(value) < 2**63 and math.isfinite(value):
            return value
        raise self._wrong("value", "expected true, false, a number or a short text")

    def _success(self, value: object) -> bool | None:
        """What the statement says of success: `success`, or its value if that is a boolean."""
        given = self._given.get("success")
        if given is None:
            return value if isinstance(value, bool) else None
        if not isinstance(given, bool):
            raise self._wrong("success", "expected true or false")
        return given

    def _text(self, key: str, *, required: bool = False) -> str:
        text = self._given.get(key)
        if text is None and not required:
            return ""
        if not isinstance(text, str) or (required and not text.strip()):
            raise self._wrong(key, "required: a text" if required else "expected a text")
        if len(text) > NAME_LENGTH_MAX or not text.isprintable():
            raise self._wrong(key, f"expected up to {NAME_LENGTH_MAX} printable characters")
        return str(scrubbed_document(text.strip())) if key in ("name", "source") else text.strip()

    def _at(self) -> datetime | None:
        given = self._given.get("at")
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise self._wrong("at", "expected a time such as 2026-11-23T12:00:00Z")
        try:
            at = instant(str(given), self._now).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self._wrong("at", str(error)) from error
        if not EARLIEST <= at <= self._now + LEAD:
            raise self._wrong("at", f"{at:%Y-%m-%d} cannot be right; times are in seconds")
        return at

    def _wrong(self, key: str, said: str) -> ValueError:
        name = f"{self._where}{key}" if key else self._where[:-1]
        return ValueError(f"{name}: {said}" if name else said)


def _digest(content: object) -> str:
    return blake2b(msgspec.json.encode(content), digest_size=16).hexdigest()
