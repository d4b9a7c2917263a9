"""Wire formats: from decoded documents to a `Reading`.  No I/O, no clock.

A call is read by one `Reader`.  `proxy.reading` undoes encodings and framing and hands it
documents: the one JSON body, or each event of a stream.  A dialect never sees bytes, so how a
stream was cut cannot matter to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from proxy.exchange import Reading

Json = object  # what msgspec.json decodes: dict, list, str, int, Decimal, bool, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is known of a call when its response begins."""

    method: str
    path: str  # percent-encoded as sent, without the query
    query: Mapping[str, str] = field(default_factory=dict)
    family: str = "openai"  # the provider's dialect
    provider: str = ""
    quirks: frozenset[str] = frozenset()
    request: Json = None  # decoded request body; None: absent, not JSON or too large
    request_headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    status: int = 200
    response_headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names


class Reader(Protocol):
    """Collects what the documents of one response say.  Never raises for odd documents."""

    def feed(self, document: Json, at_ns: int, event: str = "") -> None:
        """Take one document: the whole body, or one stream event (`event` is its SSE name)."""

    def close(self) -> Reading:
        """What was said.  Called once; may be called before the final event came."""
