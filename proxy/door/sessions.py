"""Where sessions are cached: as all relays of a machine know it, or this one while it cannot read.

A candidate is known by its model and key, not by its place, which another configuration may change.
"""

import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from time import monotonic, time

from msgspec.structs import replace

from proxy.door.shared_table import Kind, Shared
from proxy.gateway.live import Kept
from proxy.gateway.options import CandidateOptions, RouteOptions
from proxy.gateway.sessions import after_turn

OWN_MAX = 20_000  # sessions of one process; the longest unused are forgotten first


@dataclass(frozen=True, slots=True)
class Place:
    """A session in the memory: `kept.candidate` is a digest there, `until` the wall's."""

    kept: Kept | None = None


def _packed(place: Place) -> tuple[float, ...]:
    kept = place.kept or Kept(candidate=0, until=0.0)
    numbers = (kept.cached_tokens, kept.turns, kept.new_tokens, kept.output_tokens)
    return (kept.candidate, kept.until, *numbers)


def _unpacked(values: tuple[float, ...]) -> Place:
    candidate, until, *numbers = values
    cached, turns, new, output = map(int, numbers)
    return Place(
        Kept(
            candidate=int(candidate),
            until=until,
            cached_tokens=cached,
            turns=turns,
            new_tokens=new,
            output_tokens=output,
        )
    )


SESSIONS = Kind(
    magic=b"TAXSESS1",
    what="sessions",
    places=32_768,  # the longest unused of sixteen makes room for another
    fields=struct.Struct("<Q5d"),
    empty=Place(),
    pack=_packed,
    unpack=_unpacked,
)


class Sessions:
    """Those of one process.  `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def kept(self, route: str, session: str) -> Kept | None:
        """Where the session's prompt is cached."""
        return self._sessions.get((route, session)) if session else None

    def keep(self, route: str, session: str, candidate: int, tokens: int) -> None:
        """A candidate has read the session's prompt."""
        if not session:
            return
        before = self._sessions.pop((route, session), None)
        self._sessions[route, session] = after_turn(before, candidate, tokens, self._clock())
        if len(self._sessions) > OWN_MAX:
            self._sessions.popitem(last=False)

    def forget(self, route: str, session: str) -> None:
        self._sessions.pop((route, session), None)


class SharedSessions:
    """Those of the machine.  Nothing here raises.  `clock` and `wall` are in seconds; instants in
    results are the clock's.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._clock, self._wall = clock, wall
        self._own = Sessions(wall)  # what the others could not be told
        self._shared = Shared(path, SESSIONS, clock, lambda: None)

    def close(self) -> None:
        self._shared.close()

    def kept(self, route: RouteOptions, session: str) -> Kept | None:
        """Where the session's prompt is cached."""
        if not session:
            return None
        wall = self._wall()
        shared = self._shared.seen(_name(route, session), wall)
        known = [shared.kept if shared else None, self._own.kept(route.name, session)]
        found = max((one for one in known if one), key=lambda one: one.until, default=None)
        places = [digest(one) for one in route.candidates]
        if found is None or found.candidate not in places:
            return None
        until = self._clock() + found.until - wall
        return replace(found, candidate=places.index(found.candidate), until=until)

    def keep(self, route: RouteOptions, session: str, candidate: int, tokens: int) -> None:
        """A candidate has read the session's prompt."""
        if not session:
            return
        wall, who = self._wall(), digest(route.candidates[candidate])

        def to(place: Place) -> Place:
            return Place(after_turn(place.kept, who, tokens, wall))

        if self._shared.change(_name(route, session), wall, to) is None:
            self._own.keep(route.name, session, who, tokens)
        else:
            self._own.forget(route.name, session)


def _name(route: RouteOptions, session: str) -> str:
    return f"{route.name}\0{session}"


@lru_cache(maxsize=1024)
def digest(one: CandidateOptions) -> int:
    """Who has the cache: a provider's model, by one of its keys."""
    words = f"{one.label}\0{one.key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(words, digest_size=8).digest())
