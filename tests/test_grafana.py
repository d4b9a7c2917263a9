"""The dashboards of grafana/ can be imported, and every query of theirs works on a real store."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from exporters.clickhouse import connection
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.store import Store
from exporters.clickhouse.success import ENDED_WELL
from exporters.finishes import CUT, REFUSED
from exporters.record import Batch, Record
from pricing.usage import TOKEN_METERS, Meter
from support import evaluated, sampled
from support.dashboards import (
    ALL,
    DASHBOARDS,
    PLUGIN,
    SOURCE,
    TARGET_KEYS,
    TO,
    Chosen,
    answer,
    is_number,
    is_text,
    keys,
    rules,
    sent,
)

if TYPE_CHECKING:
    from conftest import RecordMaker

PANELS = [
    pytest.param(name, panel, id=f"{name}-{panel['id']}-{panel['title']}")
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
]
UNITS = {"currencyUSD", "decbytes", "locale", "percentunit", "short", "µs"}  # @grafana/data
SERIES = ("timeseries", "heatmap")  # types whose first column is time
REDUCED = ("stat", "gauge")  # types that show one row
USUAL = {"project", "provider", "model"}
VARIABLES = {
    "quality": {"suite", "model"},
    "budgets": {"budget"},
    "itself": {"node"},
}  # of dashboards that are not about calls
WEIGHTS: Chosen = {"cost_weight": ("1",), "latency_weight": ("2",)}
HOSTILE = ("x') OR 1=1 --",)

DASHBOARD_KEYS = keys(
    "uid title description tags schemaVersion version editable graphTooltip timezone refresh time"
    " timepicker fiscalYearStartMonth weekStart annotations links templating panels"
)
PANEL_KEYS = keys(
    "id type title description datasource gridPos fieldConfig options targets"
    " maxDataPoints interval links transformations"
)


def variables(name: str) -> dict[str, dict[str, Any]]:
    """The query variables of a dashboard."""
    found = DASHBOARDS[name]["templating"]["list"]
    return {each["name"]: each for each in found if each["type"] == "query"}


def panel_named(name: str, title: str) -> dict[str, Any]:
    """The panel of this title."""
    return next(panel for panel in DASHBOARDS[name]["panels"] if panel["title"] == title)


def odd(records: list[Record]) -> Iterator[Record]:
    """`records` with what the made ones lack: reasons, failures, costs reported, odd names."""
    for number, record in enumerate(records):
        change: dict[str, Any] = {"overhead_us": number, "dropped_bytes": number % 2}
        change |= {"gap_p95_us": 1_000 + number}
        if number % 5 == 0:
            change |= {"team": "it's", "feature": "a,b(c"}
        if number % 7 == 0:
            change |= {"outcome": "http_error", "http_status": 500, "error_type": "500"}
        if number % 3 == 0 and record.cost_usd is not None:
            change |= {"reported_usd": record.cost_usd + Decimal("0.25"), "node": "a"}
        if number % 11 == 0:
            change |= {"project": "back\\slash", "cache_read_tokens": 3}
        if number % 6 == 0:
            change |= {"in_flight": 1 + number % 40, "saved_batch_usd": Decimal(number)}
            change |= {"saved_cache_usd": number - 400 + Decimal("1e-18")}
        if number % 13 == 0:
            change |= {"outcome": "http_error", "http_status": 429, "error_type": "429"}
            change |= {"retry_after_s": None if number % 2 else number / 8}
        yield msgspec.structs.replace(record, **change)


@pytest.fixture(scope="module")
def records(make_records: "RecordMaker") -> list[Record]:
    """Calls of the last two hours."""
    return list(odd(make_records(800)))


@pytest.fixture(scope="module")
def store(make_records: "RecordMaker", chdb_dsn: str, records: list[Record]) -> Iterator[Store]:
    """Holds `records`; its clients are read-only, and its database has a name of its own."""

    async def fill() -> None:
        writer = ClickHouse(chdb_dsn, database="dashboards")
        await writer.export(Batch("t", tuple(records)))
        await writer.close()
        await evaluated.store(chdb_dsn, "dashboards")
        await sampled.store(chdb_dsn, "dashboards", make_records(8))

    asyncio.run(fill())
    store = Store(chdb_dsn, database="dashboards")
    yield store
    asyncio.run(store.close())


async def value(store: Store, name: str, title: str, **chosen: Sequence[str]) -> Any:
    """What a stat panel shows."""
    (target,) = panel_named(name, title)["targets"]
    _, ((shown, *_),) = await answer(
        store, sent(target["rawSql"], dict.fromkeys(variables(name), ALL) | chosen)
    )
    return shown


async def options(store: Store, name: str, variable: str) -> list[str]:
    """What can be chosen for a variable."""
    _, rows = await answer(store, sent(variables(name)[variable]["query"], {}))
    return [row[0] for row in rows]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_dashboard(name: str) -> None:
    """The classic model, importable as it is: nothing of one Grafana's own, nothing unknown."""
    dashboard = DASHBOARDS[name]
    assert dashboard.keys() == DASHBOARD_KEYS  # so no id, __inputs, __requires
    assert dashboard["uid"] == f"taximeter-{name}"
    assert dashboard["schemaVersion"] == 42
    assert not dashboard["editable"]
    assert dashboard["description"]
    assert dashboard["time"]["from"].startswith("now-")
    (link,) = dashboard["links"]
    assert link["type"] == "dashboards"
    assert link["tags"] == dashboard["tags"] == ["taximeter"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert ids == list(range(1, len(ids) + 1)), "links and alerts name panels by their id"
    assert len({panel["title"] for panel in dashboard["panels"]}) == len(ids)


def test_file_names() -> None:
    """Each dashboard has a uid and a title of its own."""
    names = {"spend", "latency", "usage", "health", "models", "quality", "budgets", "itself"}
    assert set(DASHBOARDS) == names
    assert len({dashboard["title"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_variables(name: str) -> None:
    """A data source to choose, then lists that nobody can type into."""
    first, *others = DASHBOARDS[name]["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", PLUGIN)
    assert VARIABLES.get(name, USUAL) <= {each["name"] for each in others}
    for each in others:
        assert each["allowCustomValue"] is False  # the only quoting there is leaves backslashes
        if each["type"] == "custom":  # a number that the file offers
            assert [each["value"] for each in each["options"]] == each["query"].split(",")
            assert all(value.isdecimal() for value in each["query"].split(","))
            continue
        assert each["datasource"] == SOURCE
        assert each["type"] == "query"
        assert each["multi"]
        assert each["includeAll"]
        assert each["refresh"] == 2  # the time range is part of the query
        assert each["current"] == {"text": ["All"], "value": ["$__all"]}


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_panel(name: str, panel: dict[str, Any]) -> None:
    """Says what it shows, in which unit, and asks the chosen data source within the time range."""
    assert panel.keys() <= PANEL_KEYS
    assert panel["type"] in (*SERIES, *REDUCED, "table", "barchart", "piechart", "xychart")
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == SOURCE
    common = panel["fieldConfig"]["defaults"]
    assert common["unit"] in UNITS
    assert common["noValue"]
    assert panel["type"] == "table" or "decimals" in common
    for override in panel["fieldConfig"]["overrides"]:
        said = {each["id"]: each["value"] for each in override["properties"]}
        if override["matcher"]["id"] == "byRegexp":  # bounds of intervals
            assert said.keys() == {"custom.lineStyle", "custom.lineWidth", "custom.showPoints"}
            continue
        assert said.keys() - {"custom.scaleDistribution"} == {"unit", "decimals"}
        assert said["unit"] in UNITS
    if panel["title"] != "Newest calls":  # those are the calls
        assert [link["title"] for link in panel["links"]] == ["The calls behind it"]
    (target,) = panel["targets"]
    assert target.keys() == TARGET_KEYS
    assert target["datasource"] == SOURCE
    series = panel["type"] in SERIES
    assert (target["queryType"], target["format"]) == (
        ("timeseries", 0) if series else ("table", 1)
    )
    assert re.search(r"timeFilter_ms\(t\.ts\)|>= toStartOf\w+\(\$__fromTime", target["rawSql"])
    used = set(re.findall(r"\$\{?(?!__)(\w+)", target["rawSql"]))
    weights = {each for each in used if each.endswith("_weight")}
    assert used - weights == set(variables(name)), "a variable that a panel ignores is a lie"
    if "_1h" in target["rawSql"] and "timeFilter" not in target["rawSql"] and series:
        assert panel["interval"] == "1h"  # finer steps would be mostly empty


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    """Each has a place of its own in the 24 columns."""
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize(("name", "panel"), PANELS)
async def test_query(name: str, panel: dict[str, Any], store: Store) -> None:
    """Runs read-only whatever is chosen, and gives the columns that the panel's type needs."""
    (target,) = panel["targets"]
    for values in (ALL, ("openai",), ("openai", "it's"), HOSTILE):
        sql = sent(target["rawSql"], dict.fromkeys(variables(name), values) | WEIGHTS)
        columns, rows = await answer(store, sql)
        assert rows or values, "All has rows"
        assert not rows or values != HOSTILE or panel["type"] in REDUCED, "a value became SQL"
        if panel["type"] in SERIES:
            check_series(panel, columns, rows)
        elif panel["type"] in REDUCED:
            assert len(rows) == 1
            assert all(is_number(kind) for kind in columns.values())
        else:
            overridden = [each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"]]
            assert set(overridden) <= set(columns)


def check_series(panel: dict[str, Any], columns: dict[str, str], rows: list[list[Any]]) -> None:
    """Time first and sorted; values, and at most one label, which names the series."""
    (first, kind), *others = columns.items()
    assert first == "time"
    assert kind.startswith("DateTime")
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    labels = [column for column, kind in others if is_text(kind)]
    numbers = [column for column, kind in others if is_number(kind)]
    assert len(labels) + len(numbers) == len(others)
    shown = panel["fieldConfig"]["defaults"].get("displayName")
    if labels:
        assert len(labels) == len(numbers) == 1
        assert shown == "${__field.labels." + labels[0] + "}"
        keys = [(row[0], row[list(columns).index(labels[0])]) for row in rows]
        assert len(set(keys)) == len(keys), "two values of one series at one time"
    else:
        assert shown is None


@pytest.mark.parametrize("name", DASHBOARDS)
async def test_an_empty_store_shows_no_false_zero(name: str, store: Store) -> None:
    """Before the first call: no rows, and stats that are nothing or a true 0."""
    early = datetime(2020, 1, 1, tzinfo=UTC)
    for panel in DASHBOARDS[name]["panels"]:
        sql = panel["targets"][0]["rawSql"]
        chosen: Chosen = dict.fromkeys(variables(name), ALL) | WEIGHTS
        _, rows = await answer(store, sent(sql, chosen, since=early, until=early))
        assert rows == [] or all(shown in (0, "0", None) for shown in rows[0]), panel["title"]


async def test_cost_is_exact(store: Store, records: list[Record]) -> None:
    """Both sums of costs are those of the rows, to the last digit, and so are the parts of one."""
    known = [record.cost_usd for record in records if record.cost_usd is not None]
    assert Decimal(await value(store, "spend", "Cost")) == sum(known)
    assert Decimal(await value(store, "usage", "Cost")) == sum(known)
    parts = ("Models", "Teams", "Features", "Projects", "Keys", "Cost by provider", "Cost by day")
    for title in (*parts, "Share of cost by provider", "Cost by feature", "Clients"):
        sql = panel_named("spend", title)["targets"][0]["rawSql"]
        columns, rows = await answer(store, sent(sql, dict.fromkeys(variables("spend"), ALL)))
        costs = [row[list(columns).index("cost")] for row in rows]
        assert sum(Decimal(cost) for cost in costs if cost is not None) == sum(known), title


def test_a_success_is_the_same_everywhere() -> None:
    """What dashboards count as succeeded is what reports do until somebody says more."""
    judging = 0
    for board in DASHBOARDS.values():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                rest = target["rawSql"].replace(ENDED_WELL, "")
                judging += rest != target["rawSql"]
                assert not any(f"'{why}'" in rest for why in (*CUT, *REFUSED)), panel["title"]
    assert judging == 5


async def test_what_changed_adds_up(store: Store, records: list[Record]) -> None:
    """The effects of volume and of cost per call are the change; this period and the last, all."""
    sql = panel_named("spend", "What changed")["targets"][0]["rawSql"]
    chosen: Chosen = dict.fromkeys(variables("spend"), ALL)
    middle = datetime.fromtimestamp(records[len(records) // 2].ts_us // 10**6 // 900 * 900, UTC)
    span = timedelta(hours=3)
    columns, rows = await answer(store, sent(sql, chosen, since=middle, until=middle + span))
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    for row in found:
        assert row["change"] == pytest.approx(row["by volume"] + row["by cost per call"])
        assert row["change"] == pytest.approx(row["cost"] - row["cost before"])
    assert sum(row["calls"] + row["calls before"] for row in found) == len(records)
    assert all(sum(row[name] for row in found) > 0 for name in ("calls", "calls before"))


async def test_unknown_is_not_zero(store: Store, records: list[Record]) -> None:
    """Calls without a cost are counted beside the sum of the others."""
    unpriced = sum(record.cost_usd is None for record in records)
    assert unpriced > 0
    assert await value(store, "spend", "Unpriced calls") == unpriced
    assert await value(store, "usage", "Unpriced calls") == unpriced


# Every call of `calls` is priced again, and found to have no known price.
PRICE_LOST = """
INSERT INTO corrections (ts, call_id, source, revision, at, reason, project, environment, team,
  feature, key_id, provider, operation, request_model, response_model, outcome, error_type,
  old_cost_usd, old_cost_input_usd, old_cost_status, cost_usd, cost_status, client, user_id, tags)
SELECT ts, call_id, source, 1, now64(6), 'price_lost', project, environment, team,
  feature, key_id, provider, operation, request_model, response_model, outcome, error_type,
  cost_usd, cost_input_usd, cost_status, NULL, 'unpriced', client, user_id, tags
FROM calls
"""


@pytest.mark.parametrize("lost", ["at first", "later"])
async def test_nothing_known_is_not_zero(
    lost: str, chdb_dsn: str, database: str, records: list[Record]
) -> None:
    """Where no call has a cost there is none to show, also if corrections took the costs away."""
    if lost == "at first":
        records = [record for record in records if record.cost_usd is None]
    writer = ClickHouse(chdb_dsn, database=database)
    await writer.export(Batch("t", tuple(records)))
    await writer.close()
    if lost == "later":
        client = connection.connect(parse_dsn(chdb_dsn, database))
        client.database = database
        client.command(PRICE_LOST)
        client.close()
    store = Store(chdb_dsn, database=database)
    for name in ("spend", "usage"):
        assert await value(store, name, "Cost") is None
        assert await value(store, name, "Calls") == len(records)
        assert await value(store, name, "Unpriced calls") == len(records)
        for title in ("Cost by model", "Models" if name == "spend" else "Users"):
            sql = panel_named(name, title)["targets"][0]["rawSql"]
            columns, rows = await answer(store, sent(sql, dict.fromkeys(variables(name), ALL)))
            assert all(row[list(columns).index("cost")] is None for row in rows)
    await store.close()


async def test_choosing_narrows(store: Store, records: list[Record]) -> None:
    """What is chosen adds up: each offered value gives its own calls, several their sum."""
    for variable, field in (("team", "team"), ("provider", "provider"), ("project", "project")):
        offered = await options(store, "usage", variable)
        counts = []
        for chosen in offered:
            wanted = sum(getattr(record, field) == chosen for record in records)
            assert await value(store, "usage", "Calls", **{variable: [chosen]}) == wanted > 0
            assert await value(store, "spend", "Calls", **{variable: [chosen]}) == wanted
            counts.append(wanted)
        assert await value(store, "usage", "Calls", **{variable: offered}) == sum(counts)
    assert await value(store, "usage", "Calls", team=HOSTILE) == 0
    assert await value(store, "spend", "Calls", team=HOSTILE) == 0
    models = await options(store, "latency", "model")
    assert await value(store, "spend", "Calls", model=models) == len(records)


@pytest.mark.parametrize("name", DASHBOARDS)
async def test_offered_values(name: str, store: Store) -> None:
    """Empty ones are not offered ('' means All), nor those that the quoting would let through."""
    for variable in variables(name):
        offered = await options(store, name, variable)
        assert offered == sorted(offered)
        assert offered
        assert not any(each == "" or "\\" in each for each in offered)
    if "project" in variables(name):
        assert "back\\slash" not in await options(store, name, "project")


async def test_the_token_mix_is_all_tokens(store: Store) -> None:
    """It shows every meter that counts tokens, and none of another unit."""
    sql = panel_named("usage", "Token mix")["targets"][0]["rawSql"]
    condition = re.search(r"match\(meter, '[^']+'\)", sql)
    assert condition is not None
    meters = [str(meter) for meter in Meter]
    every = f"SELECT arrayJoin({meters}) AS meter WHERE {condition[0]}"
    _, rows = await answer(store, (every, {}))
    assert {row[0] for row in rows} == TOKEN_METERS


async def test_the_newest_call_is_the_first(store: Store, records: list[Record]) -> None:
    """The table of calls begins with the newest, whose cost is unknown or exact."""
    sql = panel_named("usage", "Newest calls")["targets"][0]["rawSql"]
    columns, rows = await answer(store, sent(sql, dict.fromkeys(variables("usage"), ALL)))
    newest = sorted(records, key=lambda record: (record.ts_us, UUID(record.call_id)), reverse=True)
    names = list(columns)
    assert [row[names.index("call")] for row in rows] == [each.call_id for each in newest[:100]]
    for row, record in zip(rows, newest, strict=False):
        cost = row[names.index("cost")]
        assert record.cost_usd == (None if cost is None else Decimal(cost))


def bears_out(rule: str, label: str, records: list[Record]) -> float:
    """What an alert rule's number is for the calls of its label, from the records."""
    if rule == "taximeter-spend":
        ours = [record for record in records if record.project == label.replace("(none)", "")]
        return float(sum(record.cost_usd for record in ours if record.cost_usd is not None))
    if rule == "taximeter-dropped-share":
        ours = [record for record in records if record.node == label.replace("(none)", "")]
        return sum(record.dropped_bytes > 0 for record in ours) / len(ours)
    ours = [record for record in records if record.provider == label]
    if rule == "taximeter-unpriced-share":
        return sum(record.cost_usd is None for record in ours) / len(ours)
    return sum(record.outcome not in ("ok", "client_gone") for record in ours) / len(ours)


BUDGET_SPENT = "taximeter-budget-spent"
OF_CALLS = [rule for rule in rules() if rule["uid"] != BUDGET_SPENT]


async def test_the_query_of_the_rule_about_budgets(store: Store) -> None:
    """The newest share of each budget that has a limit, as it was sampled."""
    (rule,) = (rule for rule in rules() if rule["uid"] == BUDGET_SPENT)
    until = TO - timedelta(hours=1, minutes=15)  # the samples were made soon after TO was
    sql = rule["data"][0]["model"]["rawSql"]
    span = timedelta(minutes=5)
    columns, rows = await answer(store, sent(sql, {}, since=until - span, until=until))
    assert list(columns) == ["budget", "share"]
    shares = dict(rows)
    assert shares.keys() == {"monthly", "each-user user=it's"}
    number = round(shares["monthly"] * 50)  # of the sample
    assert shares["monthly"] == pytest.approx(number / 50)
    assert 40 <= number <= 46
    assert shares["each-user user=it's"] == pytest.approx(number * 7 / 1000)


@pytest.mark.parametrize("rule", OF_CALLS, ids=lambda rule: str(rule["uid"]))
async def test_alert_query(rule: dict[str, Any], store: Store, records: list[Record]) -> None:
    """It gives each label the number of its calls; the summary names the label."""
    query = rule["data"][0]
    newest = datetime.fromtimestamp(max(record.ts_us for record in records) // 10**6, UTC)
    fired = newest - timedelta(minutes=20)
    since, until = (
        fired - timedelta(seconds=query["relativeTimeRange"][edge]) for edge in ("from", "to")
    )
    columns, rows = await answer(
        store, sent(query["model"]["rawSql"], {}, since=since, until=until)
    )
    label, number = columns
    assert is_text(columns[label])
    assert "Float64" in columns[number]
    assert re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]) == [label]
    there = [
        record
        for record in records
        if since.timestamp() <= record.ts_us / 1_000_000 < until.timestamp()
    ]
    assert len(rows) >= 2
    for shown, value in rows:
        assert value == pytest.approx(bears_out(rule["uid"], shown, there))
