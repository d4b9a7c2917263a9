"""What a simulation is made of: pools, what a routing may know and say, and what became of a call.

A pool that refuses at once (`patience_s` 0) is a provider that answers 429; one that is patient is
a queue.  A routing that has something to say after a failed attempt is a `Router`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Literal, Protocol

from evaluation.simulation.arrivals import Call
from evaluation.simulation.bucket import Limit

Outcome = Literal["done", "failed", "refused", "too_large", "unserved"]
Cached = tuple[str, str]  # a model and the prefix that its provider has in its cache
NOBODY: Mapping[Cached, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Started:
    """What a service time may depend on."""

    call: Call
    pool: str
    in_flight: int  # this call included
    cached: bool  # its session was here within the lifetime of the cache
    luck: float  # uniform, from 0 to 1
    fate: float = 0.0  # likewise and independent, for whether it fails
    target: str = ""  # which of the pool's models
    attempt: int = 1  # of the call


@dataclass(frozen=True, slots=True)
class Service:
    """How an attempt goes: seconds to its end, to its first token if known, and why it failed."""

    seconds: float
    first_s: float | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """Where calls are served: at most `concurrency` at once, within `limits`, first come first.

    A call that has waited `patience_s` is refused, as by a 429; 0 refuses at once.  `warm` has what
    is cached before the beginning, with the time of its last call.
    """

    name: str
    service_s: Callable[[Started], float | Service]
    concurrency: int | None = None
    limits: tuple[Limit, ...] = ()
    patience_s: float = inf
    cache_ttl_s: float = 0.0
    warm: Mapping[Cached, float] = field(default_factory=lambda: NOBODY)

    def __post_init__(self) -> None:
        if (self.concurrency is not None and self.concurrency < 1) or self.patience_s < 0:
            raise ValueError(f"{self.name}: concurrency is 1 or more, patience 0 or more")


class Queue(Protocol):
    """The part of a pool at work that a routing may see."""

    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class View:
    """What a routing can know when a call arrives: by pool, at the moment it looks."""

    now_s: float
    queues: Mapping[str, Queue]

    @property
    def in_flight(self) -> Mapping[str, int]:
        """Calls under way."""
        return {name: each.in_flight for name, each in self.queues.items()}

    @property
    def waiting(self) -> Mapping[str, int]:
        """Calls in the queue."""
        return {name: len(each.waiting) for name, each in self.queues.items()}


Decide = Callable[[Call, View], str]


@dataclass(frozen=True, slots=True)
class Next:
    """Where an attempt goes, and when: now, or later."""

    pool: str
    at_s: float
    target: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a call, or of one attempt of it.

    A refused one has no start, and ends when it is refused; `retry_s` is then when its pool would
    have room.  `tried` are the attempts before this one, oldest first.
    """

    call: Call
    pool: str
    outcome: Outcome
    ended_s: float
    started_s: float | None = None
    cached: bool = False
    target: str = ""
    first_s: float | None = None  # from start to first token
    failed: str = ""
    retry_s: float = inf
    tried: tuple["Served", ...] = ()

    @property
    def wait_s(self) -> float:
        """From arrival to the start of this attempt: in queues, and in attempts before it."""
        return (self.ended_s if self.started_s is None else self.started_s) - self.call.at_s

    @property
    def total_s(self) -> float:
        """From arrival to end."""
        return self.ended_s - self.call.at_s

    @property
    def first_token_s(self) -> float | None:
        """From arrival to the first token."""
        return None if self.first_s is None else self.wait_s + self.first_s


class Router(Protocol):
    """A routing that follows its calls to their end."""

    def next(self, number: int, tried: Sequence[Served], view: View) -> Next | None:
        """Where call `number` goes, after what was tried; None: nowhere any more."""

    def ended(self, number: int, served: Served) -> None:
        """An attempt has ended."""


@dataclass(frozen=True, slots=True)
class Once:
    """A routing that decides when a call arrives, and never again."""

    calls: Sequence[Call]
    decide: Decide

    def next(self, number: int, tried: Sequence[Served], view: View) -> Next | None:
        """What was decided, once."""
        return None if tried else Next(self.decide(self.calls[number], view), view.now_s)

    def ended(self, number: int, served: Served) -> None:
        """Nothing follows."""
