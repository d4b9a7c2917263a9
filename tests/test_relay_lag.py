"""The relay measures the lag of its own event loop."""

import asyncio
import time
from decimal import Decimal
from pathlib import Path

from proxy.health.vitals import families
from proxy.journal.counters import LAG_COUNTS, LAG_SUM, read_counters
from proxy.journal.journal import Journal
from proxy.relay.lag import TICK_S, LoopLag
from proxy.settings.config import JournalOptions


async def test_a_loop_that_is_held_up_is_counted_as_late(tmp_path: Path) -> None:
    """It is counted below the bound that it stayed under, in a page that others can read."""
    journal = Journal(tmp_path, "relay0", JournalOptions())
    lag = LoopLag(journal)
    await asyncio.sleep(3 * TICK_S)
    before = read_counters(tmp_path / journal.writer)
    time.sleep(TICK_S + 0.3)  # noqa: ASYNC251 — what nobody should do on a loop
    await asyncio.sleep(TICK_S / 2)
    after = read_counters(tmp_path / journal.writer)
    lag.stop()
    await asyncio.sleep(2 * TICK_S)
    assert read_counters(tmp_path / journal.writer) == after
    journal.close()
    new = {name: after[name] - before[name] for name in (*LAG_COUNTS, LAG_SUM)}
    late = sum(new[name] for name in ("lag_256ms", "lag_512ms", "lag_1024ms", "lag_longer"))
    assert late == 1
    assert new[LAG_SUM] > 200_000
    assert sum(before[name] for name in LAG_COUNTS) in (2, 3)


def test_lag_is_a_histogram_in_seconds() -> None:
    """It has a bound for each counter but the last, and the sum of all lag."""
    counts = dict.fromkeys(LAG_COUNTS, 0) | {"lag_1ms": 7, "lag_64ms": 2, "lag_longer": 1}
    status = {"meter": {"loop_lag": counts | {LAG_SUM: 2_500_000}}}
    found = {family.name: family for family in families(status)}
    family = found["taximeter.relay.loop_lag"]
    assert (family.kind, family.unit, family.lasting) == ("histogram", "s", True)
    ((_, value),) = family.points
    assert not isinstance(value, int | float | Decimal)
    assert value.count == 10
    assert value.sum == Decimal("2.5")
    assert value.bounds[0] == Decimal("0.001")
    assert value.cumulative()[6] == 9  # at most 64 ms
