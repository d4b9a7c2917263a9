"""Our own health as a row, from the status that `/api/health` shows.  Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from exporters.samples import NodeSample
from proxy.health.vitals import Status
from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS

STORE = "clickhouse"  # the component that takes rows to the store


def node_sample(
    status: Status,
    before: Status,
    *,
    at: datetime,
    node: str,
    severities: Sequence[str],
    alerts: Sequence[str],
    used: tuple[int, float],
) -> NodeSample:
    """`before` is the status at the last sample, `used` bytes of memory and seconds of CPU time."""
    meter, store = status.get("meter", {}), status.get(STORE, {})
    relays = _part(meter, "journal")
    sizes, limits = _part(meter, "journal_bytes"), _part(meter, "journal_bytes_max")
    fullest = max(sizes, key=lambda name: sizes[name] / (limits.get(name) or 1), default="")
    lag = _part(meter, "loop_lag")
    return NodeSample(
        ts=at,
        node=node,
        uptime_s=float(_number(meter, "uptime_s")),
        health=_health(status, severities),
        alerts=list(alerts),
        calls_begun=_count(relays, "calls_begun"),
        calls_ended=_count(relays, "calls_ended"),
        calls_lost=_count(relays, "calls_lost"),
        frames_dropped=_count(relays, "frames_dropped"),
        metered=_count(meter, "metered"),
        open_calls=_count(meter, "open"),
        failed=_count(meter, "failed"),
        waiting=_count(store, "waiting"),
        lag_s=float(_number(store, "lag_s")),
        delivered=_count(store, "delivered"),
        set_aside=_count(store, "set_aside"),
        retries=_count(store, "retries"),
        journal_bytes=_count(sizes, fullest),
        journal_bytes_max=_count(limits, fullest),
        loop_lag_p99_us=lag_quantile(lag, _part(before.get("meter", {}), "loop_lag"), 0.99),
        memory_bytes=used[0],
        cpu_s=used[1],
    )


def lag_quantile(now: Mapping[str, Any], before: Mapping[str, Any], level: float) -> int | None:
    """The upper end, in µs, of the bucket that holds this share of what came since `before`.

    None if nothing came.  Beyond the last bound it is that bound: a lower bound.
    """
    counts = [max(0, _count(now, name) - _count(before, name)) for name in LAG_COUNTS]
    left = level * sum(counts)
    if not left:
        return None
    for bound, count in zip((*LAG_BOUNDS_MS, LAG_BOUNDS_MS[-1]), counts, strict=True):
        left -= count
        if left <= 0:
            return bound * 1000
    return LAG_BOUNDS_MS[-1] * 1000


def _health(status: Status, severities: Sequence[str]) -> str:
    if "critical" in severities or not all(part.get("ok", True) for part in status.values()):
        return "red"
    return "amber" if severities else "green"


def _part(part: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = part.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(part: Mapping[str, Any], name: str) -> float:
    found = part.get(name)
    return found if isinstance(found, int | float) else 0


def _count(part: Mapping[str, Any], name: str) -> int:
    return max(0, int(_number(part, name)))
