"""Bedrock: Converse, InvokeModel and guardrails.  Cases are written for the project."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pricing.cause import texts
from proxy.dialects.contract import Ask
from proxy.dialects.table import find
from proxy.exchange import Reading
from support.readings import quantities

Event = tuple[object, str]
NO_REQUEST: Mapping[str, Any] = {}


def read(
    *documents: object,
    path: str = "/model/amazon.nova-pro-v1%3A0/converse",
    request: object = NO_REQUEST,
    headers: Mapping[str, str] | None = None,
    stream: bool = False,
) -> Reading:
    """The reading of a call; a document in a tuple comes with the name of its event."""
    endpoint = find("POST", path, "bedrock")
    ask = Ask(
        method="POST", path=path, request=request, response_headers=headers or {}, stream=stream
    )
    reader = endpoint.reader(ask, endpoint)
    for number, document in enumerate(documents):
        body, event = document if isinstance(document, tuple) else (document, "")
        reader.read(body, number, event)
    return reader.close()


def chunk(document: object) -> Event:
    """An event of a streamed InvokeModel."""
    raw = base64.b64encode(json.dumps(document).encode()).decode()
    return {"bytes": raw, "p": "abc"}, "chunk"


def test_caches_stand_beside_the_input_and_twins_are_the_same_tokens() -> None:
    """`cacheReadInputTokenCount` repeats `cacheReadInputTokens`; the total includes all."""
    usage = {
        "inputTokens": 22,
        "outputTokens": 13,
        "cacheReadInputTokens": 2492,
        "cacheReadInputTokenCount": 2492,
        "cacheWriteInputTokens": 20_000,
        "cacheWriteInputTokenCount": 20_000,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 15_000}, {"ttl": "5m", "inputTokens": 5000}],
        "totalTokens": 22_527,
    }
    message = {"content": [{"text": "Hi"}, {"toolUse": {"name": "f", "input": {"a": 1}}}]}
    body = {"output": {"message": message}, "stopReason": "tool_use", "usage": usage}
    reading = read(body)
    assert quantities(reading) == {
        "input": 22,
        "output": 13,
        "cache_read": 2492,
        "cache_write_1h": 15_000,
        "cache_write_5m": 5000,
    }
    assert reading.reasons == ()
    assert (reading.request_model, reading.tool_calls) == ("amazon.nova-pro-v1:0", 1)
    assert (reading.finish_reasons, reading.complete) == (("tool_use",), True)


@pytest.mark.parametrize(
    ("usage", "reason"),
    [
        ({"inputTokens": 5, "outputTokens": 2, "totalTokens": 8}, "usage_sum_mismatch:total:7!=8"),
        ({"inputTokens": 5, "cacheWriteInputTokens": 9}, "cache_write_ttl_unknown"),
        (
            {
                "inputTokens": 0,
                "cacheWriteInputTokens": 1,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 2}],
            },
            "cache_write_split_exceeds_total",
        ),
    ],
)
def test_what_is_doubtful_is_said(usage: object, reason: str) -> None:
    """Sums that do not hold and writes without a time to live are flagged."""
    assert reason in texts(read({"usage": usage}).reasons)


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("us.anthropic.claude-x", "us"),
        ("global.anthropic.claude-x", "global"),
        ("us-gov.anthropic.claude-x", "us-gov"),
        ("usual.model", None),
        ("amazon.nova-pro-v1:0", None),
    ],
)
def test_the_profile_names_the_region(model: str, region: str | None) -> None:
    """Cross-region profiles of a geography cost more than the global one."""
    reading = read({"usage": {"inputTokens": 1, "totalTokens": 1}}, path=f"/model/{model}/converse")
    assert reading.parts[0].terms.get("region") == region
    assert reading.request_model == model


def test_an_arn_ends_in_the_profile() -> None:
    """Escaped or not, the last part of an ARN is the model."""
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x"
    for path in (arn, arn.replace(":", "%3A").replace("/", "%2F")):
        reading = read({"usage": {"inputTokens": 1}}, path=f"/model/{path}/converse")
        assert reading.request_model == "us.anthropic.claude-x"


def test_the_tier_and_the_model_that_served() -> None:
    """The response says which tier and which model of a prompt router served."""
    arn = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0"
    body = {
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "serviceTier": {"type": "flex"},
        "performanceConfig": {"latency": "optimized"},
        "trace": {"promptRouter": {"invokedModelId": arn}},
    }
    reading = read(body)
    assert reading.parts[0].terms == {"service_tier": "flex", "speed": "optimized"}
    assert (reading.service_tier, reading.response_model) == ("flex", "amazon.nova-lite-v1:0")


def test_guardrail_units_come_from_the_trace() -> None:
    """Units of input and output add up; a policy without a meter is flagged, words are free."""
    units = {
        "contentPolicyUnits": 2,
        "sensitiveInformationPolicyUnits": 1,
        "sensitiveInformationPolicyFreeUnits": 5,
        "wordPolicyUnits": 3,
        "topicPolicyUnits": 4,
    }
    assessment = {"invocationMetrics": {"usage": units}}
    guardrail = {"inputAssessment": {"g": assessment}, "outputAssessments": {"g": [assessment]}}
    body = {"usage": {"inputTokens": 9, "totalTokens": 9}, "trace": {"guardrail": guardrail}}
    reading = read(body, request={"guardrailConfig": {"trace": "enabled"}})
    assert quantities(reading) == {
        "input": 9,
        "guardrail.content_units": 4,
        "guardrail.pii_units": 2,
    }
    assert texts(reading.reasons) == ("guardrail_not_metered:topicPolicyUnits",)
    unseen = read({"usage": {"inputTokens": 9}}, request={"guardrailConfig": {}})
    assert texts(unseen.reasons) == ("guardrail_units_not_reported",)
    alone = read({"usage": units}, path="/guardrail/g/version/1/apply")
    assert quantities(alone) == {"guardrail.content_units": 2, "guardrail.pii_units": 1}


def test_a_converse_stream() -> None:
    """Reasoning is a token nobody sees; usage comes last, in `metadata`."""
    reading = read(
        ({"role": "assistant"}, "messageStart"),
        ({"delta": {"reasoningContent": {"text": "Hm"}}}, "contentBlockDelta"),
        ({"delta": {"text": "Hi"}}, "contentBlockDelta"),
        ({"start": {"toolUse": {"name": "f", "toolUseId": "t"}}}, "contentBlockStart"),
        ({"delta": {"toolUse": {"input": "{}"}}}, "contentBlockDelta"),
        ({"stopReason": "tool_use"}, "messageStop"),
        ({"usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}}, "metadata"),
        path="/model/m/converse-stream",
        stream=True,
    )
    assert quantities(reading) == {"input": 5, "output": 2}
    assert (reading.timing.first_token_ns, reading.timing.first_visible_ns) == (1, 2)
    assert (reading.tool_calls, reading.complete) == (1, True)


def test_an_exception_in_a_stream() -> None:
    """An exception event ends the stream: what was made is to be counted, the error is named."""
    reading = read(
        ({"delta": {"text": "Hi"}}, "contentBlockDelta"),
        ({"message": "too many"}, "throttlingException"),
        path="/model/m/converse-stream",
        stream=True,
    )
    assert (reading.error_type, reading.complete) == ("throttlingException", False)
    assert reading.error_message == "too many"
    assert reading.count is not None
    assert reading.count.output == "Hi"


CLAUDE = "/model/us.anthropic.claude-x-v1%3A0/invoke"


def test_claude_is_priced_by_the_name_in_the_path() -> None:
    """Its body names the model without vendor and region, which move the price."""
    usage = {"input_tokens": 3, "cache_read_input_tokens": 9, "output_tokens": 4}
    body = {"type": "message", "model": "claude-x", "content": [], "usage": usage}
    reading = read(body, path=CLAUDE)
    assert quantities(reading) == {"input": 3, "cache_read": 9, "output": 4}
    part = reading.parts[0]
    assert (part.model, part.terms) == ("us.anthropic.claude-x-v1:0", {"region": "us"})
    assert reading.response_model == "claude-x"


def test_claude_streams_in_base64() -> None:
    """Chunks wrap Anthropic's events; broken ones say nothing; an ARN is known by the request."""
    start = {"model": "claude-x", "usage": {"input_tokens": 3, "output_tokens": 1}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    reading = read(
        chunk({"type": "message_start", "message": start}),
        ({"bytes": "%%%"}, "chunk"),
        chunk({"type": "content_block_delta", "delta": {"text": "Hi"}}),
        chunk({**end, "usage": {"output_tokens": 8}}),
        chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}}),
        path="/model/arn%3Aaws%3Abedrock%3A%3A1%3Aapplication-inference-profile%2Fabc/"
        "invoke-with-response-stream",
        request={"anthropic_version": "bedrock-2023-05-31"},
        stream=True,
    )
    assert quantities(reading) == {"input": 3, "output": 8}
    assert (reading.parts[0].model, reading.complete) == ("abc", True)
    assert reading.timing.first_token_ns == 2


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"prompt_token_count": 5, "generation_token_count": 2}, {}, {"input": 5, "output": 2}),
        (
            {"inputTextTokenCount": 5, "results": [{"tokenCount": 2, "outputText": "Hi"}]},
            {},
            {"input": 5, "output": 2},
        ),
        ({"inputTextTokenCount": 5, "embedding": [0.1]}, {}, {"input": 5}),
        (
            {"usage": {"inputTokens": 5, "outputTokens": 2, "cacheReadInputTokenCount": 7}},
            {},
            {"input": 5, "output": 2, "cache_read": 7},
        ),
        (
            {"usage": {"prompt_tokens": 5, "completion_tokens": 2}},
            {},
            {"input": 5, "output": 2},
        ),
        (
            {"outputs": [{"text": "Hi"}]},
            {
                "x-amzn-bedrock-input-token-count": "5",
                "x-amzn-bedrock-output-token-count": "2",
            },
            {"input": 5, "output": 2},
        ),
        ({"images": ["AA==", "AA=="]}, {}, {"images": 2}),
    ],
)
def test_other_models_state_usage_in_their_own_way(
    body: object, headers: Mapping[str, str], expected: Mapping[str, int]
) -> None:
    """In the body as the maker has it, else in Bedrock's headers."""
    assert quantities(read(body, path="/model/maker.m/invoke", headers=headers)) == expected


def test_the_last_chunk_has_bedrocks_own_count() -> None:
    """`amazon-bedrock-invocationMetrics` is there for every maker's stream."""
    metrics = {"inputTokenCount": 5, "outputTokenCount": 2, "cacheReadInputTokenCount": 3}
    reading = read(
        chunk({"generation": "Hi"}),
        chunk({"generation": "", "amazon-bedrock-invocationMetrics": metrics}),
        path="/model/meta.m/invoke-with-response-stream",
        stream=True,
    )
    assert quantities(reading) == {"input": 5, "output": 2, "cache_read": 3}
    assert reading.complete


def test_counting_tokens_is_free() -> None:
    """CountTokens has no charge: https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html"""
    reading = read({"inputTokens": 18}, path="/model/m/count-tokens")
    assert (reading.billable, reading.parts, texts(reading.reasons)) == (
        False,
        (),
        ("token_counting",),
    )
