"""Notices as OpenTelemetry events: log records with an event name, sent as OTLP/JSON.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding,
https://opentelemetry.io/docs/specs/otel/logs/data-model/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from exporters.notify.alert import Severity
from exporters.notify.notice import Fact, Notice, cut, plain
from exporters.notify.target import Request
from exporters.record import EPOCH

EVENT = "taximeter.alert"
PREFIX = f"{EVENT}."  # of every attribute
TEXT_MAX, NAME_MAX = 2000, 256
# SeverityNumber and text of the logs data model.
INFO = (9, "INFO")
SEVERITIES: Mapping[Severity, tuple[int, str]] = {
    "info": INFO,
    "warning": (13, "WARN"),
    "critical": (17, "ERROR"),
}

Value = dict[str, object]  # an AnyValue


@dataclass(frozen=True, slots=True)
class OtlpEvent:
    """A collector that takes logs over HTTP; `url` is that of the signal, `…/v1/logs`."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    node: str = ""
    type: str = "otlp"

    def request(self, notice: Notice, at: datetime) -> Request:
        """One log record: what every notice has and its facts are its attributes."""
        number, text = INFO if notice.resolved else SEVERITIES[notice.severity]
        own: dict[str, Fact] = {
            "id": notice.id,
            "kind": notice.kind,
            "name": notice.name,
            "severity": notice.severity,
            "resolved": notice.resolved,
            "title": notice.title,
            "action": notice.action,
        }
        record = {
            "timeUnixNano": _nanoseconds(notice.at),
            "observedTimeUnixNano": _nanoseconds(at),
            "severityNumber": number,
            "severityText": text,
            "eventName": EVENT,
            "body": {"stringValue": cut(plain(notice.text), TEXT_MAX)},
            "attributes": _attributes({**notice.facts, **own}.items()),
        }
        service = [("service.name", "taximeter"), ("service.instance.id", self.node)]
        resource = [_pair(name, value) for name, value in service if value]
        logs = {"scope": {"name": "taximeter"}, "logRecords": [record]}
        document = {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [logs]}]}
        return Request(self.url, msgspec.json.encode(document), self.headers)


def _nanoseconds(at: datetime) -> str:
    """Since the epoch; 64-bit numbers are text in OTLP's JSON."""
    return str((at - EPOCH) // timedelta(microseconds=1) * 1000)


def _attributes(facts: Iterable[tuple[str, Fact]]) -> list[Value]:
    return [_pair(PREFIX + name, value) for name, value in facts if value is not None]


def _pair(name: str, value: Fact) -> Value:
    return {"key": cut(plain(name), NAME_MAX), "value": _value(value)}


def _value(value: Fact) -> Value:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case tuple():
            return {"arrayValue": {"values": [_value(each) for each in value]}}
        case dict():
            pairs = [_pair(name, each) for name, each in value.items()]
            return {"kvlistValue": {"values": pairs}}
        case _:
            return {"stringValue": cut(plain(str(value)), TEXT_MAX)}
