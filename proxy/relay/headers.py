"""Which headers pass through the proxy.  No I/O.

Headers are handled as the bytes that were sent, so names keep their case and values their encoding.
All of them pass, except the fields of one connection (RFC 9110, 7.6.1), Host, and `x-taximeter-*`.
"""

import re

import msgspec

from proxy.relay.fields import (
    CREDENTIAL,
    EXPECT,
    HOP,
    LENGTH,
    OWN,
    OWN_PREFIX,
    TOKEN_HEADER,
    Field,
    Pairs,
    fields,
)
from proxy.relay.routes import TAG_NAME, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX

# A peer that names one of these in Connection attacks the framing or routing of the next hop.
_NEVER_NAMED = frozenset((b"content-length", b"host", b"content-type"))
_TIMEOUT = re.compile(rb"(?:^|,)\s*timeout\s*=\s*\"?(\d{1,9}(?:\.\d+)?)", re.IGNORECASE)
_USUAL = frozenset((b"close", b"keep-alive", b"upgrade"))  # options that are no field names here


class RequestHeaders(msgspec.Struct):
    """A caller's headers, sorted.  `fields` keeps the caller's order and case, without Host."""

    fields: list[Field]
    tags: dict[str, str]
    credentials: list[tuple[bytes, bytes]]  # those that may hold the caller's
    expects: bool = False  # the caller waits for 100 before it sends the body
    chunked: bool = False
    codings: bytes = b""  # transfer codings as named, lower case
    websocket: bool = False
    token: str = ""  # the one that this proxy may require

    @property
    def forward(self) -> list[tuple[bytes, bytes]]:
        """What is sent on, as sent."""
        return [field.pair for field in self.fields]


def sort_request(raw: Pairs) -> RequestHeaders:
    """Sort the headers that a caller sent."""
    found = RequestHeaders([], {}, [])
    forward = found.fields
    connection: list[bytes] = []
    upgrade = b""
    for field in fields(raw):
        role = field.role
        if role <= EXPECT:
            forward.append(field)
            if role == CREDENTIAL:
                found.credentials.append(field.pair)
            elif role == EXPECT:
                found.expects = field.pair[1].lower() == b"100-continue"
        elif role == HOP:
            name, value = field.name, field.pair[1]
            if name == b"transfer-encoding":
                found.codings = value.strip().lower()
                found.chunked = True
            elif name == b"upgrade":
                upgrade = value
            elif name == b"connection":
                connection.append(value)
        elif role == OWN:
            if field.name == TOKEN_HEADER:
                found.token = field.pair[1].decode("latin-1")
            else:
                _add_tag(found.tags, field.name[len(OWN_PREFIX) :], field.pair[1])
    if connection:
        named = _named(connection)
        found.websocket = upgrade.lower() == b"websocket" and b"upgrade" in named
        found.fields = _without(named, forward)
    return found


class ResponseHeaders(msgspec.Struct):
    """A provider's headers, sorted.  `fields` has those for the caller, Content-Length too."""

    fields: list[Field]
    codings: bytes = b""  # transfer codings as named, lower case
    sized: bool = False  # there is a Content-Length
    idle_s: float | None = None  # how long the provider keeps an idle connection, if it says so

    @property
    def forward(self) -> list[tuple[bytes, bytes]]:
        """What is sent on, as sent."""
        return [field.pair for field in self.fields]


def sort_response(raw: Pairs) -> ResponseHeaders:
    """Sort the headers that a provider sent."""
    found = ResponseHeaders([])
    forward = found.fields
    connection: list[bytes] = []
    for field in fields(raw):
        role = field.role
        if role == HOP:
            name, value = field.name, field.pair[1]
            if name == b"connection":
                connection.append(value)
            elif name == b"transfer-encoding":
                coding = value.strip().lower()
                found.codings = found.codings + b"," + coding if found.codings else coding
            elif name == b"keep-alive":
                found.idle_s = _timeout_of(value, found.idle_s)
        elif role != OWN:
            if role == LENGTH:
                found.sized = True
            forward.append(field)
    if connection:
        found.fields = _without(_named(connection), forward)
    return found


def _without(named: frozenset[bytes], found: list[Field]) -> list[Field]:
    if named <= _USUAL:
        return found
    return [field for field in found if field.name not in named]


def _timeout_of(value: bytes, other_s: float | None) -> float | None:
    """`timeout` of a Keep-Alive field, in seconds (RFC 2068, 19.7.1.1), or `other_s` if less."""
    told = [float(seconds) for seconds in _TIMEOUT.findall(value)]
    return min(told if other_s is None else (*told, other_s), default=None)


def _named(connection: list[bytes]) -> frozenset[bytes]:
    """Field names, in lower case, that Connection limits to this connection."""
    tokens = b",".join(connection).split(b",")
    return frozenset([token.strip().lower() for token in tokens]) - _NEVER_NAMED


def _add_tag(tags: dict[str, str], name: bytes, value: bytes) -> None:
    tag = name.decode("latin-1")
    if TAG_NAME.fullmatch(tag) and len(tags) < TAGS_MAX:
        tags[tag] = value.decode("utf-8", "replace")[:TAG_VALUE_CHARACTERS_MAX]
