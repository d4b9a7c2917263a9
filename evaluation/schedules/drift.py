"""Whether a model answers a suite otherwise than in the first run of its schedule.  No I/O.

Looking every week excludes the truth sooner or later, so the k-th look gets α/(k(k+1)) of the
error, and each of n models a share of that: over all looks and models together false alarms stay
below α, whatever their dependence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.reports.rows import CaseRows, Stored, by_model
from evaluation.statistics import CONFIDENCE, Interval, share_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One model's accuracy now minus in the first run, over the cases that both have."""

    model: str
    accuracy: Interval
    cases: int

    @property
    def drifted(self) -> bool:
        """Whether the interval excludes that nothing changed."""
        low, high = self.accuracy.low, self.accuracy.high
        return low is not None and high is not None and not low <= 0.0 <= high


def changes(now: Stored, first: Stored, look: int) -> list[Change]:
    """Of each model in both runs; `look` is 1 for the first comparison with `first`."""
    if look < 1:
        raise ValueError("looks are counted from 1")
    before, after = _cases(first), _cases(now)
    models = [model for model in after if model in before]
    confidence = 1 - (1 - CONFIDENCE) / (look * (look + 1) * max(1, len(models)))
    found = (_change(model, after[model], before[model], confidence) for model in models)
    return [each for each in found if each is not None]


def served(stored: Stored) -> dict[str, list[str]]:
    """Model → the names under which providers say that they answered for it."""
    names: dict[str, set[str]] = {}
    for rows in by_model(stored, hidden=False) + by_model(stored, hidden=True):
        names.setdefault(rows.model, set()).update(rows.response_models)
    return {model: sorted(found) for model, found in names.items() if found}


def _change(
    model: str,
    after: Mapping[str, CaseRows],
    before: Mapping[str, CaseRows],
    confidence: float,
) -> Change | None:
    same = [name for name, case in after.items() if _version(before, name) == case.version]
    if not same:
        return None
    difference = share_difference(
        _means(after, same),
        _means(before, same),
        [after[name].group for name in same],
        weights=[after[name].weight for name in same],
        confidence=confidence,
    )
    return Change(model=model, accuracy=difference.interval, cases=len(same))


def _cases(stored: Stored) -> dict[str, dict[str, CaseRows]]:
    """Model → id → the case, both halves: nobody tunes a prompt by whether a model drifted."""
    found: dict[str, dict[str, CaseRows]] = {}
    for rows in by_model(stored, hidden=False) + by_model(stored, hidden=True):
        cases = {case.case_id: case for case in rows.scored()}
        found.setdefault(rows.model, {}).update(cases)
    return found


def _version(cases: Mapping[str, CaseRows], name: str) -> str:
    return cases[name].version if name in cases else ""


def _means(cases: Mapping[str, CaseRows], names: Sequence[str]) -> list[float]:
    return [sum(cases[name].scores) / len(cases[name].scores) for name in names]
