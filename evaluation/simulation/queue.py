"""Calls through pools with limits: a discrete-event simulation on a heap.

The routing is a function that the caller gives (the gateway's own), and so is the service time.
Each attempt of a call has random numbers of its own, whatever pool it goes to: two routings that
are run with the same seed meet the same luck (common random numbers), so that their difference is
theirs.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from numpy.random import Generator

from evaluation.simulation.arrivals import Call
from evaluation.simulation.bucket import Bucket
from evaluation.simulation.served import (
    Cached,
    Decide,
    Next,
    Once,
    Outcome,
    Pool,
    Router,
    Served,
    Service,
    Started,
    View,
)

# Kinds of event; of those at the same time, ends make room first.
END: Final = 0
ARRIVAL: Final = 1
RETRY: Final = 2
GOLDEN = 0.6180339887498949  # its multiples modulo 1 fill the unit interval evenly
ATTEMPTS_MAX = 64  # of one call: a routing that asks for more goes round in circles


@dataclass(slots=True)
class _State:
    """A pool at work."""

    pool: Pool
    buckets: list[Bucket]
    in_flight: int = 0
    waiting: deque[int] = field(default_factory=deque)
    retry_s: float = inf  # when its head is looked at again
    seen: dict[Cached, float] = field(default_factory=dict)  # → end of its last call


class Simulation:
    """One run.  `run` gives what became of each call, in the order of `calls`."""

    def __init__(
        self,
        calls: Sequence[Call],
        pools: Sequence[Pool],
        decide: Decide | Router,
        chance: Generator,
        luck: Sequence[float] | None = None,
    ) -> None:
        """`luck` of each call, uniform from 0 to 1, is drawn if it is not given.

        Raises ValueError for pools of one name, and for calls before time 0."""
        if len({pool.name for pool in pools}) < len(pools) or not pools:
            raise ValueError("pools need names of their own, and there is at least one")
        if any(call.at_s < 0 for call in calls):
            raise ValueError("a call arrives at 0 s or later")
        self._calls = calls
        self._router: Router = Once(calls, decide) if callable(decide) else decide
        self._states = {
            pool.name: _State(pool, [Bucket(limit) for limit in pool.limits], seen=dict(pool.warm))
            for pool in pools
        }
        self._luck = chance.random(len(calls)).tolist() if luck is None else luck
        self._fate = chance.random(len(calls)).tolist()
        self._served: list[Served | None] = [None] * len(calls)
        self._tried: dict[int, tuple[Served, ...]] = {}
        self._asked_s = [call.at_s for call in calls]  # when the attempt at hand reached its pool
        self._target: list[str] = [""] * len(calls)
        self._heap: list[tuple[float, int, int, Next | str]] = [
            (call.at_s, ARRIVAL, at, "") for at, call in enumerate(calls)
        ]

    def run(self) -> list[Served]:
        """Until the last call has ended or was refused."""
        heapify(self._heap)
        while self._heap:
            now_s, kind, at, what = heappop(self._heap)
            if kind == ARRIVAL:
                self._route(at, now_s, what if isinstance(what, Next) else None)
                continue
            assert isinstance(what, str)
            state = self._states[what]
            if kind == END:
                state.in_flight -= 1
                state.seen[self._target[at], self._calls[at].prefix] = now_s
                self._over(at, now_s)
            elif now_s >= state.retry_s:
                state.retry_s = inf
            self._start(state, now_s)
        return [each for each in self._served if each is not None]

    def _route(self, at: int, now_s: float, step: Next | None) -> None:
        """Ask the routing until the call waits somewhere, or for later, or is over."""
        while True:
            tried = self._tried.get(at, ())
            if step is None:
                step = self._router.next(at, tried, View(now_s, self._states))
            if step is None or len(tried) >= ATTEMPTS_MAX:
                if not tried:
                    self._served[at] = Served(self._calls[at], "", "unserved", now_s)
                return
            if step.at_s > now_s:
                heappush(self._heap, (step.at_s, ARRIVAL, at, ""))
                return
            refused = self._enter(at, now_s, step)
            if refused is None:
                return
            self._note(at, refused)
            step = None

    def _enter(self, at: int, now_s: float, step: Next) -> Served | None:
        """Put a call into a pool; what it is told if that is that it cannot be served."""
        if step.pool not in self._states:
            known = ", ".join(self._states)
            raise ValueError(f"the routing chose {step.pool!r}; pools are {known}")
        state, call = self._states[step.pool], self._calls[at]
        self._asked_s[at], self._target[at], self._served[at] = now_s, step.target, None
        if any(limit.of(call) > limit.most for limit in state.pool.limits):
            return self._refused(state, at, "too_large", now_s)
        state.waiting.append(at)
        self._start(state, now_s)
        found = self._served[at]
        return found if found is not None and found.outcome == "refused" else None

    def _note(self, at: int, ended: Served) -> None:
        self._served[at] = ended
        self._tried[at] = (*self._tried.get(at, ()), ended)
        self._router.ended(at, ended)

    def _over(self, at: int, now_s: float) -> None:
        ended = self._served[at]
        assert ended is not None
        if ended.outcome == "done":
            self._router.ended(at, ended)
            return
        self._note(at, ended)
        self._route(at, now_s, None)

    def _start(self, state: _State, now_s: float) -> None:
        """Start what can be started, and refuse what has waited too long."""
        pool = state.pool
        while state.waiting:
            at = state.waiting[0]
            until_s = self._asked_s[at] + pool.patience_s
            ready_s = self._ready(state, at, now_s)
            if now_s <= until_s and ready_s <= now_s:
                state.waiting.popleft()
                self._serve(state, at, now_s)
            elif now_s >= until_s:
                state.waiting.popleft()
                self._served[at] = self._refused(state, at, "refused", until_s, ready_s)
                if until_s > self._asked_s[at]:  # one that waited learns it here, others at once
                    ended = self._served[at]
                    assert ended is not None
                    self._note(at, ended)
                    self._route(at, now_s, None)
            else:
                self._again(state, min(ready_s, until_s))
                return

    def _refused(
        self, state: _State, at: int, outcome: Outcome, now_s: float, retry_s: float = inf
    ) -> Served:
        return Served(
            self._calls[at],
            state.pool.name,
            outcome,
            now_s,
            target=self._target[at],
            retry_s=retry_s,
            tried=self._tried.get(at, ()),
        )

    def _cached(self, state: _State, at: int, now_s: float) -> bool:
        prefix = self._calls[at].prefix
        last_s = state.seen.get((self._target[at], prefix), -inf) if prefix else -inf
        return now_s - last_s <= state.pool.cache_ttl_s

    def _ready(self, state: _State, at: int, now_s: float) -> float:
        if state.pool.concurrency is not None and state.in_flight >= state.pool.concurrency:
            return inf  # an end will say
        if not state.buckets:
            return now_s
        call = self._calls[at]
        cached = self._cached(state, at, now_s)
        return max(b.ready_at(b.limit.of(call, cached=cached), now_s) for b in state.buckets)

    def _again(self, state: _State, at_s: float) -> None:
        if at_s < state.retry_s:
            state.retry_s = at_s
            heappush(self._heap, (at_s, RETRY, -1, state.pool.name))

    def _serve(self, state: _State, at: int, now_s: float) -> None:
        call, pool = self._calls[at], state.pool
        cached = self._cached(state, at, now_s)
        for bucket in state.buckets:
            bucket.take(bucket.limit.of(call, cached=cached), now_s)
        state.in_flight += 1
        tried = self._tried.get(at, ())
        luck = (self._luck[at] + len(tried) * GOLDEN) % 1.0
        fate = (self._fate[at] + len(tried) * GOLDEN) % 1.0
        found = pool.service_s(
            Started(
                call,
                pool.name,
                state.in_flight,
                cached,
                luck,
                fate,
                self._target[at],
                len(tried) + 1,
            )
        )
        how = found if isinstance(found, Service) else Service(found)
        if not 0 <= how.seconds < inf:
            raise ValueError(f"{pool.name}: a service time of {how.seconds} s")
        end_s = now_s + how.seconds
        self._served[at] = Served(
            call,
            pool.name,
            "failed" if how.failed else "done",
            end_s,
            now_s,
            cached,
            self._target[at],
            how.first_s,
            how.failed,
            tried=tried,
        )
        heappush(self._heap, (end_s, END, at, pool.name))
