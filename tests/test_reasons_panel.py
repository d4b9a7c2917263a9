"""The panel that says why costs are not exact, which joins no calls with their corrections."""

from decimal import Decimal
from itertools import cycle
from typing import TYPE_CHECKING

import msgspec
import pytest

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.corrections import Correction, Corrections
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from support.dashboards import ALL, DASHBOARDS, FROM, TO, Chosen, answer, sent
from support.spending import corrected

if TYPE_CHECKING:
    from conftest import RecordMaker

REASONS = ((), ("usage_counted",), ("unknown_model", "usage_counted"), ("no_usage",))
JOINED = """
SELECT reason, t.cost_status, t.provider, count() AS calls
FROM priced_calls AS t ARRAY JOIN t.reasons AS reason
WHERE t.ts BETWEEN fromUnixTimestamp({since:Int64}) AND fromUnixTimestamp({until:Int64})
  AND ({provider:String} = '' OR t.provider = {provider:String})
GROUP BY reason, t.cost_status, t.provider
"""


def repriced(record: Record, revision: int, reasons: tuple[str, ...]) -> Correction:
    """A correction that says something else of why the price is as it is."""
    one = corrected(record, Decimal(revision), revision=revision)
    return msgspec.structs.replace(one, reasons=reasons, cost_status="partial")


@pytest.mark.parametrize("provider", ["", "openai"])
async def test_it_counts_what_the_newest_prices_say(
    provider: str, chdb_dsn: str, new_database: str, make_records: "RecordMaker"
) -> None:
    """Calls with reasons that a correction took, gave, changed or left are counted once each."""
    records = [
        msgspec.structs.replace(record, reasons=reasons)
        for record, reasons in zip(make_records(120), cycle(REASONS), strict=False)
    ]
    writer = ClickHouse(chdb_dsn, database=new_database)
    await writer.export(Batch("t", tuple(records)))
    first = [repriced(record, 1, ("no_usage",)) for record in records[::3]]
    second = [repriced(record, 2, REASONS[n % 4]) for n, record in enumerate(records[::6])]
    await writer.correct(Corrections((*second, *first)))
    await writer.close()
    store = Store(chdb_dsn, database=new_database)
    panels = {panel["title"]: panel for panel in DASHBOARDS["health"]["panels"]}
    sql = panels["Why costs are not exact"]["targets"][0]["rawSql"]
    chosen: Chosen = dict.fromkeys(("project", "team", "model"), ALL)
    _, rows = await answer(
        store, sent(sql, {**chosen, "provider": (provider,) if provider else ALL})
    )
    bound = {"since": int(FROM.timestamp()), "until": int(TO.timestamp()), "provider": provider}
    joined = await store.table(JOINED, bound)
    await store.close()
    assert sorted(row[:4] for row in rows) == sorted(joined.data)
    assert rows
