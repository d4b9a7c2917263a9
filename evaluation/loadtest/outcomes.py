"""What became of each request, and what a test says of all of them.  Pure.

Every time counts from when the request was *due*, not from when it was sent: what waits because of
an answer that is late is part of the answer to the load.  Requests that were still open at the end
count by the time they had taken so far, so percentiles that they reach are lower bounds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np

from evaluation.loadtest.slo import PERCENTILES, TIMES, Slo
from evaluation.statistics import quantile

Kind = Literal["ok", "limited", "failed", "censored", "capped", "overflow"]
WINDOW_S = 1.0  # requests that are due within it are slow together
BURST_S = 1.0  # before a request was due, in which others count as its crowd, or p95 if longer
CALM, BURST = 0.5, 0.8  # quantiles of the crowd: at most, at least
TAIL_RATIO = 2.0  # of p95 in bursts to p95 in calm that is worth a word
TAIL_MIN = 3  # requests so slow in bursts; a single one may be chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One request; seconds from when it was due.  None: it did not happen, or is not known."""

    due_s: float
    kind: Kind
    ended_s: float = 0.0
    late_s: float = 0.0  # sent so much after it was due: the generator's own fault
    error: str = ""
    ttft_s: float | None = None
    visible_s: float | None = None  # likewise to the first token that is no reasoning
    itl_s: float | None = None  # between output tokens
    gap_s: float | None = None  # the longest between two chunks
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    usd: Decimal | None = None
    name: str = ""

    @property
    def sent(self) -> bool:
        return self.kind not in ("capped", "overflow")

    def time(self, metric: str) -> float | None:
        """One of its times; of a request that was still open, what it had taken so far."""
        found = {
            "ttft": self.ttft_s,
            "ttft_visible": self.visible_s,
            "total": self.ended_s,
            "itl": self.itl_s,
            "gap": self.gap_s,
        }[metric]
        if found is None and self.kind == "censored" and metric in ("ttft", "ttft_visible"):
            return self.ended_s
        return found

    def timed(self, metric: str) -> float | None:
        """The same where it counts in percentiles: of answers, and of what was still open."""
        return self.time(metric) if self.kind in ("ok", "censored") else None


def good(outcome: Outcome, limits: Sequence[Slo]) -> bool:
    """Whether it was answered, with every time of its own within the limits."""
    if outcome.kind != "ok":
        return False
    times = ((one, outcome.time(one.metric)) for one in limits if one.at is not None)
    return all(value is None or one.holds(value) for one, value in times)


def figures(
    outcomes: Sequence[Outcome], limits: Sequence[Slo], seconds: float
) -> dict[str, object]:
    """For JSON; of the requests that were due in `seconds`, warm-up left out by the caller."""
    sent = [one for one in outcomes if one.sent]
    kinds = Counter(one.kind for one in outcomes)
    ok = [one for one in sent if one.kind == "ok"]
    fine = sum(good(one, limits) for one in sent)
    known = [one.usd for one in sent if one.usd is not None]
    span_s = max(seconds, 1e-9)
    errors = (len(sent) - len(ok)) / len(sent) if sent else None
    return {
        "due": len(outcomes),
        "sent": len(sent),
        **{
            name: kinds[name]
            for name in ("ok", "limited", "failed", "censored", "capped", "overflow")
        },
        "errors": dict(Counter(one.error for one in sent if one.error).most_common()),
        "error_rate": errors,
        "offered_per_s": len(outcomes) / span_s,
        "ok_per_s": len(ok) / span_s,
        "goodput_per_s": fine / span_s,
        "good_share": fine / len(outcomes) if outcomes else None,
        "in_flight": sum(one.ended_s for one in sent) / span_s,  # on average, by Little's law
        "output_tokens_per_s": sum(one.output_tokens for one in ok) / span_s,
        "input_tokens": sum(one.input_tokens for one in sent),
        "cached_tokens": sum(one.cached_tokens for one in sent),
        "output_tokens": sum(one.output_tokens for one in sent),
        "usd": format(sum(known, Decimal(0)), "f"),
        "usd_unknown": len(sent) - len(known),
        "late_p95_s": _late(sent),
        **{metric: times(sent, metric) for metric in TIMES},
        "slo": [_slo(one, sent, errors) for one in limits],
    }


def times(sent: Sequence[Outcome], metric: str) -> dict[str, object]:
    """Percentiles with intervals; clustered by second, as those of one burst are slow together."""
    rows = [
        (value, int(one.due_s / WINDOW_S), one.kind == "censored")
        for one in sent
        if (value := one.timed(metric)) is not None
    ]
    found: dict[str, object] = {"count": len(rows)}
    if not rows:
        return found | dict.fromkeys(PERCENTILES) | {"lower_bound": False}
    values = [value for value, *_ in rows]
    groups = [group for _, group, _ in rows]
    least_open = min((value for value, _, is_open in rows if is_open), default=None)
    intervals = {at: quantile(values, float(at[1:]) / 100, groups) for at in PERCENTILES}
    highest = intervals["p99"].value
    reached = least_open is not None and highest is not None and highest >= least_open
    return (
        found
        | {at: interval.document() for at, interval in intervals.items()}
        | {"max": max(values), "lower_bound": reached}
    )


def _late(sent: Sequence[Outcome]) -> float | None:
    return float(np.quantile([one.late_s for one in sent], 0.95)) if sent else None


def _slo(limit: Slo, sent: Sequence[Outcome], errors: float | None) -> dict[str, object]:
    """`met` is None where nothing was measured."""
    value = errors
    if limit.at is not None:
        known = [value for one in sent if (value := one.timed(limit.metric)) is not None]
        value = quantile(known, limit.at).value if known else None
    met = None if value is None else limit.holds(value)
    return {"slo": limit.text, "value": value, "limit": limit.limit, "met": met}


def crowds(outcomes: Sequence[Outcome], window_s: float = BURST_S) -> list[int]:
    """How many requests were due in the time before each one, itself included."""
    dues = np.sort(np.asarray([one.due_s for one in outcomes]))
    at = np.asarray([one.due_s for one in outcomes])
    before = np.searchsorted(dues, at - window_s, side="right")
    return [int(n) for n in np.searchsorted(dues, at, side="right") - before]


def bursts(outcomes: Sequence[Outcome]) -> dict[str, object] | None:
    """p95 in the calm and in the bursts; None if arrivals were too even to tell them apart.

    A request is in a burst if many others were due while it, or one as slow, would be under way.
    """
    if not outcomes:
        return None
    ends = [one.ended_s for one in outcomes if one.kind in ("ok", "censored")]
    window_s = max(BURST_S, float(np.quantile(ends, 0.95)) if ends else 0.0)
    sizes = np.asarray(crowds(outcomes, window_s))
    calm_max, burst_min = float(np.quantile(sizes, CALM)), float(np.quantile(sizes, BURST))
    if burst_min <= calm_max:
        return None
    parts: Mapping[str, Callable[[int], bool]] = {
        "calm": lambda size: size <= calm_max,
        "burst": lambda size: size >= burst_min,
    }
    found: dict[str, object] = {"window_s": window_s}
    p95: dict[str, float | None] = {}
    burst_times: list[float] = []
    for name, holds in parts.items():
        part = [one for one, size in zip(outcomes, sizes, strict=True) if holds(size)]
        sent = [one for one in part if one.sent]
        ttft, total = times(sent, "ttft"), times(sent, "total")
        metric = "ttft" if ttft["count"] else "total"
        interval = (ttft if ttft["count"] else total)["p95"]
        known = (one.timed(metric) for one in sent)
        burst_times = [value for value in known if value is not None]  # the last part is the burst
        p95[name] = interval["value"] if isinstance(interval, dict) else None
        found[name] = {
            "requests": len(part),
            "per_s": float(np.mean([s for s in sizes if holds(s)])) / window_s,
            "limited": sum(one.kind == "limited" for one in part),
            "p95_ttft": ttft["p95"],
            "p95_total": total["p95"],
        }
    calm, burst = p95["calm"], p95["burst"]
    ratio = burst / calm if calm and burst is not None else None
    slow = sum(value >= TAIL_RATIO * calm for value in burst_times) if calm else 0
    tail = ratio is not None and ratio >= TAIL_RATIO and slow >= TAIL_MIN
    return found | {"ratio": ratio, "tail": tail}
