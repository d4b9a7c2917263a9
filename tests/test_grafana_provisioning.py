"""Grafana understands what grafana/provisioning says, and its alert rules are whole."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from support.dashboards import DASHBOARDS, GRAFANA, PLUGIN, TARGET_KEYS, keys, provisioned, rules

# The keys that Grafana 13 reads (its pkg/services/provisioning); others it would ignore.
RULE_KEYS = keys(
    "uid title condition data dashboardUid panelId noDataState execErrState for keepFiringFor"
    " missing_series_evals_to_resolve annotations labels isPaused notification_settings record"
)
JSON_DATA_KEYS = keys(
    "host port protocol secure path username defaultDatabase defaultTable dialTimeout queryTimeout"
    " connMaxLifetime maxIdleConns maxOpenConns validateSql customSettings httpHeaders"
)


def grafana_service() -> dict[str, Any]:
    """The service of docker-compose.yml that reads these files."""
    document = yaml.safe_load((GRAFANA.parent / "docker-compose.yml").read_text(encoding="utf-8"))
    service: dict[str, Any] = document["services"]["grafana"]
    return service


def test_the_data_source() -> None:
    """Every key is one that Grafana or the plugin reads, every variable one that Compose sets."""
    document = provisioned("datasources")
    (source,) = document.pop("datasources")
    assert document == {}
    assert source.keys() == keys(
        "name uid type access orgId isDefault editable jsonData secureJsonData"
    )
    assert source["type"] == PLUGIN
    assert source["jsonData"].keys() <= JSON_DATA_KEYS
    assert source["secureJsonData"].keys() == {"password"}
    used = re.findall(r"\$(\w+)", json.dumps(source))
    service = grafana_service()
    assert sorted(used) == sorted(
        f"CLICKHOUSE_{name}" for name in ("HOST", "PORT", "DATABASE", "USER", "PASSWORD")
    )
    assert set(used) <= service["environment"].keys()
    version = DASHBOARDS["spend"]["panels"][0]["targets"][0]["pluginVersion"]
    assert service["environment"]["GF_PLUGINS_PREINSTALL_SYNC"] == f"{PLUGIN}@{version}"


def test_the_dashboards_are_found() -> None:
    """The provider reads the directory that Compose mounts, and the home page is one of its."""
    (provider,) = provisioned("dashboards")["providers"]
    assert provider.keys() == keys(
        "name orgId folder type disableDeletion updateIntervalSeconds allowUiUpdates options"
    )
    path = provider["options"]["path"]
    service = grafana_service()
    assert f"./grafana/dashboards:{path}:ro" in service["volumes"]
    home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.startswith(f"{path}/")
    assert (GRAFANA / "dashboards" / Path(home).name).is_file()


def test_alert_rules() -> None:
    """A query, its last value, a limit; silent without data, and linked to a panel."""
    folder = provisioned("dashboards")["providers"][0]["folder"]
    assert {group["folder"] for group in provisioned("alerting")["groups"]} == {folder}
    source = provisioned("datasources")["datasources"][0]["uid"]
    for rule in rules():
        assert rule.keys() <= RULE_KEYS
        assert rule["noDataState"] == "OK"
        assert rule["execErrState"] == "Error"  # the default would ring for a broken query
        assert rule["annotations"].keys() == {"summary", "description"}
        assert "${" not in json.dumps(rule), "Grafana would replace it when it reads the file"
        query, reduced, limit = rule["data"]
        assert query["relativeTimeRange"]["to"] >= 60, "the newest rows are still on their way"
        assert query["datasourceUid"] == query["model"]["datasource"]["uid"] == source
        assert query["model"].keys() == TARGET_KEYS
        assert query["model"]["format"] == 1
        assert reduced["datasourceUid"] == limit["datasourceUid"] == "__expr__"
        assert reduced["model"]["expression"] == query["refId"]
        assert limit["model"]["expression"] == reduced["refId"]
        assert rule["condition"] == limit["refId"]
        for each in rule["data"]:
            assert each["refId"] == each["model"]["refId"]
        assert f"$values.{reduced['refId']}.Value" in rule["annotations"]["summary"]
        panels = DASHBOARDS[rule["dashboardUid"].removeprefix("taximeter-")]["panels"]
        assert rule["panelId"] in [panel["id"] for panel in panels]
    assert len({rule["uid"] for rule in rules()}) == 5


def test_the_guide_names_them_all() -> None:
    """docs/dashboards.md has a row for each dashboard and each alert rule, with its limit."""
    guide = (GRAFANA.parent / "docs" / "dashboards.md").read_text(encoding="utf-8")
    for name in DASHBOARDS:
        assert f"| {name.capitalize()} |" in guide
    for rule in rules():
        (condition,) = rule["data"][-1]["model"]["conditions"]
        (limit,) = condition["evaluator"]["params"]
        (row,) = (line for line in guide.splitlines() if line.startswith(f"| {rule['title']} |"))
        assert f" {limit * 100:g} % " in row or f" {limit:g} USD " in row
