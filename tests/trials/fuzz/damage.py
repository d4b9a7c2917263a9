"""Damages a call: bits, slices, JSON values, heads, encodings, paths, messages."""

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard

from evaluation.standin import bedrock
from proxy.reading.eventstream import EventStream
from trials.fuzz.calls import RecordedCall

ROUNDS_MAX = 4  # changes to one call
SLICE_BYTES_MAX = 64
JSON_BYTES_MAX = 64 * 1024  # of a document whose values are changed
DEPTH = 5_000
HERE = "\ue000"  # marks the place of a raw value in a document

# Values that have surprised parsers; some are not valid JSON.
VALUES: tuple[bytes, ...] = (
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"-0",
    b"1.5",
    b"1e400",
    b"1E-400",
    b"-1e999999999",
    b"18446744073709551616",
    b"9" * 5_000,
    b"NaN",
    b"-Infinity",
    b'""',
    b'"text"',
    b'"7"',
    b'"\\ud800"',
    b'"\xff\xfe"',
    b'"' + b"x" * 10_000 + b'"',
    b"[]",
    b"{}",
    b"[null]",
    b"[[]]",
    b'[{"type":"text","text":"x"}]',
    b'{"type":{}}',
    b"[" * DEPTH + b"]" * DEPTH,
    b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    b"[" * 300 + b"]" * 300,
    b'{"input":' * 300 + b"{}" + b"}" * 300,
)
TOKENS: tuple[bytes, ...] = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r",
    b"data: ", b"data:", b"event: error\n", b": ping\n\n", b"[DONE]", b"\x00", b"\xef\xbb\xbf",
    b"\xff", b"\\u", b"null", b"--a-boundary", b"\r\n\r\n",
)  # fmt: skip
TYPES = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "audio/mpeg",
    "text/html",
    "application/octet-stream",
    "",
    "multipart/form-data; boundary=",
    "APPLICATION/JSON; charset=utf-16",
)
ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=1)),
    "zstd": zstandard.compress,
    "gzip, br": lambda data: bytes(brotli.compress(gzip.compress(data, 1, mtime=0), quality=1)),
    "gzip, gzip, gzip, gzip, gzip": bytes,
    "unknown": bytes,
}
STATUSES = (200, 201, 206, 301, 400, 429, 500, 529, 0, 999)


def damaged(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """`call` with one to `ROUNDS_MAX` changes."""
    for _ in range(random.randint(1, ROUNDS_MAX)):
        kind = random.choices(KINDS, WEIGHTS)[0]
        call = kind(call, every, random)
    return call


def _body(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """Change bytes of a body or of one message."""
    if call.messages:
        return _message(call, random, lambda data: _bytes(data, random))
    if random.random() < 0.25:
        return replace(call, request=_bytes(call.request, random))
    return replace(call, response=_bytes(call.response, random))


def _values(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """Change a value inside a document that stays well-formed."""
    if call.messages:
        return _message(call, random, lambda data: data[:1] + _value(data[1:], random))
    if random.random() < 0.25:
        return replace(call, request=_value(call.request, random))
    if dict(call.headers).get("content-type") == bedrock.EVENT_STREAM:
        return replace(call, response=_event(call.response, random))
    return replace(call, response=_value(call.response, random))


def _message(call: RecordedCall, random: Random, change: Callable[[bytes], bytes]) -> RecordedCall:
    at = random.randrange(len(call.messages))
    up, data = call.messages[at]
    messages = [*call.messages]
    messages[at : at + 1] = [(up, change(data))] * random.choice((0, 1, 1, 1, 1, 2))
    return replace(call, messages=tuple(messages or call.messages))


def _head(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """Change the status or the content types."""
    kind = ("content-type", random.choice(TYPES))
    if random.random() < 0.2:
        return replace(call, request_headers=(kind,))
    if random.random() < 0.3:
        return replace(call, status=random.choice(STATUSES))
    kept = [pair for pair in call.headers if pair[0] != "content-type"]
    return replace(call, headers=(*kept, kind))


def _encoding(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """Encode a body, and sometimes damage the encoded bytes."""
    name, encode = random.choice([*ENCODINGS.items()])
    pair = ("content-encoding", name)
    if random.random() < 0.2:
        headers = (*call.request_headers, pair)
        return replace(call, request_headers=headers, request=encode(call.request))
    response = encode(call.response)
    if random.random() < 0.5:
        response = _bytes(response, random)
    return replace(call, headers=(*call.headers, pair), response=response)


def _target(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """Take the path of another call, so that a reader gets a foreign document."""
    other = random.choice(every)
    return replace(call, method=other.method, target=other.target, provider=other.provider)


def _splice(call: RecordedCall, every: tuple[RecordedCall, ...], random: Random) -> RecordedCall:
    """Join the beginning of the response to the end of another call's."""
    other = random.choice(every).response
    start = random.randint(0, len(call.response))
    return replace(call, response=call.response[:start] + other[random.randint(0, len(other)) :])


KINDS = (_values, _body, _head, _encoding, _target, _splice)
WEIGHTS = (8, 6, 1, 2, 1, 1)


def _bytes(data: bytes, random: Random) -> bytes:
    at = random.randint(0, len(data))
    end = min(len(data), at + random.randint(1, SLICE_BYTES_MAX))
    kind = random.randrange(7)
    if kind == 0 and data:  # flip a bit
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
    if kind == 1:  # delete a slice
        return data[:at] + data[end:]
    if kind == 2:  # repeat a slice
        return data[:end] + data[at:end] * random.randint(1, 20) + data[end:]
    if kind == 3:  # overwrite with noise
        return data[:at] + random.randbytes(random.randint(1, 16)) + data[at:]
    if kind == 4:  # cut off the end
        return data[:at]
    piece = random.choice(TOKENS if kind == 5 else VALUES)
    return data[:at] + piece + data[at:]


def _value(data: bytes, random: Random) -> bytes:
    """Change one value of a JSON document in `data`: all of it, or a line of a stream."""
    lines = [data] if data[:1] in b"{[" and b"\n" not in data else data.split(b"\n")
    held = [n for n, line in enumerate(lines) if b"{" in line and len(line) < JSON_BYTES_MAX]
    if not held:
        return _bytes(data, random)
    at = random.choice(held)
    start = lines[at].index(b"{")
    try:
        document = json.loads(lines[at][start:])
    except (ValueError, RecursionError):
        return _bytes(data, random)
    lines[at] = lines[at][:start] + _exchanged(document, random)
    return b"\n".join(lines)


def _exchanged(document: object, random: Random) -> bytes:
    """The document with a value changed, removed or repeated under the same name."""
    places: list[tuple[dict[str, object] | list[object], str | int]] = []
    waiting: list[object] = [document]
    while waiting:
        node = waiting.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)  # type: ignore[arg-type]
        for key, value in items:
            places.append((node, key))  # type: ignore[arg-type]  # a container and its key
            if isinstance(value, dict | list):
                waiting.append(value)
    if not places:
        return random.choice(VALUES)
    holder, key = random.choice(places)
    holder[key] = HERE  # type: ignore[index]  # as above
    mark = json.dumps(HERE).encode()
    return json.dumps(document).encode().replace(mark, random.choice(VALUES))


def _event(data: bytes, random: Random) -> bytes:
    """An AWS event stream with a changed value in one payload, and correct checksums."""
    try:
        messages = [*EventStream().feed(data)]
    except ValueError:
        return _bytes(data, random)
    changed = random.randrange(len(messages)) if messages else -1
    return b"".join(
        bedrock.message(
            _value(payload, random) if number == changed else payload,
            {name: str(value) for name, value in headers.items()},
        )
        for number, (headers, payload) in enumerate(messages)
    )
