"""Reports how late the event loops of relays were.  Pure."""

from collections.abc import Mapping

from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS

SHARES = (0.5, 0.99, 0.999)


def lag_since(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Quantiles of the lag between two readings, as upper bounds."""
    counts = [after[name] - before.get(name, 0) for name in LAG_COUNTS]
    total = sum(counts)
    told = ", ".join(f"p{share * 100:g} {_bound(counts, share * total)}" for share in SHARES)
    return f"event-loop lag of the relays ({total:,} looks): {told}"


def _bound(counts: list[int], wanted: float) -> str:
    reached = 0
    for count, bound in zip(counts, LAG_BOUNDS_MS, strict=False):
        reached += count
        if reached >= wanted:
            return f"≤ {bound} ms"
    return f"> {LAG_BOUNDS_MS[-1]} ms"
