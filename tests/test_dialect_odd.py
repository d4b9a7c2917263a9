"""Whatever a provider sends, no reader raises, and no usage is made up from nonsense."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from proxy.dialects.contract import Ask, Json
from proxy.dialects.session import State
from proxy.dialects.table import ROUTES, find
from support.sockets import session

KEYS = re.findall(
    r"\S+",
    # Fields that readers look at, of any dialect: nonsense under them goes deepest.
    "usage usageMetadata message content delta type model id role index text thinking input name "
    "iterations cache_creation server_tool_use output_tokens input_tokens candidates parts "
    "promptTokenCount promptTokensDetails modality tokenCount totalTokenCount finishReason "
    "groundingMetadata webSearchQueries groundingChunks output choices stopReason trace guardrail "
    "inputAssessment bytes meta billed_units results custom_id result response metadata done "
    "eval_count prompt_eval_count total_tokens usage_info pages stats details serverContent "
    "modelTurn turnComplete setup interaction event_type steps predictions error code stop "
    "inlinedResponses cacheDetails ttl inputTokens totalTokens toolUse start stop_details",
)
EVENTS = re.findall(
    r"\S+",
    "message_start content_block_start content_block_delta message_delta message_stop message error"
    " stream-end message-end content-delta step.delta interaction.completed compaction fallback"
    " server_tool_use modelStreamErrorException",
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=8)
) | st.sampled_from(EVENTS)
JSON: st.SearchStrategy[Json] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
SOCKETS = [  # path, family
    ("/v1/responses", "openai"),
    ("/v1/realtime", "openai"),
    ("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "gemini"),
]
_SAID = ["response.create", "response.created", "response.done", "response.completed", "error"]
_SAID += ["response.output_item.done", "response.output_text.delta", "session.updated"]
_SAID += ["conversation.item.input_audio_transcription.completed", "input_audio_buffer.committed"]
EVENT: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {"type": st.sampled_from(_SAID)},
    optional={
        "response": JSON | st.fixed_dictionaries({"id": st.sampled_from(["a", "b"])}),
        "response_id": st.sampled_from(["a", "b"]),
        "stream_id": st.sampled_from(["s", "t"]),
        "session": JSON,
        "item": JSON,
        "usage": JSON,
    },
)
SILENT = [  # usage blocks that count nothing
    ("/v1/messages", {"content": [], "usage": {"service_tier": "standard"}}),
    ("/v1/models/m:generateContent", {"usageMetadata": {"trafficType": "ON_DEMAND"}}),
    ("/v1beta/interactions", {"usage": {"grounding_tool_count": []}}),
    ("/model/m/converse", {"usage": {"serverToolUsage": {}}}),
    ("/model/m/invoke", {"usage": {"inputTokens": None}}),
    ("/v2/chat", {"usage": {"billed_units": {"input_tokens": None}}}),
    ("/v1/rerank", {"usage": {"total_tokens": None}}),
    ("/services/aigc/text-generation/generation", {"usage": {"plugins": {}}}),
    ("/api/chat", {"done": True}),
    ("/v1/ocr", {"usage_info": {"pages_processed": None}}),
    ("/completion", {"content": "Hi", "stop": True}),
]
ENDPOINTS = {route.endpoint.name: route.endpoint for route in ROUTES}
PATHS = ("/model/us.anthropic.m/invoke", "/v1/messages/batches/b/results", "/")


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
@settings(max_examples=8)
@given(
    documents=st.lists(st.tuples(JSON, st.sampled_from(["", *EVENTS])), max_size=4),
    request_body=JSON,
    stream=st.booleans(),
    path=st.sampled_from(PATHS),
)
def test_odd_documents_never_raise(
    name: str, documents: list[tuple[Json, str]], request_body: Json, stream: bool, path: str
) -> None:
    """A reader takes any JSON in any order and still gives a reading of its endpoint."""
    endpoint = ENDPOINTS[name]
    ask = Ask(method="POST", path=path, request=request_body, stream=stream)
    reader = endpoint.reader(ask, endpoint)
    for at_ns, (document, event) in enumerate(documents):
        reader.read(document, at_ns, event)
    reading = reader.close()
    assert reading.endpoint == name
    assert reading.parts or not reading.billable or reading.reasons


@pytest.mark.parametrize("path", [path for path, _ in SOCKETS])
@settings(max_examples=30)
@given(documents=st.lists(st.tuples(st.booleans(), JSON | EVENT), max_size=6))
def test_odd_messages_never_raise(path: str, documents: list[tuple[bool, Json]]) -> None:
    """A session takes any JSON from either side; every response that began has its reading."""
    reader = session(path, dict(SOCKETS)[path])
    for at_ns, (up, document) in enumerate(documents):
        (reader.sent if up else reader.read)(document, at_ns)
    began = [number for number, _ in reader.take_began()]
    whole = reader.close()
    answers = reader.take_ended()
    assert (whole.parts, whole.billable) == ((), False)
    assert {answer.number for answer in answers} <= set(began) == set(range(1, len(began) + 1))
    for answer in answers:
        reading = answer.reading
        assert reading.parts or not reading.billable or reading.reasons
    assert msgspec.json.decode(msgspec.json.encode(reader.state()), type=State) == reader.state()


@pytest.mark.parametrize(("path", "document"), SILENT)
def test_a_usage_block_without_counts_is_not_zero(path: str, document: Json) -> None:
    """What was not counted is unknown, and unknown is never free."""
    endpoint = find("POST", path)
    reader = endpoint.reader(Ask(method="POST", path=path, request={"model": "m"}), endpoint)
    reader.read(document, 0)
    reading = reader.close()
    assert (reading.parts, reading.billable) == ((), True)
    assert "no_usage" in texts(reading.reasons)
