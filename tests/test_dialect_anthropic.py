"""Anthropic messages: what each body bills.  Cases are written for the project; rules are cited."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pricing.cause import texts
from proxy.dialects.contract import Ask
from proxy.dialects.table import find
from proxy.exchange import Operation, Reading
from support.readings import quantities

NO_REQUEST: Mapping[str, Any] = {}
PATH = "/v1/messages"


def read(
    *documents: object,
    request: object = NO_REQUEST,
    path: str = PATH,
    method: str = "POST",
    stream: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Reading:
    """The reading of a call whose response is `documents`, the n-th at n ms."""
    endpoint = find(method, path, "anthropic")
    ask = Ask(
        method=method, path=path, request=request, stream=stream, request_headers=headers or {}
    )
    reader = endpoint.reader(ask, endpoint)
    for number, document in enumerate(documents):
        reader.read(document, number * 1_000_000)
    return reader.close()


def message(usage: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A whole message with one word of text."""
    said = {"type": "message", "id": "msg_1", "model": "claude-x", "stop_reason": "end_turn"}
    return {**said, "content": [{"type": "text", "text": "Hi"}], **more, "usage": dict(usage)}


def started(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The event that begins a stream."""
    begun = {"id": "msg_1", "model": "claude-x", "content": [], "usage": dict(usage)}
    return {"type": "message_start", "message": begun}


def ended(usage: Mapping[str, Any], reason: str = "end_turn") -> Sequence[dict[str, Any]]:
    """The two events that end a stream."""
    delta = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": dict(usage)}
    return delta, {"type": "message_stop"}


def delta(**said: str) -> dict[str, Any]:
    """An event with a piece of a content block."""
    return {"type": "content_block_delta", "index": 0, "delta": said}


def test_input_stands_beside_the_caches() -> None:
    """Cache reads and writes are not part of `input_tokens`; thinking is part of the output."""
    usage = {
        "input_tokens": 3,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 30},
        "service_tier": "standard",
        "inference_geo": "us",
        "speed": "fast",
    }
    reading = read(message(usage))
    assert quantities(reading) == {
        "input": 3,
        "cache_read": 1000,
        "cache_write_5m": 300,
        "cache_write_1h": 200,
        "output": 20,
        "output.reasoning": 30,
    }
    assert reading.parts[0].usage.input_tokens == 1503
    assert reading.parts[0].terms == {
        "service_tier": "standard",
        "inference_geo": "us",
        "speed": "fast",
    }
    assert (reading.endpoint, reading.operation) == ("anthropic.messages", Operation.CHAT)
    assert (reading.response_model, reading.response_id) == ("claude-x", "msg_1")
    assert reading.complete
    assert reading.reasons == ()
    assert reading.finish_reasons == ("end_turn",)


@pytest.mark.parametrize(
    ("request_body", "meter", "reasons"),
    [
        ({"system": [{"cache_control": {"type": "ephemeral"}}]}, "cache_write_5m", ()),
        ({"tools": [{"cache_control": {"ttl": "1h"}}]}, "cache_write_1h", ()),
        ({"messages": [{"content": [{"cache_control": {"ttl": "5m"}}]}]}, "cache_write_5m", ()),
        (
            {"cache_control": {"ttl": "1h"}, "tools": [{"cache_control": {"ttl": "5m"}}]},
            "cache_write_5m",
            ("cache_write_ttl_unknown",),
        ),
        (None, "cache_write_5m", ("cache_write_ttl_unknown",)),
    ],
)
def test_writes_without_a_split_live_as_long_as_the_request_asks(
    request_body: object, meter: str, reasons: tuple[str, ...]
) -> None:
    """Old bodies do not split writes; 5 minutes is the default, and a guess only if unclear.

    https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    usage = {"input_tokens": 1, "cache_creation_input_tokens": 70, "output_tokens": 2}
    reading = read(message(usage), request=request_body)
    assert quantities(reading) == {"input": 1, meter: 70, "output": 2}
    assert texts(reading.reasons) == reasons


def test_delta_usage_is_cumulative_and_replaces() -> None:
    """25/1 at the start and 15 at the end are 25 read and 15 made, not 16 (tensorzero#5481)."""
    reading = read(
        started({"input_tokens": 25, "output_tokens": 1}),
        delta(type="text_delta", text="Hello"),
        {"type": "ping"},
        *ended({"output_tokens": 15}),
        "[DONE]",  # relays add it
        stream=True,
    )
    assert quantities(reading) == {"input": 25, "output": 15}
    assert reading.complete


def test_delta_keeps_the_split_of_the_start() -> None:
    """Later events repeat totals only: the split by time to live is that of `message_start`."""
    start = {
        "input_tokens": 2,
        "cache_creation_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 1,
    }
    end = {"input_tokens": 6, "cache_creation_input_tokens": 100, "output_tokens": 9}
    reading = read(started(start), *ended(end), stream=True, request=None)
    assert quantities(reading) == {"input": 6, "cache_write_1h": 100, "output": 9}
    assert reading.reasons == ()


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        (None, {"input": 6, "cache_write_5m": 100, "cache_write": 40, "output": 9}),
        ({"model": "m"}, {"input": 6, "cache_write_5m": 140, "output": 9}),
    ],
)
def test_later_passes_may_write_more_than_the_split_says(
    request_body: object, expected: Mapping[str, int]
) -> None:
    """A tool loop writes on after the start; the rest keeps no time to live if none is known."""
    start = {
        "input_tokens": 2,
        "cache_creation_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1,
    }
    end = {"input_tokens": 6, "cache_creation_input_tokens": 140, "output_tokens": 9}
    reading = read(started(start), *ended(end), stream=True, request=request_body)
    assert quantities(reading) == expected
    assert ("cache_write_ttl_unknown" in texts(reading.reasons)) is (request_body is None)


def test_usage_may_come_in_the_delta_alone() -> None:
    """Some relays leave usage out of the start (envoyproxy/ai-gateway#2290)."""
    end = {"input_tokens": 4522, "cache_creation_input_tokens": 4511, "output_tokens": 5}
    reading = read(started({}), *ended(end), stream=True)
    assert quantities(reading) == {"input": 4522, "cache_write_5m": 4511, "output": 5}


def test_server_tools_count_what_was_billed() -> None:
    """Searches are counted by `server_tool_use`: failed ones are in the content, not there.

    https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool
    """
    content = [
        {"type": "server_tool_use", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "content": {"error_code": "max_uses_exceeded"}},
        {"type": "text", "text": "None."},
    ]
    tools = {"web_search_requests": 2, "web_fetch_requests": 1}
    usage = {"input_tokens": 90, "output_tokens": 5, "server_tool_use": tools}
    reading = read(message(usage, content=content))
    assert quantities(reading) == {
        "input": 90,
        "output": 5,
        "calls.web_search": 2,
        "calls.web_fetch": 1,
    }
    # The two passes are summed and neither's size is known: no long-context tier may look at it.
    assert reading.parts[0].terms == {"summed_requests": True}
    assert reading.tool_calls == 0


@pytest.mark.parametrize(
    ("tools", "flagged"),
    [
        ([{"type": "code_execution_20250825"}], True),
        ([{"type": "code_execution_20260120"}, {"type": "web_search_20260209"}], False),
        ([{"type": "code_execution_20250825"}, {"type": "web_search_20250305"}], True),
    ],
)
def test_container_time_is_nowhere_in_a_response(tools: object, flagged: bool) -> None:
    """Code execution is billed by container hour, which is flagged unless the web tools pay for it.

    https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool
    """
    content = [{"type": "server_tool_use", "name": "bash_code_execution", "input": {}}]
    body = message({"input_tokens": 1, "output_tokens": 1}, content=content)
    reading = read(body, request={"tools": tools})
    assert ("container_time_not_reported" in texts(reading.reasons)) is flagged
    assert reading.attributes["response.code_executions"] == 1


def test_tool_calls_are_those_the_caller_runs() -> None:
    """`tool_use` is the caller's to run; the input of a call is text that was made."""
    content = [{"type": "tool_use", "name": "f", "input": {"a": 1}}]
    reading = read(message({}, content=content, stop_reason="tool_use"))
    assert reading.tool_calls == 1
    assert reading.count is not None
    assert reading.count.output == "f{'a': 1}"


def test_tokens_in_time() -> None:
    """Thinking is a token and not visible; pings and empty deltas are no tokens."""
    reading = read(
        started({"input_tokens": 1, "output_tokens": 1}),
        {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}},
        delta(type="thinking_delta", thinking="Hm"),
        delta(type="signature_delta", signature="xx"),
        delta(type="text_delta", text="Yes"),
        *ended({"output_tokens": 4}),
        stream=True,
    )
    assert reading.timing.first_token_ns == 2_000_000
    assert reading.timing.first_visible_ns == 4_000_000
    assert reading.timing.last_token_ns == 4_000_000


def test_error_inside_a_stream_leaves_a_lower_bound() -> None:
    """After an error the start's usage stands, flagged, and the text so far can be counted."""
    reading = read(
        started({"input_tokens": 472, "output_tokens": 2}),
        delta(type="text_delta", text="Okay"),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        stream=True,
    )
    assert quantities(reading) == {"input": 472, "output": 2}
    assert (reading.error_type, reading.complete) == ("overloaded_error", False)
    assert "usage_not_final" in texts(reading.reasons)
    assert reading.count is not None
    assert reading.count.output == "Okay"


def test_refusal_before_output_is_free() -> None:
    """Declined before any output costs nothing; the numbers are kept.

    https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
    """
    usage = {"input_tokens": 18, "output_tokens": 5}
    declined = message(usage, content=[], stop_reason="refusal")
    assert (read(declined).billable, quantities(read(declined))) == (
        False,
        {"input": 18, "output": 5},
    )
    midway = read(message(usage, stop_reason="refusal"))
    assert midway.billable


def test_a_redeemed_fallback_credit_is_flagged() -> None:
    """The bill is then lower than the counts show: anthropic SDK, `BetaFallbackCreditRedeemed`."""
    credit = {"status": {"type": "redeemed"}}
    usage = {"input_tokens": 1, "output_tokens": 1, "fallback_credit": credit}
    assert texts(read(message(usage)).reasons) == ("fallback_credit_redeemed",)


def test_beta_flags_and_session_are_facts_of_the_call() -> None:
    """`context-1m` sets the price of Sonnet 4's long prompts, so the beta header is a term."""
    headers = {"anthropic-beta": "context-1m-2025-08-07, x", "x-claude-code-session-id": "s1"}
    reading = read(message({"input_tokens": 1, "output_tokens": 1}), headers=headers)
    assert reading.parts[0].terms == {"beta": "context-1m-2025-08-07,x"}
    assert reading.session_id == "s1"


def test_vertex_names_model_and_location_in_its_path() -> None:
    """On Vertex the body has no model and the location moves the price."""
    path = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-x:rawPredict"
    reading = read(message({"input_tokens": 1, "output_tokens": 1}), path=path)
    assert (reading.endpoint, reading.request_model) == ("vertex.anthropic_messages", "claude-x")
    assert reading.parts[0].terms == {"region": "us-east5"}


def test_legacy_completions_state_no_usage() -> None:
    """`/v1/complete` must be counted: request and completion are kept for it."""
    body = {"type": "completion", "completion": " Hi", "stop_reason": "stop_sequence"}
    reading = read(body, path="/v1/complete", request={"model": "claude-2", "prompt": "p"})
    assert (reading.parts, texts(reading.reasons)) == ((), ("no_usage",))
    assert reading.count is not None
    assert reading.count.output == " Hi"


def test_message_without_anything_is_not_zero() -> None:
    """No usage is unknown usage."""
    assert read({}).parts == ()
    assert "no_usage" in texts(read({}).reasons)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/messages/count_tokens", "anthropic.count_tokens"),
        ("POST", "/v1/messages/batches", "anthropic.batches"),
        ("GET", "/v1/messages/batches/b1", "anthropic.batches"),
        ("POST", "/v1/messages/batches/b1/cancel", "anthropic.batches"),
        (
            "POST",
            "/v1/projects/p/locations/l/models/count-tokens:rawPredict",
            "anthropic.count_tokens",
        ),
    ],
)
def test_what_is_not_charged(method: str, path: str, name: str) -> None:
    """Counting tokens and managing batches is free, and says why."""
    reading = read({"input_tokens": 14}, path=path, method=method)
    assert (reading.endpoint, reading.billable, reading.parts) == (name, False, ())
    assert reading.reasons
