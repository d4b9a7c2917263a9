"""Whether a model answers a suite otherwise than in the first run of its schedule.  No I/O.

Each run is a look at the first one, and intervals hold at all looks and for all models together
(`evaluation.reports.weeks`): false alarms stay below 5 %, however many weeks it runs.
"""

from dataclasses import dataclass

from evaluation.reports import weeks
from evaluation.reports.rows import CaseRows, Stored, by_model
from evaluation.statistics import Interval, look_confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One model's accuracy now minus in the first run, over the cases that both have."""

    model: str
    accuracy: Interval
    cases: int
    missing: int = 0  # cases of the first run without an answer now, made up for

    @property
    def drifted(self) -> bool:
        """Whether the interval excludes that nothing changed."""
        low, high = self.accuracy.low, self.accuracy.high
        return low is not None and high is not None and not low <= 0.0 <= high


def changes(now: Stored, first: Stored, look: int) -> list[Change]:
    """Of each model in both runs; `look` is 1 for the first comparison with `first`."""
    before, after = _cases(first), _cases(now)
    models = [model for model in after if model in before]
    confidence = look_confidence(look, max(1, len(models)))
    complete = weeks.same_suite(now.run, first.run)
    found = []
    for model in models:
        change = weeks.change(after[model], before[model], confidence, complete=complete)
        if change is not None:
            found.append(
                Change(
                    model=model,
                    accuracy=change.found.interval,
                    cases=change.cases,
                    missing=change.missing,
                )
            )
    return found


def served(stored: Stored) -> dict[str, list[str]]:
    """Model → the names under which providers say that they answered for it."""
    names: dict[str, set[str]] = {}
    for rows in by_model(stored, hidden=False) + by_model(stored, hidden=True):
        names.setdefault(rows.model, set()).update(rows.response_models)
    return {model: sorted(found) for model, found in names.items() if found}


def _cases(stored: Stored) -> dict[str, list[CaseRows]]:
    """By model, both halves: nobody tunes a prompt by whether a model drifted."""
    found: dict[str, list[CaseRows]] = {}
    for rows in by_model(stored, hidden=False) + by_model(stored, hidden=True):
        found.setdefault(rows.model, []).extend(rows.scored())
    return found
