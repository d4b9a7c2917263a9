"""The knee of a ladder of rates: up to where more load is served as well as little load was."""

from collections.abc import Mapping, Sequence
from typing import Any

SERVED_MIN = 0.95  # of what is offered
SLOWER_MAX = 2.0  # times p95 of the lowest step
STEPS = 5
STEPS_MAX = 12

Step = Mapping[str, Any]  # `rate_per_s` and the figures of a step


def rates(highest: float, steps: int) -> list[float]:
    """From the lowest to the highest, each twice the one before."""
    return [highest / 2 ** (steps - 1 - at) for at in range(steps)]


def knee(steps: Sequence[Step], *, has_slo: bool) -> dict[str, object]:
    """The highest rate before the first step that is overloaded, and why that one is.

    With an SLO a step is overloaded if less than 95 % of its requests are good; without one if so
    many are not answered, or p95 is more than twice that of the lowest step.
    """
    last: float | None = None
    for step in steps:
        why = _overloaded(step, steps[0], has_slo)
        if why:
            return {"rate_per_s": last, "overloaded_at_per_s": step["rate_per_s"], "why": why}
        last = step["rate_per_s"]
    return {"rate_per_s": None, "overloaded_at_per_s": None, "why": "", "above_per_s": last}


def _overloaded(step: Step, lowest: Step, has_slo: bool) -> str:
    if not step["due"]:
        return ""
    if has_slo and step["good_share"] < SERVED_MIN:
        return f"{step['good_share']:.1%} of the requests meet the SLO"
    answered = step["ok"] / step["due"]
    if answered < SERVED_MIN:
        return f"{answered:.1%} of the requests are answered"
    if has_slo:
        return ""
    metric = "ttft" if step["ttft"]["count"] and lowest["ttft"]["count"] else "total"
    here, there = step[metric]["p95"], lowest[metric]["p95"]
    if here and there and there["value"] and here["value"] > SLOWER_MAX * there["value"]:
        return f"p95 is {here['value'] / there['value']:.1f} times that of the lowest rate"
    return ""
