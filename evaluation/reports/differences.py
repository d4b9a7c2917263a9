"""Differences between two models, or a model and itself in an earlier run, paired by case."""

import math
from collections.abc import Sequence

import msgspec

from evaluation.reports.bounds import NOTHING, Bounds, accuracy, bounds
from evaluation.reports.pairs import Pairs, difference, paired
from evaluation.reports.rows import ModelRows
from evaluation.statistics import (
    CONFIDENCE,
    Estimate,
    detectable_difference,
    holm,
    mcnemar,
    verdict,
)

HALVINGS = 30  # of the search for a p-value: nine digits
SMALLEST = 0.05  # the least difference in accuracy that matters, unless the user says otherwise


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Accuracy of `first` minus that of `second`, paired by case."""

    first: str
    second: str
    difference: Bounds
    cases: int
    p: float | None
    p_holm: float | None
    detectable_difference: float | None
    verdict: str
    changed_cases: int = 0  # of another run, left out since they are not the same any more
    # Of a model against itself in an earlier run; all else that is said then is at that look.
    look: int = 0  # 1 for the first run after it; 0: not such a comparison
    at_every_look: Bounds = NOTHING  # hold at all looks and for all models together
    missing_cases: int = 0  # of the earlier run, which its scores make up for


def detectable(rows: ModelRows, models: Sequence[ModelRows]) -> float | None:
    """The smallest difference from the other model that is hardest to compare with.

    A model that is alone is compared with one that answers other cases just as well.
    """
    errors = [
        found.se
        for other in models
        if other is not rows and (found := _difference(rows, other)[0]) is not None
    ]
    if not errors:
        alone = accuracy(rows.scored())
        errors = [None if alone is None or alone.se is None else alone.se * math.sqrt(2)]
    if any(se is None for se in errors):
        return None
    return detectable_difference(max(se for se in errors if se is not None))


def _difference(a: ModelRows, b: ModelRows) -> tuple[Estimate | None, float | None, int]:
    """The paired difference, its p-value, and how many cases have changed."""
    same, changed = paired(a.scored(), b.scored())
    if not same:
        return None, None, changed
    return difference(same), _p(same), changed


def _p(same: Pairs) -> float:
    """McNemar's exact one for single answers to unrelated cases of one weight.

    Else the smallest at which the interval does not hold 0, so that both always agree.
    """
    single = all(len(a.scores) == len(b.scores) == 1 for a, b in same)
    unrelated = len({a.group for a, _ in same}) == len(same)
    if single and unrelated and len({a.weight for a, _ in same}) == 1:
        return mcnemar([a.scores[0] for a, _ in same], [b.scores[0] for _, b in same]).p
    low, high = 0.0, 1.0  # p-values: with `high`, the interval is a point
    for _ in range(HALVINGS):
        p = (low + high) / 2
        if 0.0 in difference(same, 1 - p).interval:
            low = p
        else:
            high = p
    return high


def compared(a: ModelRows, b: ModelRows, smallest: float) -> Difference:
    """Model `a` against `b`; `smallest` is the least difference that matters."""
    found, p, changed = _difference(a, b)
    return Difference(
        first=a.model,
        second=b.model,
        difference=bounds(found.interval) if found else NOTHING,
        cases=found.cases if found else 0,
        p=p,
        p_holm=p,
        detectable_difference=None
        if found is None or found.se is None
        else detectable_difference(found.se),
        verdict=str(verdict(found, smallest)) if found else "cannot tell: no case in common",
        changed_cases=changed,
    )


def corrected(pairs: Sequence[Difference]) -> list[Difference]:
    """With Holm's p-values; what does not survive them cannot be told."""
    known = [pair for pair in pairs if pair.p is not None]
    adjusted = dict(zip(map(id, known), holm([pair.p or 0.0 for pair in known]), strict=True))
    found = []
    for pair in pairs:
        p = adjusted.get(id(pair))
        said = pair.verdict
        if said in ("better", "worse") and (p is None or p > 1 - CONFIDENCE):
            said = f"cannot tell: not {said} for certain among {len(known)} comparisons"
        found.append(msgspec.structs.replace(pair, p_holm=p, verdict=said))
    return found
