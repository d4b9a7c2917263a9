"""Decides which alerts about our own health fire, from what `/api/health` shows.  Pure.

Alerts do not flap: an alert fires from the first look that finds a reason for it until there was
none for `alerts.quiet_s`.  An unknown number neither starts nor ends an alert.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from exporters.notify.alert import Alert, Severity
from pricing.money import amount
from proxy.health.losses import CONTENT_ROOM, FULL, LOSSES, ROOM
from proxy.health.verdict import DOWN_S
from proxy.health.vitals import OURS, Status
from proxy.settings.config import AlertOptions

ENDED_MAX = 100  # ended alerts that are still shown
CATCHING_UP_S = 30.0  # rows left by a stopped meter are old, and are soon delivered

_START_AT_ZERO = frozenset(loss.key for loss in LOSSES if not loss.lasting)
NEARLYFULL, BEHIND = "journal_nearly_full", "exporter_behind"  # warnings
AUDIT, DRIFT = "tokens_beyond_band", "costs_drift"  # warnings
HANGS = "relay_hangs"  # critical
# Every alert and its severity.
KNOWN: Mapping[str, Severity] = MappingProxyType(
    {loss.name: loss.severity for loss in LOSSES}
    | dict.fromkeys((NEARLYFULL, BEHIND, AUDIT, DRIFT), "warning")
    | {HANGS: "critical"}
)


class Finding(NamedTuple):
    """A reason for an alert, which starts once it was found for `after_s` without a pause."""

    alert: Alert
    lost: int = 0  # since the last look
    after_s: float = 0.0


class Firing(msgspec.Struct):
    """A firing alert, and the count in its summary."""

    alert: Alert
    count: int = 0


class State(msgspec.Struct):
    """What another process needs in order to continue from here."""

    firing: list[Firing]
    counts: dict[str, int]  # lasting counters at the last look


class Watch:
    """Checks one status after the other.  `state` is that of an earlier watch.

    The first value seen of a lasting counter may be years old, so it is not a loss: counting starts
    there.
    """

    def __init__(self, limits: AlertOptions, state: State | None = None) -> None:
        self._limits = limits
        self._firing = {one.alert.title: one for one in state.firing} if state else {}
        self._counts = dict(state.counts) if state else {}
        self._since_s: dict[str, float] = {}  # title → when its current reason was first found
        self._seen_s: dict[str, float] = {}  # title → when a reason was last found
        self.ended: deque[Alert] = deque(maxlen=ENDED_MAX)  # newest first

    def look(self, status: Status, now: datetime, at_s: float) -> list[Alert]:
        """The alerts that start or end now.  `at_s` is this process's monotonic clock."""
        changed = []
        found = [*self._levels(status, now), *self._losses(status, now)]
        titles = {finding.alert.title for finding in found}
        self._since_s = {title: at for title, at in self._since_s.items() if title in titles}
        for alert, lost, after_s in found:
            held = self._firing.get(alert.title)
            if held is None and at_s - self._since_s.setdefault(alert.title, at_s) < after_s:
                continue
            total = lost + (held.count if held else 0)
            shown = replace(
                alert,
                summary=alert.summary.replace("{count:,}", f"{total:,}"),
                started_at=held.alert.started_at if held else now,
            )
            self._firing[alert.title] = Firing(shown, total)
            self._seen_s[alert.title] = at_s
            if held is None:
                changed.append(shown)
        for title, firing in list(self._firing.items()):
            if at_s - self._seen_s.setdefault(title, at_s) >= self._limits.quiet_s:
                del self._firing[title], self._seen_s[title]
                over = replace(firing.alert, ended_at=max(now, firing.alert.started_at))
                self.ended.appendleft(over)
                changed.append(over)
        return changed

    @property
    def firing(self) -> list[Alert]:
        """Firing alerts, in the order in which they started."""
        return [one.alert for one in self._firing.values()]

    @property
    def state(self) -> State:
        """What the next process's watch starts from."""
        lasting = {
            at: count
            for at, count in self._counts.items()
            if tuple(at.split(".")[1:]) not in _START_AT_ZERO
        }
        return State(list(self._firing.values()), lasting)

    def _levels(self, status: Status, now: datetime) -> Iterator[Finding]:
        """Levels that currently exceed their limit."""
        meter = status.get("meter", {})
        sizes, limits = meter.get("journal_bytes"), meter.get("journal_bytes_max")
        if isinstance(sizes, Mapping) and isinstance(limits, Mapping):
            for name, size in sizes.items():
                most = limits.get(name)
                if isinstance(most, int) and size >= self._limits.journal_share_max * most:
                    alert = Alert(
                        name=NEARLYFULL,
                        severity="warning",
                        summary=f"The journal of {name} holds {size:,} of {most:,} bytes "
                        f"({size / most:.0%}); once it is full, {FULL.get(name, 'it waits')}.",
                        action=CONTENT_ROOM if name == "contents" else ROOM,
                        started_at=now,
                        labels={"journal": name},
                    )
                    yield Finding(alert)
        yield from _audits(meter.get("audit"), now)
        yield from _relays(status.get("relays", {}), now)
        yield from _drifts(meter.get("drift"), now)
        for name, part in _exporters(status):
            lag_s, waiting = part.get("lag_s"), part.get("waiting")
            if isinstance(lag_s, int | float) and lag_s > self._limits.lag_max_s:
                alert = Alert(
                    name=BEHIND,
                    severity="warning",
                    summary=f"{waiting} rows wait for {name}, the oldest for {lag_s:,.0f} s.",
                    action="See its error in /api/health.  Rows wait on disk; none is lost while "
                    "the journal has room.",
                    started_at=now,
                    labels={"exporter": name},
                )
                yield Finding(alert, after_s=CATCHING_UP_S)

    def _losses(self, status: Status, now: datetime) -> Iterator[Finding]:
        """Loss counters that have grown since the last look, and by how much."""
        for loss in LOSSES:
            parts = _exporters(status) if loss.of_exporters else [("meter", status.get("meter"))]
            for name, part in parts:
                value: object = part
                for key in loss.key:
                    value = value.get(key) if isinstance(value, Mapping) else None
                if not isinstance(value, int):
                    continue
                at = ".".join((name, *loss.key))
                before = self._counts.get(at, value if loss.lasting else 0)
                self._counts[at] = value
                if value > before:
                    labels = {"exporter": name} if loss.of_exporters else {"journal": loss.journal}
                    alert = Alert(
                        name=loss.name,
                        severity=loss.severity,
                        summary=loss.summary.replace("{part}", name),
                        action=loss.action.replace("{part}", name),
                        started_at=now,
                        labels={key: text for key, text in labels.items() if text},
                    )
                    yield Finding(alert, value - before)


def _relays(relays: Mapping[str, object], now: datetime) -> Iterator[Finding]:
    """Relays that have been silent for so long that they are down."""
    silent_s = relays.get("silent_s")
    if isinstance(silent_s, int | float) and silent_s >= DOWN_S:
        alert = Alert(
            name=HANGS,
            severity="critical",
            summary=f"{relays['silent']} of {relays['relays']} relays have not answered for "
            f"{silent_s:,.0f} s; their callers wait.",
            action="Kill the process `proxy.serving.relay_process` that hangs: another one is "
            "started at once.  Please report what it was doing.",
            started_at=now,
        )
        yield Finding(alert)


def _audits(audit: object, now: datetime) -> Iterator[Finding]:
    """Models whose reported tokens are beyond what our own count allows."""
    beyond = audit.get("beyond") if isinstance(audit, Mapping) else None
    for one in beyond if isinstance(beyond, list) else ():
        calls = ", ".join(one["evidence"])
        alert = Alert(
            name=AUDIT,
            severity="warning",
            summary=f"{one['provider']} reports {one['ratio']:.2f} times the {one['kind']} tokens "
            f"that we count for {one['model']}, over {one['calls']:,} calls; up to "
            f"{one['expected_error']:.0%} of difference is expected.",
            action=f"Compare the receipts of {calls}.  Prices are not affected: see "
            "docs/tokens.md for what may cause it.",
            started_at=now,
            labels={"provider": one["provider"], "model": one["model"], "kind": one["kind"]},
        )
        yield Finding(alert)


def _drifts(drift: object, now: datetime) -> Iterator[Finding]:
    """Models whose stated costs are not what our prices make of them."""
    beyond = drift.get("beyond") if isinstance(drift, Mapping) else None
    for one in beyond if isinstance(beyond, list) else ():
        reported, computed = (Decimal(one[f"{name}_usd"]) for name in ("reported", "computed"))
        calls = ", ".join(one["evidence"])
        alert = Alert(
            name=DRIFT,
            severity="warning",
            summary=f"{one['provider']} states {amount(reported)} for the last {one['calls']:,} "
            f"calls of {one['model']}, for which our prices make {amount(computed)}.",
            action=f"Compare the receipts of {calls}, and the prices with the provider's; "
            "docs/invoice.md says what may cause it.",
            started_at=now,
            labels={"provider": one["provider"], "model": one["model"]},
        )
        yield Finding(alert)


def _exporters(status: Status) -> list[tuple[str, Mapping[str, object]]]:
    return [(name, part) for name, part in status.items() if name not in OURS]
