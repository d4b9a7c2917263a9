"""All changes that the rows suggest, the surest first.  No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evaluation.decisions.calls import Calls
from evaluation.decisions.change import CALLS_MIN, Change
from evaluation.decisions.compared import label
from evaluation.decisions.measured import Sums
from evaluation.decisions.prices import Prices
from evaluation.decisions.quality import matched
from evaluation.decisions.switching import Work, switches
from evaluation.decisions.wasting import wastes
from evaluation.reports.differences import SMALLEST
from evaluation.reports.rows import Stored, by_model
from evaluation.statistics.interval import CONFIDENCE
from pricing.money import calls as calls_of

CLAIM = (
    "savings are over the period that was asked for, at its prices; changes of the same calls"
    " overlap, so they do not add up; the intervals of all changes of models whose quality was"
    " measured hold together, so for the one that is taken too"
)


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer.  `spend` is USD by candidate, as in `taximeter report`; None: unknown."""

    spend: dict[str, str | None]
    changes: list[Change]
    smallest: float
    claim: str
    sample_share: float
    notes: list[str]
    confidence: float = CONFIDENCE

    def count(self, conclusion: str) -> int:
        """How many changes have this conclusion."""
        return sum(each.conclusion == conclusion for each in self.changes)


def recommend(
    sums: Sequence[Sums],
    calls: Calls,
    prices: Prices,
    run: Stored | None = None,
    *,
    share: float = 1.0,
    smallest: float = SMALLEST,
) -> Recommendation:
    """What could be changed.  `smallest` is the loss of quality that matters, of 1."""
    known = {label(each): each for each in sums if int(each["calls"]) and not each.get("other")}
    names = sorted(known, key=lambda name: -_usd(known[name]))
    found = {} if run is None else matched(names, by_model(run, hidden=False))
    work = Work(
        spend={name: _usd(known[name]) for name in names},
        count={name: int(known[name]["calls"]) for name in names},
        calls=calls,
        prices=prices,
        run=found,
        smallest=smallest,
        share=share,
    )
    changes = [*switches(work), *wastes(work)]
    return Recommendation(
        spend={name: _text(known[name]) for name in names},
        changes=sorted(changes, key=lambda each: each.rank),
        smallest=smallest,
        claim=CLAIM,
        sample_share=share,
        notes=[*_notes(known, changes, share), *calls.evaluated],
    )


def _usd(sums: Sums) -> float:
    return float(sums["cost_usd"] or 0)


def _text(sums: Mapping[str, Any]) -> str | None:
    return None if sums["cost_usd"] is None else str(sums["cost_usd"])


def _notes(known: Mapping[str, Sums], changes: Sequence[Change], share: float) -> list[str]:
    if not known:
        return ["there are no calls in this period that anything could be said about"]
    found = [
        f"{name}: too few calls for advice ({int(each['calls']):,}); collect {CALLS_MIN} or more"
        for name, each in known.items()
        if int(each["calls"]) < CALLS_MIN
    ]
    for name, each in known.items():
        if unknown := int(each["unpriced_calls"]):
            found.append(f"{name}: the cost of {calls_of(unknown)} is unknown and in no saving")
    if all(each.rewards == "none" for each in changes):
        found.append(
            "no run of a suite (--run) and no feedback about calls of a route says anything about"
            " answers, so no model is recommended"
        )
    if share < 1:
        found.append(f"intervals are from {share:.1%} of the sessions; sums are of all calls")
    return found
