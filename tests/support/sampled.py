"""Samples of two meters and of budgets, and calls that were refused: for whatever shows them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.samples import SamplesTable
from exporters.record import Batch, Record
from exporters.samples import BudgetSample, NodeSample

SAMPLES, STEP = 60, timedelta(minutes=1)


def nodes(now: datetime) -> Iterator[NodeSample]:
    """An hour of two machines; the first begins anew in the middle."""
    for n in range(SAMPLES):
        at, since = now - (SAMPLES - n) * STEP, n % (SAMPLES // 2)
        for node, calls in (("a", since), ("b", n)):
            yield NodeSample(
                ts=at, node=node, uptime_s=60.0 * since, health="green",
                alerts=["lag"] if n == 9 else [],
                calls_begun=10 * calls, calls_ended=10 * calls, calls_lost=0, frames_dropped=0,
                metered=10 * calls, open_calls=n % 4, failed=0, waiting=n % 7, lag_s=0.1 * (n % 7),
                delivered=10 * calls, set_aside=0, retries=0, journal_bytes=4096 + n,
                journal_bytes_max=2**32, loop_lag_p99_us=2000 if n % 5 else None,
                memory_bytes=150_000_000 + 1000 * n, cpu_s=0.3 * since,
            )  # fmt: skip


def budgets(now: datetime) -> Iterator[BudgetSample]:
    """A budget in dollars that is spent in the end, and one of calls by user."""
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    for n in range(SAMPLES):
        for name, key, unit, limit, counted in (
            ("monthly", "", "usd", Decimal(5), Decimal(n) / 10),
            ("each-user", "user=it's", "calls", Decimal(1000), Decimal(7 * n)),
            ("free", "", "usd", None, Decimal(n)),
        ):
            share = counted / limit * 100 if limit else Decimal(0)
            yield BudgetSample(
                ts=now - (SAMPLES - n) * STEP, node="a", budget=name, key=key, unit=unit,
                state="unlimited" if limit is None else "spent" if share >= 100 else "ok",
                action="block", window_start=start, window_end=start + timedelta(days=31),
                limit_amount=limit, spent=counted, counted=counted, reserved=Decimal(0),
                forecast=counted * 2 if n else None, forecast_low=counted if n else None,
                forecast_high=counted * 3 if n else None, unknown_calls=0, refused_calls=n // 20,
                alerts=["50"] if share >= 50 else [],
            )  # fmt: skip


async def store(dsn: str, database: str, records: Sequence[Record]) -> None:
    """Write them; of some `records` the calls that were refused instead of made."""
    table, now = SamplesTable(dsn, database=database), datetime.now(UTC)
    rows = ClickHouse(dsn, database=database)
    turned_away = [
        replace(record, outcome="refused", blocked_by=("monthly", "it's")) for record in records
    ]
    await rows.export(Batch("refused", tuple(turned_away)))
    await table.write([*nodes(now), *budgets(now)])
    await rows.close()
    await table.close()
