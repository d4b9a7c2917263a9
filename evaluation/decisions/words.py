"""Numbers of a comparison as people read them."""

from collections.abc import Callable, Iterator

from evaluation.decisions.comparison import Compared, Comparison, CriterionResult
from evaluation.decisions.metrics import METRICS, Unit
from evaluation.reports.bounds import Bounds
from evaluation.reports.words import percent, spread, usd
from pricing.money import UNKNOWN


def duration(value: float | None) -> str:
    """Seconds, or milliseconds below one."""
    if value is None:
        return UNKNOWN
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def say(value: float | None, unit: Unit) -> str:
    """A value in the unit of a metric."""
    return {"usd": usd, "s": duration, "share": percent}[unit](value)


def saying(unit: Unit) -> Callable[[float | None], str]:
    """`say` for one unit."""
    return lambda value: say(value, unit)


def range_of(found: Bounds, unit: Unit) -> str:
    """Its interval."""
    return spread(found, saying(unit))


def chance(probability: float | None) -> str:
    """A probability from draws: of a thousand draws none is no proof that it never is."""
    if probability is None:
        return UNKNOWN
    if not 0.01 <= probability <= 0.99:
        return "> 99 %" if probability > 0.5 else "< 1 %"
    return f"{probability * 100:.0f} %"


def points(found: Bounds | None) -> str:
    """A score, of 100."""
    return UNKNOWN if found is None or found.value is None else f"{100 * found.value:.1f}"


def limits(found: Compared) -> str:
    """Whether a candidate meets the limits, and which it misses."""
    missed = [one.limit for one in found.limits if one.met is False]
    unknown = [one.limit for one in found.limits if one.met is None]
    said = [f"misses {each}" for each in missed] + [f"{each} unknown" for each in unknown]
    doubtful = [
        f"{one.limit} with {chance(one.probability)}"
        for one in found.limits
        if one.met and one.probability is not None and one.probability < 0.95
    ]
    return ", ".join((*said, *doubtful)) or ("met" if found.limits else "")


def stays(one: CriterionResult, winner: str) -> str:
    """How far the weight of a criterion may move before another wins."""
    if not one.used:
        return f"{one.metric}: measured for no candidate"
    if one.low is None or one.high is None:
        return f"{one.metric}: no candidate has a score"
    if one.low <= 0 and one.high >= 1:
        return f"{one.metric}: {winner} stays ahead at any weight"
    return (
        f"{one.metric}: {winner} stays ahead while it has {percent(one.low)} to"
        f" {percent(one.high)} of the weight (now {percent(one.share)})"
    )


def frontier(found: Comparison) -> Iterator[str]:
    """Who is dominated, and by whom."""
    for one in found.candidates:
        if one.dominated_by:
            yield f"{one.candidate} is dominated by {', '.join(one.dominated_by)}"


def heading(found: Comparison) -> str:
    """What is compared, and by what."""
    titles = ", ".join(METRICS[name].title for name in found.axes)
    count = len(found.candidates)
    return f"{count} candidate{'s' * (count != 1)} by {titles}. Quality: {found.quality}."


def volume(found: Comparison) -> str:
    """Hull and hypervolume, with the reference that the latter depends on."""
    if found.hypervolume is None or not found.hull:
        return ""
    area = "" if found.aiq is None else f"mean quality along the hull (AIQ) {found.aiq:.4f}, "
    usd_ref, miss = found.hypervolume_reference
    return (
        f"{area}hypervolume {found.hypervolume:.6f} against"
        f" ${usd_ref:g} for a success and {miss:.0%} wrong answers"
    )
