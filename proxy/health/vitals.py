"""Our own health as metrics: what is waiting, what was lost, how much disk it uses.  Pure.

They are made from the status that `/api/health` shows and `proxy.health.watch` checks, so the three
never disagree.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import chain

from exporters.notify.alert import Severity
from exporters.series import Distribution, Family, Labels, MetricKind, Value, gauge
from proxy.journal.counters import LAG_BOUNDS_MS, LAG_COUNTS, LAG_SUM

Status = Mapping[str, Mapping[str, object]]
OURS = frozenset({"meter", "relays"})  # parts that export nothing

# Key in a component's status → last part of the name, kind, unit, help.
METER: Mapping[str, tuple[str, MetricKind, str, str]] = {
    "metered": ("metered_calls", "counter", "{call}", "Calls metered."),
    "interrupted": ("interrupted_calls", "counter", "{call}", "Calls whose relay died."),
    "failed": ("failed_frames", "counter", "{frame}", "Unreadable journal frames: our fault."),
    "orphan_frames": ("orphan_frames", "counter", "{frame}", "Frames of unknown calls."),
    "audits_dropped": (
        "dropped_audits",
        "counter",
        "{call}",
        "Sampled calls not counted: too many.",
    ),
    "write_errors": ("write_errors", "counter", "{error}", "Failed writes of records."),
    "damaged_bytes": ("damaged", "gauge", "By", "Incomplete frames at the ends of journal files."),
    "open": ("open_calls", "gauge", "{call}", "Calls in flight, or not metered yet."),
    "uptime_s": ("uptime", "gauge", "s", "Time since the meter started."),
}
EXPORTER: Mapping[str, tuple[str, MetricKind, str, str]] = {
    "ok": ("ok", "gauge", "", "1 if the newest delivery succeeded, else 0."),
    "waiting": ("waiting", "gauge", "{record}", "Records waiting to be delivered."),
    "lag_s": ("lag", "gauge", "s", "Age of the oldest record waiting."),
    "delivered": ("delivered", "counter", "{record}", "Records delivered."),
    "set_aside": ("set_aside", "counter", "{record}", "Rejected records, set aside in a file."),
    "retries": ("retries", "counter", "{batch}", "Failed attempts that were repeated."),
}
TARGET: Mapping[str, tuple[MetricKind, str, str]] = {
    "ok": ("gauge", "", "1 if the newest message to the target succeeded, else 0."),
    "waiting": ("gauge", "{notice}", "Notices waiting for the target."),
    "delivered": ("counter", "{notice}", "Notices that the target accepted."),
    "lost": ("counter", "{notice}", "Notices that the target refused, or that grew too old."),
    "retries": ("counter", "{attempt}", "Failed attempts that were repeated."),
}
CONTENT = {
    "captured": ("captured_calls", "{call}", "Calls whose content was captured."),
    "dropped": ("dropped_calls", "{call}", "Calls whose content was dropped (journal full)."),
}
RELAY = {
    "calls_begun": ("calls_begun", "{call}", "Calls dispatched."),
    "calls_ended": ("calls_ended", "{call}", "Calls ended."),
    "calls_lost": ("calls_lost", "{call}", "Calls not recorded in the journal: they have no row."),
    "frames_dropped": ("frames_dropped", "{frame}", "Journal frames dropped."),
    "bytes_dropped": ("dropped", "By", "Bytes dropped instead of written to the journal."),
    "write_errors": ("write_errors", "{error}", "Failed writes of the journal."),
    "segments": ("segments", "{file}", "Journal files created."),
    "stale_connections": (
        "stale_connections",
        "{connection}",
        "Idle connections that a provider closed: no call was sent on them.",
    ),
}


def families(status: Status) -> Iterator[Family]:
    """The metrics of the meter, the exporters, content capture, the relays and the journals."""
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
    sizes = _by_journal(meter, "journal_bytes")
    yield gauge("taximeter.journal.size", "By", "Size of each journal on disk.", *sizes)
    limits = _by_journal(meter, "journal_bytes_max")
    yield gauge("taximeter.journal.limit", "By", "Size limit of each journal.", *limits)


def _by_journal(meter: Mapping[str, object], key: str) -> Iterator[tuple[Labels, Value]]:
    if isinstance(values := meter.get(key), Mapping):
        yield from (((("taximeter.journal", name),), value) for name, value in values.items())


def _content(part: Mapping[str, object]) -> Iterator[Family]:
    """If content is captured: of how many calls, and the redactions by kind."""
    for key, (name, unit, help) in CONTENT.items():
        if isinstance(value := part.get(key), int):
            yield _single(f"taximeter.content.{name}", "counter", unit, help, value)
    if isinstance(redactions := part.get("redactions"), Mapping):
        points: list[tuple[Labels, Value]] = [
            ((("taximeter.kind", kind),), count) for kind, count in sorted(redactions.items())
        ]
        help = "Redactions in captured content."
        name = "taximeter.content.redactions"
        yield Family(name=name, kind="counter", unit="{redaction}", help=help, points=points)


def alert_families(
    known: Mapping[str, Severity],
    firing: Iterable[str],
    targets: Mapping[str, Mapping[str, object]],
) -> Iterator[Family]:
    """Every `known` alert, 1 while it fires; and the metrics of each target."""
    names = frozenset(firing)
    points: list[tuple[Labels, Value]] = [
        ((("taximeter.alert", name), ("taximeter.severity", severity)), int(name in names))
        for name, severity in known.items()
    ]
    yield gauge("taximeter.alert", "", "1 while the alert fires, 0 while it does not.", *points)
    for key, (kind, unit, help) in TARGET.items():
        points = [
            ((("taximeter.target", name),), int(value))
            for name, status in targets.items()
            if isinstance(value := status.get(key), int)
        ]
        full = f"taximeter.notify.{key}"
        yield Family(name=full, kind=kind, unit=unit, help=help, points=points)


def _loop_lag(counts: Mapping[str, int]) -> Family:
    bounds = tuple(Decimal(ms) / 1000 for ms in LAG_BOUNDS_MS)
    seconds = Decimal(counts[LAG_SUM]) / 1_000_000
    value = Distribution(bounds, tuple(counts[name] for name in LAG_COUNTS), seconds)
    help = "How late the relays' event loops woke up."
    family = _single("taximeter.relay.loop_lag", "histogram", "s", help, value)
    return replace(family, lasting=True)


def _single(name: str, kind: MetricKind, unit: str, help: str, value: Value) -> Family:
    return Family(name=name, kind=kind, unit=unit, help=help, points=[((), value)])


def _exporters(status: Status) -> Iterator[Family]:
    exporters = {name: part for name, part in status.items() if name not in OURS}
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
    """One family per name, as both formats require."""
    found: dict[str, Family] = {}
    for family in chain(*groups):
        held = found.get(family.name)
        points = [*(held.points if held else ()), *family.points]
        found[family.name] = replace(family, points=points)
    return [family for family in found.values() if family.points]
