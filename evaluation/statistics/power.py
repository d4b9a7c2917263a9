"""How many cases a comparison needs, and what one of so many cases can see at all.

n = (z_α/2 + z_β)²·(ω² + σ_A²/K_A + σ_B²/K_B)/δ² (Miller 2024, section 5,
https://huggingface.co/papers/2411.00640).  The variance between paired case differences, and so the
standard error of `means.difference`, already is what stands in the second bracket.
"""

import math
from dataclasses import dataclass
from typing import Literal

from evaluation.statistics.interval import CONFIDENCE, Estimate
from evaluation.statistics.quantiles import normal_cdf, normal_quantile

POWER = 0.8  # how often a difference that is there shall be seen
CASES_MAX = 10**9  # "more than this" is as good as never

Conclusion = Literal["better", "worse", "alike", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a paired difference allows to say.  `more` cases are needed where it is nothing yet."""

    conclusion: Conclusion
    more: int | None = None  # None: decided, or no number of cases can be named

    def __str__(self) -> str:
        if self.conclusion != "cannot tell":
            return self.conclusion
        if self.more is None:
            return "cannot tell: cases from more clusters needed"
        return f"cannot tell: {self.more:,} more case{'s' * (self.more != 1)} needed"


def detectable_difference(
    se: float, *, confidence: float = CONFIDENCE, power: float = POWER
) -> float:
    """The smallest true difference that a comparison with this standard error sees with `power`.

    In the unit of the scores; two-sided.  Raises ValueError for a negative standard error.
    """
    if se < 0:
        raise ValueError(f"a standard error is not negative: {se}")
    return _steps(confidence, power) * se


def cases_needed(
    variance: float, difference: float, *, confidence: float = CONFIDENCE, power: float = POWER
) -> int:
    """Cases that see a true `difference` with `power`; `variance` is that of one case's difference.

    For clusters it is se²·cases, which grows with what they have in common.  At least 2.  Raises
    ValueError for a difference of 0 or a negative variance.
    """
    if not difference or variance < 0:
        raise ValueError("cases_needed: the difference must not be 0, nor the variance negative")
    cases = (_steps(confidence, power) / difference) ** 2 * variance
    return min(max(math.ceil(cases), 2), CASES_MAX)


def power_of(difference: float, se: float, *, confidence: float = CONFIDENCE) -> float:
    """How often a true `difference` is seen, in either direction."""
    if se <= 0:
        return 1.0 if difference else 1 - confidence
    z, shift = normal_quantile((1 + confidence) / 2), difference / se
    return normal_cdf(shift - z) + normal_cdf(-shift - z)


def variance_of_difference(
    between: float, noise: tuple[float, float], samples: tuple[int, int]
) -> float:
    """ω² + σ_A²/K_A + σ_B²/K_B: of one case's difference, for planning.

    `between` is the variance over cases of the true differences, `noise` the mean variance of one
    sample of a case for each model, `samples` how many each answers.
    """
    if min(samples) < 1 or min(between, *noise) < 0:
        raise ValueError("variances are not negative, and every case has a sample")
    return between + noise[0] / samples[0] + noise[1] / samples[1]


def verdict(found: Estimate, smallest: float, *, power: float = POWER) -> Verdict:
    """What `found`, a paired difference, says; `smallest` is the least difference that matters.

    "alike": any difference is smaller than that.  Else the missing cases: those that would see
    `smallest` with `power`, and that would bring the present interval to one side.
    """
    if smallest <= 0:
        raise ValueError("the smallest difference that matters is above 0")
    low, high, se = found.low, found.high, found.se
    if low is None or high is None or se is None:
        return Verdict("cannot tell")
    if low > 0:
        return Verdict("better")
    if high < 0:
        return Verdict("worse")
    if -smallest < low and high < smallest:
        return Verdict("alike")
    if math.isinf(found.critical):
        return Verdict("cannot tell")
    planned = cases_needed(se**2 * found.cases, smallest, power=power)
    half = max(high - found.value, found.value - low)
    room = max(abs(found.value), smallest - abs(found.value))
    resolved = math.ceil(min(found.cases * (half / room) ** 2, CASES_MAX))
    return Verdict("cannot tell", max(planned - found.cases, resolved - found.cases, 1))


def _steps(confidence: float, power: float) -> float:
    return normal_quantile((1 + confidence) / 2) + normal_quantile(power)
