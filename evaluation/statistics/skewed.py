"""Intervals of ratios of skewed sums, such as costs, where few sessions hold much of the spend.

On the logarithm, with Hall's transformation (1992, J. R. Stat. Soc. B 54:221): T + aT²/3 + a²T³/27
+ a/6 is nearly normal if a is the skewness of the estimate T, and it rises everywhere, so that
there is always a bound, however wide.  The skewness of few clusters is seen too small, as the
largest are rarely among them; so it is at least that of a lognormal sum with the same spread, which
is three times its coefficient of variation.
"""

import math

import numpy as np

from evaluation.statistics.clusters import Clusters, Floats
from evaluation.statistics.interval import Interval

LOGNORMAL = 3.0  # skewness over coefficient of variation of a lognormal, to the first order
NOTHING = 1e-12  # a relative error below it is rounding
EXPONENT_MAX = 700.0  # e^710 is too much for a float


def log_interval(
    value: float, above: Floats, below: Floats, groups: Clusters, critical: float
) -> Interval:
    """The interval of a ratio `value` above 0, `critical` clustered standard errors to each side.

    `above` and `below` are by case: what it adds to the relative error of the numerator and of the
    denominator, such as x/x̄ - 1.  The bounds are None where there is a single cluster.
    """
    if groups.count < 2 or math.isinf(critical):
        return Interval(value, None, None)
    up, down = groups.sums(above), groups.sums(below)
    errors = up - down
    spread = math.sqrt(groups.count / (groups.count - 1) * float(errors @ errors))
    if spread < NOTHING:
        return Interval(value, value, value)
    held = float(up @ up), float(down @ down)
    bend = 1.5 * spread * (held[0] - held[1]) / float(errors @ errors)
    seen, usual = _skewness(errors), _lognormal(held, spread)
    high = _reach(critical, max(seen, usual), bend)
    low = _reach(critical, max(-seen, -usual), -bend)
    return Interval(value, value / _factor(low * spread), value * _factor(high * spread))


def _skewness(errors: Floats) -> float:
    """Of their sum, corrected as of a sample.  Two clusters are never skewed."""
    count = len(errors)
    if count < 3:
        return 0.0
    corrected = math.sqrt(count * (count - 1)) / (count - 2)
    return float(corrected * np.sum(errors**3) / (errors @ errors) ** 1.5)


def _lognormal(held: tuple[float, float], spread: float) -> float:
    """The skewness if both sums of the ratio were lognormal, of these squared relative errors."""
    found = (held[0] ** 2 - held[1] ** 2) / spread**3
    return LOGNORMAL * min(max(found, -spread), spread)


def _reach(critical: float, skewness: float, bend: float) -> float:
    """Standard errors to one side, at least `critical`.

    `bend` is what the logarithm has taken out of the skewness already.
    """
    left = skewness - bend
    inner = 1 - left * (critical + skewness / 6)
    if skewness <= 0:
        inner = max(inner, 0.0)  # skewed to the other side: the logarithm went too far
    if abs(left) < NOTHING:
        return max(critical, critical + skewness / 6)
    return max(critical, 3 / left * (1 - math.cbrt(inner)))


def _factor(exponent: float) -> float:
    return math.exp(min(exponent, EXPONENT_MAX))
