"""How far an exporter is behind: counted, timed, and right after a failure."""

import asyncio
from time import time

import pytest
from msgspec.structs import replace
from test_metrics import RECORD

from exporters.notify.alert import Severity
from exporters.record import Batch, PermanentError, Record, TransientError
from exporters.series import Distribution
from proxy.delivery.lag import MeasuredExporter
from proxy.health.vitals import alert_families, families, merged


class Exporter:
    """Takes batches, or raises `error`."""

    name = "store"
    rejected = 2

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def export(self, batch: Batch[Record]) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        pass


def ended(seconds_ago: float) -> Record:
    """A call that ended so long ago."""
    return replace(RECORD, ts_us=int((time() - seconds_ago) * 1e6) - RECORD.duration_us)


def values(measured: MeasuredExporter) -> dict[str, object]:
    return {family.name: family.points[0][1] for family in measured.families() if family.points}


async def test_taken() -> None:
    """What was taken waits no more, and how long it took is known."""
    measured = MeasuredExporter(Exporter())
    measured.waiting = 2
    await measured.export(Batch("a", (ended(9), ended(5))))
    assert measured.status() == {"waiting": 0, "lag_s": 0.0, "sending_s": 0.0}
    found = values(measured)
    assert found["taximeter.delivery.rejected"] == 2
    took = found["taximeter.export.duration"]
    assert isinstance(took, Distribution)
    assert took.count == 1


async def test_not_taken() -> None:
    """A batch that waits is as old as its oldest call, whatever comes behind it."""
    exporter = Exporter()
    measured = MeasuredExporter(exporter)
    measured.waiting = 3
    exporter.error = TransientError("down")
    with pytest.raises(TransientError):
        await measured.export(Batch("a", (ended(100), ended(5))))
    assert measured.waiting == 3
    assert measured.lag_s == pytest.approx(100, abs=2)
    exporter.error = None
    await measured.export(Batch("a", (ended(100), ended(5))))
    assert measured.waiting == 1
    assert measured.lag_s == pytest.approx(5, abs=2)  # the one behind is younger than the last


async def test_the_first_after_a_pause() -> None:
    """A record is as old as itself, however long no other came before it."""
    measured = MeasuredExporter(Exporter())
    measured.waiting = 1
    await measured.export(Batch("a", (ended(3600),)))
    measured.expect(ended(1))
    assert measured.waiting == 1
    assert measured.lag_s == pytest.approx(1, abs=1)


async def test_refused_for_good() -> None:
    """A single row that is refused is set aside; a refused batch comes again in halves."""
    exporter = Exporter()
    measured = MeasuredExporter(exporter)
    measured.waiting = 2
    exporter.error = PermanentError("bad row")
    with pytest.raises(PermanentError):
        await measured.export(Batch("a", (ended(1), ended(1))))
    assert measured.waiting == 2
    with pytest.raises(PermanentError):
        await measured.export(Batch("a", (ended(1),)))
    assert measured.waiting == 1


def test_vitals() -> None:
    """Health becomes metrics: a part's `ok` a 0 or 1, the relays' losses counters that last."""
    status: dict[str, dict[str, object]] = {
        "meter": {
            "ok": True,
            "metered": 3,
            "journal": {"calls_lost": 4},
            "journal_bytes": {"calls": 10, "records": 20},
            "journal_bytes_max": {"calls": 100},
        },
        "clickhouse": {"ok": False, "error": "down", "set_aside": 1, "waiting": 7, "lag_s": 2.5},
        "otel": {"ok": True, "delivered": 3, "set_aside": 0, "retries": 0},
        "content": {"captured": 7, "dropped": 1, "redactions": {"email": 2}},
    }
    found = {family.name: family for family in merged(families(status))}
    assert found["taximeter.meter.metered_calls"].points == [((), 3)]
    lost = found["taximeter.relay.calls_lost"]
    assert (lost.points, lost.kind, lost.lasting) == ([((), 4)], "counter", True)
    assert found["taximeter.delivery.ok"].points == [
        ((("taximeter.exporter", "clickhouse"),), 0),
        ((("taximeter.exporter", "otel"),), 1),
    ]
    assert found["taximeter.delivery.set_aside"].lasting
    assert [value for _, value in found["taximeter.journal.size"].points] == [10, 20]
    assert found["taximeter.journal.limit"].points == [((("taximeter.journal", "calls"),), 100)]
    assert found["taximeter.content.captured_calls"].points == [((), 7)]
    assert found["taximeter.content.dropped_calls"].points == [((), 1)]
    assert found["taximeter.content.redactions"].points == [((("taximeter.kind", "email"),), 2)]
    for name, value in (("waiting", 7), ("lag", 2.5)):
        label = (("taximeter.exporter", "clickhouse"),)
        assert found[f"taximeter.delivery.{name}"].points == [(label, value)]


def test_alert_metrics() -> None:
    """Each alert that there is has a 1 or a 0, and each target its own counts."""
    known: dict[str, Severity] = {"calls_lost": "critical", "exporter_behind": "warning"}
    ops = {"ok": False, "error": "it answers 500", "waiting": 2, "delivered": 3, "lost": 1}
    found = {f.name: f for f in alert_families(known, ["calls_lost"], {"ops": ops, "log": {}})}
    assert list(found["taximeter.alert"].points) == [
        ((("taximeter.alert", "calls_lost"), ("taximeter.severity", "critical")), 1),
        ((("taximeter.alert", "exporter_behind"), ("taximeter.severity", "warning")), 0),
    ]
    label = (("taximeter.target", "ops"),)
    for name, value in (("ok", 0), ("waiting", 2), ("delivered", 3), ("lost", 1)):
        assert list(found[f"taximeter.notify.{name}"].points) == [(label, value)]


def test_one_family_of_a_name() -> None:
    """Series of two exporters stand together, as both formats demand."""
    first, second = MeasuredExporter(Exporter()), MeasuredExporter(Exporter())
    found = merged(first.families(), second.families())
    names = [family.name for family in found]
    assert len(names) == len(set(names))
    (rejected,) = (family for family in found if family.name == "taximeter.delivery.rejected")
    assert len(rejected.points) == 2
