"""Which headers pass through the proxy.  No I/O.

Headers are handled as the bytes that were sent, so names keep their case and values their encoding.
All of them pass, except the fields of one connection (RFC 9110, 7.6.1), Host, and `x-taximeter-*`.
"""

from collections.abc import Iterable

import msgspec

from proxy.relay.routes import TAG_NAME, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX, TOKEN_TAG

Pairs = Iterable[tuple[bytes, bytes]]

OWN_PREFIX = b"x-taximeter-"
TOKEN_HEADER = OWN_PREFIX + TOKEN_TAG.encode()
# RFC 9110, 7.6.1: Connection, the fields it names, and those that older peers forget to name.
HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"proxy-connection", b"keep-alive", b"te", b"transfer-encoding"),
        # RFC 9110, 6.5.1: trailers may be dropped; llhttp does, so they are not announced either.
        *(b"upgrade", b"trailer"),
    )
)
# A peer that names one of these in Connection attacks the framing or routing of the next hop.
_NEVER_NAMED = frozenset((b"content-length", b"host", b"content-type"))
_USUAL = frozenset((b"close", b"keep-alive", b"upgrade"))  # options that are no field names here


class RequestHeaders(msgspec.Struct):
    """A caller's headers, sorted.  `forward` keeps the caller's order and case, without Host."""

    forward: list[tuple[bytes, bytes]]
    tags: dict[str, str]
    expects: bool = False  # the caller waits for 100 before it sends the body
    chunked: bool = False
    codings: bytes = b""  # transfer codings as named, lower case
    websocket: bool = False
    token: str = ""  # the one that this proxy may require


def sort_request(raw: Pairs) -> RequestHeaders:
    """Sort the headers that a caller sent."""
    found = RequestHeaders([], {})
    forward = found.forward
    connection: list[bytes] = []
    upgrade = b""
    for pair in raw:
        name = pair[0].lower()
        if name in HOP_BY_HOP:
            value = pair[1]
            if name == b"transfer-encoding":
                found.codings = value.strip().lower()
                found.chunked = True
            elif name == b"upgrade":
                upgrade = value
            elif name == b"connection":
                connection.append(value)
        elif name.startswith(OWN_PREFIX):
            if name == TOKEN_HEADER:
                found.token = pair[1].decode("latin-1")
            else:
                _add_tag(found.tags, name[len(OWN_PREFIX) :], pair[1])
        elif name != b"host":
            if name == b"expect":
                found.expects = pair[1].lower() == b"100-continue"
            forward.append(pair)
    if connection:
        named = _named(connection)
        found.websocket = upgrade.lower() == b"websocket" and b"upgrade" in named
        found.forward = _without(named, forward)
    return found


class ResponseHeaders(msgspec.Struct):
    """A provider's headers, sorted.  `forward` has those for the caller, Content-Length too."""

    forward: list[tuple[bytes, bytes]]
    codings: bytes = b""  # transfer codings as named, lower case
    sized: bool = False  # there is a Content-Length
    idle_s: float | None = None  # how long the provider keeps an idle connection, if it says so


def sort_response(raw: Pairs) -> ResponseHeaders:
    """Sort the headers that a provider sent."""
    found = ResponseHeaders([])
    forward = found.forward
    connection: list[bytes] = []
    for pair in raw:
        name = pair[0].lower()
        if name in HOP_BY_HOP:
            if name == b"connection":
                connection.append(pair[1])
            elif name == b"transfer-encoding":
                coding = pair[1].strip().lower()
                found.codings = found.codings + b"," + coding if found.codings else coding
            elif name == b"keep-alive":
                found.idle_s = _timeout_of(pair[1])
        elif not name.startswith(OWN_PREFIX):
            if name == b"content-length":
                found.sized = True
            forward.append(pair)
    if connection:
        found.forward = _without(_named(connection), forward)
    return found


def _without(
    named: frozenset[bytes], pairs: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    if named <= _USUAL:
        return pairs
    return [pair for pair in pairs if pair[0].lower() not in named]


def _timeout_of(value: bytes) -> float | None:
    """`timeout` of a Keep-Alive field, in seconds (RFC 2068, 19.7.1.1)."""
    for part in value.split(b","):
        name, _, seconds = part.strip().partition(b"=")
        if name.lower() == b"timeout" and seconds.isdigit() and len(seconds) < 10:
            return float(seconds)
    return None


def _named(connection: list[bytes]) -> frozenset[bytes]:
    """Field names, in lower case, that Connection limits to this connection."""
    tokens = b",".join(connection).split(b",")
    return frozenset([token.strip().lower() for token in tokens]) - _NEVER_NAMED


def _add_tag(tags: dict[str, str], name: bytes, value: bytes) -> None:
    tag = name.decode("latin-1")
    if TAG_NAME.fullmatch(tag) and len(tags) < TAGS_MAX:
        tags[tag] = value.decode("utf-8", "replace")[:TAG_VALUE_CHARACTERS_MAX]
