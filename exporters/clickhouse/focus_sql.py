"""The charge lines of a day, summed by price: what a bill has as its lines.

They are in the receipts, which leave out what follows from the row (`exporters.receipt`).  So
quantities come from its usage, and what lines without an amount cost is computed here, once for all
lines of a price.  A call whose cost is unknown has no charge, so its lines, which are a floor, are
left out; it is counted.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from exporters.clickhouse.dimensions import Bound
from exporters.clickhouse.query import Filter, bounds
from exporters.receipt import amount
from pricing.charge import plain
from pricing.tariff import EXACT

GROUPS_MAX = 200_000  # of one day
GROUPS = (
    *("provider", "region", "service_tier", "project", "environment", "team", "feature"),
    *("cost_status", "model", "meter", "rate", "per", "factors", "list_rate"),
)
_LINE = (
    "'Tuple(subcall Int64, model String, meter String, quantity String, rate String, per String,"
    " factors Map(String, String), usd String)'"
)
_LINES = f"JSONExtract(t.receipt, 'lines', 'Array(' || {_LINE} || ')')"
_OF_SUBCALL = "JSONExtractString(t.receipt, 'subcalls', line.1 + 1, 'usage', line.3)"
_QUANTITY = (
    f"toDecimal256(multiIf(line.4 != '', line.4, {_OF_SUBCALL} != '', {_OF_SUBCALL},"
    " toString(t.usage[line.3])), 18)"
)
_LISTED = f"JSONExtract(t.receipt, 'list', 'lines', 'Array(' || {_LINE} || ')')"
# The list price of a line, as rate, per and factors: its own, unless the receipt has another.
_LIST_LINE = f"arrayFirst(o -> o.1 = line.1 AND o.3 = line.3, {_LISTED})"


def charged(
    rows: str, since: datetime, until: datetime, filters: tuple[Filter, ...] = ()
) -> tuple[str, Mapping[str, Any]]:
    """SQL over `rows`, and the values to bind: the lines of a period, by GROUPS.

    `list_rate` is [rate, per, factors as JSON], or [] if no list price is known.  `usd` is the sum
    of stated amounts, and `unstated` the quantity of the lines without one: see `with_amounts`.
    """
    bound: Bound = {"most": GROUPS_MAX + 1}
    conditions = [*bounds(since, until, bound), "t.cost_usd IS NOT NULL"]
    conditions += [one.sql(bound) for one in filters]
    listed = (
        "multiIf(NOT JSONHas(t.receipt, 'list'), [line.5, line.6, toJSONString(line.7)],"
        f" ({_LIST_LINE}).3 = '', [], [({_LIST_LINE}).5, ({_LIST_LINE}).6,"
        f" toJSONString(({_LIST_LINE}).7)])"
    )
    sql = (
        "SELECT t.provider AS provider, t.region AS region, t.service_tier AS service_tier,"
        " t.project AS project, t.environment AS environment, t.team AS team,"
        " t.feature AS feature, t.cost_status AS cost_status,"
        " if(line.2 = '', if(t.response_model = '', t.request_model, t.response_model), line.2)"
        " AS model, line.3 AS meter, line.5 AS rate, line.6 AS per,"
        f" toJSONString(line.7) AS factors, {listed} AS list_rate, count() AS lines,"
        f" sum({_QUANTITY}) AS quantity, sum(if(line.8 = '', {_QUANTITY}, 0)) AS unstated,"
        " sum(toDecimal256(if(line.8 = '', '0', line.8), 30)) AS usd"
        f" FROM {rows} AS t ARRAY JOIN {_LINES} AS line WHERE {' AND '.join(conditions)}"
        f" GROUP BY {', '.join(GROUPS)} ORDER BY {', '.join(GROUPS)} LIMIT {{most:UInt32}}"
    )
    return sql, bound


def with_amounts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `charged` with the amounts of all its lines in `usd`."""
    found, unstated = dict(row), str(row["unstated"])
    if Decimal(unstated):
        line = found | {"factors": json.loads(row["factors"])}
        found["usd"] = plain(EXACT.add(Decimal(row["usd"]), amount(unstated, line)))
    return found


def absent(
    rows: str, since: datetime, until: datetime, filters: tuple[Filter, ...] = ()
) -> tuple[str, Mapping[str, Any]]:
    """SQL: how many calls have no line, as their cost is unknown or nobody bills them."""
    bound: Bound = {}
    conditions = bounds(since, until, bound) + [one.sql(bound) for one in filters]
    sql = (
        "SELECT count() AS calls, countIf(t.cost_usd IS NULL) AS unknown,"
        " countIf(t.cost_status = 'not_billed') AS not_billed,"
        " countIf(t.cost_status = 'partial') AS partial,"
        " if(calls = unknown, 0, sum(t.cost_usd)) AS usd"
        f" FROM {rows} AS t WHERE {' AND '.join(conditions) or '1'}"
    )
    return sql, bound
