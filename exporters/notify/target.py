"""What a target is: somewhere a notice is sent, and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from exporters.notify.notice import Notice

Result = Literal["delivered", "retry", "refused", "gone"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target made of a notice.  `detail` holds no secret of ours.

    `retry`: the same request may succeed later, after `after_s` if that is known.  `refused`: this
    notice never will.  `gone`: nothing will, until somebody changes the target.
    """

    result: Result
    detail: str
    after_s: float = 0.0


class Target(Protocol):
    """Sends notices somewhere.  One caller at a time, which owns order, retries and losses."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""

    @property
    def type(self) -> str:
        """What it is: slack, smtp, …"""

    async def send(self, notice: Notice) -> Answer:
        """Send once; never raises.  A notice may come again: receivers know it by its id."""

    async def close(self) -> None:
        """Release what the target holds."""


@dataclass(frozen=True, slots=True)
class Request:
    """One POST of JSON.  The URL and the headers may be secrets."""

    url: str = field(repr=False)
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Format(Protocol):
    """How a service takes notices: pure, from a notice to a request."""

    @property
    def type(self) -> str:
        """The type in the configuration."""

    def request(self, notice: Notice, at: datetime) -> Request:
        """The request that sends `notice`, made at `at`."""
