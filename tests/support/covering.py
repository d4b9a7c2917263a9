"""Worlds for coverage, by column and so fast: calls in sessions, whose truth is known.

Costs, times and successes are drawn as `World` says; nothing is priced and no store is asked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from evaluation.decisions.calls import Calls
from evaluation.decisions.measured import Candidates, Measure, measures
from evaluation.decisions.quality import by_calls
from exporters.clickhouse.observed import COLUMNS
from support.deciding import BEGAN_US, CHEAP, GOOD, HOURS, POOR, Known

KNOWN = (CHEAP, GOOD, POOR)
HOUR_US = 3_600_000_000
P95 = 1.6448536  # standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """How much calls differ: standard deviations of logarithms, and sizes of sessions."""

    calls: int = 900
    cost: float = 0.5
    session_cost: float = 0.3  # of what the calls of a session share
    seconds: float = 0.5
    hour: float = 0.2  # of what the calls of an hour share, in times
    session_seconds: float = 0.0
    size: int = 4  # calls of a session: so many, or about as many
    varying: bool = False
    together: float = 0.0  # correlation of successes in a session
    known: Sequence[Known] = KNOWN

    def truths(self, one: Known) -> Mapping[str, float]:
        """What the metrics of a candidate are over all calls there could be."""
        usd = one.usd * math.exp((self.cost**2 + self.session_cost**2) / 2)
        deviation = math.hypot(self.seconds, self.hour, self.session_seconds)
        return {
            "cost_per_call": usd,
            "cost_per_success": usd / one.success,
            "success_rate": one.success,
            "error_rate": 1 - one.success,
            "p50_total": one.seconds,
            "p95_total": one.seconds * math.exp(P95 * deviation),
        }

    def measured(self, seed: int) -> Mapping[str, Measure]:
        """Every metric as `taximeter compare` has it."""
        sums, calls = self.drawn(np.random.default_rng(seed))
        names = [f"{each['provider']}/{each['model']}" for each in sums]
        return measures(Candidates(names, sums, calls, by_calls(calls)), drawn=())

    def drawn(self, chance: Generator) -> tuple[list[dict[str, Any]], Calls]:
        """Sums by candidate, and calls.  Each session has one candidate."""
        count = self.calls
        session = np.arange(count) // self.size
        if self.varying:
            session = np.repeat(np.arange(count), chance.geometric(1 / self.size, count))[:count]
        model = session % len(self.known)
        hour = chance.integers(HOURS, size=count)
        each = {
            name: np.asarray([getattr(one, name) for one in self.known])[model]
            for name in ("usd", "seconds", "success")
        }
        noise = _of(chance, session, self.session_cost) + chance.normal(0, self.cost, count)
        usd = each["usd"] * np.exp(noise)
        slow = chance.normal(0, self.hour, HOURS)[hour] + _of(chance, session, self.session_seconds)
        seconds = each["seconds"] * np.exp(slow + chance.normal(0, self.seconds, count))
        rate = each["success"]
        if self.together:
            strength = (1 - self.together) / self.together
            firsts = np.unique(session, return_index=True)[1]
            rates = rate[firsts]
            rate = chance.beta(rates * strength, (1 - rates) * strength)[session]
        good = chance.random(count) < rate
        at_us = BEGAN_US + hour * HOUR_US + chance.integers(HOUR_US, size=count)
        calls = _calls(
            [self.known[at].model for at in model.tolist()], session, usd, good,
            ts_us=at_us.tolist(), duration_us=(seconds * 1e6).astype(int).tolist(),
            first_token_us=(seconds * 2.5e5).astype(int).tolist(),
        )  # fmt: skip
        return [_sums(calls, model == at, one) for at, one in enumerate(self.known)], calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A route that sent calls, or whole sessions, to `small` with a chance of `share`, else to
    `big`.  All calls were judged."""

    calls: int = 600
    size: int = 3
    share: float = 0.3
    by_session: bool = False
    cost: float = 0.5
    session_cost: float = 0.5
    usd: tuple[float, float] = (0.004, 0.010)  # medians of small and big
    right: tuple[float, float] = (0.85, 0.90)

    def drawn(self, seed: int) -> Calls:
        """The calls with their propensities."""
        chance, count = np.random.default_rng(seed), self.calls
        session = np.arange(count) // self.size
        random = chance.random(count)
        small = (random[session] if self.by_session else random) < self.share
        good = chance.random(count) < np.where(small, *self.right)
        noise = _of(chance, session, self.session_cost) + chance.normal(0, self.cost, count)
        stays = (np.arange(count) % self.size > 0) & self.by_session
        odds = np.where(small, self.share, 1 - self.share)
        return _calls(
            np.where(small, "small", "big").tolist(),
            session,
            np.where(small, *self.usd) * np.exp(noise),
            good,
            judged=[1] * count,
            route=["assistant"] * count,
            route_version=["1"] * count,
            attempt=[1] * count,
            propensity=np.where(stays, 1.0, odds).tolist(),
            sticky=np.where(stays, "hit", "").tolist(),
        )


def _of(chance: Generator, session: np.ndarray[Any, Any], deviation: float) -> Any:
    """What the calls of a session share."""
    return chance.normal(0, deviation, int(session.max()) + 1)[session]


def _calls(models: Sequence[str], session: Any, usd: Any, good: Any, **more: list[Any]) -> Calls:
    count = len(models)
    columns: dict[str, list[Any]] = dict.fromkeys(COLUMNS, [None] * count)
    columns |= {name: [""] * count for name in ("request_id", "route", "sticky")}
    columns |= {name: [0] * count for name in ("judged", "is_eval")}
    columns |= {"provider": ["openai"] * count, "model": list(models)}
    columns |= {"cluster": session.tolist(), "cost_usd": usd.tolist()}
    columns |= {"success": good.astype(int).tolist(), "cost_status": ["exact"] * count}
    columns |= {"outcome": np.where(good, "ok", "http_error").tolist()}
    columns |= {"operation": ["chat"] * count}
    return Calls(columns | more)


def _sums(calls: Calls, mine: Any, one: Known) -> dict[str, Any]:
    found: dict[str, Any] = {
        "provider": "openai", "model": one.model, "calls": int(mine.sum()),
        "errors": int(calls.failed[mine].sum()), "cost_status": "exact",
        "cost_usd": float(calls.numbers("cost_usd")[mine].sum()),
        "unpriced_calls": 0, "partial_calls": 0, "inexact_calls": 0,
    }  # fmt: skip
    for name in ("duration", "first_token"):
        values = calls.numbers(f"{name}_us")[mine]
        for level in (50, 95):
            found[f"{name}_p{level}_us"] = int(np.quantile(values, level / 100))
    return found
