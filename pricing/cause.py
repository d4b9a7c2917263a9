"""A reason with what it is about, as text and back.

The store, receipts and the command line show a cause as text: `name`, or `name:detail`, such as
`missing_rate:cache_read`.  The name ends at the first colon.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pricing.reason import Reason

DETAIL_CHARS_MAX = 200  # of a detail as stored; a longer one is cut and ends in CUT
CUT = "…"
REASONS_MAX = 32  # causes of one call; after that only reasons are added, without details

_ESCAPE = re.compile(r"\\(?:\\|u\{([0-9a-f]{1,6})\})")
_BY_TEXT = {reason.text: reason for reason in Reason}


@dataclass(frozen=True, slots=True)
class Detailed:
    """A reason with what it is about: a model, a meter, a name that a provider used."""

    reason: Reason
    stored: str  # the detail in printable characters, see `about`

    def __str__(self) -> str:
        known = self.reason is not Reason.UNRECOGNIZED
        return f"{self.reason.text}:{self.stored}" if known else self.stored

    @property
    def detail(self) -> str:
        """The detail as it was given to `about`, or its beginning."""
        return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "\\", self.stored)


Cause = Reason | Detailed


def about(reason: Reason, detail: str) -> Detailed:
    """The reason with any text as its detail, escaped and bounded."""
    kept, room = [], DETAIL_CHARS_MAX
    for sign in detail[: DETAIL_CHARS_MAX + 1]:
        written = _escaped(sign)
        room -= len(written)
        kept.append(written)
    if room >= 0:
        return Detailed(reason, "".join(kept))
    while room < len(CUT):
        room += len(kept.pop())
    return Detailed(reason, "".join(kept) + CUT)


def _escaped(sign: str) -> str:
    if sign == "\\":
        return "\\\\"
    return sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}"


def parse(text: str) -> Cause:
    """The cause whose text this is, unchanged.

    A name that this version does not know is UNRECOGNIZED, with the whole text: what it means for
    the amount is unknown, so it must not leave a charge exact.
    """
    name, colon, stored = text.partition(":")
    reason = _BY_TEXT.get(name, Reason.UNRECOGNIZED)
    if reason is Reason.UNRECOGNIZED:
        return Detailed(reason, text)
    return Detailed(reason, stored) if colon else reason


def texts(causes: Iterable[Cause]) -> tuple[str, ...]:
    """What rows and receipts store: each text once, in order."""
    return tuple(dict.fromkeys(map(str, causes)))


def explained(stored: Iterable[str]) -> list[dict[str, str]]:
    """`{reason, detail, sentence}` of each text: what people are shown."""
    causes = map(parse, stored)
    return [
        {"reason": str(cause.reason), "detail": cause.detail, "sentence": cause.reason.sentence}
        for cause in causes
    ]


class Reasons:
    """Causes in the order in which they came, each once.  Bounded, and no reason is ever lost."""

    def __init__(self, *causes: Cause) -> None:
        self._found: dict[Cause, None] = {}
        self.add(*causes)

    def add(self, *causes: Cause) -> None:
        """Add causes; those that come late lose their details."""
        for cause in causes:
            full = len(self._found) >= REASONS_MAX
            self._found[cause.reason if full else cause] = None

    def __iter__(self) -> Iterator[Cause]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
