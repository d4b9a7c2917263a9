"""Oversized models: what another candidate would cost for the same calls, and how good it is.

Three kinds of evidence, the best one first: the same cases in a run; calls of a route with recorded
propensities, off-policy; else prices alone, which say nothing about quality.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import CALLS_MIN, Change, Collect, canary_of, less, percent, saved
from evaluation.decisions.prices import Prices, at_of, quantities, uncached
from evaluation.reports.bounds import Bounds, bounds
from evaluation.reports.rows import ModelRows
from evaluation.reports.words import points, spread
from evaluation.statistics import cases_needed, ratio, share_difference
from evaluation.statistics.clusters import Floats
from evaluation.statistics.interval import Estimate, Interval
from evaluation.statistics.off_policy import OffPolicy, log_of, off_policy

ROWS_MAX = 1_000  # of a candidate, priced again with another's tariffs
CHEAPER_MIN = 0.05  # share that a change saves at least
TARGETS_MAX = 2  # candidates of the run that are proposed instead of one
DISAGREE = 0.3  # share of cases on which two models disagree, seen in real sets: 0.23 to 0.36
SEED = 20_261_129
RISK = (
    "answers change: formats, tools and refusals may differ in cases that were not tested; prompts"
    " tuned for {} may do worse"
)


@dataclass(frozen=True, slots=True)
class Work:
    """All that is known: candidates with their spend (USD) and calls in the period, and rows."""

    spend: Mapping[str, float]
    count: Mapping[str, int]
    calls: Calls
    prices: Prices
    run: Mapping[str, ModelRows]  # by candidate
    smallest: float  # the loss of quality that matters
    share: float  # of all sessions, that the rows are

    def success(self, name: str) -> float:
        """The share of its calls that ended well."""
        mine: Floats = self.calls.succeeded[self.calls.candidates == name]
        return float(mine.mean()) if len(mine) else 0.5


def switches(work: Work) -> Iterator[Change]:
    """For each candidate the cheapest others, with what is known about their quality."""
    for name in work.spend:
        if work.count[name] < CALLS_MIN or work.spend[name] <= 0:
            continue
        priced = [(other, _repriced(work, name, other)) for other in work.spend if other != name]
        cheaper = [
            (other, share)
            for other, share in priced
            if share.value is not None and share.value >= CHEAPER_MIN
        ]
        cheaper.sort(key=lambda each: -(each[1].value or 0.0))
        tested = [pair for pair in cheaper if name in work.run and pair[0] in work.run]
        others = [pair for pair in cheaper if pair not in tested]
        for other, share in (*tested[:TARGETS_MAX], *others[: 0 if tested else 1]):
            yield _change(work, name, other, share)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the quality of another candidate is known."""

    kind: str
    said: str
    rate: float  # of success today
    quality: Estimate  # the other's, less today's
    part: float = 1.0  # of the spend, that it is about


def _change(work: Work, name: str, other: str, repriced: Bounds) -> Change:
    if name in work.run and other in work.run:
        found = _by_run(work, name, other)
        if found is not None:
            return found
    found = _by_route(work, name, other, repriced)
    return found or _by_prices(work, name, other, repriced)


def _by_run(work: Work, name: str, other: str) -> Change | None:
    """On the same cases: quality paired, and what the same cases cost."""
    mine = {case.case_id: case for case in work.run[name].scored()}
    pairs = [
        (mine[case.case_id], case)
        for case in work.run[other].scored()
        if case.case_id in mine and mine[case.case_id].version == case.version
    ]
    if not pairs:
        return None
    groups = [now.group for now, _ in pairs]
    quality = share_difference([b.scores for _, b in pairs], [a.scores for a, _ in pairs], groups)
    unknown = any(a.unknown or b.unknown for a, b in pairs)
    costs = ratio([b.cost_usd for _, b in pairs], [a.cost_usd for a, _ in pairs], groups)
    share = Bounds(None, None, None) if unknown else less(costs)
    if share.value is not None and share.value <= 0:
        return None
    rate = float(np.mean([np.mean(a.scores) for a, _ in pairs]))
    said = (
        f"{len(pairs):,} cases answered by both: quality {_said(quality.interval)} points, cost"
        f" {spread(share, percent)} less on the same cases"
    )
    return _made(work, name, other, share, Evidence("replay", said, rate, quality))


def _made(work: Work, name: str, other: str, share: Bounds, evidence: Evidence) -> Change:
    """Recommended if the interval of the loss is within what matters, and that of the saving above
    nothing."""
    quality, spend = evidence.quality, work.spend[name] * evidence.part
    low = quality.low
    holds = low is not None and low > -work.smallest and share.low is not None and share.low > 0
    collect = None
    if not holds:
        variance = (quality.se or np.sqrt(DISAGREE / quality.cases)) ** 2 * quality.cases
        room = work.smallest + min(quality.value, 0.0)
        more = cases_needed(variance, room) - quality.cases if room > 0 else None
        collect = Collect(
            what="more cases" if evidence.kind == "replay" else "more calls of the route",
            number=None if more is None else max(more, 1),
            command=f"taximeter eval run SUITE --models {name},{other}",
        )
    return Change(
        kind="model",
        title=f"use {other} instead of {name}",
        candidate=name,
        to=other,
        conclusion="recommended" if holds else "not enough evidence",
        saving_usd=saved(share, spend),
        saving_share=share,
        spend_usd=spend,
        calls=work.count[name],
        quality_difference=bounds(quality.interval),
        evidence=evidence.said,
        evidence_kind=evidence.kind,
        risk=RISK.format(name),
        canary=canary_of(evidence.rate, work.smallest),
        collect=collect,
    )


def _by_route(work: Work, name: str, other: str, repriced: Bounds) -> Change | None:
    """By routes whose choices have recorded propensities: success under "always the other"."""
    rows = _routed(work, name, other)
    if len(rows) < CALLS_MIN:
        return None
    served = work.calls.candidates[rows]
    arms = sorted(set(served.tolist()))
    propensities: Floats = work.calls.numbers("propensity")[rows]
    rewards: Floats = work.calls.succeeded[rows]
    sessions = work.calls.clusters[rows].tolist()
    found = []
    for arm in (name, other):
        target = np.zeros((len(rows), len(arms)))
        target[:, arms.index(arm)] = 1.0
        actions = [arms.index(each) for each in served]
        found.append(off_policy(log_of(actions, rewards, propensities, target, sessions=sessions)))
    now, then = found
    if not isinstance(then, OffPolicy) or not isinstance(now, OffPolicy):
        return None
    quality = _between(now.dr, then.dr, len(rows))
    said = (
        f"{len(rows):,} calls of routes with recorded propensities (DR, ESS {then.ess:.0f}):"
        f" success {_said(quality.interval)} points; cost by tariffs; other calls of {name} are"
        " not part of this"
    )
    costs = np.nan_to_num(work.calls.numbers("cost_usd"))
    part = costs[rows][served == name].sum() / max(
        costs[work.calls.candidates == name].sum(), 1e-18
    )
    evidence = Evidence("off-policy", said, now.dr.value or 0.5, quality, float(part))
    return _made(work, name, other, repriced, evidence)


def _routed(work: Work, name: str, other: str) -> list[int]:
    """First attempts in versions of routes that chose both; one without a propensity ends it."""
    columns = work.calls.columns
    of: dict[object, list[int]] = {}
    for at, route in enumerate(columns["route"]):
        if route and columns["attempt"][at] == 1:
            of.setdefault((route, columns["route_version"][at]), []).append(at)
    found: list[int] = []
    for rows in of.values():
        chosen = set(work.calls.candidates[rows].tolist())
        known = all(columns["propensity"][at] for at in rows)
        if known and {name, other} <= chosen:
            found += rows
    return sorted(found)


def _between(now: Interval, then: Interval, calls: int) -> Estimate:
    """The difference of two estimates; their errors are added as if independent."""
    assert now.value is not None
    assert then.value is not None
    value = then.value - now.value
    halves = [
        (each.high - each.low) / 2
        for each in (now, then)
        if each.low is not None and each.high is not None
    ]
    if len(halves) < 2:
        return Estimate(Interval(value, None, None), None, np.inf, calls, 1)
    half = float(np.hypot(halves[0], halves[1]))
    return Estimate(Interval(value, value - half, value + half), half / 1.96, 1.96, calls, calls)


def _by_prices(work: Work, name: str, other: str, share: Bounds) -> Change:
    """Nothing is known about quality on the same work."""
    cases = cases_needed(DISAGREE, work.smallest)
    return Change(
        kind="model",
        title=f"use {other} instead of {name}",
        candidate=name,
        to=other,
        conclusion="not enough evidence",
        saving_usd=saved(share, work.spend[name]),
        saving_share=share,
        spend_usd=work.spend[name],
        calls=work.count[name],
        evidence=(
            f"the tokens of {name} at the prices of {other}, none of them cached; no evidence of"
            " quality on the same work"
        ),
        evidence_kind="repriced",
        risk=f"{RISK.format(name)}; it may need more tokens for the same text",
        canary=canary_of(work.success(name), work.smallest),
        collect=Collect(
            what="cases that both answer",
            number=cases,
            command=f"taximeter eval run SUITE --models {name},{other}",
        ),
    )


def _repriced(work: Work, name: str, other: str) -> Bounds:
    """The share that the same tokens cost less at the other's prices."""
    rows = np.flatnonzero(work.calls.candidates == name)
    if len(rows) > ROWS_MAX:
        rows = np.sort(np.random.default_rng(SEED).choice(rows, ROWS_MAX, replace=False))
    provider, _, model = other.partition("/")
    now, then, clusters = [], [], []
    for row in rows.tolist():
        cost = work.calls.columns["cost_usd"][row]
        usage = quantities(work.calls.columns["usage"][row])
        if cost is None or not usage:
            continue
        usd = work.prices.usd(provider, model, uncached(usage), at_of(work.calls, row))
        if usd is None:
            return Bounds(None, None, None)
        now.append(float(cost))
        then.append(usd)
        clusters.append(int(work.calls.clusters[row]))
    if not now or not sum(now):
        return Bounds(None, None, None)
    return less(ratio(then, now, clusters))


def _said(found: Interval) -> str:
    return f"{points(found.value)} ({spread(bounds(found), points)})"
