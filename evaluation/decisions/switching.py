"""Oversized models: what another candidate would cost for the same calls, and how good it is.

Three kinds of evidence, the best one first: the same cases in a run; calls of a route with recorded
propensities, off-policy, whose quality is what feedback says; else prices alone, which say nothing
about quality.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import (
    CALLS_MIN,
    CANARY_SHARE,
    DISAGREE,
    Change,
    Collect,
    Conclusion,
    Rewards,
    calls_needed,
    canary_of,
    less,
    percent,
    saving,
    still_needed,
)
from evaluation.decisions.prices import Prices, at_of, quantities, uncached
from evaluation.decisions.routed import Routed, assigned, by_routes
from evaluation.reports.bounds import Bounds, bounds
from evaluation.reports.rows import ModelRows
from evaluation.reports.words import points, spread
from evaluation.statistics import cases_needed, ratio, share_difference, together
from evaluation.statistics.clusters import Floats
from evaluation.statistics.interval import Estimate, Interval, Refused
from evaluation.statistics.off_policy import OffPolicy

ROWS_MAX = 1_000  # of a candidate, priced again with another's tariffs
CHEAPER_MIN = 0.05  # share that a change saves at least
TARGETS_MAX = 2  # candidates of the run that are proposed instead of one
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
    """For each candidate the cheapest others, with what is known about their quality.

    Who reads them takes the best one, so what is said about quality and costs of all of them holds
    together: an interval of each would miss the truth more often where it is the one that is taken.
    """
    pairs = [pair for name in work.spend for pair in _cheaper(work, name)]
    known = sum(_by_run_of(work, *pair[:2]) or _routed(work, *pair[:2]) for pair in pairs)
    confidence = together(len(("quality", "cost")) * known)
    for name, other, share in pairs:
        yield _change(work, name, other, share, confidence)


def _cheaper(work: Work, name: str) -> list[tuple[str, str, Bounds]]:
    """The candidates that are proposed instead of one, with what they cost less by the tariffs."""
    if work.count[name] < CALLS_MIN or work.spend[name] <= 0:
        return []
    priced = [(name, other, _repriced(work, name, other)) for other in work.spend if other != name]
    cheaper = [each for each in priced if (each[2].value or 0.0) >= CHEAPER_MIN]
    cheaper.sort(key=lambda each: -(each[2].value or 0.0))
    tested = [each for each in cheaper if _by_run_of(work, name, each[1])]
    return tested[:TARGETS_MAX] or cheaper[:1]


def _by_run_of(work: Work, name: str, other: str) -> bool:
    return name in work.run and other in work.run


def _routed(work: Work, name: str, other: str) -> bool:
    return assigned(work.calls, name, other) is not None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How the quality of another candidate is known."""

    kind: str
    said: str
    rate: float  # of success today
    quality: Estimate  # the other's, less today's
    rewards: Rewards
    confidence: float
    part: float = 1.0  # of the spend, that it is about


def _change(work: Work, name: str, other: str, repriced: Bounds, confidence: float) -> Change:
    if _by_run_of(work, name, other):
        found = _by_run(work, name, other, confidence)
        if found is not None:
            return found
    found = _by_route(work, name, other, repriced, confidence)
    return found or _by_prices(work, name, other, repriced)


def _by_run(work: Work, name: str, other: str, confidence: float) -> Change | None:
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
    quality = share_difference(
        [b.scores for _, b in pairs], [a.scores for a, _ in pairs], groups, confidence=confidence
    )
    unknown = any(a.unknown or b.unknown for a, b in pairs)
    costs = ratio(
        [b.cost_usd for _, b in pairs],
        [a.cost_usd for a, _ in pairs],
        groups,
        confidence=confidence,
    )
    share = Bounds(None, None, None) if unknown else less(costs)
    if share.value is not None and share.value <= 0:
        return None
    rate = float(np.mean([np.mean(a.scores) for a, _ in pairs]))
    said = (
        f"{len(pairs):,} cases answered by both: quality {_said(quality.interval)} points, cost"
        f" {spread(share, percent)} less on the same cases"
    )
    return _made(
        work, name, other, share, Evidence("replay", said, rate, quality, "evaluation", confidence)
    )


def _made(work: Work, name: str, other: str, share: Bounds, evidence: Evidence) -> Change:
    """Recommended if the interval of the loss is within what matters, and that of the saving above
    nothing."""
    quality, spend = evidence.quality, work.spend[name] * evidence.part
    conclusion = _conclusion(quality, share, work.smallest)
    collect = None
    if evidence.rewards == "none" and conclusion != "not recommended":
        conclusion = "not enough evidence"
        number = calls_needed(evidence.rate, work.smallest, CANARY_SHARE)
        collect = Collect(what="calls of these routes with feedback", number=number)
    elif conclusion == "not enough evidence":
        collect = Collect(
            what="more cases" if evidence.kind == "replay" else "more calls of the route",
            number=still_needed(quality, share, work.smallest, evidence.confidence),
            command=f"taximeter eval run SUITE --models {name},{other}",
        )
    return Change(
        kind="model",
        title=f"use {other} instead of {name}",
        candidate=name,
        to=other,
        conclusion=conclusion,
        **saving(share, spend),
        calls=work.count[name],
        quality_difference=None if evidence.rewards == "none" else bounds(quality.interval),
        evidence=evidence.said,
        evidence_kind=evidence.kind,
        rewards=evidence.rewards,
        risk=RISK.format(name),
        canary=canary_of(evidence.rate, work.smallest),
        collect=collect,
    )


def _conclusion(quality: Estimate, share: Bounds, smallest: float) -> Conclusion:
    """By both intervals: what is lost, and what is saved."""
    if quality.high is not None and quality.high < -smallest:
        return "not recommended"
    if share.high is not None and share.high <= 0:
        return "not recommended"
    holds = quality.low is not None and quality.low > -smallest
    return "recommended" if holds and (share.low or 0.0) > 0 else "not enough evidence"


def _by_route(
    work: Work, name: str, other: str, repriced: Bounds, confidence: float
) -> Change | None:
    """By routes that chose both at random."""
    found = by_routes(work.calls, name, other, confidence=confidence)
    if found is None:
        return None
    if found.refused is not None:
        return _by_prices(work, name, other, repriced, found.refused)
    quality = found.difference
    assert quality is not None
    assert isinstance(found.then, OffPolicy)
    paid = found.costs.value is not None
    share, by = (less(found.costs), "as billed") if paid else (repriced, "by tariffs")
    said = (
        f"{found.calls:,} calls of routes with recorded propensities, {_judged(found)} (DR, ESS"
        f" {found.then.ess:.0f}): {_said(quality.interval)} points; cost {by}; other calls of"
        f" {name} are not part of this"
    )
    rewards = found.rewards
    rate = work.success(name)
    evidence = Evidence("off-policy", said, rate, quality, rewards, confidence, found.part)
    return _made(work, name, other, share, evidence)


def _by_prices(
    work: Work, name: str, other: str, share: Bounds, refused: Refused | None = None
) -> Change:
    """Nothing is known about quality on the same work; `refused` says why routes do not tell."""
    cases = cases_needed(DISAGREE, work.smallest)
    return Change(
        kind="model",
        title=f"use {other} instead of {name}",
        candidate=name,
        to=other,
        conclusion="not enough evidence",
        **saving(share, work.spend[name]),
        calls=work.count[name],
        evidence=(
            f"the tokens of {name} at the prices of {other}, none of them cached; no evidence of"
            f" quality on the same work{'' if refused is None else _why(refused)}"
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


def _why(refused: Refused) -> str:
    """Why routes do not tell, how far they reach, and what can be said all the same."""
    within = "" if refused.bounds is None else f", success {spread(bounds(refused.bounds))}"
    covered = percent(refused.coverage)
    return f": calls of routes are refused as evidence, {refused.why} (coverage {covered}{within})"


def _judged(found: Routed) -> str:
    """Whose word success is."""
    if found.rewards == "none":
        return "without feedback, so by how they ended"
    return f"success by feedback about {found.judged:,} of them"


def _said(found: Interval) -> str:
    return f"{points(found.value)} ({spread(bounds(found), points)})"
