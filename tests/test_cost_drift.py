"""Costs that providers state are compared with ours; a lasting difference is an alert."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from exporters.record import Record
from proxy.health.watch import DRIFT, Watch
from proxy.metering.cost_drift import CALLS_MIN, EVIDENCE_MAX, MODELS_MAX, WINDOW, Drifts
from proxy.settings.config import AlertOptions

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def record(number: int, reported: str | None, **changes: str) -> Record:
    """A call that our prices make 0.01 USD; where the stated cost is charged, a line says so."""
    lines = [{"meter": "input", "usd": "0.01"}]
    if reported is not None and Decimal(reported) != Decimal("0.01"):
        lines.append({"meter": "reported_usd", "usd": str(Decimal(reported) - Decimal("0.01"))})
    return Record(
        ts_us=number,
        call_id=str(UUID(int=number)),
        provider="openrouter",
        request_model=changes.get("model", "m"),
        outcome="ok",
        cost_status="exact",
        cost_usd=Decimal(reported or "0.01"),
        reported_usd=None if reported is None else Decimal(reported),
        receipt=changes.get("receipt", json.dumps({"lines": lines})),
    )


def test_a_lasting_difference_is_an_alert() -> None:
    """Once there are enough calls, with those that differ most; it ends when they agree again."""
    drifts = Drifts()
    for number in range(1, CALLS_MIN):
        drifts.observe(record(number, "0.012"))
    assert drifts.status()["beyond"] == []
    drifts.observe(record(CALLS_MIN, "0.05"))
    watch = Watch(AlertOptions(quiet_s=10))
    [alert] = watch.look({"meter": {"drift": drifts.status()}}, NOW, 1.0)
    assert alert.name == DRIFT
    assert "openrouter states $0.278 for the last 20 calls of m" in alert.summary
    assert "our prices make $0.20." in alert.summary
    assert str(UUID(int=CALLS_MIN)) in alert.action
    assert alert.action.count("00000000-") == EVIDENCE_MAX
    for number in range(WINDOW):
        drifts.observe(record(1000 + number, "0.01"))
    [over] = watch.look({"meter": {"drift": drifts.status()}}, NOW + timedelta(60), 60.0)
    assert over.ended_at is not None


def test_what_cannot_be_compared_is_not() -> None:
    """No stated cost, no price of ours, a receipt that is damaged; and rounding is no drift."""
    drifts = Drifts()
    for number in range(CALLS_MIN):
        drifts.observe(record(number, None))
        drifts.observe(record(number, "5", receipt='{"lines": []}'))
        drifts.observe(record(number, "5", receipt="{"))
        drifts.observe(record(number, "0.01004", model="rounded"))
    assert drifts.status() == {"not_kept": 0, "beyond": []}


def test_models_are_bounded() -> None:
    """Callers choose their names."""
    drifts = Drifts()
    for number in range(MODELS_MAX + 7):
        drifts.observe(record(number, "5", model=f"m{number}"))
    assert drifts.status()["not_kept"] == 7
