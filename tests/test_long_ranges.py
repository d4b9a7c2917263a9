"""Of long ranges panels read rollups: they show what the calls and corrections add up to."""

import re
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from test_grafana import SERIES, WEIGHTS, odd, variables

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.corrections import Corrections
from exporters.clickhouse.store import Store
from exporters.record import Batch
from support.dashboards import ALL, DASHBOARDS, FROM, Chosen, answer, sent
from support.spending import corrected

if TYPE_CHECKING:
    from conftest import RecordMaker

TWO_TABLES = re.compile(r"\$__toTime - \$__fromTime > (691200|172800)\b")
LONG = FROM - timedelta(days=30)
# A panel, or its answer, that has quantiles or shares: these do not add up over time.
NOT_SUMS = {"p50", "p95", "p99", "share"}

Answer = tuple[dict[str, str], list[list[Any]]]


def summed(found: Answer) -> dict[tuple[object, ...], list[Decimal]]:
    """The values of each series, added up over time."""
    columns, rows = found
    labels = [n for n, kind in enumerate(columns.values()) if "String" in kind]
    sums: dict[tuple[object, ...], list[Decimal]] = defaultdict(list)
    for row in rows:
        key = tuple(row[n] for n in labels)
        values = [Decimal(str(v or 0)) for n, v in enumerate(row) if n and n not in labels]
        sums[key] = [a + b for a, b in zip(sums[key] or [Decimal(0)] * 9, values, strict=False)]
    return sums


@pytest.mark.thorough
async def test_long_and_short_ranges_show_the_same(
    chdb_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """Stats, tables and sums of series, over all calls, with prices that changed, came and went."""
    records = list(odd(make_records(300)))
    writer = ClickHouse(chdb_dsn, database=database)
    await writer.export(Batch("t", tuple(records)))
    prices = ("1.5", None, "0.000000000000000001")
    changed = tuple(corrected(one, prices[n % 3]) for n, one in enumerate(records[::4]))
    await writer.correct(Corrections(changed))
    assert await writer.reconcile(repair=False, quiet_s=0) == []
    await writer.close()
    project = next(one.project for one in records if one.project.isalpha())
    store, compared = Store(chdb_dsn, database=database), 0
    for name in DASHBOARDS:
        for panel in DASHBOARDS[name]["panels"]:
            sql = panel["targets"][0]["rawSql"]
            if not TWO_TABLES.search(sql):
                continue
            for narrowed in ({}, {"provider": ("openai",)}, {"project": (project,)}):
                chosen: Chosen = dict.fromkeys(variables(name), ALL) | WEIGHTS | narrowed
                short = await answer(store, sent(sql, chosen))
                long = await answer(store, sent(sql, chosen, since=LONG))
                title = f"{name}: {panel['title']}"
                assert short[0].keys() == long[0].keys(), title
                if panel["type"] not in SERIES:
                    assert short[1] == long[1], title
                elif not NOT_SUMS & short[0].keys():
                    assert summed(short) == summed(long), title
                compared += 1
    await store.close()
    assert compared > 40
