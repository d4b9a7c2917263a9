"""Chat completions of OpenAI and of those who copy them."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects import table
from proxy.dialects.contract import Ask
from proxy.exchange import CountRequest, Operation, Part, Reading

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def read(
    *documents: object,
    request: Mapping[str, object] | None = None,
    path: str = "/v1/chat/completions",
    stream: bool | None = None,
    response_headers: Mapping[str, str] | None = None,
) -> Reading:
    ask = Ask(
        method="POST",
        path=path,
        request={"model": "m", **(request or {})},
        stream=len(documents) > 1 if stream is None else stream,
        response_headers=response_headers or {},
    )
    endpoint = table.find(ask.method, ask.path)
    reader = endpoint.reader(ask, endpoint)
    for document in documents:
        reader.read(document, 0)
    return reader.close()


def chunk(delta: Mapping[str, object], **fields: object) -> dict[str, object]:
    return {"model": "m-1", "choices": [{"index": 0, "delta": delta}], **fields}


def whole(message: Mapping[str, object], **fields: object) -> dict[str, object]:
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"model": "m-1", "choices": choices, "usage": USAGE, **fields}


def the_part(reading: Reading) -> Part:
    (part,) = reading.parts
    return part


STREAMS = [
    pytest.param([{"choices": [], "usage": USAGE}], id="a last chunk without choices"),
    pytest.param([chunk({}, usage=USAGE)], id="the last chunk with choices"),
    pytest.param([chunk({}, x_groq={"usage": USAGE})], id="Groq's x_groq"),
    pytest.param(
        [
            chunk({}, usage={**USAGE, "completion_tokens": 1, "total_tokens": 10}),
            chunk({}, usage=USAGE),
        ],
        id="cumulative on every chunk",
    ),
    pytest.param([chunk({}, usage=USAGE), chunk({}, usage=None)], id="null after it"),
]


@pytest.mark.parametrize("last", STREAMS)
def test_where_a_stream_says_its_usage(last: list[object]) -> None:
    """The last usage that is not null counts, wherever it is, once."""
    azure: object = {"choices": [], "prompt_filter_results": []}  # Azure's empty first chunk
    reading = read(azure, chunk({"content": "Hi"}), *last, "[DONE]")
    assert the_part(reading).usage.quantities == {
        Meter.INPUT: 9,
        Meter.OUTPUT: 3,
        Meter.REQUESTS: 1,
    }
    assert reading.complete
    assert reading.count is None


def test_a_stream_without_usage_is_counted() -> None:
    """A stream whose caller did not ask for usage gives the request and all the text to count."""
    reading = read(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm. "}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a": 1}'}}]}),
        "[DONE]",
        request={"stream": True},
    )
    assert reading.parts == ()
    assert texts(reading.reasons) == ("no_usage",)
    assert reading.count == CountRequest(
        request={"model": "m", "stream": True}, output='Hm. Hellof{"a": 1}'
    )
    assert reading.complete
    assert reading.tool_calls == 1


def test_a_cut_stream_has_no_final_usage() -> None:
    """Usage on the chunks of a cut stream is a lower bound; the text is there to count."""
    reading = read(chunk({"content": "Hi"}, usage=USAGE), chunk({"content": " you"}, usage=USAGE))
    assert not reading.complete
    assert texts(reading.reasons) == ("usage_not_final",)
    assert the_part(reading).usage.quantities[Meter.INPUT] == 9
    assert reading.count is not None
    assert reading.count.output == "Hi you"


def test_a_stream_without_done_is_complete_when_it_ended() -> None:
    """Not every server sends [DONE]: a finish reason and usage are an end."""
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": USAGE}
    reading = read(chunk({"content": "Hi"}), ended)
    assert reading.complete
    assert reading.finish_reasons == ("length",)


def test_served_tier() -> None:
    """The tier served is a term; the one asked for never is, and its absence is said."""
    served = read(
        whole({"content": "Hi"}, service_tier="default"), request={"service_tier": "flex"}
    )
    assert served.service_tier == "default"
    assert the_part(served).terms == {"service_tier": "default"}
    unsaid = read(whole({"content": "Hi"}), request={"service_tier": "flex"})
    assert unsaid.service_tier == ""
    assert the_part(unsaid).terms == {}
    assert texts(unsaid.reasons) == ("service_tier_not_stated",)
    auto = read(whole({"content": "Hi"}, service_tier="auto"))
    assert the_part(auto).terms == {}


def test_azure_spillover() -> None:
    """A call that reserved capacity passed on is billed as the standard deployment."""
    reading = read(whole({}), response_headers={"x-ms-spillover-from-deployment": "ptu-1"})
    assert the_part(reading).terms == {"deployment": "GlobalStandard"}


def test_azure_deployment_is_the_model() -> None:
    """Azure's older path names the model; a body without one does not lose it."""
    path = "/openai/deployments/our%20gpt/chat/completions"
    assert read(whole({}), path=path, request={"model": None}).request_model == "our gpt"


@pytest.mark.parametrize(
    ("request_fields", "message", "mode"),
    [
        ({"enable_thinking": True}, {"content": "a"}, {"mode": "thinking"}),
        ({"enable_thinking": False}, {"content": "a"}, {"mode": "non_thinking"}),
        ({}, {"content": "a", "reasoning_content": "b"}, {"mode": "thinking"}),
        ({}, {"content": "a"}, {}),
    ],
)
def test_mode(
    request_fields: Mapping[str, object], message: Mapping[str, object], mode: Mapping[str, object]
) -> None:
    """Whether the model thought is a term, as far as it is known."""
    assert the_part(read(whole(message), request=request_fields)).terms == mode


def test_search_context_size() -> None:
    """The size that the response states counts, else the one asked for."""
    request = {"web_search_options": {"search_context_size": "high"}}
    usage = {**USAGE, "search_context_size": "low"}
    stated = read(whole({}, usage=usage), request=request)
    assert the_part(stated).terms == {"search_context_size": "low"}
    asked = read(whole({}), request=request)
    assert the_part(asked).terms == {"search_context_size": "high"}


def test_groq_browser() -> None:
    """Groq bills the searches and the pages that its browser tool ran."""
    tools = [
        {"type": "browser.search"},
        {"type": "browser.open"},
        {"type": "browser.open"},
    ]
    quantities = the_part(read(whole({"executed_tools": tools}))).usage.quantities
    assert quantities[Meter.CALLS_BROWSER_SEARCH] == 1
    assert quantities[Meter.CALLS_BROWSER_OPEN] == 2


def test_searching_models() -> None:
    """Models that search at every call are billed a search, preview or not."""
    preview = read(whole({}, model="gpt-4o-search-preview-2025-03-11"))
    assert the_part(preview).usage.quantities[Meter.CALLS_WEB_SEARCH_PREVIEW] == 1
    newer = read(whole({}, model="gpt-5-search-api"))
    assert the_part(newer).usage.quantities[Meter.CALLS_WEB_SEARCH] == 1


def test_an_error_in_a_200() -> None:
    """A 200 whose body is an error is named one; nothing was made, so nothing is billed."""
    reading = read({"error": {"code": 400, "message": "Token limit reached"}}, stream=False)
    assert (reading.error_type, reading.error_message) == ("400", "Token limit reached")
    assert not reading.billable
    assert texts(reading.reasons) == ("error_in_body",)
    assert reading.count is None


def test_an_error_after_some_text() -> None:
    """What was made before an error may be billed; the error's own text is never counted."""
    failed = {"error": {"message": "died", "type": "server_error"}, "usage": {**USAGE, "cost": 0}}
    reading = read(chunk({"content": "Hi"}), failed, "[DONE]")
    assert reading.billable
    assert reading.error_type == "server_error"
    assert reading.reported_usd == 0
    assert reading.count is not None
    assert reading.count.output == "Hi"


def test_byok() -> None:
    """With the caller's own upstream key OpenRouter charges nothing, and says what the key owes."""
    usage = {
        **USAGE,
        "cost": 0,
        "is_byok": True,
        "cost_details": {"upstream_inference_cost": Decimal("0.0003253")},
    }
    reading = read(whole({"content": "Hi"}, usage=usage, provider="Google"))
    assert reading.reported_usd == 0
    assert reading.attributes == {
        "response.provider": "Google",
        "response.byok": True,
        "response.byok_upstream_usd": "0.0003253",
    }


def test_mistral_content_in_pieces() -> None:
    """Mistral's thinking and text come as a list."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "two "}]},
        {"type": "text", "text": "2"},
    ]
    body = {"choices": [{"message": {"content": content}}]}
    reading = read(body)
    assert reading.count is not None
    assert reading.count.output == "two 2"


def test_refusal_and_filter() -> None:
    """A refusal and a content filter are facts of their own."""
    body = whole({"refusal": "No."})
    body["choices"] = [
        {"index": 0, "message": {"refusal": "No."}, "finish_reason": "stop"},
        {"index": 1, "message": {}, "finish_reason": "content_filter"},
    ]
    reading = read(body)
    assert reading.finish_reasons == ("stop", "content_filter")
    assert reading.attributes["response.refusal"] is True
    assert reading.attributes["response.content_filter"] is True


def test_request_parameters() -> None:
    """Parameters that spans show are kept; no text of the prompt is."""
    reading = read(
        whole({}),
        request={
            "temperature": Decimal("0.2"),
            "max_completion_tokens": 50,
            "n": 2,
            "seed": 7,
            "reasoning_effort": "low",
            "response_format": {"type": "json_schema"},
            "messages": [{"role": "user", "content": "secret"}],
            "user": "secret",
        },
    )
    assert reading.attributes == {
        "request.temperature": 0.2,
        "request.max_tokens": 50,
        "request.choice.count": 2,
        "request.seed": 7,
        "request.reasoning.level": "low",
        "output.type": "json",
    }


def test_legacy_completion() -> None:
    """Legacy completions carry their text in the choice."""
    body = {"choices": [{"text": "go", "index": 0, "finish_reason": "length"}]}
    reading = read(body, path="/v1/completions")
    assert reading.operation is Operation.TEXT_COMPLETION
    assert reading.count is not None
    assert reading.count.output == "go"


def test_output_text_is_bounded() -> None:
    """Text kept for counting has a limit; past it the output is known not to be whole."""
    ask = Ask(method="POST", path="/chat/completions", request={}, stream=True, text_chars_max=10)
    endpoint = table.find(ask.method, ask.path)
    reader = endpoint.reader(ask, endpoint)
    for _ in range(4):
        reader.read(chunk({"content": "abcd"}), 0)
    count = reader.close().count
    assert count is not None
    assert count.output == "abcdabcdab"
    assert not count.output_known


def test_legacy_function_call() -> None:
    """The old single function call is a tool call too."""
    body = whole({"function_call": {"name": "f", "arguments": json.dumps({})}})
    assert read(body).tool_calls == 1
