"""Writes rows as Parquet with the engine that is there anyway: no library of our own for it."""

from pathlib import Path

from exporters.clickhouse import connection
from exporters.clickhouse.dsn import Dsn
from exporters.clickhouse.migrations import quoted


def write(rows: Path, structure: str, to: Path, engine: Path) -> None:
    """Write a file of JSON lines as Parquet; `structure` has the columns with their types.

    `engine` is a directory for chDB, which this process may have open already.  Raises
    TransientError, and OSError if the file cannot be written.
    """
    client = connection.connect(Dsn(directory=engine))
    try:
        data = client.raw_query(
            f"SELECT * FROM file({quoted(str(rows))}, 'JSONEachRow', {quoted(structure)})",
            fmt="Parquet",
            settings={"output_format_parquet_string_as_string": 1},
        )
    finally:
        client.close()
    to.write_bytes(data)
