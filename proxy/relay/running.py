"""What runs on a caller's connection, as the connection uses it."""

from typing import Protocol

from aiohttp.http import RawRequestMessage

from proxy.relay.call import Caller
from proxy.relay.headers import RequestHeaders


class Running(Protocol):
    """What runs on the connection: a `Call`, or the `Tunnel` that it became."""

    def caller_left(self) -> None: ...
    def cut_off(self) -> None: ...
    def pause_answer(self) -> None: ...
    def resume_answer(self) -> None: ...


class RunningCall(Running, Protocol):
    """A `Call`, which also takes the request body."""

    def begin(self) -> None: ...
    def upload(self, data: bytes, last: bool) -> None: ...
    def body_broke(self) -> None: ...


# An answer of the relay's own, and whether the connection lives on; or a call that began.
Opened = tuple[bytes, bool] | RunningCall


class Door(Protocol):
    """The gateway's door, which answers what is its own."""

    def is_for(self, path: str) -> bool: ...
    def open(
        self, caller: Caller, request: RawRequestMessage, headers: RequestHeaders
    ) -> Opened: ...
