"""HTTP/1.1 messages as bytes: heads, chunks, and the framing of a response.  No I/O.

The relay writes these itself because aiohttp's writers add headers (Server, Date, Content-Type) and
re-encode values.  A chunk of ours is what one read of a connection brought: how a sender cut its
body has no meaning (RFC 9112, 7.1), and its extensions stay with it (7.1.1).
"""

from collections.abc import Collection, Iterable
from functools import lru_cache

import msgspec

from proxy.relay.fields import Field, Pairs, is_broken
from proxy.relay.headers import sort_response

SWITCH = (b"Connection: Upgrade", b"Upgrade: websocket")
CHUNKED = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close"
BROKEN = "a header contains a line break or NUL"
BODYLESS = frozenset((204, 304))  # RFC 9110, 6.4.1: never a body, whatever the headers say


class BadHead(Exception):
    """A message head that cannot be passed on without changing its meaning."""


class AnswerHead(msgspec.Struct, kw_only=True):
    """A response head, ready to send, and how its body ends on each side."""

    data: bytes
    keep_alive: bool  # the caller may send another request on this connection
    chunked: bool  # towards the caller
    delimited: bool  # upstream marks the end of its body; else closing the connection does
    framed: bool  # the end is marked for the caller; else closing the connection does
    idle_s: float | None = None  # how long the provider keeps an idle connection, if it says so


def head(first_line: bytes, passed: Iterable[Field], own: Collection[bytes] = ()) -> bytes:
    """A message head: fields that are passed on, then lines of our own.

    Raises BadHead for a line break or NUL in a value: aiohttp reads responses leniently, and a
    value with a line break would become two headers here.
    """
    lines = [first_line, *[field.line for field in passed], *own, b"", b""]
    if is_broken(first_line) or any(map(is_broken, own)):
        raise BadHead(BROKEN)
    try:
        return b"\r\n".join(lines)  # type: ignore[arg-type] # for None it raises
    except TypeError:
        raise BadHead(BROKEN) from None


@lru_cache(maxsize=64)
def status_line(code: int, reason: str) -> bytes:
    """Status code and reason as the provider sent them (aiohttp decodes with surrogateescape)."""
    return f"HTTP/1.1 {code} {reason}".encode("utf-8", "surrogateescape")


def framed(chunk: bytes, *, chunked: bool, last: bool) -> bytes:
    """`chunk` as sent on the wire; the last one with the terminator (RFC 9112, 7.1)."""
    if not chunked:
        return chunk
    end = b"0\r\n\r\n" if last else b""
    return b"%x\r\n%b\r\n%b" % (len(chunk), chunk, end) if chunk else end


def answer_head(
    code: int,
    reason: str,
    raw: Pairs,
    *,
    to_head: bool,
    caller_11: bool,
    keep_alive: bool,
) -> AnswerHead:
    """The provider's head for this caller; only the fields of the connection are changed.

    `to_head`: an answer to HEAD; `caller_11`: the caller speaks HTTP/1.1 and so can read chunks.
    Raises BadHead for a transfer coding other than chunked.
    """
    headers = sort_response(raw)
    if headers.codings not in (b"", b"chunked"):
        raise BadHead("its Transfer-Encoding is not just chunked")
    own: list[bytes] = []
    bodyless = to_head or code in BODYLESS or code < 200
    sized = headers.sized
    chunked = caller_11 and not (bodyless or sized)
    is_framed = bodyless or sized or chunked
    keep_alive = keep_alive and is_framed
    if code == 101:
        own += SWITCH
    elif not keep_alive:
        own.append(CLOSE)
    elif not caller_11:
        own.append(b"Connection: keep-alive")
    if chunked:
        own.append(CHUNKED)
    return AnswerHead(
        data=head(status_line(code, reason), headers.fields, own),
        keep_alive=keep_alive,
        chunked=chunked,
        delimited=bodyless or sized or bool(headers.codings),
        idle_s=headers.idle_s,
        framed=is_framed,
    )


def lengths_once(message: bytes) -> bytes:
    """`message` with a Content-Length that is repeated with the same value given once.

    RFC 9110, 8.6: a recipient may replace identical values by a single one.
    """
    head, end, rest = message.partition(b"\r\n\r\n")
    lines, values, kept = head.split(b"\r\n"), set[bytes](), list[bytes]()
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and name.lower() == b"content-length":
            repeated = bool(values)
            values.update(part.strip(b" \t") for part in value.split(b","))
            if repeated:
                continue
            kept.append(name + b": " + value.split(b",")[0].strip(b" \t"))
            continue
        kept.append(line)
    if not end or len(values) != 1 or not next(iter(values)).isdigit():
        return message
    return b"\r\n".join(kept) + end + rest
