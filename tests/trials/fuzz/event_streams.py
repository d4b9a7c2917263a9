"""Amazon's event streams as JSON documents, and back again with one of them changed."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator

from evaluation.standin.bedrock import EVENT_STREAM, message
from proxy.reading.eventstream import EventStream

BYTES = "bytes"  # the member in which InvokeModel's events carry those of the model, in base64


def is_event_stream(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a response with these headers is one."""
    return dict(headers).get("content-type", "").startswith(EVENT_STREAM)


def documents(data: bytes) -> Iterator[bytes]:
    """The JSON text of each event."""
    for _, payload in EventStream().feed(data):
        yield _inner(payload) or payload


def swapped(data: bytes, swap: Callable[[bytes], bytes]) -> bytes:
    """The stream with each text given to `swap`, and its checksums made anew."""
    return b"".join(
        message(_swapped(payload, swap), {name: str(value) for name, value in headers.items()})
        for headers, payload in EventStream().feed(data)
    )


def _swapped(payload: bytes, swap: Callable[[bytes], bytes]) -> bytes:
    inner = _inner(payload)
    if inner is None:
        return swap(payload)
    outer = json.loads(payload)
    return json.dumps({**outer, BYTES: base64.b64encode(swap(inner)).decode()}).encode()


def _inner(payload: bytes) -> bytes | None:
    """What an event of InvokeModel carries."""
    try:
        outer = json.loads(payload)
        return base64.b64decode(outer[BYTES]) if isinstance(outer, dict) else None
    except (ValueError, KeyError, TypeError):
        return None
