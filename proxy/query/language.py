"""From a question's words to a `Query`: periods, time zones, groups, order and limit.  Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from exporters.clickhouse.audit_sql import EXACT, AuditQuestion
from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.dimensions import COLUMNS, DIMENSIONS, TAG, dimension
from exporters.clickhouse.query import BUCKETS, BUCKETS_MAX, MEASURES, ORDERS, ROWS_MAX, Query
from pricing.window import Period as Calendar
from pricing.window import zones
from proxy.instants import instant
from proxy.query.asked import FORMATS, PERIOD, Accepted, Asked, Mistake, near

BY_MAX = 8  # dimensions of one question
STEP_S_MAX = 366 * 86_400
LIMIT_DEFAULT = 100  # calls of one answer
OF_A_CALL = ("successes",)  # of `MEASURES`, what a single call has
MONTH = re.compile(r"(\d{4})-(\d\d)")

REPORT = Accepted((*PERIOD, "limit", "order", "format"), ("by", "measure"), filters=True)
AMORTISED = Accepted((*PERIOD, "format"), ("by",), filters=True)
TIMELINE = Accepted((*PERIOD, "step", "limit", "order", "format"), ("by", "measure"), filters=True)
OBSERVED = Accepted(PERIOD, filters=True)
RECOMMEND = Accepted((*PERIOD, "run", "smallest"), filters=True)
COMPARE = Accepted((*PERIOD, "run"), ("slo", "weights", "anchors"), filters=True)
REFUSALS = Accepted((*PERIOD, "limit", "before", "before_id", "format"), ("columns",), filters=True)
CALLS = replace(REFUSALS, often=("measure", "columns"))
TARIFFS = Accepted(("search", "provider", "own", "limit", "offset"))
AUDIT_LOG = Accepted((*PERIOD, "before", "before_id", "limit", "format", *EXACT))


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a question says nothing."""

    since: str = "24h"
    by: tuple[str, ...] = ("provider", "model")
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A half-open period and the zone in which it was given; None is open."""

    since: datetime | None
    until: datetime | None
    zone: str


def stretch(asked: Asked, now: datetime, defaults: Defaults) -> Stretch:
    """The period that a question names.  Raises Mistake for one that is invalid or empty."""
    zone = time_zone(asked.one("tz", defaults.zone))
    if month := asked.one("month"):
        for other in ("since", "until"):
            if asked.one(other):
                raise Mistake(f"month and {other} contradict each other", "give one of them", other)
        return _month(month, zone)
    since = _instant(asked, "since", now, zone, defaults.since)
    until = _instant(asked, "until", now, zone)
    if since is not None and since >= (until or now):
        shown = (f"{at.isoformat().replace('+00:00', 'Z')}" for at in (since, until or now))
        hint = "until must be after since, and is now by default"
        raise Mistake(f"the period from {' to '.join(shown)} is empty", hint, "since")
    return Stretch(since, until, zone)


def report_query(asked: Asked, now: datetime, defaults: Defaults) -> Query:
    """The query of a report.  Raises Mistake."""
    given = asked.listed("by")
    bucket, by = _groups(defaults.by if given is None else given)
    period = stretch(asked, now, defaults)
    query = Query(
        since=period.since,
        until=period.until,
        by=by,
        filters=asked.filters,
        bucket=bucket,
        zone=period.zone,
        limit=asked.number("limit", 0, 1, ROWS_MAX) if asked.one("limit") else None,
        order=asked.choice("order", ORDERS),
        measures=_measures(asked),
        now=now,
    )
    asked.choice("format", FORMATS)
    try:
        query.windows()
    except (ValueError, OverflowError) as error:
        hint = f"{BUCKETS_MAX:,} at most: group by longer ones, or ask for a shorter period"
        raise Mistake(f"too many {bucket}s", hint, "by") from error
    return query


def timeline_query(asked: Asked, now: datetime, defaults: Defaults, step_s: int) -> Query:
    """The query of sums in steps of seconds.  Raises Mistake."""
    query = report_query(asked, now, defaults)
    if query.bucket:
        hint = f"leave it out here; GET /api/report has it, as in by={query.bucket}"
        raise Mistake(f"cannot group steps by {query.bucket}", hint, "by")
    step = timedelta(seconds=asked.number("step", step_s, 1, STEP_S_MAX))
    return replace(query, step=step)


def calls_question(asked: Asked, now: datetime) -> CallsQuestion:
    """Which calls to list.  Raises Mistake."""
    period = stretch(asked, now, Defaults(since=""))
    asked.choice("format", FORMATS)
    return CallsQuestion(
        limit=asked.number("limit", LIMIT_DEFAULT, 1, ROWS_MAX),
        since=period.since,
        until=period.until,
        before=_instant(asked, "before", now, period.zone),
        before_id=_id(asked),
        filters=asked.filters,
        successes=bool(_measures(asked, OF_A_CALL)),
    )


def audit_question(asked: Asked, now: datetime) -> AuditQuestion:
    """Which entries of the audit log to list.  Raises Mistake."""
    period = stretch(asked, now, Defaults(since=""))
    asked.choice("format", FORMATS)
    return AuditQuestion(
        since=period.since,
        until=period.until,
        before=_instant(asked, "before", now, period.zone),
        before_id=_id(asked),
        limit=asked.number("limit", LIMIT_DEFAULT, 1, ROWS_MAX),
        equal={name: asked.one(name) for name in EXACT if asked.one(name)},
    )


def words(query: Query) -> Iterator[tuple[str, str]]:
    """The parameters that ask for `query`: what `report_query` reads, written."""
    for name, at in (("since", query.since), ("until", query.until)):
        if at is not None:
            yield name, at.astimezone(UTC).isoformat()
    yield "tz", query.zone
    yield "by", ",".join(filter(None, (query.bucket, *query.by)))
    for one in query.filters:
        for value in one.values:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield f"{one.name}{'!' if one.negated else ''}", text
    if query.limit is not None:
        yield "limit", str(query.limit)
    yield "order", query.order
    if query.measures:
        yield "measure", ",".join(query.measures)


def time_zone(name: str) -> str:
    """The name of a time zone.  Raises Mistake for one that this machine does not know."""
    if name not in zones():
        hint = near(name, zones(), ("a name such as Europe/Berlin or UTC",))
        folded = {one.lower(): one for one in zones()}
        if name.lower() in folded:
            hint = f"did you mean {folded[name.lower()]}?"
        raise Mistake(f"unknown time zone {name!r}", hint, "tz")
    return name


def _groups(names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The bucket, and the dimensions in their order."""
    buckets = [name for name in names if name in BUCKETS]
    by = tuple(name for name in names if name not in BUCKETS)
    if len(buckets) > 1:
        raise Mistake(f"cannot group by {' and '.join(buckets)} at once", "choose one", "by")
    for name in by:
        if dimension(name) is None:
            known = (*BUCKETS, *DIMENSIONS)
            hint = near(name, (*known, *COLUMNS), (*known, f"{TAG}NAME"))
            raise Mistake(f"cannot group calls by {name!r}", hint, "by")
    if len({getattr(dimension(name), "name", "") for name in by}) < len(by):
        raise Mistake("by names a dimension twice", "name it once", "by")
    if len(by) > BY_MAX:
        raise Mistake("too many dimensions", f"{BY_MAX} at most", "by")
    return (buckets or [""])[0], by


def _measures(asked: Asked, known: Sequence[str] = MEASURES) -> tuple[str, ...]:
    """What is measured besides the usual.  Raises Mistake."""
    names = tuple(dict.fromkeys(asked.listed("measure") or ()))
    for name in names:
        if name not in known:
            raise Mistake(f"unknown measure {name[:100]!r}", near(name, known), "measure")
    return names


def _instant(
    asked: Asked, name: str, now: datetime, zone: str, default: str = ""
) -> datetime | None:
    text = asked.one(name, default)
    if not text:
        return None
    try:
        return instant(text, now, ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        wrong, _, hint = str(error).partition(": ")
        raise Mistake(wrong, hint, name) from error


def _month(text: str, zone: str) -> Stretch:
    found = MONTH.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        middle = datetime(int(found[1]), int(found[2]), 15, tzinfo=UTC)
        window = Calendar(name="month", timezone=zone).window(middle)
    except (ValueError, OverflowError):
        raise Mistake(f"invalid month {text!r}", "expected one such as 2026-10", "month") from None
    return Stretch(window.start, window.end, zone)


def _id(asked: Asked) -> str:
    text = asked.one("before_id")
    if not text:
        return ""
    if not asked.one("before"):
        hint = "give before as well: the time of the last row"
        raise Mistake("before_id without before", hint, "before_id")
    try:
        return str(UUID(text))
    except ValueError:
        hint = "expected the id of the last row"
        raise Mistake(f"invalid before_id {text[:100]!r}", hint, "before_id") from None
