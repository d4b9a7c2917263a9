"""Rows as CSV for spreadsheets (RFC 4180): names first, money exact, and nothing is a formula.

A text that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP advises
(https://owasp.org/www-community/attacks/CSV_Injection, read 2026-11-29); numbers stay as they are.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

CONTENT_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def csv_text(rows: Iterable[Mapping[str, object]], columns: Sequence[str] = ()) -> str:
    """A header and a line for each row, the columns those of the first row unless given.

    None is an empty cell; lists and mappings are JSON.
    """
    rows = list(rows)
    names = list(columns or (rows[0] if rows else ()))
    to = io.StringIO()
    writer = csv.writer(to)
    if names:
        writer.writerow(map(safe, names))
    writer.writerows([safe(row.get(name)) for name in names] for row in rows)
    return to.getvalue()


def safe(value: object) -> str:
    """One cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if value.lstrip().startswith(_FORMULA) or value.startswith(_FORMULA):
        return value if _NUMBER.fullmatch(value) else f"'{value}"
    return value


def file_name(what: str, since: datetime | None, until: datetime | None) -> str:
    """A name for a download: `taximeter-spend-2026-11-01-2026-12-01.csv`."""
    days = (f"{at:%Y-%m-%d}" for at in (since, until) if at is not None)
    return f"{'-'.join(['taximeter', what, *days])}.csv"
