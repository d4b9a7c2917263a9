"""Samples of a meter and its budgets: what they say, and what becomes of them without a store."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.clickhouse.samples import Sample, SamplesTable
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from exporters.samples import NodeSample
from proxy.budgets.samples import KEYS_MAX, budget_samples
from proxy.budgets.shown import Firing
from proxy.health.samples import lag_quantile, node_sample
from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS
from proxy.serving.samples import KEPT_MAX, Samples, used

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
STATUS: dict[str, dict[str, Any]] = {
    "meter": {
        "ok": True, "uptime_s": 5.5, "metered": 9, "open": 2, "failed": 0,
        "journal": {"calls_begun": 11, "calls_ended": 9, "calls_lost": 1, "frames_dropped": 3},
        "journal_bytes": {"calls": 50, "records": 90},
        "journal_bytes_max": {"calls": 100, "records": 1000},
        "loop_lag": {name: 0 for name in LAG_COUNTS},
    },
    "clickhouse": {"ok": True, "waiting": 4, "lag_s": 1.5, "delivered": 7, "set_aside": 1},
}  # fmt: skip


def sample(status: Any = STATUS, **more: Any) -> NodeSample:
    given: dict[str, Any] = {"at": NOW, "node": "a", "severities": (), "alerts": ()} | more
    return node_sample(status, {}, used=(1024, 0.5), **given)


def document(name: str = "b", percent: str | None = "50", **more: Any) -> dict[str, Any]:
    """An entry of `/api/budgets`."""
    return {
        "name": name, "key": {}, "state": "ok", "action": "alert", "percent": percent,
        "window_start": NOW.isoformat(), "window_end": None, "limit_usd": "2", "spent_usd": "1",
        "counted_usd": "1.5", "reserved_usd": "0", "forecast_usd": None, "unknown_calls": None,
        "refused_calls": 3, "alerts": [Firing("i", "50", None)],
    } | more  # fmt: skip


def test_a_sample_says_what_health_says() -> None:
    """The fullest journal by its share, not by its bytes; what is not there is 0 or unknown."""
    found = sample()
    assert (found.calls_begun, found.calls_lost, found.open_calls, found.waiting) == (11, 1, 2, 4)
    assert (found.journal_bytes, found.journal_bytes_max) == (50, 100)
    assert (found.health, found.loop_lag_p99_us) == ("green", None)
    assert sample({}).metered == 0
    assert sample(severities=["warning"]).health == "amber"
    assert sample(severities=["critical"]).health == "red"
    assert sample({**STATUS, "clickhouse": {"ok": False}}).health == "red"


@given(st.lists(st.integers(0, 50), min_size=len(LAG_COUNTS), max_size=len(LAG_COUNTS)))
def test_the_lag_is_that_since_the_last_sample(counts: list[int]) -> None:
    """The bucket holds the quantile; what was counted before is left out."""
    before = dict.fromkeys(LAG_COUNTS, 7)
    now = {name: 7 + count for name, count in zip(LAG_COUNTS, counts, strict=True)}
    found = lag_quantile(now, before, 0.99)
    if not sum(counts):
        assert found is None
        return
    assert found is not None
    below = sum(n for n, ms in zip(counts, LAG_BOUNDS_MS, strict=False) if ms * 1000 < found)
    assert below < 0.99 * sum(counts)
    assert lag_quantile(before, now, 0.99) is None  # a relay began anew


def test_budgets_with_many_keys_send_the_fullest() -> None:
    """So one budget by user does not fill a table; the unit is that of the limit."""
    keys = [document(percent=str(n), key={"user": f"u{n}"}) for n in range(100)]
    tokens = document("t", None, key={}) | {"limit_tokens": "7", "counted_tokens": "5"}
    del tokens["limit_usd"]
    found = budget_samples([*keys, tokens], at=NOW, node="a")
    assert [one.key for one in found[:2]] == ["user=u99", "user=u98"]
    assert len(found) == KEYS_MAX + 1
    amounts = (found[-1].unit, found[-1].limit_amount, found[-1].counted)
    assert amounts == ("tokens", Decimal(7), Decimal(5))
    assert (found[0].counted, found[0].forecast, found[0].alerts) == (Decimal("1.5"), None, ["50"])


class Table:
    """A store that may be away."""

    def __init__(self) -> None:
        self.away, self.rows = False, list[Sample]()

    async def write(self, samples: Sequence[Sample]) -> None:
        if self.away:
            raise TransientError("away")
        self.rows += samples


async def test_samples_wait_for_the_store() -> None:
    """The newest are kept, and written once it is back; nothing is written twice."""
    table = Table()
    alert = SimpleNamespace(name="lag", severity="warning")
    samples = Samples(
        table, "a", status=lambda: STATUS, alerts=lambda: {"firing": [alert]}, budgets=list
    )
    table.away = True
    for _ in range(KEPT_MAX + 5):
        samples.look(NOW)
    await samples.write()
    assert table.rows == []
    table.away = False
    await samples.write()
    await samples.write()
    assert len(table.rows) == KEPT_MAX
    assert isinstance(table.rows[0], NodeSample)
    assert table.rows[0].alerts == ["lag"]
    assert used()[0] > 1_000_000


@pytest.mark.parametrize("times", [1, 2])
async def test_rows_are_what_was_taken(chdb_dsn: str, database: str, times: int) -> None:
    """In both tables, once however often they are sent."""
    table = SamplesTable(chdb_dsn, database=database)
    store = Store(chdb_dsn, database=database)
    taken: list[Sample] = [sample(), *budget_samples([document()], at=NOW, node="a")]
    for _ in range(times):
        await table.write(taken)
    (node,) = await store.ask("SELECT * FROM node_samples", {})
    (budget,) = await store.ask("SELECT * FROM budget_samples", {})
    assert (node["waiting"], node["memory_bytes"], node["alerts"]) == (4, 1024, [])
    assert (budget["counted"], budget["window_end"], budget["alerts"]) == ("1.5", None, ["50"])
    await table.close()
    await store.close()
