"""What Grafana's macros, variables and times become here is what their documents say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dashboards.answers import ask
from proxy.dashboards.boards import Missing, board, boards
from proxy.dashboards.macros import Expansion, arguments
from proxy.dashboards.times import Range, moment, shared_s, steady, step_s, time_range
from proxy.dashboards.variables import ALL, Choice, Variable, choices, variables
from proxy.query.asked import Asked, Mistake
from support.dashboards import DASHBOARDS

NOW = datetime(2026, 11, 29, 9, 30, 15, tzinfo=UTC)  # a Sunday
FROM, TO = datetime.fromtimestamp(1_415_792_726, UTC), datetime.fromtimestamp(1_447_328_726, UTC)


def variable(name: str = "team", **given: Any) -> Variable:
    """A list of values in the store, several at once, unless said otherwise."""
    said: dict[str, Any] = {
        "kind": "query",
        "label": name,
        "query": "",
        "multi": True,
        "include_all": True,
    }
    return Variable(name, **(said | {"options": (), "default": (ALL,)} | given))


def expanded(sql: str, *chosen: Choice, step: int = 20) -> tuple[str, dict[str, object]]:
    """The SQL, and what it binds."""
    by_name = {choice.variable.name: choice for choice in chosen}
    expansion = Expansion(Range(FROM, TO, "Asia/Kolkata"), step, by_name)
    return expansion.sql(sql), expansion.bound.values


# From the table of macros in the plugin's README, with its own range.
MACROS = {
    "$__dateFilter(d)": "d >= toDate('2014-11-12') AND d <= toDate('2015-11-12')",
    "$__timeFilter(t)": "t >= toDateTime(1415792726) AND t <= toDateTime(1447328726)",
    "$__timeFilter_ms(t)": (
        "t >= fromUnixTimestamp64Milli(1415792726000)"
        " AND t <= fromUnixTimestamp64Milli(1447328726000)"
    ),
    "$__dateTimeFilter(d, t)": (
        "(d >= toDate('2014-11-12') AND d <= toDate('2015-11-12')) AND"
        " (t >= toDateTime(1415792726) AND t <= toDateTime(1447328726))"
    ),
    "$__timeFrom(t)": "t >= toDateTime(1415792726)",
    "$__timeTo(t)": "t <= toDateTime(1447328726)",
    "$__fromTime": "toDateTime(1415792726)",
    "$__toTime": "toDateTime(1447328726)",
    "$__fromTime_ms": "fromUnixTimestamp64Milli(1415792726000)",
    "$__toTime_ms": "fromUnixTimestamp64Milli(1447328726000)",
    "$__interval_s": "20",
    "$__timeInterval(t)": "toStartOfInterval(toDateTime(t), INTERVAL 20 second)",
    "$__timeInterval_ms(t)": "toStartOfInterval(toDateTime64(t, 3), INTERVAL 20000 millisecond)",
    "${__from} ${__to}": "1415792726000 1447328726000",
    "'${__timezone}'": "'Asia/Kolkata'",
}


@pytest.mark.parametrize(("macro", "sql"), MACROS.items())
def test_macro(macro: str, sql: str) -> None:
    """Alone and inside other SQL, also twice."""
    assert expanded(macro)[0] == sql
    assert expanded(f"SELECT f({macro}), {macro}")[0] == f"SELECT f({sql}), {sql}"


def test_columns_of_macros_are_expressions() -> None:
    """Brackets, commas and quotes in them are theirs, and other macros too."""
    column = "if(a = ',)', toStartOfHour($__fromTime, 'UTC'), b[1])"
    inner = column.replace("$__fromTime", "toDateTime(1415792726)")
    assert expanded(f"$__timeFrom({column}) OR 1")[0] == f"{inner} >= toDateTime(1415792726) OR 1"


def test_conditional_all() -> None:
    """The condition counts unless all are chosen; it may hold another macro, and a bracket."""
    sql = (
        "WHERE $__conditionalAll(lower(t.team) IN (${team:singlequote}), $team) AND $__timeFrom(t)"
    )
    since = "t >= toDateTime(1415792726)"
    assert expanded(sql, Choice(variable())) == (f"WHERE 1=1 AND {since}", {})
    text, bound = expanded(sql, Choice(variable(), ("a", "b")))
    assert text == f"WHERE lower(t.team) IN ({{team_0:String}},{{team_1:String}}) AND {since}"
    assert bound == {"team_0": "a", "team_1": "b"}


@given(st.text(min_size=1, max_size=30), st.sampled_from(["", ":singlequote", ":sqlstring"]))
def test_no_value_becomes_sql(value: str, form: str) -> None:
    """Whatever is chosen, the SQL is the same, and the value is bound as it is."""
    text, bound = expanded(f"x IN (${{team{form}}})", Choice(variable(), (value,)))
    assert text == "x IN ({team_0:String})"
    assert bound == {"team_0": value}


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        ("$__timeFilter(t", "does not close"),
        ("$__timeFilter()", "takes 1 arguments"),
        ("$__adHocFilters('t')", r"unknown macro \$__adHocFilters"),
        ("$tea", r"unknown variable \$tea"),
        ("${team:singelquote}", "did you mean singlequote"),
        ("${team:raw}", "a text that a viewer chose"),
    ],
)
def test_what_is_not_understood_is_refused(sql: str, wrong: str) -> None:
    """Half expanded SQL would answer another question."""
    with pytest.raises(ValueError, match=wrong):
        expanded(sql, Choice(variable(), ("a",)))
    with pytest.raises(ValueError, match="All"):
        expanded("${team:singlequote}", Choice(variable()))


@given(st.lists(st.sampled_from(["a", "f(x, y)", "'),('", '"\\",("', "t['k']", "`,`"]), min_size=1))
def test_arguments(parts: list[str]) -> None:
    """They are found again, whatever brackets and quotes they have."""
    text = f"f({', '.join(parts)}) AND 1"
    assert arguments(text, 2) == (parts, text.index(" AND"))


def test_a_choice_is_checked() -> None:
    """What the file offers is chosen from it, numbers are numbers, names have a near one."""
    weight = variable("weight", kind="custom", multi=False, include_all=False, options=("1", "2"))
    size = variable("size", kind="textbox", multi=False, include_all=False, default=("5",))
    known = {each.name: each for each in (variable(), weight, size)}
    chosen = choices(known, {"var-weight": ("2",), "var-team": ("a", "b"), "from": ("now-1h",)})
    assert {name: choice.values for name, choice in chosen.items()} == {
        "weight": ("2",),
        "size": ("5",),
        "team": ("a", "b"),
    }
    assert expanded("$weight * ${size}", *chosen.values()) == ("2 * 5", {})
    for asked, wrong in (
        ({"var-weight": ("3",)}, "invalid weight '3'; expected: 1, 2"),
        ({"var-weight": ("1", "2")}, "weight has too many values; give one"),
        ({"var-weight": ("",)}, "no value for weight; give one"),
        (
            {"var-weight": ("1",), "var-size": ("5 OR 1",)},
            "invalid size '5 OR 1'; size is a number",
        ),
        ({"var-weigth": ("1",)}, "unknown variable 'var-weigth'; did you mean var-weight?"),
        ({"var-weight": ("1",), "var-team": ("a",) * 201}, "team has too many values"),
    ):
        with pytest.raises(Mistake, match=wrong.replace("?", r"\?")):
            choices(known, asked)


TIMES = {
    "now": "2026-11-29T09:30:15Z",
    "now-90s": "2026-11-29T09:28:45Z",
    "now-7d": "2026-11-22T09:30:15Z",
    "now/d": "2026-11-28T18:30:00Z",  # midnight in Kolkata
    "now-1d/d": "2026-11-27T18:30:00Z",
    "now/w": "2026-11-22T18:30:00Z",
    "now/M": "2026-10-31T18:30:00Z",
    "now-1M/M": "2026-09-30T18:30:00Z",
    "now/y": "2025-12-31T18:30:00Z",
    "now/M+9d": "2026-11-09T18:30:00Z",
    "now/Q": "2026-09-30T18:30:00Z",
    "now-1Q/fQ": "2026-06-30T18:30:00Z",
    "now-y/fy": "2024-12-31T18:30:00Z",
    "now-d": "2026-11-28T09:30:15Z",
    "now - 7d": "2026-11-22T09:30:15Z",
    "now 1h": "2026-11-29T10:30:15Z",  # a plus that was not percent-encoded
    "1447328726000": "2015-11-12T11:45:26Z",
    "2026-11-01T00:00:00.000Z": "2026-11-01T00:00:00Z",
    "2026-11-01": "2026-10-31T18:30:00Z",
    "20261101": "2026-10-31T18:30:00Z",
    "20261101T120000": "2026-11-01T06:30:00Z",
    "2026-11-01 12:00:00": "2026-11-01T06:30:00Z",
    "2026-11-01T12:00:00 02:00": "2026-11-01T10:00:00Z",
}


@pytest.mark.parametrize(("text", "at"), TIMES.items())
def test_time(text: str, at: str) -> None:
    """Days are those of the zone."""
    assert moment(text, NOW, "Asia/Kolkata") == datetime.fromisoformat(at)


def test_the_end_of_a_day_is_its_last_millisecond() -> None:
    """So `now/d` to `now/d` is today, also of 23 hours; months have their own length."""
    over = time_range("now/d", "now/d", datetime(2026, 3, 29, 9, tzinfo=UTC), "Europe/Berlin")
    assert over.end - over.start == timedelta(hours=23) - timedelta(milliseconds=1)
    last = datetime(2026, 3, 31, tzinfo=UTC)
    assert moment("now-1M", last, "UTC") == datetime(2026, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize("unit", "dwMQy")
@pytest.mark.parametrize(
    ("zone", "at"),
    [
        ("Asia/Beirut", "2026-10-24T12:00Z"),  # clocks go back at midnight, to 23:00
        ("America/Santiago", "2026-04-04T12:00Z"),
        ("Africa/Cairo", "2026-04-24T12:00Z"),  # there is no midnight
        ("America/Havana", "2026-11-01T12:00Z"),  # midnight comes twice
        ("Australia/Lord_Howe", "2026-04-04T12:00Z"),  # half an hour more
        ("Asia/Kathmandu", "2026-11-30T20:00Z"),
    ],
)
def test_days_follow_on_each_other(zone: str, at: str, unit: str) -> None:
    """Each ends a millisecond before the next begins, also where clocks change at midnight."""
    now = datetime.fromisoformat(at)
    end = moment(f"now/{unit}", now, zone, end=True)
    assert end + timedelta(milliseconds=1) == moment(f"now+1{unit}/{unit}", now, zone)


@pytest.mark.parametrize(
    "text", ["yesterday", "now-", "now-7x", "now/q", "now/fd", "now+99999y", "9" * 15, ""]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """It says which forms there are."""
    with pytest.raises(Mistake, match="expected now-7d"):
        moment(text, NOW, "UTC")
    with pytest.raises(Mistake, match="is empty; to must be after from"):
        time_range("now", "now-1h", NOW, "UTC")


# As `roundInterval` of @grafana/data rounds: seconds of a range, points, the least step.
STEPS = [
    (3_600, 120, "", 30),
    (3_600, 240, "", 15),
    (3_600, 120, "1m", 60),
    (604_800, 120, "", 3_600),
    (604_800, 120, "1h", 3_600),
    (2_592_000, 120, "", 21_600),
    (2_592_000, 30, "1d", 86_400),
    (60, 240, "", 1),
    (10**10, 10, "", 2_592_000),
]


@pytest.mark.parametrize(("seconds", "points", "least", "step"), STEPS)
def test_step(seconds: float, points: int, least: str, step: int) -> None:
    """Round numbers of seconds, minutes, hours and days."""
    assert step_s(seconds, points, least) == step


@given(st.integers(0, 10**6), st.sampled_from(["now-5m", "now-1h", "now-24h", "now-7d", "now-1y"]))
def test_who_looks_within_a_step_asks_the_same(late: int, since: str) -> None:
    """A range that moves is widened to whole steps; one that is fixed stays as it is."""
    at = NOW + timedelta(milliseconds=late)
    over = time_range(since, "now", at, "UTC")
    wide, step = steady(over, since, "now"), shared_s(over.seconds)
    assert wide.start <= over.start < over.end <= wide.end
    assert wide.start.timestamp() % step == wide.end.timestamp() % step == 0
    assert wide.seconds - over.seconds <= max(2, over.seconds / 200), "no more than can be seen"
    today = time_range("now/d", "now/d", at, "UTC")
    assert steady(today, "now/d", "now/d") == today


@pytest.mark.parametrize("since", ["now-5m", "now-1h", "now-24h", "now-30d"])
def test_all_panels_of_a_page_cover_the_same_range(since: str) -> None:
    """Whatever their steps are, so that parts add up to totals."""
    given = Asked({"from": (since,), "to": ("now",)})
    for each in boards().values():
        covered = {ask(each, panel, given, NOW).over for panel in each.panels.values()}
        assert len(covered) == 1


def test_every_dashboard_is_read() -> None:
    """Those of Grafana, by their uids; what is not there is told with what is near."""
    assert {each.document["title"] for each in boards().values()} == {
        each["title"] for each in DASHBOARDS.values()
    }
    with pytest.raises(Missing, match="did you mean taximeter-spend"):
        board("taximeter-spends")
    for each in boards().values():
        assert set(each.variables) == set(variables(each.document))
        shown = each.shown()
        assert "SELECT" not in str(shown), "SQL stays with us"
