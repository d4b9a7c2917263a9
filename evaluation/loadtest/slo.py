"""Service-level objectives of a load test: `p95_ttft<1s`, `p99_total<10s`, `errors<1%`.

A limit on a time holds for a percentile of all answers; a single answer is good (goodput) if its
own time is within the limit, whatever the percentile.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.query.asked import near

TIMES = ("ttft", "ttft_visible", "total", "itl", "gap")
PERCENTILES = ("p50", "p90", "p95", "p99")
SHARES = {"errors": "error_rate", "error_rate": "error_rate"}
NAMES = (*(f"{at}_{time}" for at in PERCENTILES for time in TIMES), *SHARES)
_LIMIT = re.compile(r"([a-z0-9_]*)\s*(<=|<|≤)\s*([0-9]*\.?[0-9]+)\s*(ms|s|m|min|%|)")
_SECONDS = {"s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0}


@dataclass(frozen=True, slots=True)
class Slo:
    """One limit, in seconds or a share.  `at` is a percentile as a share; None for `error_rate`."""

    text: str
    metric: str
    at: float | None
    limit: float
    inclusive: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is within it."""
        return value <= self.limit if self.inclusive else value < self.limit


def slos(given: Iterable[str]) -> tuple[Slo, ...]:
    """The limits of `--slo`, each also with commas.  Raises ValueError with what to write."""
    words = [word.strip() for one in given for word in one.split(",") if word.strip()]
    return tuple(map(_slo, words))


def _slo(word: str) -> Slo:
    found = _LIMIT.fullmatch(word)
    name = found[1] if found else re.split(r"[<>=≤≥]", word)[0].strip()
    if name not in NAMES:
        raise ValueError(f"--slo: unknown metric {name[:100]!r}; {near(name, NAMES)}")
    if found is None:
        raise ValueError(f"--slo: {word!r} is no limit; write it as in p95_ttft<1s or errors<1%")
    _, sign, number, unit = found.groups()
    inclusive = sign != "<"
    if name in SHARES:
        share = float(number) * (0.01 if unit == "%" else 1.0)
        if unit not in ("%", "") or share > 1:
            raise ValueError(f"--slo: {name} is a share, as in {name}<1%")
        return Slo(word, SHARES[name], None, share, inclusive)
    if unit not in _SECONDS:
        raise ValueError(f"--slo: {name} needs a time with its unit, such as 800ms or 1.5s")
    percentile, _, metric = name.partition("_")
    return Slo(word, metric, float(percentile[1:]) / 100, float(number) * _SECONDS[unit], inclusive)
