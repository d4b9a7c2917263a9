"""Numbers of a report as people read them."""

from evaluation.reports.bounds import Bounds
from evaluation.reports.differences import Difference
from evaluation.reports.report import ModelReport, Report
from pricing.money import UNKNOWN, amount


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return UNKNOWN if value is None else f"{value * 100:.1f} %"


def points(value: float | None) -> str:
    """A difference of shares, in percentage points."""
    return UNKNOWN if value is None else f"{value * 100:+.1f}"


def usd(value: float | None) -> str:
    """An amount in dollars, to three digits."""
    if value is None:
        return UNKNOWN
    return amount(f"{value:.3g}" if value else "0", "exact") if value < 1e12 else f"${value:.3g}"


def seconds(value: float | None) -> str:
    """A duration."""
    return UNKNOWN if value is None else f"{value:.2f} s"


def spread(bounds: Bounds, say: object = percent) -> str:
    """Both bounds; one that is not known is open."""
    assert callable(say)
    if bounds.low is None and bounds.high is None:
        return UNKNOWN
    if bounds.high is None:
        return f"at least {say(bounds.low)}"
    if bounds.low is None:
        return f"at most {say(bounds.high)}"
    return f"{say(bounds.low)} – {say(bounds.high)}"


def detectable(model: ModelReport) -> str:
    """The smallest difference that the comparison can see."""
    found = model.detectable_difference
    return UNKNOWN if found is None else f"{found * 100:.1f} points"


def difference(found: Difference) -> str:
    """One comparison as a sentence."""
    said = found.difference
    if said.value is None:
        return f"{found.first} and {found.second}: {found.verdict}"
    p = "" if found.p_holm is None else f", p = {found.p_holm:.3g}"
    return (
        f"{points(said.value)} points ({spread(said, points)}{p},"
        f" {found.cases:,} cases): {found.verdict}"
    )


def since(found: Difference) -> str:
    """One model against itself in an earlier run, as a sentence."""
    said = found.difference
    if said.value is None:
        return found.verdict
    looks = f"{found.look} look{'s' * (found.look != 1)}"
    always = f"{spread(found.at_every_look, points)} over {looks}"
    missing = changed = ""
    if found.missing_cases:
        missing = f", {found.missing_cases:,} missing ones made up for by their earlier scores"
    if found.changed_cases:
        changed = f", {found.changed_cases:,} changed ones left out"
    return (
        f"{points(said.value)} points ({spread(said, points)} alone, {always};"
        f" {found.cases:,} cases{missing}{changed}): {found.verdict}"
    )


def heading(found: Report) -> str:
    """What the report is about."""
    half = f"{found.cases:,} cases"
    if found.other_half_cases:
        other = "open" if found.half == "hidden" else "hidden"
        half = f"{found.half} half: {found.cases:,} cases, {found.other_half_cases:,} {other} ones"
    samples = f"{found.samples} answer{'s' * (found.samples != 1)}"
    state = "" if found.state in ("finished", "imported") else f", {found.state}, so not complete"
    return f"{found.suite} {found.suite_version}, {half}, {samples} for each{state}"
