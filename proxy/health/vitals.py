"""Our own health as metrics: what waits, what was lost, how much disk it takes.  Pure.

Made from the same `status` that `/api/health` shows and that `proxy.health.watch` judges, so the
three never disagree.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import chain

from exporters.notify.alert import Severity
from exporters.series import Distribution, Family, Kind, Labels, Value, gauge
from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS, LAG_SUM

Status = Mapping[str, Mapping[str, object]]

# Key of a part's status → last part of the name, kind, unit, help.
METER: Mapping[str, tuple[str, Kind, str, str]] = {
    "metered": ("metered_calls", "counter", "{call}", "Calls that became records."),
    "interrupted": ("interrupted_calls", "counter", "{call}", "Calls whose relay went away."),
    "failed": ("failed_frames", "counter", "{frame}", "Frames we could not read: our fault."),
    "orphan_frames": ("orphan_frames", "counter", "{frame}", "Frames of calls not known."),
    "write_errors": ("write_errors", "counter", "{error}", "Writes of records that failed."),
    "damaged_bytes": ("damaged", "gauge", "By", "Ends of journals that were not whole."),
    "open": ("open_calls", "gauge", "{call}", "Calls in flight, or not metered yet."),
    "uptime_s": ("uptime", "gauge", "s", "How long the meter has been running."),
}
EXPORTER: Mapping[str, tuple[str, Kind, str, str]] = {
    "ok": ("ok", "gauge", "", "1 if the exporter takes records, 0 if it does not."),
    "waiting": ("waiting", "gauge", "{record}", "Records not yet taken."),
    "lag_s": ("lag", "gauge", "s", "Age of the oldest record not yet taken."),
    "delivered": ("delivered", "counter", "{record}", "Records taken."),
    "set_aside": ("set_aside", "counter", "{record}", "Records refused for good, kept in a file."),
    "retries": ("retries", "counter", "{batch}", "Attempts that failed and were repeated."),
}
WEBHOOK: Mapping[str, tuple[Kind, str, str]] = {
    "ok": ("gauge", "", "1 if the webhook takes alerts, 0 if it does not."),
    "waiting": ("gauge", "{alert}", "Alerts that the webhook has not taken yet."),
    "delivered": ("counter", "{alert}", "Alerts that the webhook took, begun or over."),
    "lost": ("counter", "{alert}", "Alerts that the webhook refused, or that found no room."),
    "retries": ("counter", "{attempt}", "Attempts that failed and were repeated."),
}
CONTENT = {
    "captured": ("captured_calls", "{call}", "Calls whose content was kept."),
    "dropped": ("dropped_calls", "{call}", "Calls whose content found no room; they have rows."),
}
RELAY = {
    "calls_begun": ("calls_begun", "{call}", "Calls dispatched."),
    "calls_ended": ("calls_ended", "{call}", "Calls ended."),
    "calls_lost": ("calls_lost", "{call}", "Calls the journal could not take: they have no row."),
    "frames_dropped": ("frames_dropped", "{frame}", "Journal frames that were not written."),
    "bytes_dropped": ("dropped", "By", "What passed and was not kept in the journal."),
    "write_errors": ("write_errors", "{error}", "Writes of the journal that failed."),
    "segments": ("segments", "{file}", "Journal files begun."),
}


def families(status: Status) -> Iterator[Family]:
    """`status` is that of the parts of the meter's process."""
    meter = status.get("meter", {})
    for key, (name, kind, unit, help) in METER.items():
        if isinstance(value := meter.get(key), int | float):
            yield _single(f"taximeter.meter.{name}", kind, unit, help, value)
    yield from _exporters(status)
    yield from _content(status.get("content", {}))
    relays = meter.get("journal")
    if isinstance(relays, Mapping):
        for key, (name, unit, help) in RELAY.items():
            if isinstance(value := relays.get(key), int):
                full = f"taximeter.relay.{name}"
                yield replace(_single(full, "counter", unit, help, value), lasting=True)
    if isinstance(lag := meter.get("loop_lag"), Mapping):
        yield _loop_lag(lag)
    yield gauge("taximeter.journal.size", "By", "On disk.", *_by_journal(meter, "journal_bytes"))
    limits = _by_journal(meter, "journal_bytes_max")
    yield gauge("taximeter.journal.limit", "By", "What each may hold.", *limits)


def _by_journal(meter: Mapping[str, object], key: str) -> Iterator[tuple[Labels, Value]]:
    if isinstance(values := meter.get(key), Mapping):
        yield from (((("taximeter.journal", name),), value) for name, value in values.items())


def _content(part: Mapping[str, object]) -> Iterator[Family]:
    """Where content is captured: how much of it, and how often something was hidden, by kind."""
    for key, (name, unit, help) in CONTENT.items():
        if isinstance(value := part.get(key), int):
            yield _single(f"taximeter.content.{name}", "counter", unit, help, value)
    if isinstance(hidden := part.get("redactions"), Mapping):
        points: list[tuple[Labels, Value]] = [
            ((("taximeter.kind", kind),), count) for kind, count in sorted(hidden.items())
        ]
        help = "What was taken out of content."
        name = "taximeter.content.redactions"
        yield Family(name=name, kind="counter", unit="{redaction}", help=help, points=points)


def alert_families(
    known: Mapping[str, Severity], firing: Iterable[str], webhook: Mapping[str, object] | None
) -> Iterator[Family]:
    """Every alert that is `known`, 1 while one of its name fires; and how the webhook does."""
    names = frozenset(firing)
    points: list[tuple[Labels, Value]] = [
        ((("taximeter.alert", name), ("taximeter.severity", severity)), int(name in names))
        for name, severity in known.items()
    ]
    yield gauge("taximeter.alert", "", "1 while the alert fires, 0 while it does not.", *points)
    for key, (kind, unit, help) in WEBHOOK.items() if webhook else ():
        if webhook and isinstance(value := webhook.get(key), int):
            yield _single(f"taximeter.webhook.{key}", kind, unit, help, int(value))


def _loop_lag(counts: Mapping[str, int]) -> Family:
    bounds = tuple(Decimal(ms) / 1000 for ms in LAG_BOUNDS_MS)
    seconds = Decimal(counts[LAG_SUM]) / 1_000_000
    value = Distribution(bounds, tuple(counts[name] for name in LAG_COUNTS), seconds)
    help = "How much later than due the relays' event loops woke up."
    family = _single("taximeter.relay.loop_lag", "histogram", "s", help, value)
    return replace(family, lasting=True)


def _single(name: str, kind: Kind, unit: str, help: str, value: Value) -> Family:
    return Family(name=name, kind=kind, unit=unit, help=help, points=[((), value)])


def _exporters(status: Status) -> Iterator[Family]:
    exporters = {name: part for name, part in status.items() if name != "meter"}
    for key, (last, kind, unit, help) in EXPORTER.items():
        points: list[tuple[Labels, Value]] = [
            ((("taximeter.exporter", name),), value if isinstance(value, float) else int(value))
            for name, part in exporters.items()
            if isinstance(value := part.get(key), int | float)
        ]
        if points:
            name = f"taximeter.delivery.{last}"
            lasting = key == "set_aside"
            yield Family(name=name, kind=kind, unit=unit, help=help, points=points, lasting=lasting)


def merged(*groups: Iterable[Family]) -> list[Family]:
    """One family of each name, as both formats want it."""
    found: dict[str, Family] = {}
    for family in chain(*groups):
        held = found.get(family.name)
        points = [*(held.points if held else ()), *family.points]
        found[family.name] = replace(family, points=points)
    return [family for family in found.values() if family.points]
