"""Who is best, or that nobody can tell yet and how many more calls would.  Pure."""

from collections.abc import Sequence

import msgspec
import numpy as np

from evaluation.decisions.measured import CLUSTERS_MIN, Candidates
from evaluation.frontier.frontier import best_share
from evaluation.reports.bounds import NOTHING, Bounds, bounds
from evaluation.statistics.clusters import Floats
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval
from evaluation.statistics.power import verdict
from evaluation.statistics.resampling import bootstrap_interval

DRAWS_MIN = 100  # in which both meet the limits, for an interval
SMALLEST = 0.01  # the least difference of scores that matters
Scores = tuple[Floats, Floats]  # by candidate, and the same of (replicates, candidates)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`conclusion`: `best`, `alike`, `cannot tell`, `only one`, `none within limits`, `no score`.

    `difference` is the score of `winner` minus that of `against`.  `more_calls` is how many more
    calls of the two together would tell, in today's proportion; None: decided, or not known.
    """

    conclusion: str
    said: str
    winner: str | None = None
    against: str | None = None
    difference: Bounds = NOTHING
    more_calls: int | None = None


def verdict_of(
    found: Candidates, scores: Scores | None, allowed: Floats, doubts: Sequence[int | None]
) -> Verdict:
    """The verdict on scores of candidates, `allowed` being 1 within all limits.

    `doubts` are the calls that each needs until it is clear whether it meets the limits.
    """
    if not np.isfinite(allowed).any():
        said = "No candidate is known to meet all limits."
        return Verdict(conclusion="none within limits", said=said)
    if scores is None:
        said = "Without --weights there is no score: the frontier shows who is not dominated."
        return Verdict(conclusion="no score", said=said)
    order = [int(at) for at in np.argsort(-np.nan_to_num(scores[0], nan=-np.inf), kind="stable")]
    order = [at for at in order if np.isfinite(scores[0][at])]
    if not order:
        said = "Cannot tell: no candidate has every metric that the weights name."
        return Verdict(conclusion="cannot tell", said=said)
    winner = found.names[order[0]]
    if len(order) == 1:
        said = f"{winner} is the only candidate with a score within the limits."
        return Verdict(conclusion="only one", said=said, winner=winner)
    decided = _between(found, scores, order)
    if decided.conclusion in ("best", "alike"):
        return _if_sure(decided, found, scores, doubts)
    return decided


def _if_sure(
    decided: Verdict, found: Candidates, scores: Scores, doubts: Sequence[int | None]
) -> Verdict:
    """The same, unless one that misses a limit may meet it after all, and then be the best."""
    best = best_share(scores[1])
    missing = [
        at
        for at in np.flatnonzero(np.isnan(scores[0])).tolist()
        if best[at] > 1 - CONFIDENCE and doubts[at] != 0
    ]
    if not missing:
        return decided
    at = int(max(missing, key=lambda each: best[each]))
    more = doubts[at]
    need = "more of its calls" if more is None else f"about {more:,} more of its calls"
    said = (
        f"Cannot tell: {decided.winner} is ahead of those within the limits, but"
        f" {found.names[at]} may meet them and be best ({best[at] * 100:.0f} %); {need} would tell."
    )
    return msgspec.structs.replace(
        decided, conclusion="cannot tell", said=said, against=found.names[at], more_calls=more,
        difference=NOTHING,
    )  # fmt: skip


def _between(found: Candidates, scores: Scores, order: list[int]) -> Verdict:
    """The first against the rival that is hardest to tell from it."""
    rivals = {at: _difference(found, scores, order[0], at) for at in order[1:]}
    rival = min(rivals, key=lambda at: _lead(rivals[at]))
    estimate = rivals[rival]
    winner, against = found.names[order[0]], found.names[rival]
    ahead = f"{winner} is ahead of {against} by {_range(estimate.interval)} points of 100"
    told = verdict(estimate, SMALLEST)
    match told.conclusion:
        case "better":
            said = f"{winner} is best: {ahead}."
        case "alike":
            said = f"{winner} and {against} are alike: they differ by less than a point of 100."
        case _ if told.more is None:
            said = f"Cannot tell: {ahead}; calls of {CLUSTERS_MIN} or more sessions are needed."
        case _:
            said = f"Cannot tell: {ahead}; about {told.more:,} more calls of the two would tell."
    return Verdict(
        conclusion="best" if told.conclusion == "better" else told.conclusion,
        said=said,
        winner=winner,
        against=against,
        difference=bounds(estimate.interval),
        more_calls=told.more,
    )


def _lead(one: Estimate) -> float:
    return -np.inf if one.low is None else one.low


def _difference(found: Candidates, scores: Scores, first: int, second: int) -> Estimate:
    """Of scores, in draws in which both meet the limits, which have their own probability."""
    value = float(scores[0][first] - scores[0][second])
    drawn = scores[1][:, first] - scores[1][:, second]
    drawn = drawn[np.isfinite(drawn)]
    calls = sum(int(found.sums[at]["calls"]) for at in (first, second))
    fewest = min(found.clusters[at] for at in (first, second))
    if fewest < CLUSTERS_MIN or len(drawn) < DRAWS_MIN:
        return Estimate(Interval(value, None, None), None, np.inf, calls, fewest)
    both = [groups for groups in (found.groups[first], found.groups[second]) if groups is not None]
    groups = max(both, key=lambda each: each.critical(CONFIDENCE))
    return Estimate(
        bootstrap_interval(value, drawn, groups),
        float(np.std(drawn)),
        groups.critical(CONFIDENCE),
        calls,
        fewest,
    )


def _range(found: Interval) -> str:
    value = f"{100 * (found.value or 0):.1f}"
    if found.low is None or found.high is None:
        return value
    return f"{value} ({100 * found.low:.1f} to {100 * found.high:.1f})"
