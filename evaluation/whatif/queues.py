"""The queue simulation of one policy: its calls, its pools, and what a replication says of it.

Calls that no route concerns go where they went, as load beside the others; figures are of those
that a route concerns.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator

from evaluation.history.turns import Turn
from evaluation.simulation import (
    Call,
    Limit,
    Pool,
    Router,
    Served,
    Service,
    Simulation,
    Started,
    scaled,
)
from evaluation.statistics.clusters import Floats
from evaluation.whatif.prices import Prices, Sizes
from evaluation.whatif.service import ANYWHERE, Kind, ServiceTimes, pool_of
from pricing.usage import Meter
from proxy.gateway.failures import What
from proxy.gateway.sessions import CACHE_S

HOUR_S = 3600.0
Arrivals = Callable[[Generator], list[Call]]
Made = Callable[[Sequence[Call], Floats], Router]  # a policy for these calls, with their luck


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that is the same for every policy."""

    turns: Sequence[Turn]
    prices: Prices
    times: ServiceTimes
    assumed: ServiceTimes  # of all candidates together, for one of which nothing is known
    labels: Sequence[str]  # all candidates there may be
    limits: Mapping[str, tuple[Limit, ...]]  # by pool
    routed: frozenset[int]  # turns that a route concerns
    kinds: Sequence[Hashable]  # of turns: what takes about as long
    lifetimes: Mapping[str, float] = field(default_factory=dict)  # s of a cached prefix, by pool


@dataclass(slots=True)
class Seen:
    """What only some replications may have met."""

    assumed: Counter[str] = field(default_factory=Counter)  # candidate → calls with assumed times
    unpriced: Counter[str] = field(default_factory=Counter)  # candidate → calls without a price
    costs: dict[int, list[float]] = field(
        default_factory=dict
    )  # turn → sum of USD, and of how many


def lifetimes(turns: Sequence[Turn]) -> dict[str, float]:
    """Pools whose callers pay for an hour: most of what they write is written for that long."""
    written: dict[str, list[float]] = {}
    for row in (row for turn in turns for row in turn.rows if row.cache_write_tokens):
        sums = written.setdefault(pool_of(row.label), [0.0, 0.0])
        sums[0] += float(row.usage.get(Meter.CACHE_WRITE_1H, 0))
        sums[1] += row.cache_write_tokens
    return {pool: HOUR_S for pool, (hour, every) in written.items() if hour > every / 2}


def of_turns(turns: Sequence[Turn], numbers: Sequence[int], prices: Prices) -> list[Call]:
    """Recorded calls, the first at 0 s."""
    begin = turns[numbers[0]].at_s if numbers else 0.0
    return [_call(turns[n], n, turns[n].at_s - begin, prices.sizes(n)) for n in numbers]


def resized(recorded: Sequence[Call], like: Sequence[Call], chance: Generator) -> list[Call]:
    """Recorded arrivals and sizes, each with the facts of a call drawn from `like`."""
    drawn = chance.integers(0, len(like), len(recorded))
    found = []
    for arrival, at in zip(recorded, drawn.tolist(), strict=True):
        model = like[at]
        share = model.cached_tokens / model.input_tokens if model.input_tokens else 0.0
        cached = int(arrival.input_tokens * min(share, 1.0))
        found.append(
            replace(arrival, kind=model.kind, session="", cached_tokens=cached, row=model.row)
        )
    return found


def _call(turn: Turn, number: int, at_s: float, sizes: Sizes) -> Call:
    session = turn.facts.session
    kind = "" if session else turn.prefix
    return Call(at_s, sizes.input, sizes.output, session, kind, sizes.cached, number)


@dataclass(slots=True)
class Runs:
    """Replications of policies in one world.  `own_sizes`: the calls have sizes of their own."""

    world: World
    arrivals: Arrivals
    factor: float = 1.0
    own_sizes: bool = False
    seen: dict[str, Seen] = field(default_factory=dict)

    def figures(self, name: str, made: Made, chance: Generator) -> dict[str, float]:
        """One replication of one policy; equal states of `chance` give equal calls and luck."""
        calls = scaled(self.arrivals(chance), self.factor, chance)
        luck = chance.random((2, len(calls)))
        times = self._times(calls, chance)
        seen = self.seen.setdefault(name, Seen())
        pools = self._pools(calls, seen)
        served = Simulation(calls, pools, made(calls, luck), chance, times).run()
        return self._figures(served, seen)

    def _times(self, calls: Sequence[Call], chance: Generator) -> list[float]:
        """Luck with times: even among calls of a kind, so that each kind has its own distribution.

        Drawn freely, the tail of a hundred calls would be anywhere (Latin hypercube sampling).
        """
        kinds: dict[Hashable, list[int]] = {}
        for number, call in enumerate(calls):
            kinds.setdefault(self.world.kinds[call.row], []).append(number)
        found: Floats = np.empty(len(calls))
        for numbers in kinds.values():
            count = len(numbers)
            found[numbers] = (chance.permutation(count) + chance.random(count)) / count
        return [float(each) for each in found]

    def _pools(self, calls: Sequence[Call], seen: Seen) -> list[Pool]:
        warm: dict[str, dict[tuple[str, str], float]] = {}
        begun: set[str] = set()
        for call in calls:  # what was read before anything was written here was there before
            label = self.world.turns[call.row].served
            if call.prefix and call.prefix not in begun and call.cached_tokens:
                warm.setdefault(pool_of(label), {})[label, call.prefix] = call.at_s
            begun.add(call.prefix)
        names = dict.fromkeys(map(pool_of, self.world.labels))
        return [
            Pool(
                name,
                lambda started: self._service(started, seen),
                limits=self.world.limits.get(name, ()),
                patience_s=0.0,
                cache_ttl_s=self.world.lifetimes.get(name, CACHE_S),
                warm=warm.get(name, {}),
            )
            for name in names
        ]

    def _service(self, started: Started, seen: Seen) -> Service:
        world, call, label = self.world, started.call, started.target
        turn = world.turns[call.row]
        own = next((row for row in turn.rows if row.label == label), None)
        at = started.attempt - 1  # only the attempt that was made is known, no repetition of it
        made = turn.rows[at] if at < len(turn.rows) and turn.rows[at].label == label else None
        if made is not None and self._fails_as_recorded(made.failure, label):
            return Service(made.duration_s, failed=made.failure)
        if turn.last.failure in ANYWHERE:
            return Service(turn.last.duration_s, failed=turn.last.failure)
        if made is None and (failing := world.times.failing(label, started.fate)):
            return failing
        output = call.output_tokens
        kind = Kind(
            operation=turn.first.gateway_operation,
            stream=turn.first.stream,
            output_tokens=output if own else world.prices.output(call.row, label, output),
            input_tokens=call.input_tokens,
            hour=turn.facts.hour,
            in_flight=started.in_flight,
        )
        found = world.times.drawn(label, kind, started.luck)
        if found is None:
            seen.assumed[label] += 1
            found = world.assumed.drawn("", kind, started.luck)
        return found or Service(turn.total_s, turn.first_token_s)

    def _fails_as_recorded(self, failure: str, label: str) -> bool:
        simulated = failure == What.LIMITED and pool_of(label) in self.world.limits
        return bool(failure) and not simulated

    def _usd(self, served: Served, seen: Seen) -> float | None:
        call, label = served.call, served.target
        if (
            served.outcome != "done"
        ):  # a failure that was recorded has a cost; others are not billed
            rows = self.world.turns[call.row].rows
            own = next((row for row in rows if row.failure and row.label == label), None)
            return float(own.cost_usd or 0) if own and served.outcome == "failed" else 0.0
        sizes = None
        if self.own_sizes:
            sizes = Sizes(call.input_tokens, call.output_tokens, call.cached_tokens)
        usd = self.world.prices.usd(call.row, label, cached=served.cached, sizes=sizes)
        if usd is None:
            seen.unpriced[label] += 1
        return usd

    def _figures(self, served: Sequence[Served], seen: Seen) -> dict[str, float]:
        mine = [one for one in served if one.call.row in self.world.routed]
        done = [one for one in mine if one.outcome == "done"]
        costs = [self._usd(one, seen) for one in mine]
        for one, cost in zip(mine, costs, strict=True):
            each = seen.costs.setdefault(one.call.row, [0.0, 0.0])
            each[0] += cost or 0.0
            each[1] += 1.0
        totals = np.asarray([one.total_s for one in done] or [0.0])
        firsts = [one.first_token_s for one in done if one.first_token_s is not None]
        count = max(len(mine), 1)
        ends = [one.ended_s for one in mine]
        span_s = max(ends) - min(one.call.at_s for one in mine) if mine else 0.0
        found = {
            "calls": float(len(mine)),
            "usd": float(sum(cost for cost in costs if cost is not None)),
            "usd_per_call": float(sum(cost for cost in costs if cost is not None)) / count,
            "p50_total_s": float(np.quantile(totals, 0.5)),
            "p95_total_s": float(np.quantile(totals, 0.95)),
            "p95_ttft_s": float(np.quantile(np.asarray(firsts or [0.0]), 0.95)),
            "failed_share": (len(mine) - len(done)) / count,
            "limited_share": sum(map(_limited, mine)) / count,
            "attempts_per_call": sum(len(one.tried) + 1 for one in mine) / count,
            "done_per_s": len(done) / span_s if span_s else 0.0,
        }
        shares = Counter(one.target for one in done)
        return found | {f"share:{label}": shares[label] / count for label in self.world.labels}


def _limited(one: Served) -> bool:
    """Whether it met a rate limit, whatever became of it then."""
    return any(each.outcome in ("refused", "too_large") for each in (*one.tried, one))
