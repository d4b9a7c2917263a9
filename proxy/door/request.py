"""A caller's request as facts for the decision: what its body says, who sent it, and when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import unquote

from msgspec.structs import replace

from pricing.usage import Meter
from proxy.exchange import CountRequest
from proxy.gateway import facts
from proxy.gateway.facts import Facts
from proxy.reading.sessions import session
from proxy.tokens import tokens

SESSION_TAG = "session"
# What Gemini's models are asked for, by the end of a path.
METHODS = ("generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents")
GEMINI = re.compile(rf"/v1(?:beta|alpha)?/models/(.+):(?:{'|'.join(METHODS)})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What is known of a request beside its body: headers in lower case, and its tags."""

    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    caller: str = ""


def model_in_path(path: str) -> str:
    """The model that a path of Gemini's names; "" if it is none."""
    found = GEMINI.fullmatch(path)
    return unquote(found[1]) if found else ""


def facts_of(path: str, body: facts.Json, sender: Sender, at: datetime) -> Facts:
    """All facts but the number of input tokens, which takes time to count.

    Raises ValueError for a path that is no operation of the gateway.
    """
    named = session(sender.headers, dict(body))
    return replace(
        facts.read(path, body),
        session=facts.session_of(sender.tags.get(SESSION_TAG, ""), named, body),
        caller=sender.caller,
        tags=sender.tags,
        hour=at.astimezone(UTC).hour,
    )


def input_tokens(operation: str, body: facts.Json, bytes_max: int) -> int:
    """By our own count, with the vocabulary of OpenAI's models: whoever serves, one number."""
    counted = tokens.count(operation, "", CountRequest(request=body), bytes_max)
    return int(counted.usage.quantities.get(Meter.INPUT, 0))
