"""One study: the gate first, then three kinds of claim about routes, each with its label."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.random import Generator

from evaluation.benchmarks.tables import Table
from evaluation.history.turns import UNSEEN, Split, Traffic, Turn, split
from evaluation.reports.rows import Stored
from evaluation.simulation import Limit, recorded
from evaluation.statistics import CONFIDENCE, Interval, mean, ratio
from evaluation.statistics.means import difference
from evaluation.whatif import estimates, gate, queues, replay
from evaluation.whatif.policies import IN_FORCE, PROPOSED, Policies, by_turn
from evaluation.whatif.prices import Prices
from evaluation.whatif.routers import facing
from evaluation.whatif.service import measured, output_ratios
from pricing.book import TariffBook
from pricing.charge import plain
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route
from proxy.gateway.options import GatewayOptions

KIND = "queue simulation"
CALLS_MAX = 4_000  # in a replication
TURNS_MIN = 40  # fewer calls are no history
Progress = Callable[[str], None]


class TooLittle(ValueError):
    """The history cannot carry a study; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to study.  `routes` are proposed, `in_force` configured; both by their own names."""

    routes: Sequence[Route]
    in_force: Mapping[str, Route]
    options: GatewayOptions
    limits: Mapping[str, tuple[Limit, ...]]
    book: TariffBook
    arrivals: Table | None = None
    scale: float = 1.0
    replications: int = 20
    seed: int = 1
    calls_max: int = CALLS_MAX
    run: Stored | None = None
    run_facts: Mapping[str, Facts] = field(default_factory=dict)
    notes: Sequence[str] = ()


def study(traffic: Traffic, asked: Asked, progress: Progress = lambda _: None) -> dict[str, object]:
    """For JSON.  Raises TooLittle."""
    turns = traffic.turns
    routes = by_turn(turns, asked.routes)
    if len(routes) < TURNS_MIN:
        raise TooLittle(
            f"{len(routes):,} of {len(turns):,} calls concern these routes, and {TURNS_MIN} are"
            " needed; ask for a longer --history"
        )
    parts = split(turns)
    concerned = [n for n in parts.held_out if n in routes]
    if not concerned or not any(n in routes for n in parts.learned):
        raise TooLittle(
            "all calls on these routes are of the same sessions or moment, so nothing can be held"
            " out; ask for a longer --history"
        )
    prices = Prices(turns, asked.book, output_ratios(turns, parts.learned))
    policies = Policies(turns, routes, asked.options, prices, asked.book, parts.learned)
    progress("estimating from recorded propensities")
    claims = {
        "replay": replay.replay(asked.run, asked.run_facts, asked.routes, turns),
        "off_policy": estimates.estimates(policies, parts.held_out),
    }
    queue = _Queue(asked, policies, parts, progress)
    passed = queue.gate()
    found = queue.policies()
    return {
        "history": _history(traffic, routes, parts),
        "routes": [_route(route) for route in asked.routes],
        "confidence": CONFIDENCE,
        "seed": asked.seed,
        "replications": asked.replications,
        "gate": passed,
        **claims,
        "queue": found,
        "notes": [*asked.notes, *_unseen(asked.routes), *_translated(turns, routes), *queue.notes],
    }


class _Queue:
    """The simulated part of a study."""

    def __init__(self, asked: Asked, policies: Policies, parts: Split, progress: Progress) -> None:
        self._asked, self._policies, self._progress = asked, policies, progress
        self.notes: list[str] = []
        turns, prices = policies.turns, policies.prices
        labels = {one.options.label for route in asked.routes for one in route.candidates}
        labels |= {row.label for turn in turns for row in turn.rows}
        times = measured(turns, asked.limits)
        self._world = queues.World(
            turns=turns,
            prices=prices,
            times=times,
            assumed=measured(turns, asked.limits, apart=False),
            labels=sorted(labels),
            limits=asked.limits,
            routed=frozenset(policies.routes),
            kinds=[times.alike(turn) for turn in turns],
            lifetimes=queues.lifetimes(turns),
        )
        numbers = list(parts.held_out)[: asked.calls_max]
        if len(numbers) < len(parts.held_out):
            self.notes.append(
                f"simulated the first {len(numbers):,} of {len(parts.held_out):,} calls held out;"
                " --calls-max takes more"
            )
        self._numbers = numbers
        self._calls = queues.of_turns(turns, numbers, prices)

    def gate(self) -> dict[str, object]:
        """The policy in force, over all of the history or its newest part."""
        self._progress("reproducing the policy in force")
        policies = self._policies
        every = list(range(len(policies.turns)))[-self._asked.calls_max :]
        calls = queues.of_turns(policies.turns, every, policies.prices)
        runs = queues.Runs(self._world, lambda chance: list(calls))
        made = policies.made()[IN_FORCE]
        figures = [runs.figures(IN_FORCE, made, chance) for chance in self._chances()]
        simulated = {name: _mean([each[name] for each in figures]) for name in figures[0]}
        mine = [n for n in every if n in policies.routes]
        decided = gate.decisions(policies, self._asked.in_force, mine)
        return gate.gate(policies.turns, mine, simulated, decided)

    def policies(self) -> dict[str, object]:
        """Every policy under the arrivals asked for, and its difference from the one in force."""
        asked = self._asked
        runs = queues.Runs(
            self._world, self._arrivals(), asked.scale, own_sizes=asked.arrivals is not None
        )
        figures: dict[str, list[dict[str, float]]] = {}
        for name, made in self._policies.made().items():
            self._progress(f"simulating {name}")
            figures[name] = [runs.figures(name, made, chance) for chance in self._chances()]
        base = figures[IN_FORCE]
        for why, calls in sorted(self._policies.refused.items(), key=lambda one: -one[1])[:5]:
            share = calls / asked.replications
            self.notes.append(f"{PROPOSED}: {share:,.0f} calls found nobody ({why})")
        return {
            "kind": KIND,
            "arrivals": asked.arrivals.file if asked.arrivals else "recorded",
            "scale": asked.scale,
            "limits": {pool: len(limits) for pool, limits in asked.limits.items()},
            "policies": {
                name: self._policy(name, each, base, (runs.seen[name], runs.seen[IN_FORCE]))
                for name, each in figures.items()
            },
        }

    def _chances(self) -> list[Generator]:
        asked = self._asked
        return [np.random.default_rng([asked.seed, n]) for n in range(asked.replications)]

    def _arrivals(self) -> queues.Arrivals:
        if self._asked.arrivals is None:
            return lambda chance: list(self._calls)
        every = recorded(self._asked.arrivals)
        most = max(int(self._asked.calls_max / max(self._asked.scale, 1.0)), 1)
        if len(every) > most:
            self.notes.append(
                f"simulated the first {most:,} of {len(every):,} arrivals; --calls-max takes more"
            )
        mine = [call for call in self._calls if call.row in self._policies.routes]
        return lambda chance: queues.resized(every[:most], mine, chance)

    def _policy(
        self,
        name: str,
        figures: Sequence[Mapping[str, float]],
        base: Sequence[Mapping[str, float]],
        sides: tuple[queues.Seen, queues.Seen],
    ) -> dict[str, object]:
        seen = sides[0]
        calls = sum(each["calls"] for each in figures)
        unknown = {
            "usd": _unknown("the cost at", seen.unpriced, calls),
            "p95_total_s": _unknown("the time at", seen.assumed, calls),
        }
        hidden = {
            "usd": ("usd", "usd_per_call"),
            "p95_total_s": ("p50_total_s", "p95_total_s", "p95_ttft_s"),
        }
        gone = {key for what, keys in hidden.items() if unknown[what] for key in keys}
        names = [key for key in figures[0] if not key.startswith("share:")]
        means = {key: _mean([f[key] for f in figures]) for key in names}
        apart = {
            key: difference([f[key] for f in figures], [b[key] for b in base]).interval
            for key in names
        }
        means["usd_per_call"], apart["usd_per_call"] = self._per_call(*sides)
        return {
            **{key: None if key in gone else one.document() for key, one in means.items()},
            "shares": {
                key.removeprefix("share:"): float(np.mean([f[key] for f in figures]))
                for key in figures[0]
                if key.startswith("share:") and any(f[key] for f in figures)
            },
            "difference": {
                key: None if key in gone else one.document()
                for key, one in apart.items()
                if name != IN_FORCE
            },
            "unknown": {what: why for what, why in unknown.items() if why},
        }

    def _per_call(self, seen: queues.Seen, base: queues.Seen) -> tuple[Interval, Interval]:
        """The mean cost of a call, and by how much that is more than in force: over sessions.

        Its interval is for other calls like these, where those of totals are for these calls.
        """
        rows = sorted(seen.costs)
        groups = [self._policies.turns[row].group for row in rows]
        costs = [seen.costs[row][0] / seen.costs[row][1] for row in rows]
        known = [base.costs.get(row) for row in rows]
        others = [each[0] / each[1] if each else 0.0 for each in known]
        return (
            ratio(costs, [1.0] * len(costs), groups),
            difference(costs, others, groups).interval,
        )


def _mean(values: Sequence[float]) -> Interval:
    return mean(values).interval


def _unknown(what: str, seen: Counter[str], calls: float) -> str:
    if not seen:
        return ""
    label, _ = seen.most_common(1)[0]
    share = sum(seen.values()) / calls if calls else 0.0
    return f"{what} {label} is not known ({share:.1%} of the calls)"


def _history(traffic: Traffic, routes: Mapping[int, Route], parts: Split) -> dict[str, object]:
    turns = traffic.turns
    return {
        "since": _text(turns[0].at_s),
        "until": _text(turns[-1].at_s),
        "rows": traffic.rows,
        "usd": plain(traffic.usd),
        "usd_unknown": traffic.usd_unknown,
        "calls": len(turns),
        "on_routes": len(routes),
        "sessions": len({turns[n].group for n in routes}),
        "left_out": dict(traffic.left_out.most_common()),
        "split_at": _text(parts.at_s),
        "learned_from": len(parts.learned),
        "held_out": len(parts.held_out),
        "between": parts.between,
    }


def _route(route: Route) -> dict[str, object]:
    return {
        "route": route.options.name,
        "version": route.options.version,
        "order": route.options.order,
        "candidates": [one.options.label for one in route.candidates],
    }


def _unseen(routes: Sequence[Route]) -> list[str]:
    names = sorted({name for route in routes for name in route.names} & UNSEEN)
    if not names:
        return []
    return [f"rows do not hold {', '.join(names)}: conditions see it as absent"]


def _translated(turns: Sequence[Turn], routes: Mapping[int, Route]) -> list[str]:
    if not any(facing(turns[n].facts, route).foreign for n, route in routes.items()):
        return []
    return ["requests are taken to be translatable; rows do not hold what a translation refuses"]


def _text(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
