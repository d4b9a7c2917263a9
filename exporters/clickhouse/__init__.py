"""ClickHouse and chDB: schema, writing and correcting rows, queries."""
