"""Bytes through the gateway: a model replaced in a body, a beginning found in a stream."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.door.wire import Answer, with_headers
from proxy.gateway.answers import Beginning, decoded, fault_of
from proxy.gateway.body import model_span, with_model, with_resource
from support.gateway_bench import error, events, said

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "x"]) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=5).filter(lambda key: key != "model"), JSON, max_size=4),
    st.text(max_size=6),
    st.text(max_size=6),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_only_the_model_changes(
    rest: dict[str, object], old: str, new: str, indent: int | None, ascii_: bool
) -> None:
    """Whatever else is in the body, and however it is written: nested models stay."""
    document = {**rest, "model": old, "after": {"model": "inner"}}
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    start, end = model_span(body)
    changed = with_model(body, (start, end), new)
    assert (changed.startswith(body[:start]), changed.endswith(body[end:])) == (True, True)
    assert json.loads(changed) == {**document, "model": new}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"model":"a","model":"b"}', "twice"),
        (b'{"model":"a","mod\\u0065l":"b"}', "twice"),
        (b'{"x":{"model":"a"}}', "missing"),
        (b'["model"]', "missing"),
        (b'{"model":3}', "not text"),
        (b'{"model":', "not text"),
        (b"", "missing"),
    ],
)
def test_a_model_that_two_readers_would_read_differently(body: bytes, why: str) -> None:
    """Is refused: the provider must not serve another model than was decided."""
    with pytest.raises(ValueError, match=why):
        model_span(body)


@given(st.binary(max_size=60))
def test_any_bytes_have_a_model_or_none(body: bytes) -> None:
    """Nothing else is raised."""
    try:
        start, end = model_span(body)
    except ValueError:
        return
    assert body[start:end][:1] == b'"'


WHOLE = st.sampled_from(
    [
        (events(said(""), said("Bon")), True, ""),
        (events({"type": "message_start"}, {"type": "ping"}), False, ""),
        (events({"type": "content_block_start", "content_block": {"type": "tool_use"}}), True, ""),
        (events({"type": "content_block_start", "content_block": {"type": "text"}}), False, ""),
        (events({"type": "content_block_delta"}), True, ""),
        (events({"type": "response.created"}, {"type": "response.output_text.delta"}), True, ""),
        (events({"choices": []}, {"choices": [{"delta": {"role": "assistant"}}]}), False, ""),
        (events({"choices": [{"delta": {}, "finish_reason": "stop"}]}), True, ""),
        (events({"choices": [{"delta": {"reasoning_content": "h"}}]}), True, ""),
        (events(said(""), error("server_error")), True, "server_error"),
        (events({"type": "response.failed", "response": error("x")}), True, "x"),
        (events({"type": "error"} | error("overloaded_error")), True, "overloaded_error"),
    ]
)


@given(WHOLE, st.lists(st.integers(0, 400), max_size=6))
def test_a_beginning_is_the_same_however_it_is_cut(
    case: tuple[bytes, bool, str], cuts: list[int]
) -> None:
    """Content, a fault, or neither yet."""
    data, known, code = case
    head, end, body = data.partition(b"\r\n\r\n")
    beginning, answer, found = Beginning(), Answer(), False
    answer.feed(head + end)
    edges = [0, *sorted(cuts), len(body)]
    for start, stop in itertools.pairwise(edges):
        found = found or beginning.feed(answer.feed(body[start:stop]))
    assert found is known
    assert (beginning.fault.code if beginning.fault else "") == code


def test_errors_of_every_provider() -> None:
    """OpenAI's code, Anthropic's type, Gemini's list, a plain text, and none."""
    assert fault_of(400, error("context_length_exceeded")).code == "context_length_exceeded"
    anthropic = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}
    assert fault_of(529, anthropic).code == "overloaded_error"
    gemini = decoded(b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}]')
    assert (fault_of(429, gemini).code, fault_of(429, gemini).message) == (
        "RESOURCE_EXHAUSTED",
        "m",
    )
    assert fault_of(400, {"error": "prompt is too long"}).message == "prompt is too long"
    assert fault_of(500, decoded(b"<html>")).code == ""
    assert fault_of(500, {"usage": {"total_tokens": 1}}).has_usage


def test_headers_are_replaced() -> None:
    """Once, whatever the provider said; the body stays."""
    data = b"HTTP/1.1 429 X\r\nX-Should-Retry: true\r\nA: 1\r\n\r\nbody\r\n\r\n"
    assert with_headers(data, {"x-should-retry": "false"}) == (
        b"HTTP/1.1 429 X\r\nA: 1\r\nx-should-retry: false\r\n\r\nbody\r\n\r\n"
    )


@given(JSON, st.lists(st.booleans(), max_size=3), st.sampled_from([None, 1]))
def test_geminis_embeddings_name_their_model_again(
    rest: object, named: list[bool], indent: int | None
) -> None:
    """At the top and in each request of a batch; whatever else is called `model` stays."""

    def asked(model: str) -> bytes:
        inner = [{"content": {"model": rest}, **({"model": model} if n else {})} for n in named]
        document = {"model": model, "requests": inner, "x": [{"model": "y"}], "z": {"model": "y"}}
        return json.dumps(document, indent=indent).encode()

    assert with_resource(asked("models/r"), "m") == asked("models/m")


@pytest.mark.parametrize(
    "body", [b"{}", b"]", b'{"model": 7}', b'["model", "x"]', b'{"requests": 1}']
)
def test_a_body_that_names_no_model_stays(body: bytes) -> None:
    """Gemini has it in the path."""
    assert with_resource(body, "m") == body
