"""Compares the cost that providers state with the one we compute, by provider and model.

A window of the latest calls decides: a price that changed, a discount or a fee shows within twenty
calls, long before the bill.  Nothing here changes a price.
"""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from exporters.receipt import whole_of_record
from exporters.record import Record
from pricing.usage import Meter

WINDOW = 200  # calls that a comparison is made of
CALLS_MIN = 20  # fewer decide nothing
SHARE_MAX = Decimal("0.005")  # of difference between sums, as some providers round each call
EVIDENCE_MAX = 3  # calls named, those that differ most
MODELS_MAX = 500  # callers choose names of models


class _Line(msgspec.Struct):
    meter: str
    usd: Decimal


class _Receipt(msgspec.Struct):
    lines: tuple[_Line, ...] = ()


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Stated and computed cost of the latest calls of a model; those that differ most."""

    provider: str
    model: str
    calls: int
    reported_usd: Decimal
    computed_usd: Decimal
    evidence: tuple[str, ...] = ()  # call ids

    @property
    def beyond(self) -> bool:
        """Whether there are enough calls, and their sums differ by too much."""
        apart = abs(self.reported_usd - self.computed_usd)
        return self.calls >= CALLS_MIN and apart > SHARE_MAX * self.computed_usd


@dataclass(slots=True)
class _Window:
    calls: deque[tuple[str, Decimal, Decimal]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def drift(self, provider: str, model: str) -> Drift:
        far = sorted(self.calls, key=lambda one: -abs(one[1] - one[2]))[:EVIDENCE_MAX]
        return Drift(
            provider=provider,
            model=model,
            calls=len(self.calls),
            reported_usd=sum((one[1] for one in self.calls), Decimal(0)),
            computed_usd=sum((one[2] for one in self.calls), Decimal(0)),
            evidence=tuple(call for call, _, _ in far),
        )


class Drifts:
    """The latest calls of this process whose provider stated a cost."""

    def __init__(self) -> None:
        self.not_kept = 0  # calls of models beyond MODELS_MAX
        self._windows: dict[tuple[str, str], _Window] = {}

    def observe(self, record: Record) -> None:
        """Take a new record; most have no stated cost."""
        if record.reported_usd is None or record.cost_usd is None:
            return
        computed = computed_usd(record)
        if computed is None:
            return
        key = record.provider, record.response_model or record.request_model
        if key not in self._windows and len(self._windows) >= MODELS_MAX:
            self.not_kept += 1
            return
        window = self._windows.setdefault(key, _Window())
        window.calls.append((record.call_id, record.reported_usd, computed))

    def status(self) -> dict[str, object]:
        """For the health check: which models' costs drift."""
        found = [window.drift(*key) for key, window in self._windows.items()]
        beyond = [msgspec.to_builtins(one) for one in found if one.beyond]
        return {"not_kept": self.not_kept, "beyond": beyond}


def computed_usd(record: Record) -> Decimal | None:
    """What our prices make of a call, also where the provider's cost is charged instead.

    None if nothing has a price.  As `pricing.charge.Charge.drift_usd` does, from a receipt.
    """
    try:
        lines = msgspec.convert(whole_of_record(record), _Receipt).lines
    except (ValueError, msgspec.ValidationError):
        return None
    computed = [line.usd for line in lines if line.meter != Meter.REPORTED_USD]
    return sum(computed, Decimal(0)) if computed else None
