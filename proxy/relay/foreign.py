"""What a peer speaks instead of HTTP/1.1, as far as its first bytes say.  No I/O."""

import re

from aiohttp.http_exceptions import HttpProcessingError

# How the parsers name it.  The text goes on with the line itself, which no message may quote.
_PREFACE = "Pause on PRI/Upgrade"  # of llhttp, for RFC 9113, 3.4
_HANDSHAKE = "Received HTTPS traffic on an HTTP port"  # of aiohttp
_NAMED = re.compile(r"[A-Za-z][A-Za-z0-9 /.'-]{3,80}")
_TLS_ALERT = b"\x15\x03"  # RFC 8446, 5.1: what a TLS server answers to HTTP
_H2_TYPES = (4, 7)  # SETTINGS, GOAWAY: what a server may begin with (RFC 9113, 3.4 and 5.4.1)


class SpeaksHttp2(HttpProcessingError):
    """The peer speaks HTTP/2 without asking."""


class SpeaksTls(HttpProcessingError):
    """The peer speaks TLS where none is expected."""


def reason(error: HttpProcessingError) -> str:
    """What the parser found, in its own words."""
    found = error.message.partition(":\n")[0]
    return found.rstrip(".") if _NAMED.fullmatch(found) else "malformed"


def of_caller(error: HttpProcessingError) -> HttpProcessingError:
    """`error`, or what the caller speaks instead."""
    found = reason(error)
    if found == _PREFACE:
        return SpeaksHttp2(code=400)
    return SpeaksTls(code=400) if found == _HANDSHAKE else error


def of_provider(error: HttpProcessingError, data: bytes) -> HttpProcessingError:
    """`error`, or what the provider speaks, whose response begins with `data` (RFC 9113, 4.1)."""
    if len(data) >= 9 and data[3] in _H2_TYPES and data[5:9] == bytes(4):
        return SpeaksHttp2(code=502)
    return SpeaksTls(code=502) if data.startswith(_TLS_ALERT) else error
