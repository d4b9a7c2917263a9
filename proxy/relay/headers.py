"""Which headers pass through the proxy.  No I/O.

Headers are handled as the bytes that were sent, so names keep their case and values their encoding.
All of them pass, except the fields of one connection (RFC 9110, 7.6.1), Host, and `x-taximeter-*`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.relay.routes import TAG_NAME, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX, TOKEN_TAG

Pairs = Iterable[tuple[bytes, bytes]]

OWN_PREFIX = b"x-taximeter-"
TOKEN_HEADER = OWN_PREFIX + TOKEN_TAG.encode()
# RFC 9110, 7.6.1: Connection, the fields it names, and those that older peers forget to name.
HOP_BY_HOP = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"te", b"transfer-encoding", b"upgrade")
)
# A peer that names one of these in Connection attacks the framing or routing of the next hop.
_NEVER_NAMED = frozenset((b"content-length", b"host", b"content-type"))


@dataclass(slots=True)
class RequestHeaders:
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
    raw = tuple(raw)
    named = _named_by_connection(raw)
    found = RequestHeaders([], {})
    for pair in raw:
        name, value = pair[0].lower(), pair[1]
        if name in HOP_BY_HOP or name in named:
            if name == b"transfer-encoding":
                found.codings = value.strip().lower()
                found.chunked = True
            elif name == b"upgrade":
                found.websocket = value.lower() == b"websocket" and b"upgrade" in named
        elif name == TOKEN_HEADER:
            found.token = value.decode("latin-1")
        elif name.startswith(OWN_PREFIX):
            _add_tag(found.tags, name[len(OWN_PREFIX) :], value)
        elif name != b"host":
            if name == b"expect":
                found.expects = value.lower() == b"100-continue"
            found.forward.append(pair)
    return found


def sort_response(raw: Pairs) -> list[tuple[bytes, bytes]]:
    """The provider's headers that pass to the caller, Content-Length included."""
    raw = tuple(raw)
    named = _named_by_connection(raw)
    return [
        pair
        for pair in raw
        if (name := pair[0].lower()) not in HOP_BY_HOP
        and name not in named
        and not name.startswith(OWN_PREFIX)
    ]


def _named_by_connection(raw: Pairs) -> frozenset[bytes]:
    """Field names, in lower case, that Connection limits to this connection."""
    values = [value for name, value in raw if name.lower() == b"connection"]
    if not values:
        return frozenset()
    return (
        frozenset(token.strip().lower() for token in b",".join(values).split(b",")) - _NEVER_NAMED
    )


def _add_tag(tags: dict[str, str], name: bytes, value: bytes) -> None:
    tag = name.decode("latin-1")
    if TAG_NAME.fullmatch(tag) and len(tags) < TAGS_MAX:
        tags[tag] = value.decode("utf-8", "replace")[:TAG_VALUE_CHARACTERS_MAX]
