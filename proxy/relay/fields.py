"""Header fields as the relay handles them, remembered: peers send the same few again and again.

What a field means to a proxy, how it is sent on and how it is noted depend on its bytes alone: they
are found out once.  What is remembered is bounded, and no more than a relay's memory holds anyway.
"""

from collections.abc import Collection, Sequence

from proxy.relay.routes import TOKEN_TAG
from proxy.secrecy.fingerprint import CREDENTIAL_HEADERS
from proxy.secrecy.scrubbing import scrubbed_pair

Pairs = Collection[tuple[bytes, bytes]]

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
NAME_BYTES_KEPT_MAX = 128  # longer ones must not fill the memory
VALUE_BYTES_KEPT_MAX = 256
FIELDS_KEPT_MAX = 1024

# What a field is to a proxy; up to EXPECT, those of a request that are passed on.  No Enum: to look
# up a member costs more than all else that is done with a field.
END_TO_END, LENGTH, CREDENTIAL, EXPECT, HOST, HOP, OWN = range(7)
_ROLES = {
    **dict.fromkeys(HOP_BY_HOP, HOP),
    **dict.fromkeys(CREDENTIAL_HEADERS, CREDENTIAL),
    b"host": HOST,
    b"expect": EXPECT,
    b"content-length": LENGTH,
}


class Field:
    """One line of a head.  `line` is without its end; None: it has one inside, or NUL."""

    __slots__ = ("line", "name", "noted", "pair", "role")

    def __init__(self, pair: tuple[bytes, bytes]) -> None:
        self.pair = pair
        self.name = pair[0].lower()
        self.role = OWN if self.name.startswith(OWN_PREFIX) else _ROLES.get(self.name, END_TO_END)
        line = pair[0] + b": " + pair[1]
        self.line = None if is_broken(line) else line
        self.noted = scrubbed_pair(pair)  # name as sent, and value without credentials


def is_broken(line: bytes) -> bool:
    """Whether there is a line break or NUL inside: sent on, it would become two lines."""
    return line.find(b"\n") >= 0 or line.find(b"\r") >= 0 or line.find(b"\0") >= 0


def fields(raw: Pairs) -> Sequence[Field]:
    """The fields of a head, in order."""
    global _latest  # noqa: PLW0603
    if raw is _latest[0]:
        return _latest[1]
    known = list(map(_kept.get, raw))
    if all(known):
        found: Sequence[Field] = known  # type: ignore[assignment]
    else:
        found = [field or _new(pair) for field, pair in zip(known, raw, strict=True)]
    if isinstance(raw, tuple):
        _latest = raw, found
    return found


def noted(raw: Pairs) -> tuple[tuple[str, str], ...]:
    """The fields of a head as they may be stored."""
    return tuple([field.noted for field in fields(raw)])


_kept: dict[tuple[bytes, bytes], Field] = {}
_latest: tuple[Pairs, Sequence[Field]] = (), ()  # a head is passed on, and then noted


def _new(pair: tuple[bytes, bytes]) -> Field:
    field = Field(pair)
    if len(pair[0]) <= NAME_BYTES_KEPT_MAX and len(pair[1]) <= VALUE_BYTES_KEPT_MAX:
        if len(_kept) >= FIELDS_KEPT_MAX:
            _kept.clear()  # so that a peer of many values cannot keep it filled
        _kept[pair] = field
    return field
