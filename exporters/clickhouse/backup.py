"""Backs up and restores the embedded store, by ClickHouse's own BACKUP and RESTORE.

https://clickhouse.com/docs/operations/backup: a backup has the parts as they are, so rollups and rows are restored without being computed again.
"""

from pathlib import Path

from clickhouse_connect.driver.client import Client

from exporters.clickhouse.migrations import identifier, quoted


def back_up(client: Client, database: str, to: Path) -> dict[str, int]:
    """Write all tables of `database` to `to`, which must not exist; returns rows by table.

    The caller sees to it that nobody writes meanwhile.
    """
    client.command(f"BACKUP DATABASE {identifier(database)} TO File({quoted(str(to))})")
    return row_counts(client, database)


def restore(client: Client, database: str, source: Path) -> dict[str, int]:
    """Make `database` again from a backup; returns rows by table."""
    client.command(f"RESTORE DATABASE {identifier(database)} FROM File({quoted(str(source))})")
    return row_counts(client, database)


def row_counts(client: Client, database: str) -> dict[str, int]:
    """Rows of each table that holds data; none if there is no such database."""
    tables = client.query(
        "SELECT name FROM system.tables"
        " WHERE database = {database:String} AND engine LIKE '%MergeTree' ORDER BY name",
        {"database": database},
    ).result_rows
    return {
        str(name): int(
            client.query(
                f"SELECT count() FROM {identifier(database)}.{identifier(str(name))}"
            ).result_rows[0][0]
        )
        for (name,) in tables
    }
