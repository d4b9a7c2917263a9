"""The lines of the outbox's file: what was told, and what became of it at each target."""

from datetime import datetime

import msgspec

from exporters.notify.notice import Notice


class Entry(msgspec.Struct, tag="notice"):
    """A notice that was told, as the file keeps it."""

    key: str
    ids: list[str]  # the message's own first; empty if it tells of an end
    at: datetime
    until: datetime | None = None
    open: list[str] = []  # those of `ids` that still fire
    ended: list[str] = []  # ids, of other entries, whose end this is
    notice: Notice | None = None  # while a target waits for it
    waiting: list[str] = []  # names of targets
    delivered_at: dict[str, datetime] = {}
    lost: list[str] = []  # targets that it did not reach


class Settled(msgspec.Struct, tag="settled"):
    """A later line: what became of an entry at one target."""

    key: str
    target: str
    at: datetime
    lost: bool = False


Line = Entry | Settled
decode = msgspec.json.Decoder(Line).decode


def is_over(entry: Entry, now: datetime) -> bool:
    """Whether none of its ids fires or can recur."""
    return entry.until is not None and entry.until < now and not entry.open
