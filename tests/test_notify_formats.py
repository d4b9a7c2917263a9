"""How each service is told: its own shape, within its limits, with nothing that poses as markup."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from exporters.notify.alert import Alert
from exporters.notify.budget_notices import (
    anomaly_notice,
    forecast_notice,
    resolved_notice,
    threshold_notice,
)
from exporters.notify.chat import Discord, Slack, Teams
from exporters.notify.machines import (
    Alertmanager,
    PagerDuty,
    StandardWebhook,
    bounded,
    secret_key,
)
from exporters.notify.notice import CUT, Notice, loss_notice
from exporters.notify.other_targets import mail
from exporters.notify.otlp_event import OtlpEvent
from exporters.notify.target import Format
from pricing.anomaly import Anomaly
from pricing.budget import Budget
from pricing.budget_state import Crossing, Spend, ended
from pricing.forecast import Forecast

AT = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
URL = "https://hooks.example.org/T0SECRET"
SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "AAAA" * 8
BUDGET = Budget(
    name="search",
    scope={"team": "search", "user": "*"},
    limit_usd=Decimal(500),
    timezone="Europe/Berlin",
)
WINDOW = BUDGET.windows.window(AT)
KEY = (("user", "ann"),)
SPEND = Spend(spent=Decimal("412.30"), unknown=Decimal(1), unknown_calls=3)
CROSSING = Crossing(
    budget=BUDGET,
    key=KEY,
    window=WINDOW,
    spend=SPEND,
    thresholds=(Decimal(50), Decimal(80)),
)
NOTICE = threshold_notice(CROSSING, AT)
FORMATS: list[Format] = [
    Slack(URL),
    Teams(URL),
    Discord(URL),
    PagerDuty("k" * 32),
    StandardWebhook(URL, (secret_key(SECRET),)),
    Alertmanager(URL),
    OtlpEvent(URL),
]


def body(format: Format, notice: Notice = NOTICE) -> Any:
    return json.loads(format.request(notice, AT).body)


def test_a_threshold() -> None:
    """The message names the highest, lists all, and covers the ids of the others."""
    assert NOTICE.id.endswith(":80")
    assert [one.rpartition(":")[2] for one in NOTICE.also] == ["50"]
    assert NOTICE.title == "Budget search (user ann) at 80 %"
    assert "413.30 USD, at least 80 % of 500.00 USD" in NOTICE.text
    assert NOTICE.severity == "warning"
    assert NOTICE.until == WINDOW.end + timedelta(days=1) if WINDOW.end else False


def test_amounts_can_be_hidden() -> None:
    """Neither texts nor facts have one then."""
    hidden = Budget(name="b", limit_usd=Decimal("777.77"), hide_amounts=True)
    spend = Spend(spent=Decimal("666.66"))
    crossing = Crossing(
        budget=hidden, key=(), window=WINDOW, spend=spend, thresholds=(Decimal(80),)
    )
    forecast = Forecast(
        at=AT, window=WINDOW, amount=Decimal("888.88"), low=None, high=None, method="daily_rate"
    )
    anomaly = Anomaly(
        hour=AT,
        amount=Decimal("999.99"),
        usual=Decimal("555.55"),
        score=None,
        weeks=4,
        contributors=(("ann", Decimal("444.44")),),
    )
    for notice in (
        threshold_notice(crossing, AT),
        forecast_notice(hidden, (), spend, forecast, AT),
        anomaly_notice(hidden, (), anomaly, AT),
    ):
        text = json.dumps(body(StandardWebhook(URL), notice))
        assert not any(f"{digit * 3}.{digit * 2}" in text for digit in "456789")


def test_a_refusal() -> None:
    """A call that reservations turned away is told as that, not as money spent."""
    spend = Spend(spent=Decimal(400), reserved=Decimal(100), refused=1)
    crossing = Crossing(
        budget=BUDGET, key=KEY, window=WINDOW, spend=spend, thresholds=(Decimal(100),)
    )
    notice = threshold_notice(crossing, AT)
    assert "refused a call: 500.00 USD of 500.00 USD are spent or held back" in notice.text
    assert notice.severity == "critical"


def test_forecasts_and_anomalies() -> None:
    """With interval and mark; with value, median, weeks and contributors."""
    forecast = Forecast(
        at=AT,
        window=WINDOW,
        amount=Decimal(620),
        low=Decimal(540),
        high=None,
        method="daily_rate",
    )
    told = forecast_notice(BUDGET, KEY, SPEND, forecast, AT)
    assert told.id.endswith(":forecast")
    assert "little history: 620.00 USD of 500.00 USD." in told.text
    found = body(StandardWebhook(URL), told)
    assert (found["forecast_usd"], found["forecast_low_usd"]) == ("620", "540")
    assert (found["forecast_high_usd"], found["little_history"]) == (None, True)
    anomaly = Anomaly(
        hour=AT,
        amount=Decimal(90),
        usual=Decimal(10),
        score=Decimal(9),
        weeks=5,
        contributors=(("ann", Decimal(60)), ("bob", Decimal(20))),
    )
    told = anomaly_notice(BUDGET, KEY, anomaly, AT)
    assert "90.00 USD in one hour, usually 10.00 USD (median of 5 weeks)." in told.text
    assert "Most came from ann 60.00 USD, bob 20.00 USD." in told.text
    assert told.id.endswith("2026-11-29T02:00Z/2026-11-29T03:00Z:anomaly")


def test_slack() -> None:
    """A fallback and blocks; &, < and > are escaped, so that nobody is mentioned."""
    found = body(Slack(URL), replace(NOTICE, text="<!channel> & more", title="a\nb"))
    assert found["text"].startswith("WARNING: a b. &lt;!channel&gt; &amp; more")
    assert found["blocks"][0]["text"]["text"] == "WARNING: a b"
    assert {block["type"] for block in found["blocks"]} == {"header", "section"}
    fields = [field["text"] for block in found["blocks"] for field in block.get("fields", [])]
    assert "thresholds\n50, 80" in fields
    assert "spent usd\n413.30" in fields


def test_teams() -> None:
    """An adaptive card in `attachments`, without which the workflow fails after its 2xx."""
    found = body(Teams(URL), replace(NOTICE, text="[click](http://x.example)"))
    assert found["type"] == "message"
    (attachment,) = found["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert "](" not in card["body"][1]["text"].replace("\\", "") or "\\[" in card["body"][1]["text"]
    assert card["body"][-1]["type"] == "FactSet"


def test_discord() -> None:
    """One embed that mentions nobody."""
    found = body(Discord(URL), replace(NOTICE, text="@everyone **now**"))
    assert found["allowed_mentions"] == {"parse": []}
    assert found["embeds"][0]["description"] == r"\@everyone \*\*now\*\*"
    assert all(field["value"] for field in found["embeds"][0]["fields"])


def test_pagerduty() -> None:
    """`trigger` and `resolve` with the same dedup_key: budget, window and threshold."""
    pager = PagerDuty("k" * 32, node="n1", console_url="http://127.0.0.1:4001")
    trigger = body(pager)
    assert (trigger["event_action"], trigger["routing_key"]) == ("trigger", "k" * 32)
    assert trigger["payload"]["severity"] == "warning"
    assert trigger["payload"]["source"] == "n1"
    assert trigger["payload"]["custom_details"]["limit_usd"] == "500"
    resolve = body(pager, resolved_notice(NOTICE.id, BUDGET, KEY, AT, AT + timedelta(days=2)))
    assert resolve["event_action"] == "resolve"
    assert resolve["dedup_key"] == trigger["dedup_key"] == NOTICE.id
    assert "payload" not in resolve


def test_otlp_event() -> None:
    """OpenTelemetry's own classes read every field: a warning, then its end, with exact amounts."""
    target = OtlpEvent(URL, node="n1")
    over = resolved_notice(NOTICE.id, BUDGET, KEY, AT, AT + timedelta(days=2))
    read = [
        json_format.Parse(target.request(notice, AT).body, ExportLogsServiceRequest())
        for notice in (NOTICE, over)
    ]
    records = [each.resource_logs[0].scope_logs[0].log_records[0] for each in read]
    assert [record.severity_text for record in records] == ["WARN", "INFO"]
    assert {record.event_name for record in records} == {"taximeter.alert"}
    assert records[0].time_unix_nano == NOTICE.at.timestamp() * 10**9
    assert records[0].body.string_value == NOTICE.text
    facts = {pair.key: pair.value for pair in records[0].attributes}
    assert facts["taximeter.alert.limit_usd"].string_value == "500"
    assert facts["taximeter.alert.threshold"].int_value == 80
    assert facts["taximeter.alert.thresholds"].array_value.values[-1].int_value == 80
    assert not facts["taximeter.alert.resolved"].bool_value
    assert facts["taximeter.alert.id"].string_value == NOTICE.id
    resource = {
        pair.key: pair.value.string_value for pair in read[0].resource_logs[0].resource.attributes
    }
    assert resource == {"service.name": "taximeter", "service.instance.id": "n1"}


def test_standard_webhook() -> None:
    """Flat JSON with exact amounts as text, signed so that the standard's own library agrees."""
    request = StandardWebhook(URL, (secret_key(OTHER), secret_key(SECRET)), {"x-a": "b"}).request(
        NOTICE, datetime.now(UTC)
    )
    headers = dict(request.headers)
    assert headers["x-a"] == "b"
    for secret in (SECRET, OTHER):  # a receiver with the old or the new one
        found = Webhook(secret).verify(request.body, headers)
        assert (found["budget"], found["threshold"], found["thresholds"]) == (
            "search",
            80,
            [50, 80],
        )
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", headers)
    found = json.loads(request.body)
    assert (found["spent_usd"], found["limit_usd"]) == ("413.30", "500")
    assert found["scope"] == {"team": "search", "user": "ann"}
    assert found["window"] == "2026-10-31T23:00Z/2026-11-30T23:00Z"
    assert (found["type"], found["resolved"]) == ("budget.firing", False)
    unsigned = StandardWebhook(URL).request(NOTICE, AT)
    assert "webhook-signature" not in unsigned.headers


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!" * 9]
)
def test_secrets_are_checked(secret: str) -> None:
    """24 to 64 bytes in base64 after `whsec_`; the message does not quote it."""
    with pytest.raises(ValueError, match="openssl rand") as caught:
        secret_key(secret)
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)


def test_losses_are_notices_too() -> None:
    """The same occasion has one id on a machine, and another on the next one."""
    alert = Alert(
        name="calls_lost",
        severity="critical",
        summary="2 calls have no row.",
        action="See its error.",
        started_at=AT,
        labels={"journal": "calls"},
    )
    begins, ends = (
        loss_notice(one, "n1")
        for one in (alert, Alert(**{**_fields(alert), "ended_at": AT + timedelta(hours=1)}))
    )
    assert begins.id == ends.id != loss_notice(alert, "n2").id
    assert (begins.key, ends.key) == (begins.id, f"{begins.id}#resolved")
    found = body(Alertmanager(URL, node="n1"), ends)
    assert found["status"] == "resolved"
    assert found["alerts"][0]["labels"]["journal"] == "calls"
    assert begins.alert == alert
    namesake = Budget(name="loss", limit_usd=Decimal(1))
    assert ended(namesake, (), WINDOW, Spend(), [begins.id]) == ()


def _fields(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in alert.__struct_fields__}


def test_mail() -> None:
    """A fixed Message-ID, no line breaks in the subject, and an end that answers its beginning."""
    odd = replace(NOTICE, title="a\r\nBcc: x@example.org")
    found = message_from_bytes(mail(odd, "t@example.org", ("a@x.org", "b@x.org")).as_bytes())
    assert found["Bcc"] is None
    assert found["Subject"] == "[taximeter] WARNING: a  Bcc: x@example.org"
    assert found["To"] == "a@x.org, b@x.org"
    again = mail(NOTICE, "t@example.org", ("a@x.org",))
    assert again["Message-ID"] == found["Message-ID"]
    end = mail(replace(NOTICE, ended_at=AT), "t@example.org", ("a@x.org",))
    assert end["In-Reply-To"] == found["Message-ID"] != end["Message-ID"]
    text = message_from_bytes(again.as_bytes(), policy=policy.default).get_content()
    assert "spent usd: 413.30" in text


texts = st.text(st.characters(codec="utf-8"), max_size=50) | st.sampled_from(
    ["", "x" * 5000, "&" * 4000, "*" * 9000, "😀" * 9000, "\n" * 3000, '"' * 9000, "\\" * 5000]
)


@given(texts, texts, texts, st.sampled_from(FORMATS))
def test_limits(title: str, text: str, value: str, format: Format) -> None:
    """Whatever a notice holds, each service accepts its size; what is cut ends with …."""
    facts = {f"fact_{number}": value for number in range(30)}
    notice = replace(NOTICE, title=title, text=text, action=text, facts=facts)
    data = format.request(notice, AT).body
    found = json.loads(data)
    match format.type:
        case "slack":
            blocks = found["blocks"]
            assert len(blocks[0]["text"]["text"]) <= 150
            assert 0 < len(blocks[1]["text"]["text"]) <= 3000 or not text
            fields = [one["text"] for block in blocks for one in block.get("fields", [])]
            assert all(0 < len(one) <= 2000 for one in fields)
            whole = sum(len(block["text"]["text"]) for block in blocks[:2])
            assert whole + sum(map(len, fields)) <= 13_000
        case "teams":
            assert len(data) <= 28_000
        case "discord":
            (embed,) = found["embeds"]
            parts = [embed["title"], embed["description"]]
            parts += [one[key] for one in embed["fields"] for key in ("name", "value")]
            assert len(embed["title"]) <= 256
            assert len(embed["fields"]) <= 25
            assert sum(map(len, parts)) <= 6000
        case "pagerduty":
            assert len(found["payload"]["summary"]) <= 1024
            assert len(data) <= 512_000
        case "webhook":
            assert len(data) <= 20_000
    if len(text) > 4000 and format.type != "alertmanager":
        assert CUT in data.decode()


@given(st.text(max_size=600), st.text(max_size=600))
def test_bounded_ids_do_not_collide(one: str, other: str) -> None:
    """A long or foreign id becomes its beginning and a digest, in printable ASCII."""
    short = bounded(one, 255)
    assert len(short) <= 255
    assert short.isascii()
    assert (short == bounded(other, 255)) == (one == other)
