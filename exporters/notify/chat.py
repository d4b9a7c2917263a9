"""Messages for Slack, Teams and Discord, within the limits of each; long texts are visibly cut.

Values come from callers: nothing in them becomes a mention, a link or markup.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from exporters.notify.notice import CUT, Notice, cut, one_line
from exporters.notify.target import Request

# https://docs.slack.dev/reference/block-kit/blocks: header 150, section 3,000, 10 fields of 2,000,
# 50 blocks.  All blocks together are rejected near 13,200 characters: slackapi/bolt-js#2509.
SLACK_HEADER, SLACK_SECTION, SLACK_FIELDS, SLACK_NAME, SLACK_VALUE = 150, 3000, 10, 64, 300
SLACK_SECTIONS = 2  # of fields
SLACK_FALLBACK = 1000
# https://discord.com/developers/docs/resources/message#embed-object-embed-limits; 6,000 in all.
DISCORD_TITLE, DISCORD_TEXT, DISCORD_FIELDS, DISCORD_NAME, DISCORD_VALUE = 256, 2000, 12, 64, 200
# A Teams message has at most 28 KB; these characters of 4 bytes fit, escaped.
TEAMS_TITLE, TEAMS_TEXT, TEAMS_FACTS, TEAMS_NAME, TEAMS_VALUE = 200, 1500, 14, 64, 120
COLORS = {"RESOLVED": 0x2E7D32, "INFO": 0x1565C0, "WARNING": 0xED8A00, "CRITICAL": 0xC62828}
TEAMS_COLORS = {"RESOLVED": "good", "INFO": "accent", "WARNING": "warning", "CRITICAL": "attention"}
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\*_~`|<>[]()#@:-"})


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook of Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

    url: str = field(repr=False)
    type: str = "slack"

    def request(self, notice: Notice, at: datetime) -> Request:
        """A header, the text, the facts."""
        title = _title(notice)
        text = " ".join(filter(None, (notice.text, notice.action)))
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": _slack(title, SLACK_HEADER)},
            {"type": "section", "text": _slack(text, SLACK_SECTION)},
        ]
        fields = [
            _slack(f"{cut(name, SLACK_NAME)}\n{value}", SLACK_VALUE)
            for name, value in notice.shown()[: SLACK_SECTIONS * SLACK_FIELDS]
        ]
        for first in range(0, len(fields), SLACK_FIELDS):
            blocks.append({"type": "section", "fields": fields[first : first + SLACK_FIELDS]})
        fallback = _escaped(f"{title}. {text}", _SLACK, SLACK_FALLBACK)
        return _json(self.url, {"text": fallback, "blocks": blocks})


@dataclass(frozen=True, slots=True)
class Teams:
    """A workflow of Teams that posts an adaptive card when a webhook request is received."""

    url: str = field(repr=False)
    type: str = "teams"

    def request(self, notice: Notice, at: datetime) -> Request:
        """A message with one card; without `attachments` a workflow fails after its 2xx."""
        body: list[dict[str, Any]] = [
            {
                "type": "TextBlock",
                "text": _markdown(_title(notice), TEAMS_TITLE),
                "weight": "bolder",
                "size": "medium",
                "color": TEAMS_COLORS[notice.head],
                "wrap": True,
            },
            *(
                {"type": "TextBlock", "text": _markdown(text, TEAMS_TEXT), "wrap": True}
                for text in filter(None, (notice.text, notice.action))
            ),
        ]
        facts = [
            {"title": _markdown(name, TEAMS_NAME), "value": _markdown(value, TEAMS_VALUE)}
            for name, value in notice.shown()[:TEAMS_FACTS]
        ]
        if facts:
            body.append({"type": "FactSet", "facts": facts})
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
        }
        content_type = "application/vnd.microsoft.card.adaptive"
        attachment = {"contentType": content_type, "contentUrl": None, "content": card}
        return _json(self.url, {"type": "message", "attachments": [attachment]})


@dataclass(frozen=True, slots=True)
class Discord:
    """A webhook of a Discord channel: https://discord.com/developers/docs/resources/webhook."""

    url: str = field(repr=False)
    type: str = "discord"

    def request(self, notice: Notice, at: datetime) -> Request:
        """One embed that mentions nobody."""
        text = "\n".join(filter(None, (notice.text, notice.action)))
        embed = {
            "title": _markdown(_title(notice), DISCORD_TITLE),
            "description": _markdown(text, DISCORD_TEXT),
            "color": COLORS[notice.head],
            "timestamp": notice.at,
            "fields": list(_discord_fields(notice)),
        }
        return _json(self.url, {"embeds": [embed], "allowed_mentions": {"parse": []}})


def _discord_fields(notice: Notice) -> Iterator[dict[str, object]]:
    for name, value in notice.shown()[:DISCORD_FIELDS]:
        shown = _markdown(value, DISCORD_VALUE) or "-"  # an empty value is refused
        yield {"name": _markdown(name, DISCORD_NAME), "value": shown, "inline": True}


def _title(notice: Notice) -> str:
    return one_line(f"{notice.head}: {notice.title}")


def _slack(text: str, most: int) -> dict[str, object]:
    return {"type": "plain_text", "text": _escaped(text, _SLACK, most), "emoji": False}


def _markdown(text: str, most: int) -> str:
    return _escaped(text, _MARKDOWN, most)


def _escaped(text: str, table: Mapping[int, str], most: int) -> str:
    """`text` escaped, in at most `most` characters; a cut leaves no half of an escape."""
    whole = text.translate(table)
    if len(whole) <= most:
        return whole
    kept = ""
    for character in text:
        escaped = character.translate(table)
        if len(kept) + len(escaped) > most - len(CUT):
            break
        kept += escaped
    return kept + CUT


def _json(url: str, document: object) -> Request:
    return Request(url, msgspec.json.encode(document))
