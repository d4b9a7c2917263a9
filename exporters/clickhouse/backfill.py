"""Fills a new rollup with the rows from before it was made: each row counts once.

The views of such a rollup take the rows that were inserted from one instant on, which is set when
they are made; here come those that were inserted earlier.  Other versions may write meanwhile.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable

from clickhouse_connect.driver.client import Client

from exporters.record import TransientError

log = logging.getLogger(__name__)

# Rollup → its view over `calls`.  What that selects from `priced_calls` is all of the rollup.
FILLED = {
    "spend_15m": "spend_15m_mv",
    "spend_tags_15m": "spend_tags_15m_mv",
    "sums_1h": "sums_1h_mv",
    "usage_1h": "usage_1h_mv",
    "latency_1h": "latency_1h_mv",
    "quantities_1h": "quantities_1h_mv",
}
UNPRICED = frozenset({"latency_1h", "quantities_1h"})  # corrections change nothing in them
# Rollup → the one whose place it took, which has the days whose rows are gone.
EARLIER = {"sums_1h": "calls_1h"}
ALWAYS = "1970-01-01 00:00:00.000"  # in the schema file: for a database without rows
SOON_S = (3, 20, 120)  # until that instant, for the views to be made: a cluster takes its time
SETTLE_S = 1.0  # for inserts that began before it
_FROM = re.compile(
    r"FROM (?:`.+`\.\S+|\S+) AS t\s+(?:ARRAY JOIN .+\s+)?"
    r"WHERE \(*t\.ingested_at >= toDateTime64\('([^']+)', 3, 'UTC'\)\)?"
)
_CORRECTIONS = re.compile(r"\bFROM (`.+`\.\S+|\S+) AS n\b")
_STATES = ("AggregateFunction", "Map")  # of values without an order
# A rollup's day is one block, so that one token covers it.
_ONE_BLOCK: dict[str, str | int] = {
    "max_threads": 1,
    "max_insert_threads": 1,
    "max_block_size": 10_000_000,
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 0,
}


def apply(
    client: Client, database: str, cluster: str, text: str, run: Callable[[str], None]
) -> None:
    """Have `run` apply a schema file with such views, and fill their rollups.

    Raises TransientError if the views cannot be made before their instant.
    """
    on = f" ON CLUSTER '{cluster}'" if cluster else ""
    rollups = [name for name in FILLED if f"TO {name} AS" in text]
    views = [view for name in rollups for view in _views(name)]
    for soon_s in SOON_S:
        run(_dated(client, text, soon_s))
        if all(_in_time(client, database, view) for view in views):
            backfill(client, database, cluster, rollups)
            return
        for view in views:  # one of them missed what came between its instant and its making
            client.command(f"DROP VIEW IF EXISTS {view}{on} SYNC")
        for rollup in rollups:
            client.command(f"TRUNCATE TABLE {rollup}{'_local' if cluster else ''}{on}")
    raise TransientError("making the views of the new rollups takes too long; trying again")


def _views(rollup: str) -> list[str]:
    view = FILLED[rollup]
    return [view] if rollup in UNPRICED else [view, f"corrections_{view}"]


def _dated(client: Client, text: str, soon_s: int) -> str:
    """The file with views that take what is inserted from soon on; as it is without rows."""
    if not client.query("SELECT 1 FROM calls LIMIT 1").result_rows:
        return text
    sql = f"SELECT toString(now64(3, 'UTC') + toIntervalSecond({soon_s}))"
    return text.replace(ALWAYS, str(client.query(sql).result_rows[0][0]))


def _in_time(client: Client, database: str, view: str) -> bool:
    """Whether a view was there before its instant, whoever made it."""
    instant = _instant(client, database, view)
    if instant == ALWAYS:
        return True
    sql = (
        "SELECT toUnixTimestamp(metadata_modification_time) + 1"
        " <= toUnixTimestamp(toDateTime64({at:String}, 3, 'UTC')) FROM system.tables"
        " WHERE database = {database:String} AND name = {name:String}"
    )
    bound = {"at": instant, "database": database, "name": view}
    return bool(client.query(sql, bound).result_rows[0][0])


def backfill(
    client: Client, database: str, cluster: str, rollups: Iterable[str] = tuple(FILLED)
) -> None:
    """Add what the views leave out.  Repeating it changes nothing.

    On a cluster this fills the shard of `client`; `taximeter store check` finds and repairs others.
    """
    suffix = "_local" if cluster else ""
    for rollup in rollups:
        instants = [_instant(client, database, view) for view in _views(rollup)]
        first, corrected = instants[0], instants[-1]
        if first == ALWAYS:
            continue
        _until(client, max(instants))
        gone = _gone(client, rollup, suffix)
        days = client.query(
            f"SELECT DISTINCT toString(toDate(ts)) AS day FROM calls{suffix}"
            " WHERE ingested_at < toDateTime64({at:String}, 3, 'UTC') ORDER BY day",
            {"at": first},
        ).result_rows
        log.info("Adding %d days to %s; this happens once.", len(days) + len(gone), rollup)
        for day in sorted({str(row[0]) for row in days} | gone):
            if day in gone:
                select = _copied(client, rollup, day, suffix)
            else:
                before = (first, corrected)
                select = day_of(client, database, rollup, day, suffix, before=before)
            token = {"insert_deduplication_token": f"backfill:{rollup}:{day}"}
            client.command(f"INSERT INTO {rollup}{suffix} {select}", settings=_ONE_BLOCK | token)


def _gone(client: Client, rollup: str, suffix: str) -> set[str]:
    """The days of which the earlier rollup knows more calls than there are rows."""
    if rollup not in EARLIER:
        return set()
    found = client.query(
        f"SELECT toString(toDate(e.hour)) AS day, sum(e.calls) AS known FROM"
        f" {EARLIER[rollup]}{suffix} AS e GROUP BY day HAVING known > 0"
    ).result_rows
    rows = client.query(
        f"SELECT toString(toDate(ts)) AS day, count() FROM calls{suffix} GROUP BY day"
    ).result_rows
    there = {str(day): int(count) for day, count in rows}
    return {str(day) for day, known in found if int(known) > there.get(str(day), 0)}


def _copied(client: Client, rollup: str, day: str, suffix: str) -> str:
    """The columns that both have, and the SELECT of a day of the earlier rollup."""
    earlier = f"{EARLIER[rollup]}{suffix}"
    known = {str(row[0]) for row in client.query(f"DESCRIBE TABLE {earlier}").result_rows}
    described = client.query(f"DESCRIBE TABLE {rollup}{suffix}").result_rows
    names = ", ".join(str(row[0]) for row in described if str(row[0]) in known)
    return f"({names}) SELECT {names} FROM {earlier} WHERE toDate(hour) = '{day}' ORDER BY ALL"


def day_of(
    client: Client,
    database: str,
    rollup: str,
    day: str,
    suffix: str,
    *,
    before: tuple[str, str] | None = None,
) -> str:
    """The columns and the SELECT that make one day of `rollup` from rows and corrections.

    `before`: only from calls and from corrections that were inserted before these instants.
    """
    view = FILLED[rollup]
    table = "calls" if rollup in UNPRICED else "priced_calls"
    source, condition = f"{table}{suffix}", f"toDate(t.ts) = '{day}'"
    if before is not None:
        condition += f" AND t.ingested_at < toDateTime64('{before[0]}', 3, 'UTC')"
    if before is not None and rollup not in UNPRICED:
        at = f"toDateTime64('{before[1]}', 3, 'UTC')"
        priced = _select(client, database, source)
        source = _CORRECTIONS.sub(rf"FROM \1 AS n WHERE n.ingested_at < {at}", f"({priced})")
    text, places = _FROM.subn(
        lambda _: f"FROM {source} AS t WHERE ({condition})", _select(client, database, view)
    )
    if places != 1:
        raise RuntimeError(f"view {view} does not begin at an instant")
    columns = client.query(f"DESCRIBE TABLE {view}").result_rows
    names = ", ".join(str(row[0]) for row in columns)
    ordered = ", ".join(str(row[0]) for row in columns if not str(row[1]).startswith(_STATES))
    return f"({names}) {text} ORDER BY {ordered}"


def _instant(client: Client, database: str, view: str) -> str:
    """From which on a view takes rows, whichever meter made it."""
    found = _FROM.search(_select(client, database, view))
    if found is None:
        raise RuntimeError(f"view {view} does not begin at an instant")
    return found.group(1)


def _until(client: Client, instant: str) -> None:
    """Wait until the server's clock is past `instant`, and inserts from before it have ended."""
    sql = "SELECT date_diff('ms', now64(3, 'UTC'), toDateTime64({at:String}, 3, 'UTC'))"
    left_ms = int(client.query(sql, {"at": instant}).result_rows[0][0])
    if left_ms > -SETTLE_S * 1000:
        time.sleep(left_ms / 1000 + SETTLE_S)


def _select(client: Client, database: str, view: str) -> str:
    found = client.query(
        "SELECT as_select FROM system.tables WHERE database = {database:String}"
        " AND name = {name:String}",
        {"database": database, "name": view},
    ).result_rows
    return str(found[0][0])
