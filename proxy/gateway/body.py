"""Puts another model into a request's body; every other byte stays as it is."""

import json
import re

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
            if _is_model(key):
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


def _is_model(key: bytes) -> bool:
    """Whether a key is `model`, however it is escaped."""
    if b"\\" not in key:
        return key == b'"model"'
    try:
        return bool(json.loads(key) == "model")
    except ValueError:
        return False
