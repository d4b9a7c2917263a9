"""Requests and responses as bytes, ordinary and odd, made from a seed; and what is read of them.

What is made is legal HTTP/1.1, or legal enough that some server on the internet sends it, or an
attack on the framing.  `read` is the judge's own reader: it knows what both proxies may send.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

CRLF = b"\r\n"
CONNECTION = frozenset(  # what belongs to one connection, and says nothing of the message
    (b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"host", b"trailer")
)
METHODS = (b"POST", b"POST", b"POST", b"GET", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"QUERY")
TARGETS = (
    *(b"/v1/chat/completions", b"/v1/a%3Ab//c;d", b"/v1/x?q=1&r=%20", b"/v1/%7Euser/%2F"),
    *(b"/v1/x?", b"/v1/x?a=b#c", b"/v1/" + b"long/" * 60),
)
ODD_TARGETS = (b"http://elsewhere.test/v1/x", b"/v1/\xc3\xbc", b"/v1/a b", b"/v1/../x", b"v1/x")
FIELDS = (
    *(b"Accept: */*", b"X-A: 1", b"x-a: 2", b"X-Empty:", b"X-Padded:   a  b  ", b"X-Utf: \xc3\xbc"),
    *(b"Content-Type: application/json", b"Authorization: Bearer k", b"Cookie: a=b; c=d"),
    *(b"X-Long: " + b"y" * 3000, b'X-Quoted: "a, b"', b"Keep-Alive: timeout=9", b"TE: trailers"),
)
ODD_FIELDS = (
    *(
        b"X_Under: 1",
        b"X Space: 1",
        b"X-Fold: a\r\n b",
        b": nameless",
        b"X-Nul: a\0b",
        b"X-Bare: a\rb",
    ),
    *(b"X-Space : 1", b"no colon", b"Connection: X-A", b"Upgrade: h2c", b"X-Ctl: a\x01b"),
)
STATUSES = (
    *(b"200 OK", b"200", b"201 Created", b"204 No Content", b"299 Odd \xfc", b"304 Not Modified"),
    *(b"404 Not Found", b"429 Too Many Requests", b"500 Oh no", b"600 Beyond"),
)
ODD_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a caller sends and what the provider answers, in pieces; `odd` names the oddities."""

    request: tuple[bytes, ...]
    response: tuple[bytes, ...]
    head_only: bool  # the request is HEAD
    odd: frozenset[str]


def exchange(seed: int) -> Exchange:
    """The same one for the same seed."""
    rng, odd = random.Random(seed), set[str]()
    method = rng.choice(METHODS)
    target = rng.choice(TARGETS)
    if _odd(rng, odd, "target", 0.4):
        target = rng.choice(ODD_TARGETS)
        odd.add("target " + target.decode("latin-1"))
    version = b"HTTP/1.0" if _odd(rng, odd, "request 1.0", 0.4) else b"HTTP/1.1"
    body = rng.randbytes(rng.choice((0, 1, 20, 3000, 90_000))) if method != b"HEAD" else b""
    request = method + b" " + target + b" " + version + CRLF + b"Host: h.test" + CRLF
    request += b"Connection: close" + CRLF + _message(rng, odd, "request", body)
    response = b""
    if _odd(rng, odd, "interim", 0.4):
        response = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    first = b"HTTP/1.0 " if _odd(rng, odd, "response 1.0", 0.3) else b"HTTP/1.1 "
    status = rng.choice(STATUSES)
    if status[:3] in (b"204", b"304") or method == b"HEAD":
        answer = b""
    else:
        answer = rng.randbytes(rng.choice((0, 1, 800, 70_000)))
    response += first + status + CRLF + _message(rng, odd, "response", answer)
    odd.add(f"status {status[:3].decode()}")
    return Exchange(
        request=_cut(rng, request),
        response=_cut(rng, response),
        head_only=method == b"HEAD",
        odd=frozenset(odd),
    )


def _odd(rng: random.Random, odd: set[str], name: str, share: float = 1.0) -> bool:
    """Whether this oddity is to be, in few of the exchanges; notes it."""
    found = rng.random() < ODD_SHARE * share
    if found:
        odd.add(name)
    return found


def _message(rng: random.Random, odd: set[str], side: str, body: bytes) -> bytes:
    """Fields and body."""
    lines = [rng.choice(FIELDS) for _ in range(rng.randrange(5))]
    if _odd(rng, odd, f"{side} field"):
        line = rng.choice(ODD_FIELDS)
        lines.insert(rng.randrange(len(lines) + 1), line)
        odd.add(f"{side} field {line.decode('latin-1')!r}")
    framing = rng.choice(
        ("length", "chunked", "close") if side == "response" else ("length", "chunked")
    )
    if not body and framing == "length" and rng.random() < 0.5:
        framing = "none" if side == "request" else "length"
    data = body
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
        if _odd(rng, odd, f"{side} length", 0.5):
            lines.append(
                rng.choice(
                    (
                        lines[-1],
                        b"Content-Length: 7",
                        b"Content-Length: +1",
                        b"Transfer-Encoding: chunked",
                    )
                )
            )
    elif framing == "chunked":
        coding = b"chunked"
        if _odd(rng, odd, f"{side} coding", 0.4):
            coding = rng.choice(
                (b"Chunked", b"gzip, chunked", b"identity", b"chunked, chunked", b"xchunked")
            )
            odd.add(f"{side} coding {coding.decode()}")
        lines.append(b"Transfer-Encoding: " + coding)
        data = _chunks(rng, odd, side, body)
    else:
        odd.add(f"{side} {framing}")
    end = b"\n" if _odd(rng, odd, f"{side} bare LF", 0.15) else CRLF
    if data and _odd(rng, odd, f"{side} short", 0.3):
        data = data[: len(data) - rng.randrange(1, min(len(data), 9) + 1)]
    return b"".join(line + end for line in lines) + end + data


def _chunks(rng: random.Random, odd: set[str], side: str, body: bytes) -> bytes:
    made, at = b"", 0
    while at < len(body):
        size = min(len(body) - at, rng.choice((1, 7, 500, 40_000)))
        extension = b";a=b" if _odd(rng, odd, f"{side} extension", 0.05) else b""
        made += b"%x%b\r\n%b\r\n" % (size, extension, body[at : at + size])
        at += size
    if _odd(rng, odd, f"{side} bad chunk", 0.2):
        return made + rng.choice(
            (b"zz\r\n", b"-1\r\n", b"5 \r\nabcde\r\n0\r\n\r\n", b"fffffffffffffffff\r\n")
        )
    if _odd(rng, odd, f"{side} trailer", 0.4):
        return made + b"0\r\nX-Trailer: 1\r\n\r\n"
    return made + b"0\r\n\r\n"


def _cut(rng: random.Random, data: bytes) -> tuple[bytes, ...]:
    ends = sorted(rng.sample(range(1, len(data)), min(len(data) - 1, rng.randrange(4))))
    return tuple(data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True))


@dataclass(frozen=True, slots=True)
class Read:
    """A message as its recipient understands it; fields without those of the connection."""

    line: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool


def read(data: bytes, *, bodyless: bool, ended: bool) -> Read | None:
    """The last message of `data`, interim ones before it left out; None without a head.

    `ended`: the connection was closed after it, in an orderly way.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    line, *lines = head.split(CRLF)
    if line.startswith(b"HTTP/1.1 1"):
        return read(rest, bodyless=bodyless, ended=ended)
    pairs = [(n.strip().lower(), v.strip()) for n, _, v in (one.partition(b":") for one in lines)]
    named = dict(pairs)
    fields = tuple((n, v) for n, v in pairs if n not in CONNECTION)
    if bodyless or (line.startswith(b"HTTP") and line.split()[1] in (b"204", b"304")):
        return Read(line, fields, b"", True)
    if named.get(b"transfer-encoding", b"").lower() == b"chunked":
        body, whole = dechunked(rest)
        return Read(line, fields, body, whole)
    if b"content-length" in named:
        size = int(named[b"content-length"])
        return Read(line, fields, rest[:size], len(rest) >= size)
    is_response = line.startswith(b"HTTP")
    return Read(line, fields, rest if is_response else b"", ended or not is_response)


def dechunked(data: bytes) -> tuple[bytes, bool]:
    """The body, and whether its end is there."""
    parts: list[bytes] = []
    while True:
        size_line, end, data = data.partition(CRLF)
        try:
            size = int(size_line.partition(b";")[0], 16) if end else -1
        except ValueError:
            size = -1
        if size < 0:
            return b"".join(parts), False
        if size == 0:
            return b"".join(parts), data.startswith(CRLF) or b"\r\n\r\n" in data
        parts.append(data[:size])
        if len(data) < size + 2:
            return b"".join(parts), False
        data = data[size + 2 :]


def joined(pieces: Sequence[bytes]) -> bytes:
    return b"".join(pieces)
