"""The Responses API: whole, streamed, in the background, and over a WebSocket."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects import table
from proxy.dialects.contract import Ask
from proxy.exchange import Operation, Part, Reading
from support.sockets import responses

USAGE = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
SEARCH = {"type": "web_search_call", "status": "completed", "action": {"type": "search"}}


def body(**fields: object) -> dict[str, object]:
    return {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-5-2025-08-07",
        "status": "completed",
        "service_tier": "default",
        "output": [MESSAGE],
        "usage": USAGE,
        **fields,
    }


def event(kind: str, **fields: object) -> dict[str, object]:
    return {"type": f"response.{kind}", **fields}


CREATED = event("created", response=body(status="in_progress", service_tier="auto", usage=None))


def read(
    *documents: object,
    method: str = "POST",
    path: str = "/v1/responses",
    request: Mapping[str, object] | None = None,
    stream: bool | None = None,
) -> Reading:
    ask = Ask(
        method=method,
        path=path,
        request={"model": "gpt-5", **(request or {})},
        stream=len(documents) > 1 if stream is None else stream,
    )
    endpoint = table.find(method, path)
    reader = endpoint.reader(ask, endpoint)
    for document in documents:
        reader.read(document, 0)
    return reader.close()


def the_part(reading: Reading) -> Part:
    (part,) = reading.parts
    return part


def test_whole_and_streamed_are_the_same() -> None:
    """The body and the last event of a stream hold the same response, and read the same."""
    whole = read(body())
    streamed = read(
        CREATED,
        event("output_text.delta", delta="Hel"),
        event("output_text.delta", delta="lo"),
        event("output_item.done", item=MESSAGE),
        event("completed", response=body()),
    )
    for reading in (whole, streamed):
        assert reading.complete
        assert reading.response_id == "resp_1"
        assert reading.response_model == "gpt-5-2025-08-07"
        assert reading.service_tier == "default"
        assert reading.finish_reasons == ("completed",)
        assert reading.reasons == ()
    assert whole.parts == streamed.parts
    assert the_part(whole).usage.quantities == {Meter.INPUT: 9, Meter.OUTPUT: 3, Meter.REQUESTS: 1}
    assert the_part(whole).terms == {"service_tier": "default"}


def test_a_cut_stream_is_counted() -> None:
    """Before its last event a stream says no usage: all the text so far is there to count."""
    reading = read(
        CREATED,
        event("reasoning_summary_text.delta", delta="Hm. "),
        event("output_text.delta", delta="Hel"),
        event("function_call_arguments.delta", delta="{}"),
    )
    assert not reading.complete
    assert reading.parts == ()
    assert reading.service_tier == ""
    assert reading.count is not None
    assert reading.count.output == "Hm. Hel{}"


@pytest.mark.parametrize("status", ["incomplete", "failed"])
def test_other_ends(status: str) -> None:
    """A response that stopped early is billed by its usage like any other."""
    details = {"reason": "max_output_tokens"} if status == "incomplete" else None
    ended = body(status=status, incomplete_details=details)
    reading = read(CREATED, event(status, response=ended))
    assert reading.complete
    assert the_part(reading).usage.output_tokens == 3
    assert reading.finish_reasons == ("max_output_tokens" if details else "failed",)


def test_a_failure_before_any_output() -> None:
    """A stream that fails before it made anything is not billed."""
    error = {"type": "error", "error": {"type": "insufficient_quota", "message": "No money."}}
    failed = body(status="failed", error={"code": "insufficient_quota"}, usage=None, output=[])
    reading = read(CREATED, error, event("failed", response=failed))
    assert not reading.billable
    assert reading.error_type == "insufficient_quota"
    assert texts(reading.reasons) == ("error_in_body",)


def test_background() -> None:
    """A background call answers before there is usage: unknown, and not to be counted."""
    reading = read(body(status="queued", usage=None, output=[], service_tier="auto"))
    assert reading.billable
    assert reading.count is None
    assert texts(reading.reasons) == ("background_usage_comes_later", "no_usage")


@pytest.mark.parametrize(
    ("method", "path", "operation", "reason"),
    [
        ("GET", "/v1/responses/resp_1", Operation.FETCH_RESPONSE, "fetched_again"),
        ("POST", "/v1/responses/input_tokens", Operation.COUNT_TOKENS, "token_counting"),
    ],
)
def test_not_billed(method: str, path: str, operation: Operation, reason: str) -> None:
    """Fetching a response repeats usage that was billed; counting tokens is free."""
    reading = read(body(), method=method, path=path)
    assert reading.operation is operation
    assert not reading.billable
    assert reading.parts == ()
    assert texts(reading.reasons) == (reason,)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_background_response_names_what_is_charged_once(method: str) -> None:
    """Whichever call shows its usage first, the part bears the response's id."""
    path = "/v1/responses" if method == "POST" else "/v1/responses/resp_1"
    reading = read(body(background=True), method=method, path=path)
    assert (the_part(reading).item, reading.billable) == ("resp_1", True)
    assert reading.operation is Operation.CHAT


def test_a_background_response_still_running_shows_nothing() -> None:
    """A poll that finds it in progress is nobody's bill."""
    running = body(background=True, status="in_progress", usage=None, output=[])
    reading = read(running, method="GET", path="/v1/responses/resp_1")
    assert (reading.parts, reading.billable) == ((), False)


def test_compact() -> None:
    """Compacting a conversation is billed by its usage."""
    compacted = {
        "object": "response.compaction",
        "output": [{"type": "compaction"}],
        "usage": USAGE,
    }
    assert the_part(read(compacted, path="/v1/responses/compact")).usage.input_tokens == 9


def tools(*items: object, declared: object = (), **fields: object) -> dict[str, int]:
    reading = read(body(output=list(items), tools=list(declared), **fields))  # type: ignore[call-overload]
    quantities = the_part(reading).usage.quantities
    return {m.value: int(n) for m, n in quantities.items() if m.value.startswith(("calls", "sess"))}


def test_searches() -> None:
    """Only a search that ran is billed: opening a page, failing and being declared are free."""
    opened = {"type": "web_search_call", "action": {"type": "open_page"}}
    found = {"type": "web_search_call", "action": {"type": "find_in_page"}}
    failed = {**SEARCH, "status": "failed"}
    declared = [{"type": "web_search"}, {"type": "file_search"}]
    assert tools(SEARCH, opened, found, failed, SEARCH, declared=declared) == {
        "calls.web_search": 2
    }
    assert tools(MESSAGE, declared=declared) == {}


def test_search_preview_has_its_own_price() -> None:
    """The preview tool is told from the other by what was declared."""
    declared = [{"type": "web_search_preview_2025_03_11"}]
    assert tools(SEARCH, declared=declared) == {"calls.web_search_preview": 1}
    short = read(body(output=[SEARCH]), request={"tools": ["web_search_preview"]})
    assert the_part(short).usage.quantities[Meter.CALLS_WEB_SEARCH_PREVIEW] == 1


def test_calls_that_the_usage_lists_are_not_counted_again() -> None:
    """xAI lists its tool calls in the usage block; the items are the same calls."""
    usage = {**USAGE, "server_side_tool_usage_details": {"web_search_calls": 2}}
    assert tools(SEARCH, SEARCH, usage=usage) == {"calls.web_search": 2}


def test_other_tools() -> None:
    """File searches are counted each, code containers once each, function calls for the caller."""
    code = {"type": "code_interpreter_call", "container_id": "cntr_1"}
    assert tools(
        {"type": "file_search_call"},
        {"type": "file_search_call"},
        code,
        code,
        {**code, "container_id": "cntr_2"},
        {"type": "function_call", "arguments": "{}"},
    ) == {"calls.file_search": 2, "sessions.code_interpreter": 2, "calls.function": 1}


def test_a_container_of_another_call() -> None:
    """A container that the caller named was begun elsewhere: no new session, and said so."""
    declared = [{"type": "code_interpreter", "container": "cntr_1"}]
    code = {"type": "code_interpreter_call", "container_id": "cntr_1"}
    reading = read(body(output=[code], tools=declared))
    assert Meter.SESSIONS_CODE_INTERPRETER not in the_part(reading).usage.quantities
    assert texts(reading.reasons) == ("container_session_elsewhere",)


def test_container_memory() -> None:
    """The memory asked for sets the price of a container."""
    declared = [{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}}]
    assert the_part(read(body(tools=declared))).terms["container_memory_gb"] == 4


def test_image_tool() -> None:
    """The image tool's model has its own usage, which is a part of its own."""
    made = {"type": "image_generation_call", "status": "completed"}
    declared = [{"type": "image_generation", "model": "gpt-image-1.5"}]
    image = {"input_tokens": 50, "output_tokens": 1056, "total_tokens": 1106}
    reading = read(body(output=[made], tools=declared, tool_usage={"image_gen": image}))
    main, tool = reading.parts
    assert main.usage.output_tokens == 3
    assert tool.model == "gpt-image-1.5"
    assert tool.usage.quantities == {Meter.INPUT: 50, Meter.OUTPUT_IMAGE: 1056}


def test_image_tool_without_usage() -> None:
    """An image whose usage is not stated is a reason, not free."""
    reading = read(body(output=[{"type": "image_generation_call"}]))
    assert texts(reading.reasons) == ("image_tool_usage_missing",)


def test_tools_of_a_stream_that_lists_none_at_its_end() -> None:
    """Where the last event lists no items, those seen on the way count."""
    reading = read(
        CREATED,
        event("output_item.done", item=SEARCH),
        event("completed", response=body(output=[])),
    )
    assert the_part(reading).usage.quantities[Meter.CALLS_WEB_SEARCH] == 1


def test_reported_cost_and_session() -> None:
    """A reported cost is kept exactly; a conversation names the session."""
    usage = {**USAGE, "cost": Decimal("0.002196")}
    reading = read(body(usage=usage, conversation={"id": "conv_1"}))
    assert reading.reported_usd == Decimal("0.002196")
    assert reading.session_id == "conv_1"


def test_several_responses_on_one_websocket() -> None:
    """Each has its own model, usage and text; one that was cut is counted."""
    create = (True, {"type": "response.create", "response": {"model": "gpt-5.5"}})
    again = (True, {"type": "response.create"})
    done = (False, event("completed", response=body(id="")))
    created = (False, CREATED)
    for reading in responses("/v1/responses", create, created, done, again, created, done):
        assert [part.usage.input_tokens for part in reading.parts] == [9]
        assert (reading.request_model, reading.complete) == ("gpt-5.5", True)
    delta = (False, event("output_text.delta", delta="Hi"))
    _, cut = responses("/v1/responses", create, done, again, created, delta)
    assert not cut.complete
    assert texts(cut.reasons) == ("no_usage", "usage_not_final")
    assert cut.count is not None
    assert cut.count.output == "Hi"


def test_a_response_without_usage_is_not_free() -> None:
    """On a socket as elsewhere, its usage is unknown, whatever others state."""
    create = (True, {"type": "response.create", "response": {"model": "gpt-5.5"}})
    answers: tuple[dict[str, Any], ...] = ({}, {"usage": None, "id": "resp_2"})
    done, silent = ((False, event("completed", response=body(**more))) for more in answers)
    first, second = responses("/v1/responses", create, done, create, silent)
    assert (len(first.parts), first.reasons) == (1, ())
    assert texts(second.reasons) == ("no_usage",)
    assert texts(read(body(usage=None)).reasons) == ("no_usage",)
