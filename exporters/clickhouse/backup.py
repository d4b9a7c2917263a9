"""Backs up and restores the embedded store, by ClickHouse's own BACKUP and RESTORE.

A backup has the parts as they are, so rollups are restored without being computed again.
https://clickhouse.com/docs/operations/backup
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clickhouse_connect.driver.client import Client

from exporters.clickhouse.migrations import identifier, quoted


def back_up(client: Client, database: str, to: Path) -> dict[str, int]:
    """Write all tables of `database` to `to`, which must not exist; returns rows by table.

    The caller sees to it that nobody writes meanwhile.
    """
    with _unmerged(client, database) as tables:
        rows = _counts(client, tables)
        client.command(f"BACKUP DATABASE {identifier(database)} TO File({quoted(str(to))})")
    return rows


def restore(client: Client, database: str, source: Path) -> dict[str, int]:
    """Make `database` again from a backup; returns rows by table.

    Tables come before their rows, so that no merge drops a row that is too old before it counts.
    """
    command = f"RESTORE DATABASE {identifier(database)} FROM File({quoted(str(source))})"
    client.command(f"{command} SETTINGS structure_only = true")
    with _unmerged(client, database) as tables:
        client.command(command)
        return _counts(client, tables)


def _tables(client: Client, database: str) -> dict[str, str]:
    """Name → engine of the tables that hold data."""
    rows = client.query(
        "SELECT name, engine FROM system.tables"
        " WHERE database = {database:String} AND engine LIKE '%MergeTree' ORDER BY name",
        {"database": database},
    ).result_rows
    return {f"{identifier(database)}.{identifier(str(name))}": str(kind) for name, kind in rows}


@contextmanager
def _unmerged(client: Client, database: str) -> Iterator[Mapping[str, str]]:
    """The tables, in which no merge begins until the block ends."""
    tables = _tables(client, database)
    for table in tables:
        client.command(f"SYSTEM STOP MERGES {table}")
    try:
        yield tables
    finally:
        for table in tables:
            client.command(f"SYSTEM START MERGES {table}")


def _counts(client: Client, tables: Mapping[str, str]) -> dict[str, int]:
    """Rows by table, as if all parts were merged: a merge must not change the number."""
    return {
        table.rpartition(".")[2].strip("`"): int(
            client.query(
                f"SELECT count() FROM {table}{'' if engine == 'MergeTree' else ' FINAL'}"
            ).result_rows[0][0]
        )
        for table, engine in tables.items()
    }
