"""Databases of one store that tests have one after the other: making one takes a CPU second."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Self

from clickhouse_connect.driver.client import Client

from exporters.clickhouse import connection, migrations
from exporters.clickhouse.dsn import parse_dsn

OF_THE_SCHEMA = "schema_files"  # the one table that a new database has rows in
DAYS = 90  # `ttl_days` of an exporter that is not given any
_numbers = count(1)


class Databases:
    """Those of one store.  `client` stays open for as long as they are lent."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._free: list[str] = []
        self._whole: list[tuple[object, ...]] = []

    @classmethod
    @contextmanager
    def of(cls, dsn: str) -> Iterator[Self]:
        """The databases of the store at `dsn`."""
        client = connection.connect(parse_dsn(dsn))
        try:
            yield cls(client)
        finally:
            client.close()

    @contextmanager
    def lent(self) -> Iterator[str]:
        """A database without rows, of today's schema, that nobody else has until the block ends."""
        if not self._free:
            self._free.append(new_name())
            migrations.migrate(self._client, database=self._free[-1], ttl_days=DAYS)
            self._whole = self._whole or self._tables(self._free[-1])
        name = self._free.pop()
        yield name
        if self._tables(name) == self._whole:  # else it is left as it is, and lent to nobody
            empty(self._client, name)
            self._free.append(name)

    def _tables(self, name: str) -> list[tuple[object, ...]]:
        found = self._client.query(
            "SELECT name, replaceAll(create_table_query, concat(database, '.'), ''),"
            " replaceAll(as_select, concat(database, '.'), '')"
            " FROM system.tables WHERE database = {name:String} ORDER BY name",
            {"name": name},
        )
        return [tuple(row) for row in found.result_rows]


def empty(client: Client, name: str) -> None:
    """Remove all rows of a database, and with them the tokens of the inserts."""
    filled = client.query(
        "SELECT DISTINCT table FROM system.parts"
        " WHERE database = {name:String} AND table != {schema:String}",
        {"name": name, "schema": OF_THE_SCHEMA},
    )
    for (table,) in filled.result_rows:
        client.command(f"TRUNCATE TABLE `{name}`.`{table}`")


def new_name() -> str:
    """A name that no database has."""
    return f"test_{next(_numbers)}"
