"""ClickHouse and chDB: the schema, writing rows, correcting them, and asking."""
