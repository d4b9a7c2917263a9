"""Answers what fixed costs come to, by the words of a report: asks the store for weights."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from exporters.clickhouse.query import Filter, Query
from exporters.clickhouse.reports import Asks
from exporters.clickhouse.weights_sql import BIN, GROUPS_MAX, weights
from pricing.charge import plain
from proxy.invoices.amortised import FixedCost, Group, Spread, accrued, rounded, spread, together
from proxy.query.answer import instant_text
from proxy.query.asked import Accepted, asked
from proxy.settings.bills import FixedCostOptions

HOUR_S, QUARTER_S = 3600, 900  # some zones begin their days at quarters of hours
Row = dict[str, Any]


async def amortised(store: Asks, costs: Mapping[str, FixedCostOptions], query: Query) -> Row:
    """Rows with the names of `query.by`, its bucket, and `amortised_usd`; and each cost's own sums.

    `idle_usd` accrued in windows without a call that shares.  `spread_usd` of a period that is part
    of a window is the part of its calls; the rest belongs to the other calls of the window.  Raises
    TransientError, and ValueError for a period without a beginning and for too many groups.
    """
    if query.since is None:
        raise ValueError("fixed costs need a period: give since or month")
    spreads = {name: await _of(store, one, query) for name, one in costs.items()}
    rows: list[Row] = [
        dict(zip(_names(query), group, strict=True)) | {"amortised_usd": plain(rounded(usd))}
        for group, usd in together(spreads)
    ]
    rows.sort(key=lambda row: (-Decimal(row["amortised_usd"]), *map(str, row.values())))
    total = sum((one.spread for one in spreads.values()), start=Spread().accrued)
    return {
        "since": instant_text(query.since),
        "until": instant_text(query.end),
        "by": _names(query),
        "rows": rows,
        "total": {"amortised_usd": plain(rounded(total))},
        "costs": [
            {
                "name": name,
                "accrued_usd": plain(rounded(one.accrued)),
                "spread_usd": plain(rounded(one.spread)),
                "idle_usd": plain(rounded(one.idle)),
            }
            for name, one in spreads.items()
        ],
    }


async def _of(store: Asks, options: FixedCostOptions, query: Query) -> Spread:
    """One cost over the calls of a query."""
    assert query.since is not None
    end = min(query.end, query.now)
    windows = accrued(fixed_cost(options), query.since, end, query.now)
    if not windows:
        return Spread()
    table, sharing = await store.rows_table(), calls_of(options)
    whole = (windows[0].start, min(windows[-1].end, query.now))
    kind, bin_s = options.spread, _bin_s(query)
    totals = await _ask(store, *weights(table, (), whole, sharing, spread=kind, bin_s=bin_s))
    ours = (query.since, end)
    filters = (*sharing, *query.filters)
    shares = await _ask(store, *weights(table, query.by, ours, filters, spread=kind, bin_s=bin_s))
    return spread(
        windows,
        ((_at(row), Decimal(str(row["weight"]))) for row in totals),
        ((_at(row), _group(row, query), Decimal(str(row["weight"]))) for row in shares),
    )


def fixed_cost(options: FixedCostOptions) -> FixedCost:
    """The cost of all its units."""
    first, end = (
        date.fromisoformat(one) if one else None for one in (options.since, options.until)
    )
    usd = options.usd * options.quantity
    return FixedCost(name=options.name, usd=usd, per=options.per, first=first, end=end)


def calls_of(options: FixedCostOptions) -> tuple[Filter, ...]:
    """Which calls share it.  Raises Mistake for a dimension that calls do not have."""
    return asked(options.calls.items(), Accepted(filters=True)).filters


async def _ask(store: Asks, sql: str, bound: Mapping[str, Any]) -> list[Row]:
    rows = await store.ask(sql, bound)
    if len(rows) > GROUPS_MAX:
        raise ValueError(f"more than {GROUPS_MAX:,} groups; ask for a shorter period")
    return rows


def _names(query: Query) -> list[str]:
    return [*filter(None, (query.bucket,)), *query.by]


def _group(row: Row, query: Query) -> Group:
    of = tuple(row[name] for name in query.by)
    if not query.bucket:
        return of
    assert query.since is not None
    at = max(_at(row), query.since)
    window = next(one for one in query.windows() if one.end is None or at < one.end)
    return (query.label(window), *of)


def _at(row: Row) -> datetime:
    return datetime.fromtimestamp(int(row[BIN]), UTC)


def _bin_s(query: Query) -> int:
    """Hours, unless a bucket begins within one."""
    odd = any(one.start.minute for one in query.windows())
    return QUARTER_S if odd else HOUR_S
