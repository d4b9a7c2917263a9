"""A model against itself in an earlier run: what looking again and again allows to say.  No I/O.

Every finished run since then is a look, and an interval at each look excludes the truth sooner or
later: those here hold at all looks together.  Where some cases are missing now, the earlier scores
of all of them make up for what those at hand happen to be like (CUPED).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from evaluation.reports.bounds import bounds
from evaluation.reports.differences import Difference, compared, corrected
from evaluation.reports.pairs import difference, paired
from evaluation.reports.rows import CaseRows, ModelRows, Run
from evaluation.statistics import (
    CONFIDENCE,
    Estimate,
    cuped_change,
    detectable_difference,
    look_confidence,
    verdict,
)
from exporters.evaluation import FINISHED

CLUSTERS_MIN = 20  # that both runs have; with fewer, β is guesswork


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A model's accuracy now minus in an earlier run."""

    found: Estimate
    cases: int  # that both runs have
    missing: int = 0  # of the earlier run, which are missing now and which β makes up for
    slope: float | None = None  # β; None: nothing is missing, and the cases are paired


def look_of(runs: Iterable[Run], now: Run, against: Run) -> int:
    """Which look at the run `against` this one is, among all `runs`: 1 for the first after it."""
    later = {
        run.run_id
        for run in runs
        if run.state == FINISHED
        and against.ts < run.ts <= now.ts
        and same_suite(run, against)
        and set(run.models) & set(now.models)
    }
    return len(later | {now.run_id})


def same_suite(now: Run, before: Run) -> bool:
    """Whether both runs were asked the same cases, so that one without an answer is missing."""
    return (now.suite, now.suite_version) == (before.suite, before.suite_version)


def since(
    models: Sequence[ModelRows],
    before: Mapping[str, ModelRows],
    look: int,
    smallest: float,
    *,
    complete: bool,
) -> list[Difference]:
    """Each model against itself in an earlier run, at this look; `before` is by model.

    A verdict is by the bounds that hold at every look, and `smallest` the least difference that
    matters.
    """
    both = [model for model in models if model.model in before]
    if not both:
        return []
    confidence = look_confidence(look, len(both))
    pairs = corrected([compared(model, before[model.model], smallest) for model in both])
    found = []
    for model, pair in zip(both, pairs, strict=True):
        now, then = model.scored(), before[model.model].scored()
        once = change(now, then, CONFIDENCE, complete=complete)
        always = change(now, then, confidence, complete=complete)
        if once is None or always is None:
            found.append(msgspec.structs.replace(pair, look=look))
            continue
        se = always.found.se
        found.append(
            msgspec.structs.replace(
                pair,
                difference=bounds(once.found.interval),
                at_every_look=bounds(always.found.interval),
                detectable_difference=None
                if se is None
                else detectable_difference(se, confidence=confidence),
                verdict=str(verdict(always.found, smallest)),
                look=look,
                missing_cases=once.missing,
            )
        )
    return found


def change(
    now: Sequence[CaseRows], before: Sequence[CaseRows], confidence: float, *, complete: bool
) -> Change | None:
    """The change of one model over cases with answers; None without a case in common.

    `complete`: both were asked the same cases, so that those without an answer now are missing.
    """
    same, _ = paired(now, before)
    if not same:
        return None
    known = {case.case_id for case, _ in same}
    rest = [case for case in before if case.case_id not in known]
    alike = len({case.weight for case in [*before, *now]}) == 1
    enough = len({case.group for case, _ in same}) >= CLUSTERS_MIN
    if not (rest and complete and alike and enough):
        return Change(found=difference(same, confidence), cases=len(same))
    found, slope = cuped_change(
        [_mean(case) for case, _ in same],
        [_mean(other) for _, other in same],
        [case.group for case, _ in same],
        [_mean(case) for case in rest],
        [case.group for case in rest],
        confidence=confidence,
    )
    return Change(found=found, cases=len(same), missing=len(rest), slope=slope)


def _mean(case: CaseRows) -> float:
    return sum(case.scores) / len(case.scores)
