"""Roles, and who is behind a request.  No I/O."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a token allows.  `proxy.access.rules` says which routes need which."""

    VIEWER = "viewer"  # reads calls, spend, health and metrics
    FINANCE = "finance"  # reads the same; writes what concerns money
    AUDITOR = "auditor"  # also reads captured content and the audit log
    ADMIN = "admin"  # everything


class Way(StrEnum):
    """How a request proved who sent it."""

    COMMAND = "command"  # the token of the data directory, which only the same user can read
    BEARER = "bearer"
    COOKIE = "cookie"  # a browser that signed in
    OPEN = "open"  # not at all: the console requires no token


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: an actor of the audit log."""

    name: str
    role: Role
    way: Way

    @property
    def is_page(self) -> bool:
        """Whether a browser sends its proof by itself, so that a write needs the page's token."""
        return self.way in (Way.COOKIE, Way.OPEN)


COMMAND = Caller("command", Role.ADMIN, Way.COMMAND)
METER = Caller("taximeter", Role.ADMIN, Way.COMMAND)  # the meter process itself
ANYBODY = Caller("anybody", Role.VIEWER, Way.OPEN)
# Names that no token may have.
RESERVED = frozenset({"command", "taximeter", "anybody", "console.token"})
