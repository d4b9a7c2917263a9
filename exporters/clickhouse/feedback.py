"""Writes feedback to its table, and the SQL that finds what was said about one call.

It has a thread and a client of its own, and waits until the exporter of the rows has created the
schema.  Writing the same statements again changes nothing.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec
from clickhouse_connect.driver.client import Client

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.writer import Writer, insert
from exporters.feedback import CALL, COLUMNS, FIELDS, REQUEST, SESSION, TRACE, Feedback

SHOWN_MAX = 200  # statements of one call
# What a statement may be about → the column of `calls` that holds its id.
OF_CALLS = {CALL: "call_id", REQUEST: "request_id", TRACE: "trace_id", SESSION: "session_id"}


def about_call(call: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """SQL: what was said about a row of `calls`, or what it is part of, oldest first."""
    named = {about: str(call[column]) for about, column in OF_CALLS.items() if call[column]}
    bound: dict[str, object] = {f"target_{about}": target for about, target in named.items()}
    wanted = " OR ".join(
        f"(about = '{about}' AND target = {{target_{about}:String}})" for about in named
    )
    return (
        "SELECT ts AS at, about, id, name, value, success, source, actor FROM feedback FINAL"
        f" WHERE {wanted} ORDER BY ts, id LIMIT {SHOWN_MAX}",
        bound,
    )


def readable(row: dict[str, object]) -> dict[str, object]:
    """A row of that with its value decoded."""
    return row | {"value": msgspec.json.decode(str(row["value"]))}


class FeedbackTable:
    """Writes feedback.  Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("feedback", self.dsn, self._prepare)

    async def write(self, given: Sequence[Feedback]) -> None:
        """Store statements."""
        if given:
            await self._writer.do(lambda client: self._insert(client, given))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database

    def _insert(self, client: Client, given: Sequence[Feedback]) -> None:
        context = client.create_insert_context("feedback", COLUMNS, column_oriented=True)
        columns = [[getattr(one, name) for one in given] for name in FIELDS]
        digest = blake2b(msgspec.json.encode(given), digest_size=16).hexdigest()
        insert(client, context, columns, digest)
