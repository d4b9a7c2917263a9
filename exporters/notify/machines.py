"""Messages for machines: PagerDuty, Standard Webhooks, Alertmanager's receivers."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from exporters.notify.alert import webhook_body
from exporters.notify.notice import Fact, Notice, cut
from exporters.notify.target import Request

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
# https://github.com/PagerDuty/developer-docs/blob/main/docs/events-API-v2/01-Overview.md
PAGERDUTY_SUMMARY, PAGERDUTY_DEDUP, PAGERDUTY_KEY = 1024, 255, 32
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
SECRET_PREFIX = "whsec_"
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
BODY_BYTES_MAX = 20_000
TEXT_MAX, FACT_MAX = 2000, 256
SMALL_TEXT_MAX, SMALL_FACT_MAX = 200, 48  # of a notice that would exceed BODY_BYTES_MAX
DIGEST_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """Events API v2: an incident for each id, resolved with the same."""

    routing_key: str = field(repr=False)
    url: str = PAGERDUTY_URL
    node: str = ""
    console_url: str = ""
    type: str = "pagerduty"

    def request(self, notice: Notice, at: datetime) -> Request:
        """`trigger` or `resolve`."""
        event: dict[str, object] = {
            "routing_key": self.routing_key,
            "event_action": "resolve" if notice.resolved else "trigger",
            "dedup_key": bounded(notice.id, PAGERDUTY_DEDUP),
        }
        if not notice.resolved:
            event["payload"] = {
                "summary": cut(f"{notice.title}. {notice.text}", PAGERDUTY_SUMMARY),
                "source": self.node or "taximeter",
                "severity": notice.severity,
                "timestamp": notice.started_at,
                "component": "taximeter",
                "class": notice.kind,
                "custom_details": {
                    **_facts(notice, FACT_MAX),
                    "action": cut(notice.action, TEXT_MAX),
                },
            }
            if self.console_url:
                event["links"] = [{"href": self.console_url, "text": "Taximeter's console"}]
        return Request(self.url, msgspec.json.encode(event))


@dataclass(frozen=True, slots=True)
class StandardWebhook:
    """A webhook signed with each of `keys`, so that receivers can change theirs one by one."""

    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    node: str = ""
    type: str = "webhook"

    def request(self, notice: Notice, at: datetime) -> Request:
        """Flat JSON; the facts stand beside what every notice has."""
        body = self._body(notice, TEXT_MAX, FACT_MAX)
        if len(body) > BODY_BYTES_MAX:
            body = self._body(notice, SMALL_TEXT_MAX, SMALL_FACT_MAX)
        own = {
            "webhook-id": bounded(notice.key, FACT_MAX),
            "webhook-timestamp": f"{at.timestamp():.0f}",
        }
        signed = f"{own['webhook-id']}.{own['webhook-timestamp']}.".encode() + body
        if self.keys:
            own["webhook-signature"] = " ".join(
                f"v1,{_signature(key, signed)}" for key in self.keys
            )
        return Request(self.url, body, {**self.headers, **own})

    def _body(self, notice: Notice, text: int, fact: int) -> bytes:
        return msgspec.json.encode(
            {
                **_facts(notice, fact),
                "id": notice.id,
                "type": f"{notice.kind}.{'resolved' if notice.resolved else 'firing'}",
                "kind": notice.kind,
                "name": notice.name,
                "severity": notice.severity,
                "resolved": notice.resolved,
                "title": cut(notice.title, fact),
                "text": cut(notice.text, text),
                "action": cut(notice.action, text),
                "timestamp": notice.at,
                "started_at": notice.started_at,
                "ended_at": notice.ended_at,
                "node": self.node,
            }
        )


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """A receiver of Alertmanager's webhooks, version 4."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    node: str = ""
    console_url: str = ""
    type: str = "alertmanager"

    def request(self, notice: Notice, at: datetime) -> Request:
        """One alert."""
        body = webhook_body([notice.alert], node=self.node, console_url=self.console_url)
        return Request(self.url, body, self.headers)


def secret_key(secret: str) -> bytes:
    """The key in a `whsec_…`.  Raises ValueError, without quoting it, for anything else."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(
            f"expected {SECRET_PREFIX} and base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} "
            "bytes, for example from: echo whsec_$(openssl rand -base64 32)"
        )
    return key


def bounded(id: str, most: int) -> str:
    """`id`, or its beginning and a digest of it: never two ids as one, printable ASCII only."""
    text = "".join(c if c.isascii() and c.isprintable() else "?" for c in id)
    if text == id and len(id) <= most:
        return id
    digest = hashlib.sha256(id.encode("utf-8", "replace")).hexdigest()[:DIGEST_CHARACTERS]
    return f"{text[: most - len(digest) - 1]}~{digest}"


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _facts(notice: Notice, most: int) -> dict[str, Fact]:
    """The facts with long texts cut."""
    return {name: _cut(value, most) for name, value in notice.facts.items()}


def _cut(value: Fact, most: int) -> Fact:
    if isinstance(value, str):
        return cut(value, most)
    if isinstance(value, dict):
        return {cut(name, most): cut(each, most) for name, each in value.items()}
    return value
