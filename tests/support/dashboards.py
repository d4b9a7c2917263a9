"""Does what Grafana does with the files of grafana/, as far as that is possible without it.

`sent` expands a panel's SQL as grafana-clickhouse-datasource 4.20 does: $__conditionalAll and the
variables in the browser, the other macros in its back end.
https://github.com/grafana/clickhouse-datasource (src/data/CHDatasource.ts, pkg/macros/macros.go)
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from exporters.clickhouse.store import Store

GRAFANA = Path(__file__).parents[2] / "grafana"
PLUGIN = "grafana-clickhouse-datasource"
SOURCE = {"type": PLUGIN, "uid": "${datasource}"}
DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
TO = datetime.now(UTC) + timedelta(hours=1)  # after the rows that tests make
FROM = TO - timedelta(hours=4)
ALL: tuple[str, ...] = ()

Chosen = dict[str, Sequence[str]]


def sent(
    sql: str, chosen: Chosen, *, since: datetime = FROM, until: datetime = TO, step_s: int = 60
) -> str:
    """The SQL sent to the database; `chosen` has the values of each variable, () for All."""
    while (start := sql.rfind("$__conditionalAll(")) >= 0:
        condition, variable, end = _arguments(sql, start + len("$__conditionalAll("))
        sql = sql[:start] + (condition if chosen[variable.strip("${} ")] else "1=1") + sql[end:]

    def quoted(match: re.Match[str]) -> str:
        return ",".join("'" + value.replace("'", "\\'") + "'" for value in chosen[match[1]])

    sql = re.sub(r"\$\{(\w+):singlequote\}", quoted, sql)
    seconds = {"from": int(since.timestamp()), "to": int(until.timestamp())}
    milli = {"from": int(since.timestamp() * 1000), "to": int(until.timestamp() * 1000)}
    sql = re.sub(
        r"\$__timeFilter_ms\(([^()]+)\)",
        rf"\1 >= fromUnixTimestamp64Milli({milli['from']})"
        rf" AND \1 <= fromUnixTimestamp64Milli({milli['to']})",
        sql,
    )
    sql = re.sub(
        r"\$__timeInterval\(([^()]+)\)",
        rf"toStartOfInterval(toDateTime(\1), INTERVAL {step_s} second)",
        sql,
    )
    sql = re.sub(r"\$__(from|to)Time\b", lambda match: f"toDateTime({seconds[match[1]]})", sql)
    assert "$" not in sql, f"not a macro of the plugin: {sql[sql.index('$') :][:60]}"
    return sql


def _arguments(sql: str, start: int) -> tuple[str, str, int]:
    """The two arguments of a macro whose bracket opens before `start`, and where it ends."""
    depth, edges = 1, [start - 1]
    for index in range(start, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[index], 0)
        if (sql[index] == "," and depth == 1) or depth == 0:
            edges.append(index)
        if depth == 0:
            first, last, end = edges
            return sql[first + 1 : last], sql[last + 1 : end], end + 1
    raise AssertionError("the macro has no closing bracket")


def keys(text: str) -> set[str]:
    """The words of `text`."""
    return set(text.split())


TARGET_KEYS = keys("refId datasource editorType queryType format pluginVersion rawSql")


async def answer(store: Store, sql: str) -> tuple[dict[str, str], list[list[Any]]]:
    """The columns with their types, and the rows."""
    panel = json.loads(await store._answer(sql, {}))  # `ask` leaves out the types
    columns = {column["name"]: column["type"] for column in panel["meta"]}
    assert len(columns) == len(panel["meta"]), "two columns of one name"
    assert not any("." in name or "(" in name for name in columns), "a column without a name"
    return columns, panel["data"]


def is_number(column_type: str) -> bool:
    """Whether Grafana treats a column of this type as a value."""
    return re.search(r"\b(U?Int\d+|Float\d+|Decimal)\b", column_type) is not None


def is_text(column_type: str) -> bool:
    """Whether Grafana treats a column of this type as a label."""
    return column_type in ("String", "LowCardinality(String)")


def provisioned(kind: str) -> dict[str, Any]:
    """The one file of a folder of grafana/provisioning."""
    (path,) = (GRAFANA / "provisioning" / kind).glob("*.yaml")
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert document.pop("apiVersion") == 1
    return document


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    document = provisioned("alerting")
    assert document.keys() == {"groups"}
    (group,) = document["groups"]
    assert group.keys() == {"orgId", "name", "folder", "interval", "rules"}
    found: list[dict[str, Any]] = group["rules"]
    return found
