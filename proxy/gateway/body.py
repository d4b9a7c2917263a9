"""Puts another model into a request's body; every other byte stays as it is."""

import json
import re
from collections.abc import Iterator

_MARK = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)
_SPACE = b" \t\r\n"


def model_span(body: bytes) -> tuple[int, int]:
    """Where the value of the top-level `model` is, quotes included.

    Raises ValueError unless there is exactly one, and it is text: whoever reads a second one would
    see another model than we do.
    """
    depth, key, found = 0, b"", []
    for mark in _MARK.finditer(body):
        sign = mark[0]
        if sign in (b"{", b"["):
            depth += 1
        elif sign in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and sign == b",":
            key = b""
        elif depth == 1 and sign == b":":
            if _is(key, "model"):
                found.append(mark.end())
        elif depth == 1:
            key = sign
    if len(found) != 1:
        raise ValueError("`model` is missing" if not found else "`model` is there twice")
    start = found[0]
    while body[start : start + 1] and body[start : start + 1] in _SPACE:
        start += 1
    value = _MARK.match(body, start)
    if value is None or not value[0].startswith(b'"'):
        raise ValueError("`model` is not text")
    return start, value.end()


def with_model(body: bytes, span: tuple[int, int], model: str) -> bytes:
    """`body` with this model at `span`, as `model_span` found it."""
    start, end = span
    return body[:start] + json.dumps(model).encode() + body[end:]


def with_resource(body: bytes, model: str) -> bytes:
    """`body` of Gemini's embeddings with this model wherever it names one: at its top, and in each
    of its `requests`.  What is no text there stays, for the provider to refuse."""
    named = json.dumps(f"models/{model}").encode()
    made, at = [], 0
    for start, end in _resource_spans(body):
        made += [body[at:start], named]
        at = end
    return b"".join([*made, body[at:]])


def _resource_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the values of these `model`s are, quotes included."""
    above: list[bytes] = []  # the keys of what is open; b"" for the whole, and for a list's items
    key, value = b"", False
    for mark in _MARK.finditer(body):
        sign = mark[0]
        if sign in (b"{", b"["):
            above.append(key)
            key, value = b"", False
        elif sign in (b"}", b"]"):
            del above[-1:]
            key, value = b"", False
        elif sign == b":":
            value = True
        elif sign == b",":
            key, value = b"", False
        elif not value:
            key = sign
        elif _is(key, "model") and (len(above) == 1 or _in_requests(above)):
            yield mark.span()


def _in_requests(above: list[bytes]) -> bool:
    return len(above) == 3 and _is(above[1], "requests")


def _is(key: bytes, name: str) -> bool:
    """Whether a key is this name, however it is escaped."""
    if b"\\" not in key:
        return key == b'"%b"' % name.encode()
    try:
        return bool(json.loads(key) == name)
    except ValueError:
        return False
