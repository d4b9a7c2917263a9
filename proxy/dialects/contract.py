"""What every dialect builds on: the call as asked, its reader, and the routes to it."""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

import msgspec

from pricing.reason import Reason
from proxy.exchange import Operation, Reading

Json = object  # what msgspec.json decodes: dict, list, str, int, Decimal, bool, None
# Takes text that the model made, and what it is part of.
CaptureText = Callable[[str, Hashable], None]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a call when its response begins."""

    method: str
    path: str  # percent-encoded as sent, without the query
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    family: str = "openai"  # the provider's dialect
    provider: str = ""
    quirks: frozenset[str] = frozenset()
    request: Json = None  # decoded request body; None: absent, not JSON or too large
    request_headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # lower-case names
    status: int = 200
    response_headers: Mapping[str, str] = msgspec.field(default_factory=dict)  # lower-case names
    stream: bool = False  # the response is framed as events, not as one document
    array: bool = False  # it is one JSON array, whose elements come as documents
    text_chars_max: int = 4 * 1024 * 1024  # text kept for counting, see `Draft.say`
    audit: bool = False  # the call is sampled: usage that is stated is compared with a count
    capture: CaptureText | None = None  # set if content is captured
    unsaid: Callable[[str], str] = str  # an error message without what it repeats of the request


class Reader(Protocol):
    """Collects what the documents of one response say.  Odd documents never make it raise."""

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """Take one document: the whole body, or one stream event (`event` is its SSE name).

        `[DONE]` and other data that is not JSON comes as text.  `at_ns` counts from the start of
        the call.
        """

    def close(self) -> Reading:
        """The reading.  Called once, possibly before the final event."""


def body_model(ask: Ask) -> str:
    """The model in the request body, else Azure's deployment in the path; "" if neither."""
    model = ask.request.get("model") if isinstance(ask.request, dict) else None
    if isinstance(model, str) and model:
        return model
    deployment = re.search(r"/deployments/([^/]+)/", ask.path)
    return unquote(deployment[1]) if deployment else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One kind of call, and its reader."""

    name: str  # e.g. "openai.chat"
    operation: Operation
    reader: "Callable[[Ask, Endpoint], Reader]"
    free: Reason | None = None  # why providers do not charge for it; None: they do
    model: Callable[[Ask], str] = body_model  # the model asked for
    # Reads a socket of responses: a `proxy.dialects.session.Session`.
    session: "Callable[[Ask, Endpoint], Reader] | None" = None
    lines: bool = False  # the response has one JSON value per line, whatever its type says


@dataclass(frozen=True, slots=True)
class EndpointPath:
    """Which calls belong to an endpoint.

    `path` is a regular expression for the *end* of the path, so that any base path works; a
    trailing slash is ignored.  `families` limits the route to providers of those dialects; it is
    only set for paths that several families share.
    """

    path: str
    endpoint: Endpoint
    methods: frozenset[str] = frozenset({"POST"})
    families: frozenset[str] = frozenset()

    def matches(self, method: str, path: str, family: str) -> bool:
        """Whether the endpoint reads this call."""
        return (
            method in self.methods
            and (not self.families or family in self.families)
            and re.search(rf"(?:{self.path})/?$", path) is not None
        )
