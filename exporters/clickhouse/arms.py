"""SQL: how the units of a route's split fared, by arm.

A unit is what the split assigned as one, mostly a session; it has an event if one of its calls has.
"""

from collections.abc import Collection

from exporters.clickhouse import success
from exporters.clickhouse.dimensions import Bound

# Over the units: those with an event of each kind, and sums for the bounds of a cost per success,
# in which only units count whose cost is known.
_SUMS = """
  count() AS units,
  countIf(u.faults > 0) AS errors,
  countIf(u.late > 0) AS slow,
  countIf(u.refused > 0) AS refusals,
  countIf(u.unknown = 0) AS priced,
  sumIf(u.usd, u.unknown = 0) AS usd,
  sumIf(u.successes, u.unknown = 0) AS successes,
  sumIf(pow(toFloat64(u.usd), 2), u.unknown = 0) AS usd_usd,
  sumIf(pow(toFloat64(u.successes), 2), u.unknown = 0) AS successes_successes,
  sumIf(toFloat64(u.usd) * u.successes, u.unknown = 0) AS usd_successes
"""


def arms(
    route: str,
    version: str,
    since: float,
    *,
    faults: Collection[str],
    first_token_s: float | None,
    total_s: float | None,
    rows: str = "calls",
    feedback: bool = False,
) -> tuple[str, Bound]:
    """A row for each arm, with its name as `arm` and the columns above.

    `since` is in seconds since the epoch; `faults` are the classes of failures that are the
    candidate's; `rows` and `feedback` are as in `exporters.clickhouse.report_sql.sums`.
    """
    bound: Bound = {
        **{"route": route, "version": version, "since": round(since * 1e6)},
        "faults": sorted(faults),
        "first_us": _us(first_token_s),
        "total_us": _us(total_s),
    }
    successes = success.columns(feedback=feedback)["successes"]
    units = f"""
      SELECT
        t.arm AS arm,
        t.unit AS unit,
        countIf(t.fault IN {{faults:Array(String)}}) AS faults,
        countIf(t.outcome = 'ok' AND (
          {{total_us:UInt64}} > 0 AND t.duration_us > {{total_us:UInt64}}
          OR {{first_us:UInt64}} > 0 AND t.stream AND t.first_token_us > {{first_us:UInt64}}
        )) AS late,
        countIf({success.REFUSES}) AS refused,
        countIf(t.cost_usd IS NULL) AS unknown,
        ifNull(sum(t.cost_usd), 0) AS usd,
        {successes} AS successes
      FROM {rows} AS t
      WHERE t.route = {{route:String}} AND t.route_version = {{version:String}} AND t.arm != ''
        AND t.ts >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')
      GROUP BY arm, unit
    """
    return f"SELECT u.arm AS arm, {_SUMS} FROM ({units}) AS u GROUP BY arm", bound


def _us(seconds: float | None) -> int:
    """0: there is no limit."""
    return 0 if seconds is None else max(1, round(seconds * 1e6))
