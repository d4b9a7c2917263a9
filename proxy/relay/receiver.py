"""What an attempt goes through, and whom it tells."""

from enum import Enum, auto
from typing import Protocol

from aiohttp.http import RawResponseMessage

from proxy.relay.fields import Pairs


class Answerable(Protocol):
    """Why there is no response, and what the caller is told instead, as sent on the wire."""

    def answer(self, *, bodyless: bool, keep_alive: bool) -> bytes: ...


class Receiver(Protocol):
    """Who gets what an attempt brings.  Raises FAILURES from `head` if it cannot be passed on."""

    def interim(self, code: int, reason: str, pairs: Pairs) -> None: ...
    def head(self, message: RawResponseMessage) -> bool: ...  # whether the body is delimited
    def body(self, data: bytes, last: bool) -> None: ...
    def cut(self, rest: bytes) -> None: ...  # upstream broke off after the head
    def refused(self, failed: Answerable) -> None: ...  # there is no response
    def switched(self, message: RawResponseMessage, rest: bytes) -> None: ...
    def failed(self, error: Exception) -> None: ...  # a bug of ours
    def pause_caller(self) -> None: ...
    def resume_caller(self) -> None: ...


class State(Enum):
    """Of an attempt; `attempt` says how they follow each other."""

    NEW = auto()
    CONNECTING = auto()
    SENT = auto()
    ANSWERED = auto()
    SWITCHED = auto()
    ENDED = auto()
