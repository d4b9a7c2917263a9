"""Does what Grafana does with the files of grafana/, as far as that is possible without it."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from exporters.clickhouse.store import Store
from proxy.dashboards.macros import Expansion
from proxy.dashboards.times import Range
from proxy.dashboards.variables import Choice, Variable

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
) -> tuple[str, dict[str, object]]:
    """The SQL sent to the database, and what is bound in it.

    `chosen` has the values of each variable, () for All.
    """
    choices = {
        name: Choice(Variable(name, kind, name, "", kind == "query", True, (), ()), tuple(values))
        for name, values in chosen.items()
        for kind in ("custom" if name.endswith("_weight") else "query",)
    }
    expansion = Expansion(Range(since, until, "UTC"), step_s, choices)
    text = expansion.sql(sql)
    return text, expansion.bound.values


def keys(text: str) -> set[str]:
    """The words of `text`."""
    return set(text.split())


TARGET_KEYS = keys("refId datasource editorType queryType format pluginVersion rawSql")


async def answer(
    store: Store, statement: tuple[str, dict[str, object]]
) -> tuple[dict[str, str], list[list[Any]]]:
    """The columns with their types, and the rows."""
    table = await store.table(*statement)
    columns = {column["name"]: column["type"] for column in table.meta}
    assert len(columns) == len(table.meta), "two columns of one name"
    assert not any("." in name or "(" in name for name in columns), "a column without a name"
    return columns, table.data


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
