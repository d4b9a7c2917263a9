"""Differences between two models, or a model and itself in an earlier run, paired by case."""

import math
from collections.abc import Sequence

import msgspec

from evaluation.reports.bounds import NOTHING, Bounds, accuracy, bounds
from evaluation.reports.rows import CaseRows, ModelRows
from evaluation.statistics import (
    CONFIDENCE,
    Estimate,
    detectable_difference,
    holm,
    mcnemar,
    share_difference,
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


def _shared(a: ModelRows, b: ModelRows) -> tuple[list[tuple[CaseRows, CaseRows]], int]:
    """Pairs of the same case, and how many had the same id and are another case by now."""
    others = {case.case_id: case for case in b.scored()}
    same, changed = [], 0
    for case in a.scored():
        other = others.get(case.case_id)
        if other is not None and other.version == case.version:
            same.append((case, other))
        elif other is not None:
            changed += 1
    return same, changed


def _difference(a: ModelRows, b: ModelRows) -> tuple[Estimate | None, float | None, int]:
    """The paired difference, its p-value, and how many cases have changed."""
    same, changed = _shared(a, b)
    if not same:
        return None, None, changed
    return _at(same, CONFIDENCE), _p(same), changed


def _at(same: Sequence[tuple[CaseRows, CaseRows]], confidence: float) -> Estimate:
    return share_difference(
        [case.scores for case, _ in same],
        [other.scores for _, other in same],
        [case.group for case, _ in same],
        weights=[case.weight for case, _ in same],
        confidence=confidence,
    )


def _p(same: Sequence[tuple[CaseRows, CaseRows]]) -> float:
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
        if 0.0 in _at(same, 1 - p).interval:
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
