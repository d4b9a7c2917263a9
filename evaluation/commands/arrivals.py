"""Reads recorded arrivals: CSV with TIMESTAMP, ContextTokens and GeneratedTokens."""

from pathlib import Path

from evaluation.benchmarks.tables import ARRIVALS, Table, read_table


def arrivals(path: Path) -> Table:
    """The table.  Raises ValueError (TableError for a wrong cell) for a file that has none."""
    try:
        table = read_table(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    if table is None or table.kind != ARRIVALS:
        columns = "TIMESTAMP, ContextTokens, GeneratedTokens"
        raise ValueError(f"{path} has no arrivals; they have the columns {columns}")
    if not table.rows:
        raise ValueError(f"{path} has no rows")
    return table
