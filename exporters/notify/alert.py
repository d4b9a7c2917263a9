"""What somebody must be told: an `Alert`, and how it reads in a log and in a webhook's body.

A webhook's body is Alertmanager's, version 4, so that what reads Alertmanager reads us, with one
more key, `text`, for Slack and Mattermost.  It leaves this machine for wherever the user pointed
it, so an alert holds numbers and names of parts, and nothing of a call.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Literal

import msgspec

log = logging.getLogger(__name__)

Severity = Literal["warning", "critical"]  # nothing is lost yet; something was

RECEIVER = "taximeter"
NEVER = datetime(1, 1, 1, tzinfo=UTC)  # Go's zero time: `endsAt` of what still fires
# FNV-1a of 64 bits, as Prometheus makes fingerprints: common/model/signature.go.
_FNV_OFFSET, _FNV_PRIME, _SEPARATOR = 0xCBF29CE484222325, 0x100000001B3, b"\xff"
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something that fires from `started_at` until `ended_at`; None: it still does.

    `name` is stable and snake_case, `labels` tell apart what fires under one name.  `summary` is a
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
        """The name, with what tells it apart: `exporter_behind (clickhouse)`."""
        return f"{self.name} ({', '.join(self.labels.values())})" if self.labels else self.name


def tell_log(alert: Alert) -> None:
    """One line when it begins and one when it ends; ERROR means that something was lost."""
    if alert.ended_at is not None:
        lasted_s = (alert.ended_at - alert.started_at).total_seconds()
        log.warning("Alert %s is over after %.0f s: %s", alert.title, lasted_s, alert.summary)
        return
    level = logging.ERROR if alert.severity == "critical" else logging.WARNING
    log.log(level, "Alert %s: %s  %s", alert.title, alert.summary, alert.action)


def fingerprint(labels: Mapping[str, str]) -> str:
    """The same for the same labels, everywhere and for ever."""
    parts = (part for pair in sorted(labels.items()) for part in pair)
    data = b"".join(part.encode("utf-8", "replace") + _SEPARATOR for part in parts)
    return f"{reduce(_fnv, data, _FNV_OFFSET):016x}"


def _fnv(sum: int, byte: int) -> int:
    return (sum ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF


def webhook_body(alerts: Sequence[Alert], *, node: str, console_url: str) -> bytes:
    """JSON for a webhook: these alerts, all of which fire or all of which have ended.

    `node` names this machine, in the label that Prometheus names a target with.
    """
    firing = alerts[0].ended_at is None
    group = {"service": RECEIVER, "instance": node}
    labels = [
        {**group, **one.labels, "alertname": one.name, "severity": one.severity} for one in alerts
    ]
    annotations = [{"summary": one.summary, "description": one.action} for one in alerts]
    told = [
        {
            "status": "firing" if firing else "resolved",
            "labels": own,
            "annotations": said,
            "startsAt": one.started_at,
            "endsAt": one.ended_at or NEVER,
            "generatorURL": console_url,
            "fingerprint": fingerprint(own),
        }
        for one, own, said in zip(alerts, labels, annotations, strict=True)
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
            "alerts": told,
            "text": _text(alerts, node),
        }
    )


def _common(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say."""
    first, *others = (set(mapping.items()) for mapping in mappings)
    return dict(sorted(first.intersection(*others)))


def _text(alerts: Iterable[Alert], node: str) -> str:
    """A line for each, as Slack formats it: https://docs.slack.dev/messaging/formatting-message-text."""
    lines = []
    for one in alerts:
        head = one.severity.upper() if one.ended_at is None else "RESOLVED"
        line = f"*{head}* taximeter on {node}: {one.title}. {one.summary}"
        lines.append(line if one.ended_at else f"{line} {one.action}")
    return "\n".join(lines).translate(_SLACK)
