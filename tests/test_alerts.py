"""An alert as others read it: in a log, in Alertmanager's format, in Slack."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from exporters.notify.alert import Alert, fingerprint, log_alert, webhook_body

BEGAN = datetime(2026, 11, 23, 12, 0, 1, 500_000, tzinfo=UTC)
BEHIND = Alert(
    name="exporter_behind",
    severity="warning",
    summary="9 rows wait for clickhouse.",
    action="See its error.",
    started_at=BEGAN,
    labels={"exporter": "clickhouse"},
)
LOST = Alert(
    name="calls_lost",
    severity="critical",
    summary="2 calls have no row.",
    action="See its error.",
    started_at=BEGAN,
)
CONSOLE = "http://127.0.0.1:4001"


def test_the_body_is_alertmanagers() -> None:
    """Every key of version 4, with what is common to all alerts, and a text beside them."""
    found = json.loads(webhook_body([BEHIND, LOST], node="n1", console_url=CONSOLE))
    behind = {
        "alertname": "exporter_behind",
        "exporter": "clickhouse",
        "instance": "n1",
        "service": "taximeter",
        "severity": "warning",
    }
    assert found.pop("alerts")[0] == {
        "status": "firing",
        "labels": behind,
        "annotations": {"summary": BEHIND.summary, "description": BEHIND.action},
        "startsAt": "2026-11-23T12:00:01.500000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": CONSOLE,
        "fingerprint": fingerprint(behind),
    }
    group = {"service": "taximeter", "instance": "n1"}
    assert found == {
        "version": "4",
        "groupKey": '{}:{service="taximeter",instance="n1"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "taximeter",
        "groupLabels": group,
        "commonLabels": group,
        "commonAnnotations": {"description": "See its error."},
        "externalURL": CONSOLE,
        "text": "*WARNING* taximeter on n1: exporter_behind (clickhouse). 9 rows wait for "
        "clickhouse. See its error.\n"
        "*CRITICAL* taximeter on n1: calls_lost. 2 calls have no row. See its error.",
    }


def test_what_is_over_is_resolved() -> None:
    """The same labels and fingerprint, with an end."""
    over = replace(LOST, ended_at=BEGAN + timedelta(minutes=5))
    begun, ended = (
        json.loads(webhook_body([one], node="n1", console_url=CONSOLE)) for one in (LOST, over)
    )
    assert (ended["status"], ended["alerts"][0]["status"]) == ("resolved", "resolved")
    assert ended["alerts"][0]["endsAt"] == "2026-11-23T12:05:01.500000Z"
    assert ended["alerts"][0]["fingerprint"] == begun["alerts"][0]["fingerprint"]
    assert ended["text"] == "*RESOLVED* taximeter on n1: calls_lost. 2 calls have no row."


def test_a_fingerprint_is_prometheus_own() -> None:
    """FNV-1a over sorted names and values; of no labels it is the offset, as in its source."""
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1"}) != fingerprint({"a": "2"}) != fingerprint({"a1": ""})


def test_slack_reads_no_markup_from_a_name() -> None:
    """Names and numbers only, with Slack's three characters escaped."""
    text = json.loads(webhook_body([LOST], node="<!here> & co", console_url=""))["text"]
    assert text.startswith("*CRITICAL* taximeter on &lt;!here&gt; &amp; co: calls_lost.")


@pytest.mark.parametrize(
    ("alert", "level", "said"),
    [
        (LOST, logging.ERROR, "Alert calls_lost: 2 calls have no row.  See its error."),
        (
            BEHIND,
            logging.WARNING,
            "Alert exporter_behind (clickhouse): 9 rows wait for clickhouse.  See its error.",
        ),
        (
            replace(LOST, ended_at=BEGAN + timedelta(minutes=5)),
            logging.WARNING,
            "Alert calls_lost resolved after 300 s: 2 calls have no row.",
        ),
    ],
)
def test_the_log(alert: Alert, level: int, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it begins, an error if something was lost, and one when it is over."""
    log_alert(alert)
    assert caplog.record_tuples == [("exporters.notify.alert", level, said)]
