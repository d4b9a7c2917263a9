"""Upgrades a database to the schema of `schema/NNN_*.sql`: each file is applied once, in order.

Migrations only go forward: a released file is never edited (the database keeps its checksum), and
takes nothing that rows are written to.  So two versions of Taximeter can share a database: inserts
name their columns, and files that this version does not know are left alone.  The same files serve
chDB, a server and a cluster.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from clickhouse_connect.driver.client import Client

from exporters.clickhouse import backfill
from exporters.record import TransientError

DIRECTORY = Path(__file__).parents[1] / "schema"
# Table → the column whose age ttl_days limits.
TTL = {
    **dict.fromkeys(("calls", "sockets", "refusals", "corrections"), "ts"),
    "trace_ts": "first_start",
    "feedback": "received",
}
CONTENT_TTL = {"contents": "ts"}  # the same for content_ttl_days

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \(")
_VIEW = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS")
_PLAIN_VIEW = re.compile(r"CREATE (VIEW IF NOT EXISTS|OR REPLACE VIEW) (\w+) AS")
_FROM = re.compile(r"\bFROM (\w+) AS")
_SUBQUERY = re.compile(r"\) AS (\w+) ON\b")
_DROP_VIEW = re.compile(r"DROP VIEW IF EXISTS (\w+)")
_ALTER = re.compile(r"ALTER TABLE (\w+)\s+(ADD COLUMN|ADD INDEX|MODIFY COLUMN|MODIFY TTL)")
_ADD = re.compile(r"ALTER TABLE (\w+) (ADD COLUMN|ADD INDEX)(?= )")
_MODIFY = re.compile(r"ALTER TABLE (\w+)\s+(MODIFY COLUMN)(?= )")
# By default a server forgets a token after an hour; an outage may last longer.
_WINDOW = (
    "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800"
)
# Tables that are written through Distributed; a call and its corrections are on the same shard.
_SHARDING = {
    **dict.fromkeys(
        ("calls", "sockets", "refusals", "corrections", "contents"), ", sipHash64(call_id)"
    ),
    **dict.fromkeys(("audit", "told_alerts"), ", sipHash64(id)"),
    "meters": ", sipHash64(node)",
    **dict.fromkeys(("eval_runs", "eval_results"), ", sipHash64(run_id)"),
    "feedback": ", sipHash64(target)",
    "node_samples": ", sipHash64(node)",
    "budget_samples": ", sipHash64(budget)",
    **dict.fromkeys(("leaves", "nonces", "erased"), ", sipHash64(number)"),
}


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One numbered file; `checksum` is the SHA-256 of its bytes, in hex."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return sha256(self.text.encode()).hexdigest()


def schema_files() -> list[SchemaFile]:
    """All schema files, in the order in which they are applied."""
    return [SchemaFile(path.name, path.read_text()) for path in sorted(DIRECTORY.glob("*.sql"))]


def statements(text: str, *, database: str = "", cluster: str = "") -> Iterator[str]:
    """The statements of a file, for one server or, if `cluster` is given, for a cluster.

    On a cluster, a table `t` becomes `t_local` on every server, replicated within its shard, and
    `t` is the Distributed table over them; plain views likewise.  Materialized views read and
    write the local tables.  Raises ValueError for any other kind of statement.
    """
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    written = (statement.strip() for statement in "\n".join(lines).split(";\n"))
    for statement in _joined(statement.removesuffix(";") for statement in written if statement):
        sql = _unambiguous(statement, database)
        if cluster:
            yield from _clustered(sql, database, cluster)
        else:
            yield sql


def _joined(statements: Iterable[str]) -> Iterator[str]:
    """The same, but the columns that are added to one table in a row are added at once.

    Each ALTER of the calls takes longer than making them did, since there are so many columns.
    """
    kept = ""
    for sql in statements:
        adds = _ADD.match(sql)
        if adds and kept.startswith(adds[0]):
            kept += f",\n  {sql[adds.start(2) :]}"
            continue
        if kept:
            yield kept
        kept = sql
    if kept:
        yield kept


def _unambiguous(sql: str, database: str) -> str:
    """The statement with no subquery named as the database is.

    A server stores a view with `database.table` in place of `table`, and would look for the table
    in the subquery.
    """
    for name in _SUBQUERY.findall(sql):
        if name == database:
            sql = re.sub(rf"\b{name}\b", f"{name}_", sql)
    return sql


def _clustered(sql: str, database: str, cluster: str) -> Iterator[str]:
    on = f"ON CLUSTER {quoted(cluster)}"
    if found := _TABLE.match(sql):
        name = found[1]
        local = _TABLE.sub(f"CREATE TABLE IF NOT EXISTS {name}_local {on} (", sql, count=1)
        local = local.replace("\nENGINE = ", "\nENGINE = Replicated")
        yield local.replace("non_replicated_deduplication_window = 10000", _WINDOW)
        yield _distributed(name, on, database, cluster)
    elif found := _VIEW.match(sql):
        view = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {found[1]} {on} TO {found[2]}_local AS"
        yield _FROM.sub(r"FROM \1_local AS", _VIEW.sub(view, sql, count=1))
    elif found := _PLAIN_VIEW.match(sql):
        form, name = found[1], found[2]
        view = f"CREATE {form} {name}_local {on} AS"
        yield _FROM.sub(r"FROM \1_local AS", _PLAIN_VIEW.sub(view, sql, count=1))
        replaced = form.startswith("OR")
        yield _distributed(name, on, database, cluster, replaced=replaced)
    elif found := _ALTER.match(sql):
        name, action, rest = found[1], found[2], sql[found.end() :]
        yield f"ALTER TABLE {name}_local {on} {action}{rest}"
        if action == "ADD COLUMN":
            yield f"ALTER TABLE {name} {on} {action}{rest}"
    elif found := _DROP_VIEW.match(sql):
        yield f"{found[0]} {on}"
    else:
        raise ValueError(f"cannot run this statement on a cluster: {sql.splitlines()[0]}")


def _distributed(name: str, on: str, database: str, cluster: str, *, replaced: bool = False) -> str:
    form = "CREATE OR REPLACE TABLE" if replaced else "CREATE TABLE IF NOT EXISTS"
    return (
        f"{form} {name} {on} AS {name}_local ENGINE = Distributed("
        f"{quoted(cluster)}, {quoted(database)}, '{name}_local'{_SHARDING.get(name, '')})"
    )


def folded(statements: Iterable[str]) -> list[str]:
    """What all these come to on an empty database, in half as many statements.

    That is: columns that are added to a table are added at once, then those that are changed are
    changed at once, and views that are dropped or replaced later are not made.  Raises ValueError
    for a statement of another kind.
    """
    tables, views = dict[str, str](), dict[str, str]()
    added, changed = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for sql in statements:
        if found := _TABLE.match(sql):
            tables[found[1]] = sql
        elif found := _VIEW.match(sql):
            views[found[1]] = sql
        elif found := _PLAIN_VIEW.match(sql):
            views[found[2]] = sql
        elif found := _DROP_VIEW.match(sql):
            views.pop(found[1], None)
        elif found := _ADD.match(sql):
            added[found[1]].append(sql[found.start(2) :])
        elif found := _MODIFY.match(sql):
            changed[found[1]].append(sql[found.start(2) :])
        else:
            raise ValueError(f"cannot fold this statement: {sql.splitlines()[0]}")
    alters = [
        f"ALTER TABLE {name} {', '.join(parts)}"
        for name, parts in (*added.items(), *changed.items())
    ]
    return [*tables.values(), *alters, *views.values()]


def quoted(text: str) -> str:
    """`text` as a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(text: str) -> str:
    """`text` as a quoted name."""
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def migrate(
    client: Client,
    *,
    database: str,
    ttl_days: int,
    content_ttl_days: int | None = None,
    cluster: str = "",
    alone: bool = False,
) -> list[str]:
    """Create `database` if needed, apply new files and set TTLs; returns the new files' names.

    `content_ttl_days` is for `contents`; None leaves its TTL unchanged.  `alone`: no other process
    makes the same schema meanwhile, so one for an empty database may be made at once.

    Leaves `client` in `database`.  A database that is up to date is only read, so the user needs
    no right to create.  Raises TransientError if a file was edited after it was applied.
    """
    if not _count(client, "databases WHERE name = {name:String}", name=database):
        on = f" ON CLUSTER {quoted(cluster)}" if cluster else ""
        client.command(f"CREATE DATABASE IF NOT EXISTS {identifier(database)}{on}")
    client.database = database

    def run(text: str) -> None:
        for statement in statements(text, database=database, cluster=cluster):
            client.command(statement)

    applied = _applied(client, database)
    record = "schema_files_local" if cluster else "schema_files"
    new = []
    if alone and not _count(client, "tables WHERE database = {name:String}", name=database):
        new = _all_at_once(client, database)
        applied = {file.name: file.checksum for file in schema_files()}
    for file in schema_files():
        if file.name not in applied:
            if backfill.ALWAYS in file.text:
                backfill.apply(client, database, cluster, file.text, run)
            else:
                run(file.text)
            client.insert(record, [[file.name, file.checksum]], ["name", "checksum"])
            new.append(file.name)
        elif applied[file.name] != file.checksum:
            raise TransientError(
                f"{file.name} was edited after it was applied to this database; restore the file"
                " and put the change into a new one with the next number"
            )
    _limit_age(client, database, TTL, ttl_days, cluster)
    if content_ttl_days is not None:
        _limit_age(client, database, CONTENT_TTL, content_ttl_days, cluster)
    return new


def _all_at_once(client: Client, database: str) -> list[str]:
    """Make the schema in an empty database."""
    files = schema_files()
    for sql in folded(sql for file in files for sql in statements(file.text, database=database)):
        client.command(sql)
    rows = [[file.name, file.checksum] for file in files]
    client.insert("schema_files", rows, ["name", "checksum"])
    return [file.name for file in files]


def _applied(client: Client, database: str) -> dict[str, str]:
    """Name → checksum of the files that were applied to this database."""
    where = "tables WHERE database = {database:String} AND name = 'schema_files'"
    if not _count(client, where, database=database):
        return {}
    rows = client.query("SELECT name, any(checksum) FROM schema_files GROUP BY name").result_rows
    return {str(name): str(checksum) for name, checksum in rows}


def _limit_age(
    client: Client, database: str, columns: Mapping[str, str], ttl_days: int, cluster: str
) -> None:
    """Set the TTL where it differs: setting it makes the server rewrite all parts."""
    for table, column in columns.items():
        limit = f"TTL toDateTime({column}) + toIntervalDay({ttl_days:d})"
        local = f"{table}_local" if cluster else table
        where = "tables WHERE database = {database:String} AND name = {name:String}"
        set_so = f"{where} AND position(engine_full, {{limit:String}}) > 0"
        if not _count(client, set_so, database=database, name=local, limit=limit):
            alter = f"ALTER TABLE {table} MODIFY {limit};\n"
            for statement in statements(alter, database=database, cluster=cluster):
                client.command(statement)


def _count(client: Client, what: str, **parameters: str) -> int:
    """Number of matching rows in a system table."""
    return int(client.query(f"SELECT count() FROM system.{what}", parameters).result_rows[0][0])
