"""A call is read the same however its bytes come, and nothing it is fed raises."""

import gc
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects import other, table
from proxy.dialects.contract import Ask, Endpoint
from proxy.exchange import Begun, Operation, Reading, ResponseHead
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions, Provider

PATH = "/v1/chat/completions"
JSON = "application/json"
SSE = "text/event-stream"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"content": "Grüße 你好"}, "finish_reason": "stop"}],
        "usage": USAGE,
    },
    ensure_ascii=False,
).encode()


def event(**fields: object) -> bytes:
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n".encode()


def delta(**fields: object) -> bytes:
    return event(model="gpt-4o-2024-08-06", choices=[{"index": 0, "delta": fields}])


STREAM = (
    delta(role="assistant", content="")
    + delta(content="Grüße ")
    + delta(content="你好")
    + event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    + event(choices=[], usage=USAGE)
    + b"data: [DONE]\n\n"
)


def call(
    *pieces: bytes,
    path: str = PATH,
    method: str = "POST",
    status: int = 200,
    kind: str = JSON,
    headers: Iterable[tuple[str, str]] = (),
    request: bytes = b'{"model": "gpt-4o"}',
    request_headers: Iterable[tuple[str, str]] = (("Content-Type", JSON),),
    limits: MeteringOptions | None = None,
    provider: Provider | None = None,
) -> Reading:
    begun = Begun(
        call_id="call",
        wall_ns=0,
        method=method,
        target=path,
        provider="openai",
        upstream="https://provider.example",
        headers=tuple(request_headers),
    )
    reader = CallReader(begun, provider, limits or MeteringOptions(), 1000)
    reader.request(request[:5], 1000)
    reader.request(request[5:], 1000)
    reader.head(ResponseHead(status=status, headers=(("Content-Type", kind), *headers)), 1000)
    for piece in pieces:
        reader.response(piece, 1000)
    return reader.close()


@pytest.mark.parametrize(("kind", "body"), [(JSON, BODY), (SSE, STREAM)])
def test_a_call(kind: str, body: bytes) -> None:
    """One body and one stream give the same facts."""
    reading = call(body, kind=kind)
    assert reading.endpoint == "openai.chat"
    assert reading.operation is Operation.CHAT
    assert (reading.request_model, reading.response_model) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert reading.stream is (kind == SSE)
    assert reading.complete
    assert reading.finish_reasons == ("stop",)
    assert reading.count is None
    (part,) = reading.parts
    assert part.usage.quantities == {Meter.INPUT: 9, Meter.OUTPUT: 3, Meter.REQUESTS: 1}
    assert reading.reasons == ()


@pytest.mark.parametrize(
    ("kind", "body"), [(JSON, BODY), (SSE, STREAM), (SSE, b"\xef\xbb\xbf" + STREAM)]
)
@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 900), max_size=6))
def test_cut_anywhere(kind: str, body: bytes, cuts: list[int]) -> None:
    """However the response is cut, byte by byte included, the reading is the same."""
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    whole = call(body, kind=kind)
    assert call(*(body[a:b] for a, b in pairwise(edges)), kind=kind) == whole
    assert whole.parts


ENCODE: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("name", ENCODE)
def test_both_bodies_encoded(name: str) -> None:
    """Request and response may each be compressed."""
    packed = ENCODE[name](STREAM)
    reading = call(
        *(bytes([byte]) for byte in packed),
        kind=SSE,
        headers=[("Content-Encoding", name)],
        request=ENCODE[name](b'{"model": "gpt-4o"}'),
        request_headers=[("content-encoding", name)],
    )
    assert reading == call(STREAM, kind=SSE)


def test_a_corrupt_body_is_a_reason() -> None:
    """A body that does not decode leaves the call known, its usage unknown, and says why."""
    packed = gzip.compress(BODY)[:12] + b"garbage"
    reading = call(packed, headers=[("content-encoding", "gzip")])
    assert texts(reading.reasons) == ("no_usage", "content_encoding_corrupt")
    assert reading.billable
    assert reading.count is not None
    assert not reading.count.output_known


def test_a_body_that_was_cut() -> None:
    """A body that ends in its middle says no usage, and its output is known not to be whole."""
    reading = call(BODY[:-20])
    assert texts(reading.reasons) == ("no_usage", "body_not_json")
    assert not reading.complete
    assert reading.count is not None
    assert not reading.count.output_known


@pytest.mark.parametrize("target", ["", "//[", "?%zz&&=", "/v1/chat/completions?a=1?b", "*"])
def test_odd_targets(target: str) -> None:
    """Any target at all is read."""
    assert call(BODY, path=target).parts


def test_space_before_a_body() -> None:
    """Servers that keep a connection alive with space before the body are read."""
    assert call(*[b"\n "] * 50, BODY) == call(BODY)


def test_a_request_too_large_to_keep() -> None:
    """Of an oversized request the model is still read; what it asked cannot be counted."""
    image = "A" * 300_000
    request = json.dumps({"messages": [{"image": image}], "model": "gpt-4o", "stream": True})
    reading = call(
        delta(content="Hi"),
        kind=SSE,
        request=request.encode(),
        limits=MeteringOptions(document_bytes_max=90_000),
    )
    assert reading.request_model == "gpt-4o"
    assert reading.stream
    assert reading.count is not None
    assert reading.count.request == {}
    assert reading.count.output == "Hi"


def test_a_response_too_large_to_keep() -> None:
    """Of an oversized response the usage is still read, whatever the bulk before it."""
    body = {"model": "m", "data": [{"embedding": [0.5] * 50_000}], "usage": USAGE}
    data = json.dumps(body).encode()
    pieces = [data[at : at + 7000] for at in range(0, len(data), 7000)]
    reading = call(
        *pieces, path="/v1/embeddings", limits=MeteringOptions(document_bytes_max=20_000)
    )
    assert reading.parts[0].usage.quantities[Meter.INPUT] == 9
    assert "body_too_large" not in texts(reading.reasons)


def test_a_response_too_large_to_read() -> None:
    """A response that is too large even without its bulk is unknown, not zero."""
    body = json.dumps({"choices": [{"index": n} for n in range(9000)], "usage": USAGE})
    reading = call(body.encode(), limits=MeteringOptions(document_bytes_max=20_000))
    assert not reading.parts
    assert "body_too_large" in texts(reading.reasons)
    assert "no_usage" in texts(reading.reasons)


def test_no_response() -> None:
    """A call that no response came for is not known to be free."""
    reader = CallReader(
        Begun(call_id="c", wall_ns=0, method="POST", target=PATH, provider="openai", upstream=""),
        None,
        MeteringOptions(),
    )
    reader.request(b'{"model": "gpt-4o"}', 0)
    reading = reader.close()
    assert texts(reading.reasons) == ("no_usage", "no_response")
    assert reading.count is not None
    assert not reading.count.output_known


def test_a_fault_of_ours_costs_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dialect that raises, against its contract, loses its reading and nothing else."""

    class Broken(other.FreeReader):
        def read(self, document: object, at_ns: int, event: str = "") -> None:
            raise KeyError("secret")

        def close(self) -> Reading:
            raise ValueError("secret")

    def find(method: str, path: str, family: str = "") -> Endpoint:
        return Endpoint(name="broken", operation=Operation.CHAT, reader=make)

    def make(ask: Ask, endpoint: Endpoint) -> Broken:
        return Broken(ask, endpoint)

    monkeypatch.setattr(table, "find", find)
    reading = call(BODY)
    assert reading.endpoint == "broken"
    assert reading.billable
    assert texts(reading.reasons) == ("reading_failed:KeyError", "reading_failed:ValueError")


NAMES = [
    *("type", "object", "id", "model", "choices", "delta", "message", "content", "index", "data"),
    *("usage", "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"),
    *("input_tokens", "output_tokens", "cached_tokens", "image_tokens", "cost", "seconds"),
    *("error", "output", "item", "response", "status", "tool_calls", "action", "container_id"),
]
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
PATHS = sorted(
    {
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/images/generations",
        "/v1/audio/transcriptions",
        "/v1/audio/speech",
        "/v1/videos",
        "/v1/new-thing",
    }
)


@settings(max_examples=150)
@given(
    st.lists(junk, min_size=1, max_size=3),
    st.sampled_from(PATHS),
    st.sampled_from([JSON, SSE]),
    junk,
)
def test_odd_documents(documents: list[object], path: str, kind: str, request: object) -> None:
    """Documents with the right names and the wrong values are read without a fault."""
    data = b"".join(b"data: %s\n\n" % json.dumps(document).encode() for document in documents)
    body = data if kind == SSE else json.dumps(documents[0]).encode()
    reading = call(body, path=path, kind=kind, request=json.dumps(request).encode())
    assert not [reason for reason in texts(reading.reasons) if reason.startswith("reading_failed")]
    assert all(
        quantity >= 0 for part in reading.parts for quantity in part.usage.quantities.values()
    )


@settings(max_examples=150)
@given(st.data())
def test_mutated_bodies(data: st.DataObject) -> None:
    """A body with bytes changed, lost or doubled is read without a fault."""
    body = bytearray(data.draw(st.sampled_from([BODY, STREAM])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        end = min(len(body), at + data.draw(st.integers(0, 30)))
        body[at:end] = data.draw(st.binary(max_size=10) | st.just(bytes(body[at:end]) * 2))
    reading = call(bytes(body), kind=data.draw(st.sampled_from([JSON, SSE, "text/plain"])))
    assert not [reason for reason in texts(reading.reasons) if reason.startswith("reading_failed")]


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["whole", "stream"])
def test_a_call_leaves_no_cycle(body: bytes) -> None:
    """What a call was read with is freed at once: the garbage collector has nothing to find."""
    call(body)
    gc.collect()
    gc.disable()
    try:
        call(body)
        assert gc.collect() == 0
    finally:
        gc.enable()
