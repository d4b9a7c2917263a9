"""The answer to a report as a document: the same from the API and from a command."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from exporters.clickhouse.query import Query
from exporters.clickhouse.report_sql import OTHER
from exporters.clickhouse.reports import Report

Row = dict[str, object]


def document(query: Query, found: Report, notes: Sequence[str]) -> Row:
    """For JSON: `since`, `until`, `tz`, `by`, `rows`, `total`, `notes`; the rows add up to `total`.

    `until` is the instant of the question if the period is open.
    """
    return {
        "since": instant_text(query.since),
        "until": instant_text(query.end),
        "tz": query.zone,
        "by": [*filter(None, (query.bucket,)), *query.by],
        "rows": found.rows,
        "total": found.total,
        "notes": list(notes),
    }


def instant_text(at: datetime | None) -> str | None:
    """An instant as all answers write it."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shown_columns(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Without the column that marks the other groups, if no row has it."""
    limited = any(OTHER in row for row in rows)
    return [name for name in names if name != OTHER or limited]
