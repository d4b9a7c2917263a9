"""Calls through pools with limits: a discrete-event simulation on a heap.

The routing is a function that the caller gives (the gateway's own), and so is the service time.
Each call has one random number of its own, whatever pool it goes to: two routings that are run with
the same seed meet the same luck (common random numbers), so that their difference is theirs.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import Literal

from numpy.random import Generator

from evaluation.simulation.arrivals import Call
from evaluation.simulation.bucket import Bucket, Limit

Outcome = Literal["done", "refused", "too_large"]
ARRIVAL, RETRY, END = 1, 2, 0  # at the same time, ends make room first


@dataclass(frozen=True, slots=True)
class Started:
    """What a service time may depend on."""

    call: Call
    pool: str
    in_flight: int  # this call included
    cached: bool  # its session was here within the lifetime of the cache
    luck: float  # uniform, from 0 to 1


@dataclass(frozen=True, slots=True)
class Pool:
    """Where calls are served: at most `concurrency` at once, within `limits`, first come first.

    A call that has waited `patience_s` is refused, as by a 429; 0 refuses at once.
    """

    name: str
    service_s: Callable[[Started], float]
    concurrency: int | None = None
    limits: tuple[Limit, ...] = ()
    patience_s: float = inf
    cache_ttl_s: float = 0.0

    def __post_init__(self) -> None:
        if (self.concurrency is not None and self.concurrency < 1) or self.patience_s < 0:
            raise ValueError(f"{self.name}: concurrency is 1 or more, patience 0 or more")


@dataclass(frozen=True, slots=True)
class View:
    """What a routing can know when a call arrives: by pool."""

    now_s: float
    in_flight: Mapping[str, int]
    waiting: Mapping[str, int]


Decide = Callable[[Call, View], str]


@dataclass(frozen=True, slots=True)
class Served:
    """What became of a call.  A refused one has no start, and ends when it is refused."""

    call: Call
    pool: str
    outcome: Outcome
    ended_s: float
    started_s: float | None = None
    cached: bool = False

    @property
    def wait_s(self) -> float:
        """In the queue."""
        return (self.ended_s if self.started_s is None else self.started_s) - self.call.at_s

    @property
    def total_s(self) -> float:
        """From arrival to end."""
        return self.ended_s - self.call.at_s


@dataclass(slots=True)
class _State:
    """A pool at work."""

    pool: Pool
    buckets: list[Bucket]
    in_flight: int = 0
    waiting: deque[int] = field(default_factory=deque)
    retry_s: float = inf  # when its head is looked at again
    seen: dict[str, float] = field(default_factory=dict)  # session → end of its last call


class Simulation:
    """One run.  `run` gives what became of each call, in the order of `calls`."""

    def __init__(
        self, calls: Sequence[Call], pools: Sequence[Pool], decide: Decide, chance: Generator
    ) -> None:
        """Raises ValueError for pools of one name, and for calls before time 0."""
        if len({pool.name for pool in pools}) < len(pools) or not pools:
            raise ValueError("pools need names of their own, and there is at least one")
        if any(call.at_s < 0 for call in calls):
            raise ValueError("a call arrives at 0 s or later")
        self._calls, self._decide = calls, decide
        self._states = {
            pool.name: _State(pool, [Bucket(limit) for limit in pool.limits]) for pool in pools
        }
        self._luck = chance.random(len(calls)).tolist()
        self._served: list[Served | None] = [None] * len(calls)
        self._heap: list[tuple[float, int, int, str]] = [
            (call.at_s, ARRIVAL, at, "") for at, call in enumerate(calls)
        ]

    def run(self) -> list[Served]:
        """Until the last call has ended or was refused."""
        heapify(self._heap)
        while self._heap:
            now_s, kind, at, name = heappop(self._heap)
            if kind == ARRIVAL:
                name = self._arrive(at, now_s)
            state = self._states[name]
            if kind == END:
                state.in_flight -= 1
                state.seen[self._calls[at].session] = now_s
            elif kind == RETRY and now_s >= state.retry_s:
                state.retry_s = inf
            self._start(state, now_s)
        return [each for each in self._served if each is not None]

    def _arrive(self, at: int, now_s: float) -> str:
        call = self._calls[at]
        states = self._states
        view = View(
            now_s,
            {name: each.in_flight for name, each in states.items()},
            {name: len(each.waiting) for name, each in states.items()},
        )
        name = self._decide(call, view)
        if name not in states:
            raise ValueError(f"the routing chose {name!r}; pools are {', '.join(states)}")
        state = states[name]
        if any(limit.of(call) > limit.most for limit in state.pool.limits):
            self._served[at] = Served(call, name, "too_large", now_s)
        else:
            state.waiting.append(at)
        return name

    def _start(self, state: _State, now_s: float) -> None:
        """Start what can be started, and refuse what has waited too long."""
        pool = state.pool
        while state.waiting:
            at = state.waiting[0]
            call = self._calls[at]
            until_s = call.at_s + pool.patience_s
            ready_s = self._ready(state, call, now_s)
            if now_s <= until_s and ready_s <= now_s:
                state.waiting.popleft()
                self._serve(state, at, now_s)
            elif now_s >= until_s:
                state.waiting.popleft()
                self._served[at] = Served(call, pool.name, "refused", until_s)
            else:
                self._again(state, min(ready_s, until_s))
                return

    def _ready(self, state: _State, call: Call, now_s: float) -> float:
        if state.pool.concurrency is not None and state.in_flight >= state.pool.concurrency:
            return inf  # an end will say
        return max(
            (bucket.ready_at(bucket.limit.of(call), now_s) for bucket in state.buckets),
            default=now_s,
        )

    def _again(self, state: _State, at_s: float) -> None:
        if at_s < state.retry_s:
            state.retry_s = at_s
            heappush(self._heap, (at_s, RETRY, -1, state.pool.name))

    def _serve(self, state: _State, at: int, now_s: float) -> None:
        call, pool = self._calls[at], state.pool
        for bucket in state.buckets:
            bucket.take(bucket.limit.of(call), now_s)
        state.in_flight += 1
        last_s = state.seen.get(call.session, -inf) if call.session else -inf
        cached = now_s - last_s <= pool.cache_ttl_s
        taken_s = pool.service_s(Started(call, pool.name, state.in_flight, cached, self._luck[at]))
        if not 0 <= taken_s < inf:
            raise ValueError(f"{pool.name}: a service time of {taken_s} s")
        end_s = now_s + taken_s
        self._served[at] = Served(call, pool.name, "done", end_s, now_s, cached)
        heappush(self._heap, (end_s, END, at, pool.name))
