"""A load test in sentences and cells, for a terminal and for a page."""

from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.reports import words
from pricing.money import UNKNOWN, amount

Found = Mapping[str, Any]
LATE_S = 0.05  # of the generator itself, from which on it blurs what it measures


def plan(found: Found) -> str:
    """What is to be sent, and what it costs."""
    quote = found["quote"]
    expected, most = (
        UNKNOWN if quote[key] is None else amount(quote[key], "estimated")
        for key in ("expected_usd", "most_usd")
    )
    loads = ", ".join(load(one, closed=found["loop"] == "closed") for one in found["loads"])
    how = found["shape"] or f"a closed loop of {found['rounds']} rounds"
    return (
        f"{quote['requests']:,} requests to {found['target']} at {loads} ({how}, seed"
        f" {found['seed']}), mix of {found['mix']}: {expected} expected, {most} at most;"
        f" the limit is {amount(found['max_usd'], 'exact')}."
    )


def load(value: float, *, closed: bool) -> str:
    """A rate, or how many are in flight."""
    return f"{value:g} in flight" if closed else f"{value:g}/s"


def load_of(step: Found) -> str:
    """That of a step."""
    rate, in_flight = step["rate_per_s"], step["concurrency"]
    return load(in_flight if rate is None else rate, closed=rate is None)


def step_cells(step: Found) -> dict[str, str]:
    """One load."""
    return {
        "load": load_of(step),
        "due": f"{step['due']:,}",
        "ok": f"{step['ok']:,}",
        "limited": f"{step['limited']:,}",
        "failed": f"{step['failed'] + step['overflow']:,}",
        "censored": f"{step['censored'] + step['capped']:,}",
        "ttft": _p95(step["ttft"]),
        "visible": _p95(step["ttft_visible"]),
        "total": _p95(step["total"]),
        "itl": _p95(step["itl"], short=True),
        "gap": _p95(step["gap"]),
        "in_flight": f"{step['in_flight']:.1f}",
        "goodput": f"{step['goodput_per_s']:.2f}/s",
        "good": words.percent(step["good_share"]),
    }


def ended(found: Found) -> Iterator[str]:
    """What the table does not say."""
    for step in found["steps"]:
        at = load_of(step)
        for error, count in step["errors"].items():
            yield f"{at}: {count:,} × {error}"
        if step["capped"]:
            yield f"{at}: {step['capped']:,} were not sent, as they could exceed --max-usd"
        if step["censored"]:
            yield (
                f"{at}: {step['censored']:,} were still open at the end; they count by the time"
                " they had taken, so percentiles that reach them are lower bounds"
            )
        if (step["late_p95_s"] or 0) > LATE_S:
            late = words.seconds(step["late_p95_s"])
            yield f"{at}: this machine sent late (p95 {late}); take a lower rate, or a faster one"
        for one in step["slo"]:
            yield f"{at}: {slo(one)}"
        if step["bursts"]:
            yield f"{at}: {bursts(step['bursts'])}"
    if found["knee"] is not None:
        yield knee(found["knee"])
    unknown = sum(step["usd_unknown"] for step in found["steps"])
    more = (
        f"; the cost of {unknown:,} is not known, held back as the most it can be"
        if unknown
        else ""
    )
    yield f"Spent {amount(found['spent_usd'], 'estimated' if unknown else 'exact')}{more}."


def short(found: Found) -> str:
    """The whole in a line: the limits, the knee, and what it cost."""
    kept = [one["met"] for step in found["steps"] for one in step["slo"]]
    lines = [] if not kept else [f"{sum(map(bool, kept))} of {len(kept)} limits were met."]
    if found["knee"] is not None:
        lines.append(knee(found["knee"]))
    return " ".join((*lines, *list(ended(found))[-1:]))


def slo(found: Found) -> str:
    """One limit, and whether it was kept."""
    if found["value"] is None:
        return f"{found['slo']}: nothing was measured"
    error_rate = found["slo"].startswith("error")
    said = words.percent(found["value"]) if error_rate else words.seconds(found["value"])
    return f"{found['slo']}: {'met' if found['met'] else 'MISSED'} ({said})"


def bursts(found: Found) -> str:
    """p95 when few requests were due at once, and when many were."""
    calm, burst = found["calm"], found["burst"]
    key = "p95_ttft" if calm["p95_ttft"] and burst["p95_ttft"] else "p95_total"
    sides = [
        UNKNOWN if each[key] is None else words.seconds(each[key]["value"])
        for each in (calm, burst)
    ]
    tail = " A burst tail: size limits for bursts, not for the mean." if found["tail"] else ""
    what = "p95 TTFT" if key == "p95_ttft" else "p95"
    return (
        f"{what} {sides[0]} in the calm ({calm['per_s']:.1f}/s), {sides[1]} in bursts"
        f" ({burst['per_s']:.1f}/s).{tail}"
    )


def knee(found: Found) -> str:
    """Where more load stops being served as well, and between which loads that surely is."""
    closed = found["of"] == "concurrency"
    names = ("value", "low", "high", "overloaded_at", "up_to")
    value, low, high, over, up_to = (
        None if found[name] is None else load(found[name], closed=closed) for name in names
    )
    sides = [f"above {low}" if low else "", f"below {high}" if high else ""]
    surely = " and ".join(side for side in sides if side)
    surely = f" ({found['confidence']:.0%} sure: {surely})" if surely else ""
    if over is None:
        return f"No knee up to {up_to}{surely}."
    if value is None:
        return f"Overloaded at the lowest load already{surely}: at {over} {found['why']}."
    return f"Knee at {value}{surely}: at {over} {found['why']}."


def _p95(found: Found, *, short: bool = False) -> str:
    if not found["p95"]:
        return UNKNOWN if not found["count"] else "-"
    value = found["p95"]["value"]
    sign = "≥ " if found["lower_bound"] else ""
    return f"{sign}{value * 1000:.0f} ms" if short else f"{sign}{words.seconds(value)}"
