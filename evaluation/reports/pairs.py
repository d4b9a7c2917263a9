"""The same case in two lots of rows: of two models, or of one model in two runs.  No I/O."""

from collections.abc import Sequence

from evaluation.reports.rows import CaseRows
from evaluation.statistics import CONFIDENCE, Estimate, share_difference

Pairs = Sequence[tuple[CaseRows, CaseRows]]


def paired(first: Sequence[CaseRows], second: Sequence[CaseRows]) -> tuple[Pairs, int]:
    """Pairs of the same case, and how many had the same id and are another case by now.

    All of the cases have an answer that is right or wrong.
    """
    others = {case.case_id: case for case in second}
    same, changed = [], 0
    for case in first:
        other = others.get(case.case_id)
        if other is not None and other.version == case.version:
            same.append((case, other))
        elif other is not None:
            changed += 1
    return same, changed


def difference(same: Pairs, confidence: float = CONFIDENCE) -> Estimate:
    """The paired difference of the shares of right answers, clustered and weighted."""
    return share_difference(
        [case.scores for case, _ in same],
        [other.scores for _, other in same],
        [case.group for case, _ in same],
        weights=[case.weight for case, _ in same],
        confidence=confidence,
    )
