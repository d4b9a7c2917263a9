"""Which headers cross, and what of them may be written down.  No I/O.

Headers are handled as the bytes that were sent, so names keep their case and values their encoding.
What crosses is everything but the fields of one connection (RFC 9110, 7.6.1), Host, and our own
`x-taximeter-*`.  What is written down has every credential replaced by `***`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

from proxy.relay.routes import TAG_NAME, TAG_VALUE_CHARACTERS_MAX, TAGS_MAX, TOKEN_TAG

Pairs = Iterable[tuple[bytes, bytes]]

HIDDEN = "***"
OWN_PREFIX = b"x-taximeter-"
TOKEN_HEADER = OWN_PREFIX + TOKEN_TAG.encode()
# RFC 9110, 7.6.1: Connection, the fields it names, and those older peers forget to name.
HOP_BY_HOP = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"te", b"transfer-encoding", b"upgrade")
)
# A peer that names these in Connection attacks the framing or the routing of the next hop.
_NEVER_NAMED = frozenset((b"content-length", b"host", b"content-type"))

# A word of a header or parameter name that ends so is a credential.  "tokens" is not: it counts.
_SECRET_WORD = re.compile(
    r"(keys?|token|secrets?|passwo?r?d|passphrase|pwd|pass|credentials?|signature|sig|auth"
    r"|authorization|bearer|assertion|cookie|jwt)$"
)
_WORDS = re.compile(r"[-_.\[\]]+")
# Values that are credentials wherever they stand: provider keys, JSON web tokens, URL passwords.
# Each alternative takes whatever follows its beginning, so that the time is linear.
_SECRET_VALUE = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|csk|fw|r8|tgp)[-_][\w-]{16,}|\bAIza[\w-]{20,}"
    r"|\bya29\.[\w.-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{8,}[\w.-]*"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
# `name=value` beyond a query's own: matrix parameters, fragments, a URL inside a value.
_PAIR = re.compile(r"(?<![^/;?&#,\s])([^/;?&#,\s=]+)=([^/;?&#,\s]+)")
_SECRET_VALUE_CHARACTERS_MIN = 16  # the shortest of them, AKIA…
_SUBPROTOCOL_SECRET = re.compile(r"(?i)key|token|secret|auth|bearer|[^,\s]{41,}")
_INSECURE_KEY = "openai-insecure-api-key."  # OpenAI realtime from a browser
_NAME_BYTES_CACHED_MAX = 128  # a stranger's long names do not stay in memory


@dataclass(slots=True)
class RequestHeaders:
    """A caller's headers, sorted.  `forward` is in the caller's order and case, Host left out."""

    forward: list[tuple[bytes, bytes]]
    tags: dict[str, str]
    expects: bool = False  # the caller waits for 100 before it sends the body
    chunked: bool = False
    codings: bytes = b""  # transfer codings as named, lower case
    websocket: bool = False
    token: str = ""  # ours, for who may use this proxy


def sort_request(raw: Pairs) -> RequestHeaders:
    """Take apart what a caller sent."""
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
    """What of a provider's headers crosses to the caller, Content-Length included."""
    raw = tuple(raw)
    named = _named_by_connection(raw)
    return [
        pair
        for pair in raw
        if (name := pair[0].lower()) not in HOP_BY_HOP
        and name not in named
        and not name.startswith(OWN_PREFIX)
    ]


def scrubbed(raw: Pairs) -> tuple[tuple[str, str], ...]:
    """Headers as they may be written down: names as sent, credentials replaced."""
    return tuple([_scrubbed_pair(name, value) for name, value in raw])


def scrubbed_target(target: str) -> str:
    """A path with its query, values of secret parameters replaced."""
    path, mark, query = target.partition("?")
    path = "/".join(map(_scrubbed_text, path.split("/"))) if "%" in path else _scrubbed_text(path)
    if query:
        query = "&".join(map(_scrubbed_parameter, query.split("&")))
    return (path + mark + query).encode("utf-8", "replace").decode()


def scrubbed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as they may be written down."""
    return {
        name: HIDDEN if is_secret(name) else _SECRET_VALUE.sub(HIDDEN, value)
        for name, value in tags.items()
    }


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this lower-case name holds a credential."""
    words = _WORDS.split(name)
    return any(map(_SECRET_WORD.search, words)) or name.startswith("x-amz-")


def credential(headers: Pairs, target: str) -> str:
    """What the caller proves who it is with, the same text by whichever way it came; or ""."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value.decode("latin-1"))
    if authorization := found.get(b"authorization", ""):
        scheme, _, rest = authorization.partition(" ")
        if scheme.upper().startswith("AWS4-"):  # the signature differs each time, the key id not
            return rest.partition("Credential=")[2].partition("/")[0] or rest
        return rest.strip() or scheme
    for name in (b"x-api-key", b"api-key", b"x-goog-api-key"):
        if name in found:
            return found[name]
    for protocol in found.get(b"sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(_INSECURE_KEY):
            return protocol.strip().removeprefix(_INSECURE_KEY)
    for parameter in target.partition("?")[2].split("&"):
        key, _, secret = parameter.partition("=")
        if key in ("key", "api_key", "api-key", "access_token"):
            return unquote_plus(secret)
    return ""


def _named_by_connection(raw: Pairs) -> frozenset[bytes]:
    """Lower-case field names that Connection says end here."""
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


def _scrubbed_pair(name: bytes, value: bytes) -> tuple[str, str]:
    key, secret = _known(name) if len(name) <= _NAME_BYTES_CACHED_MAX else _new(name)
    if secret:
        return key, HIDDEN
    text = value.decode("utf-8", "replace")
    if b"?" in value:
        text = scrubbed_target(text)
    elif len(value) >= _SECRET_VALUE_CHARACTERS_MIN or b"=" in value or b"://" in value:
        text = _scrubbed_text(text)
    if key.lower() == "sec-websocket-protocol" and _SUBPROTOCOL_SECRET.search(text):
        return key, HIDDEN
    return key, text


def _new(name: bytes) -> tuple[str, bool]:
    """A header name as text, and whether it names a credential."""
    key = name.decode("latin-1")
    return key, is_secret(key.lower())


_known = lru_cache(maxsize=1024)(_new)  # real callers send the same few names over and over


def _scrubbed_parameter(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    if equals and is_secret(unquote_plus(name).lower()):
        return name + equals + HIDDEN
    return _scrubbed_text(parameter)


def _scrubbed_text(text: str) -> str:
    """A piece of a path, query or header; one whose secret is percent-encoded goes as a whole."""
    if "%" in text:
        plain = unquote_plus(text)
        if plain != text and _scrubbed_plain(plain) != plain:
            return HIDDEN
    return _scrubbed_plain(text)


def _scrubbed_plain(text: str) -> str:
    if "=" in text:
        text = _PAIR.sub(_scrubbed_match, text)
    return _SECRET_VALUE.sub(HIDDEN, text)


def _scrubbed_match(pair: re.Match[str]) -> str:
    name = pair[1]
    return f"{name}={HIDDEN}" if is_secret(name.lower()) else pair[0]
