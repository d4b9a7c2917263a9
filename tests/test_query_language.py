"""Questions are understood as they were meant, or refused with what to do; nothing is ignored."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.clickhouse.dimensions import COLUMNS, DIMENSIONS, dimension
from exporters.clickhouse.query import BUCKETS, BUCKETS_MAX, ORDERS, Filter, Query
from exporters.record import Record
from proxy.console.asking import ACCEPTED
from proxy.query.asked import MEANINGS, NOTHING, Accepted, Asked, Mistake, asked, near
from proxy.query.csv_rows import csv_text, file_name, safe
from proxy.query.language import (
    CALLS,
    REPORT,
    TIMELINE,
    Defaults,
    calls_question,
    report_query,
    stretch,
    timeline_query,
    words,
)

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def read(query: str, accepted: Accepted = REPORT) -> Asked:
    """`team=a&by=model` as it is asked."""
    return asked(
        [(name, text) for name, _, text in map(split, filter(None, query.split("&")))], accepted
    )


def split(part: str) -> tuple[str, str, str]:
    return part.partition("=")


def query(text: str) -> Query:
    return report_query(read(text), NOW, Defaults())


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("", NOW - timedelta(hours=24), None),
        ("since=7d&until=1h", NOW - timedelta(days=7), NOW - timedelta(hours=1)),
        ("since=2026-11-01", datetime(2026, 11, 1, tzinfo=UTC), None),
        (f"since=2026-11-01&tz={BERLIN}", datetime(2026, 10, 31, 23, tzinfo=UTC), None),
        (f"since=2026-11-01T00:00Z&tz={BERLIN}", datetime(2026, 11, 1, tzinfo=UTC), None),
        (
            f"month=2026-10&tz={BERLIN}",
            datetime(2026, 9, 30, 22, tzinfo=UTC),
            datetime(2026, 10, 31, 23, tzinfo=UTC),
        ),
    ],
)
def test_periods(text: str, since: datetime, until: datetime | None) -> None:
    """Ages, instants, dates of a zone and months; the end is open where none is given."""
    found = query(text)
    assert (found.since, found.until) == (since, until)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tem=x", "unknown parameter 'tem'; did you mean team?"),
        ("sinc=1h", "unknown parameter 'sinc'; did you mean since?"),
        ("team=a&since=1h&since=2h", "since is given twice; give it once"),
        ("by=colur", "cannot group calls by 'colur'"),
        ("by=tem,model", "cannot group calls by 'tem'; did you mean team?"),
        ("by=day,month", "cannot group by day and month at once; choose one"),
        ("by=user,user_id", "by names a dimension twice"),
        ("month=2026-13", "invalid month '2026-13'; expected one such as 2026-10"),
        ("month=2026-10&since=1h", "month and since contradict each other"),
        ("month=2026-10&until=1h", "month and until contradict each other"),
        ("since=yesterday", "invalid time 'yesterday'; expected 2026-"),
        ("since=1h&until=2h", "is empty; until must be after since"),
        ("since=2026-12-24", "is empty"),
        ("tz=Europe/Berln", "unknown time zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ("tz=europe/berlin", "did you mean Europe/Berlin?"),
        ("tz=../../etc/passwd", "unknown time zone"),
        ("limit=0", "limit must be a number from 1 to 10000"),
        ("limit=٣", "limit must be a number"),
        ("order=price", "invalid order 'price'"),
        ("format=xml", "invalid format 'xml'"),
        ("stream=maybe", "stream is true or false"),
        ("http_status=teapot", "http_status is a whole number"),
        ("tag.=x", "unknown parameter 'tag.'"),
        ("tag.a`=x", "unknown parameter"),
        ("by=hour&since=2000-01-01", f"too many hours; {BUCKETS_MAX:,} at most"),
        (f"by={','.join(list(DIMENSIONS)[:9])}", "too many dimensions"),
        ("duration_us=3", "unknown parameter 'duration_us'"),
        (f"team={'x' * 3000}", "'team' is too long"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    """With the parameter's name, and what to do instead."""
    with pytest.raises(Mistake) as caught:
        query(text)
    assert said in str(caught.value)
    assert caught.value.hint


def test_filters() -> None:
    """Repeated values are alternatives, `!=` is a negation, empty is a call without a value."""
    found = query("team=a&team=&team!=b&user_id=ann&stream=true&http_status=200&tag.x=1")
    assert found.filters == (
        Filter("team", ("a", "")),
        Filter("team", ("b",), negated=True),
        Filter("user", ("ann",)),
        Filter("stream", (True,)),
        Filter("http_status", (200,)),
        Filter("tag.x", ("1",)),
    )


def test_calls_and_timelines() -> None:
    """A page begins after a row that is named whole; steps are seconds, and no calendar."""
    one = "0192d3c0-0000-7000-8000-00000000ffff"
    found = calls_question(read(f"before=1h&before_id={one}&limit=5&team=a", CALLS), NOW)
    assert (found.limit, found.before_id, found.since) == (5, one, None)
    for text, said in (
        (f"before_id={one}", "before_id without before"),
        ("before=1h&before_id=x", "invalid before_id"),
        ("limit=10001", "from 1 to 10000"),
    ):
        with pytest.raises(Mistake, match=said):
            calls_question(read(text, CALLS), NOW)
    steps = timeline_query(read("step=90", TIMELINE), NOW, Defaults("1h", ("model",)), 60)
    assert (steps.step, steps.by) == (timedelta(seconds=90), ("model",))
    for text in ("step=0", "step=1.5", "by=day"):
        with pytest.raises(Mistake):
            timeline_query(read(text, TIMELINE), NOW, Defaults(), 60)


names = st.sampled_from([*DIMENSIONS, "tag.ticket", "tag.Ü"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def filters(draw: st.DrawFn) -> tuple[Filter, ...]:
    """Some, each dimension at most once a way."""
    keys = draw(st.lists(st.tuples(names, st.booleans()), unique=True, max_size=4))
    found = []
    for name, negated in keys:
        kind = (dimension(name) or DIMENSIONS["team"]).kind
        one: st.SearchStrategy[str | int | bool] = texts
        if kind is not str:
            one = st.booleans() if kind is bool else st.integers(0, 999_999_999)
        values = tuple(draw(st.lists(one, min_size=1, max_size=3)))
        found.append(Filter(name, values, negated))
    return tuple(found)


begins = st.integers(0, 30 * 86_400_000_000).map(
    lambda us: datetime(2026, 10, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
lengths = st.none() | st.just(timedelta(days=9, microseconds=1))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Any that can be said."""
    since, length = draw(begins), draw(lengths)
    return Query(
        since=since,
        until=None if length is None else since + length,
        by=tuple(draw(st.lists(names, unique=True, max_size=4))),
        filters=draw(filters()),
        bucket=draw(st.sampled_from(["", *BUCKETS])),
        zone=draw(st.sampled_from(["UTC", BERLIN, "Asia/Kathmandu"])),
        limit=draw(st.none() | st.integers(1, 10_000)),
        order=draw(st.sampled_from(ORDERS)),
        now=NOW,
    )


@pytest.mark.thorough
@given(queries())
def test_round_trip(meant: Query) -> None:
    """Any query can be said, and is understood as that query."""
    assert report_query(asked(words(meant), REPORT), NOW, Defaults()) == meant


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from([REPORT, CALLS, NOTHING]))
def test_no_unknown_name_passes(name: str, text: str, accepted: Accepted) -> None:
    """Whatever is neither a parameter nor a dimension is refused, and its name is said."""
    plain = name.removesuffix("!")
    if name in accepted.names or (accepted.filters and dimension(plain)):
        return
    with pytest.raises(Mistake, match="unknown parameter") as caught:
        asked([(name, text)], accepted)
    assert caught.value.parameter == name


def test_every_column_is_a_dimension_or_a_measure() -> None:
    """A new column is in the table, or on this list."""
    measures = {
        *("ts_us", "call_id", "span_id", "parent_span_id", "receipt", "error_message"),
        *("source", "schema_version", "cache_read_tokens", "cache_write_tokens"),
        *("reasoning_tokens", "duration_us", "overhead_us", "caller_wait_us", "request_bytes"),
        *("response_bytes", "dropped_bytes", "tool_calls"),
    }
    fields = {one.name: one.type for one in msgspec.structs.fields(Record)}
    plain = {name: kind for name, kind in fields.items() if kind in {str, int, bool}}
    assert plain.keys() - measures == COLUMNS.keys() - {"model", "reason", "blocked_by"}
    assert {name: COLUMNS[name].kind for name in plain.keys() - measures} == {
        name: kind for name, kind in plain.items() if name not in measures
    }


def test_every_parameter_has_a_meaning() -> None:
    """For `--help` and docs/queries.md."""
    named = {name for one in ACCEPTED.values() for name in (*one.once, *one.often)}
    audited = {"actor", "role", "action", "target", "node"}
    assert named - audited == MEANINGS.keys()


@given(st.text(max_size=20))
def test_no_cell_is_a_formula(text: str) -> None:
    """Whatever a caller calls a team, a spreadsheet shows it and runs nothing."""
    cell = safe(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    number = cell.lstrip("-").replace(".", "", 1).isdecimal()
    assert not cell.strip().startswith(("=", "+", "-", "@")) or number or "e" in cell.lower()


def test_csv() -> None:
    """Names, then rows: unknown is empty, money exact, quotes and lines kept."""
    rows: list[dict[str, object]] = [
        {"team": '=1+1"', "cost_usd": "0.10", "ok": True, "tags": {"a": 1}, "none": None},
        {"team": "a\nb,c", "cost_usd": "-1.5", "ok": False, "tags": {}, "none": ""},
    ]
    assert csv_text(rows) == (
        "team,cost_usd,ok,tags,none\r\n"
        '"\'=1+1""",0.10,true,"{""a"":1}",\r\n'
        '"a\nb,c",-1.5,false,{},\r\n'
    )
    assert csv_text([], ("a", "b")) == "a,b\r\n"
    name = file_name("report", datetime(2026, 10, 1, tzinfo=UTC), None)
    assert name == "taximeter-report-2026-10-01.csv"


def test_suggestions() -> None:
    """One near name, or all of them."""
    assert near("modle", ("model", "team")) == "did you mean model?"
    assert near("x", ("model", "team")) == "expected: model, team"
    assert stretch(asked([], NOTHING), NOW, Defaults()).until is None


@pytest.mark.parametrize("zone", ["UTC", BERLIN, "America/Santiago", "Australia/Lord_Howe"])
@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_a_partition(zone: str, bucket: str) -> None:
    """Each ends where the next begins, and together they are the period, whatever clocks do."""
    start = datetime(2026, 3, 20, 7, 13, tzinfo=UTC)
    for shift in range(0, 240, 30):
        since = start + timedelta(days=shift)
        until = since + timedelta(days=24)
        spans = list(Query(since=since, until=until, bucket=bucket, zone=zone).spans())
        assert (spans[0][1], spans[-1][2]) == (since, until)
        assert [end for _, _, end in spans[:-1]] == [begin for _, begin, _ in spans[1:]]
