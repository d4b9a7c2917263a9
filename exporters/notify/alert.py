"""`Alert`, and its form in the log and in the body of a webhook.

The body has Alertmanager's format, version 4, so that its receivers work unchanged, plus the key
`text` for Slack and Mattermost.  It leaves this machine, so an alert holds numbers and names of
components, and nothing of a call.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Literal

import msgspec

log = logging.getLogger(__name__)

# Our own losses are a warning (nothing is lost yet) or critical (something was).
Severity = Literal["info", "warning", "critical"]
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}

RECEIVER = "taximeter"
NEVER = datetime(1, 1, 1, tzinfo=UTC)  # Go's zero time: `endsAt` of a firing alert
# FNV-1a of 64 bits, as Prometheus computes fingerprints: common/model/signature.go.
_FNV_OFFSET, _FNV_PRIME, _SEPARATOR = 0xCBF29CE484222325, 0x100000001B3, b"\xff"
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that fires from `started_at` until `ended_at`; None while it is firing.

    `name` is stable and snake_case; `labels` distinguish alerts of one name.  `summary` is a
    sentence with its numbers, `action` says what to do about it.
    """

    name: str
    severity: Severity
    summary: str
    action: str
    started_at: datetime  # aware, UTC
    ended_at: datetime | None = None
    labels: Mapping[str, str] = {}

    @property
    def title(self) -> str:
        """The name and its labels' values: `exporter_behind (clickhouse)`."""
        return f"{self.name} ({', '.join(self.labels.values())})" if self.labels else self.name


def log_alert(alert: Alert, title: str = "") -> None:
    """Log one line when it starts and one when it ends; ERROR means that something was lost."""
    title = title or alert.title
    if alert.ended_at is not None:
        lasted_s = (alert.ended_at - alert.started_at).total_seconds()
        log.warning("Alert %s resolved after %.0f s: %s", title, lasted_s, alert.summary)
        return
    what = "  ".join(filter(None, (alert.summary, alert.action)))
    log.log(LEVELS[alert.severity], "Alert %s: %s", title, what)


def fingerprint(labels: Mapping[str, str]) -> str:
    """A hash of the labels, the same on every machine and after every restart."""
    parts = (part for pair in sorted(labels.items()) for part in pair)
    data = b"".join(part.encode("utf-8", "replace") + _SEPARATOR for part in parts)
    return f"{reduce(_fnv, data, _FNV_OFFSET):016x}"


def _fnv(sum: int, byte: int) -> int:
    return (sum ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF


def webhook_body(alerts: Sequence[Alert], *, node: str, console_url: str) -> bytes:
    """JSON for a webhook; the alerts must all be firing or all have ended.

    `node` is the name of this machine; it becomes the label `instance`, as in Prometheus.
    """
    firing = alerts[0].ended_at is None
    group = {"service": RECEIVER, "instance": node}
    labels = [
        {**group, **one.labels, "alertname": one.name, "severity": one.severity} for one in alerts
    ]
    annotations = [{"summary": one.summary, "description": one.action} for one in alerts]
    items = [
        {
            "status": "firing" if firing else "resolved",
            "labels": own,
            "annotations": notes,
            "startsAt": one.started_at,
            "endsAt": one.ended_at or NEVER,
            "generatorURL": console_url,
            "fingerprint": fingerprint(own),
        }
        for one, own, notes in zip(alerts, labels, annotations, strict=True)
    ]
    pairs = ",".join(f"{name}={msgspec.json.encode(text).decode()}" for name, text in group.items())
    return msgspec.json.encode(
        {
            "version": "4",
            "groupKey": f"{{}}:{{{pairs}}}",
            "truncatedAlerts": 0,
            "status": "firing" if firing else "resolved",
            "receiver": RECEIVER,
            "groupLabels": group,
            "commonLabels": _common(labels),
            "commonAnnotations": _common(annotations),
            "externalURL": console_url,
            "alerts": items,
            "text": _text(alerts, node),
        }
    )


def _common(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The items that all mappings share."""
    first, *others = (set(mapping.items()) for mapping in mappings)
    return dict(sorted(first.intersection(*others)))


def _text(alerts: Iterable[Alert], node: str) -> str:
    """A line per alert in Slack's format: https://docs.slack.dev/messaging/formatting-message-text."""
    lines = []
    for one in alerts:
        head = one.severity.upper() if one.ended_at is None else "RESOLVED"
        line = f"*{head}* taximeter on {node}: {one.title}. {one.summary}"
        lines.append(line if one.ended_at else f"{line} {one.action}")
    return "\n".join(lines).translate(_SLACK)
