"""Gemini's generateContent family: what each body bills.  Cases are written for the project."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from proxy.dialects.contract import Ask
from proxy.dialects.table import find
from proxy.exchange import Operation, Reading
from support.readings import quantities

NO_REQUEST: Mapping[str, Any] = {}
PATH = "/v1beta/models/gemini-2.5-flash:generateContent"


def read(
    *documents: object,
    path: str = PATH,
    method: str = "POST",
    request: object = NO_REQUEST,
    stream: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Reading:
    """The reading of a call whose response is `documents`, the n-th at n ms."""
    endpoint = find(method, path, "gemini")
    ask = Ask(
        method=method, path=path, request=request, stream=stream, response_headers=headers or {}
    )
    reader = endpoint.reader(ask, endpoint)
    for number, document in enumerate(documents):
        reader.read(document, number * 1_000_000)
    return reader.close()


def answer(usage: Mapping[str, Any] | None, **candidate: Any) -> dict[str, Any]:
    """A response with one candidate that says Hi."""
    whole = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP", **candidate}
    said = {"candidates": [whole], "modelVersion": "gemini-2.5-flash", "responseId": "r1"}
    return said if usage is None else {**said, "usageMetadata": dict(usage)}


def split(**tokens: int) -> list[dict[str, Any]]:
    """A list of tokens by modality."""
    return [{"modality": kind.upper(), "tokenCount": n} for kind, n in tokens.items()]


def test_thoughts_and_tool_results_stand_outside() -> None:
    """Total = prompt + candidates + thoughts + tool-use prompt (Helicone PR5604: 15/359/661)."""
    usage = {
        "promptTokenCount": 15,
        "candidatesTokenCount": 359,
        "thoughtsTokenCount": 661,
        "toolUsePromptTokenCount": 20,
        "totalTokenCount": 1055,
    }
    reading = read(answer(usage))
    assert quantities(reading) == {
        "input": 15,
        "input.tool_use": 20,
        "output": 359,
        "output.reasoning": 661,
    }
    assert reading.reasons == ()
    assert (reading.request_model, reading.response_model) == (
        "gemini-2.5-flash",
        "gemini-2.5-flash",
    )
    assert (reading.response_id, reading.finish_reasons, reading.complete) == (
        "r1",
        ("STOP",),
        True,
    )
    assert reading.operation is Operation.GENERATE_CONTENT


def test_cached_tokens_are_inside_the_prompt_by_modality() -> None:
    """Prompt and cache are split alike; what the splits leave over is text."""
    usage = {
        "promptTokenCount": 345,
        "promptTokensDetails": split(text=80, document=258),
        "cachedContentTokenCount": 230,
        "cacheTokensDetails": split(text=50, document=172),
        "candidatesTokenCount": 51,
        "totalTokenCount": 396,
    }
    reading = read(answer(usage))
    assert quantities(reading) == {
        "input": 29,
        "cache_read": 58,
        "input.document": 86,
        "cache_read.document": 172,
        "output": 51,
    }
    assert reading.reasons == ()


@pytest.mark.parametrize(
    ("details", "cached", "expected", "reasons"),
    [
        (split(text=100, audio=50), 40, {"input": 60, "cache_read": 40, "input.audio": 50}, ()),
        (
            split(text=10, image=140),
            40,
            {"cache_read": 10, "input.image": 110, "cache_read.image": 30},
            ("cache_modality_unknown",),
        ),
        ([], 40, {"input": 110, "cache_read": 40}, ()),
    ],
)
def test_a_cache_without_a_split_is_text_first(
    details: object, cached: int, expected: Mapping[str, int], reasons: tuple[str, ...]
) -> None:
    """Beyond the text of the prompt, what was cached is a guess and flagged."""
    usage = {
        "promptTokenCount": 150,
        "promptTokensDetails": details,
        "cachedContentTokenCount": cached,
        "totalTokenCount": 150,
    }
    reading = read(answer(usage))
    assert quantities(reading) == expected
    assert texts(reading.reasons) == reasons


def test_modalities_without_a_count_or_as_numbers() -> None:
    """An entry without `tokenCount` has none (proto default); enums may come as numbers."""
    usage = {
        "promptTokenCount": 268,
        "promptTokensDetails": [
            {"modality": "AUDIO"},
            {"modality": 3, "tokenCount": 258},
            {"modality": "MODALITY_UNSPECIFIED", "tokenCount": 10},
        ],
        "candidatesTokenCount": 1780,
        "candidatesTokensDetails": split(image=1120),
        "trafficType": 1,
        "totalTokenCount": 2048,
    }
    reading = read(answer(usage, finishReason=2))
    assert quantities(reading) == {
        "input": 10,
        "input.video": 258,
        "output": 660,
        "output.image": 1120,
    }
    assert reading.parts[0].terms == {"service_tier": "ON_DEMAND"}
    assert reading.finish_reasons == ("MAX_TOKENS",)


MODALITY = st.sampled_from(["TEXT", "IMAGE", "AUDIO", "VIDEO", "DOCUMENT"])
MADE = st.sampled_from(["TEXT", "IMAGE", "AUDIO", "VIDEO"])
TOKENS = st.integers(0, 10**6)


@settings(max_examples=60)
@given(
    prompt=st.lists(st.tuples(MODALITY, TOKENS, TOKENS), max_size=5),
    made=st.lists(st.tuples(MADE, TOKENS), max_size=3),
    more=st.tuples(TOKENS, TOKENS, TOKENS, TOKENS),
    split_hits=st.booleans(),
)
def test_every_token_is_counted_once(
    prompt: list[tuple[str, int, int]],
    made: list[tuple[str, int]],
    more: tuple[int, int, int, int],
    split_hits: bool,
) -> None:
    """Whatever the splits, the leaves sum to the total and none is negative."""
    unsplit, unsplit_made, thoughts, tools = more
    read_split = [{"modality": kind, "tokenCount": a + b} for kind, a, b in prompt]
    hits = [{"modality": kind, "tokenCount": b} for kind, _, b in prompt]
    usage = {
        "promptTokenCount": unsplit + sum(a + b for _, a, b in prompt),
        "promptTokensDetails": read_split,
        "cachedContentTokenCount": sum(b for _, _, b in prompt),
        "cacheTokensDetails": hits if split_hits else None,
        "candidatesTokenCount": unsplit_made + sum(n for _, n in made),
        "candidatesTokensDetails": [{"modality": kind, "tokenCount": n} for kind, n in made],
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tools,
    }
    read_total = int(usage["promptTokenCount"] or 0) + tools  # type: ignore[call-overload]
    made_total = unsplit_made + sum(n for _, n in made) + thoughts
    reading = read(answer({**usage, "totalTokenCount": read_total + made_total}))
    assert reading.parts[0].usage.input_tokens == read_total
    assert reading.parts[0].usage.output_tokens == made_total
    assert set(texts(reading.reasons)) <= {"cache_modality_unknown"}


@pytest.mark.parametrize("total", [299, 301])
def test_a_total_that_does_not_add_up_is_flagged(total: int) -> None:
    """The leaves must sum to `totalTokenCount`."""
    usage = {"promptTokenCount": 200, "candidatesTokenCount": 100, "totalTokenCount": total}
    assert texts(read(answer(usage)).reasons) == (f"usage_sum_mismatch:total:300!={total}",)


def test_more_cached_than_read_is_a_data_error() -> None:
    """A negative leaf is flagged and left out, never clamped in silence."""
    usage = {"promptTokenCount": 10, "cachedContentTokenCount": 30, "totalTokenCount": 10}
    reading = read(answer(usage))
    assert quantities(reading) == {"cache_read": 30}
    assert "usage_negative:input" in texts(reading.reasons)


def test_the_last_chunk_of_a_stream_counts() -> None:
    """Usage is cumulative in every chunk; thoughts are tokens that nobody sees."""
    thought = {"candidates": [{"content": {"parts": [{"text": "Hm", "thought": True}]}}]}
    early = {"promptTokenCount": 6, "thoughtsTokenCount": 30, "totalTokenCount": 36}
    late = {**early, "candidatesTokenCount": 4, "totalTokenCount": 40}
    reading = read({**thought, "usageMetadata": early}, answer(late), stream=True)
    assert quantities(reading) == {"input": 6, "output": 4, "output.reasoning": 30}
    assert (reading.timing.first_token_ns, reading.timing.first_visible_ns) == (0, 1_000_000)
    assert reading.complete


def test_a_stream_that_breaks_off_is_a_lower_bound() -> None:
    """Without a finish reason the usage so far is a lower bound and the text can be counted."""
    usage = {"promptTokenCount": 6, "candidatesTokenCount": 1, "totalTokenCount": 7}
    reading = read(answer(usage, finishReason=None), stream=True)
    assert quantities(reading) == {"input": 6, "output": 1}
    assert (reading.complete, texts(reading.reasons)) == (False, ("usage_not_final",))
    assert reading.count is not None
    assert reading.count.output == "Hi"


def test_a_whole_array_reads_as_its_chunks() -> None:
    """Without `alt=sse` a stream is one JSON array."""
    usage = {"promptTokenCount": 6, "candidatesTokenCount": 4, "totalTokenCount": 10}
    assert quantities(read([answer(None), answer(usage)])) == {"input": 6, "output": 4}


def test_vertex_may_state_a_traffic_type_alone() -> None:
    """A block without counts is no usage; it still names the tier served."""
    reading = read(answer({"trafficType": "ON_DEMAND"}))
    assert (reading.parts, reading.service_tier) == ((), "ON_DEMAND")
    assert reading.count is not None


@pytest.mark.parametrize(
    ("usage", "headers", "request_body", "tier", "reasons"),
    [
        ({"trafficType": "ON_DEMAND_FLEX"}, {}, {}, "ON_DEMAND_FLEX", ()),
        ({"serviceTier": "priority"}, {}, {"service_tier": "priority"}, "priority", ()),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, {}, {}, "", ()),
        ({"trafficType": 9}, {}, {}, "TRAFFIC_TYPE_9", ()),
        ({}, {"x-gemini-service-tier": "flex"}, {}, "flex", ()),
        ({}, {}, {"serviceTier": "flex"}, "", ("served_tier_unknown",)),
    ],
)
def test_the_tier_served_is_said_in_several_places(
    usage: Mapping[str, Any],
    headers: Mapping[str, str],
    request_body: object,
    tier: str,
    reasons: tuple[str, ...],
) -> None:
    """Asking for a tier is not being served it (BerriAI/litellm#37724)."""
    body = answer({"promptTokenCount": 1, "totalTokenCount": 1, **usage})
    reading = read(body, headers=headers, request=request_body)
    assert (reading.service_tier, reading.parts[0].terms.get("service_tier", "")) == (tier, tier)
    assert texts(reading.reasons) == reasons


GROUNDED = {
    "webSearchQueries": ["a", "b", "a", ""],
    "groundingChunks": [{"web": {"uri": "https://example.org"}}],
}
MAPS = {"webSearchQueries": ["a"], "groundingChunks": [{"maps": {"placeId": "p"}}]}


@pytest.mark.parametrize(
    ("model", "metadata", "expected", "reasons"),
    [
        ("gemini-2.5-pro", GROUNDED, {"grounding.prompts": 1}, ()),
        ("gemini-3.1-pro-preview", GROUNDED, {"grounding.queries": 2}, ()),
        ("gemini-2.5-flash", MAPS, {"grounding.maps": 1}, ()),
        ("gemini-3.6-flash", {**MAPS, "webSearchQueries": ["a", "b"]}, {"grounding.maps": 2}, ()),
        ("gemini-2.5-flash", {"webSearchQueries": []}, {}, ()),
        ("tuned-model", GROUNDED, {"grounding.prompts": 1}, ("grounding_unit_unknown",)),
    ],
)
def test_grounding_is_billed_by_prompt_or_by_query(
    model: str, metadata: object, expected: Mapping[str, int], reasons: tuple[str, ...]
) -> None:
    """2.x is billed by grounded prompt, 3.x by distinct query; an unused tool is free.

    https://ai.google.dev/gemini-api/docs/pricing
    """
    body = answer({"promptTokenCount": 1, "totalTokenCount": 1}, groundingMetadata=metadata)
    reading = read({**body, "modelVersion": model})
    assert quantities(reading) == {"input": 1, **expected}
    assert texts(reading.reasons) == reasons


@pytest.mark.parametrize(
    ("candidate", "flagged"),
    [
        ({"groundingMetadata": GROUNDED}, True),
        ({"groundingMetadata": GROUNDED, "urlContextMetadata": {"urlMetadata": [1]}}, False),
        ({"groundingMetadata": {"groundingChunks": [{"retrievedContext": {}}]}}, False),
    ],
)
def test_what_a_search_brings_in_may_be_free(candidate: Mapping[str, Any], flagged: bool) -> None:
    """The price page says so; the usage counts it among tools that are not, and we say that."""
    usage = {"promptTokenCount": 17, "toolUsePromptTokenCount": 119, "totalTokenCount": 136}
    reading = read(answer(usage, **candidate))
    assert ("search_results_maybe_free" in texts(reading.reasons)) is flagged


def test_calls_code_and_blocks() -> None:
    """Function calls are counted; a blocked prompt has a reason and no candidates."""
    parts = [{"functionCall": {"name": "f", "args": {"a": 1}}}, {"executableCode": {"code": "1"}}]
    usage = {"promptTokenCount": 1, "totalTokenCount": 1}
    assert read(answer(usage, content={"parts": parts})).tool_calls == 1
    blocked = read({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage})
    assert (blocked.finish_reasons, blocked.complete) == (("SAFETY",), True)


def test_vertex_location_is_a_term() -> None:
    """Regional endpoints of Vertex cost more than the global one."""
    path = (
        "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro"
        "%3AstreamGenerateContent"
    )
    reading = read(answer({"promptTokenCount": 1, "totalTokenCount": 1}), path=path)
    assert reading.request_model == "gemini-2.5-pro"
    assert reading.parts[0].terms == {"region": "us-central1"}


def test_embeddings_with_and_without_usage() -> None:
    """Older models state none, so it must be counted; newer ones say `promptTokenDetails`."""
    path = "/v1beta/models/gemini-embedding-2:batchEmbedContents"
    silent = read({"embeddings": [{"values": [0.1]}]}, path=path, request={"requests": [{}]})
    assert (silent.parts, silent.operation) == ((), Operation.EMBEDDINGS)
    assert silent.count is not None
    assert silent.count.request == {"requests": [{}]}
    usage = {"promptTokenCount": 270, "promptTokenDetails": split(text=12, image=258)}
    stated = read({"embeddings": [], "usageMetadata": usage}, path=path)
    assert quantities(stated) == {"input": 12, "input.image": 258}


def test_a_token_cache_states_its_size_and_not_its_storage() -> None:
    """Storage is billed by the token-hour until deletion, which no response tells."""
    body = {
        "name": "cachedContents/c1",
        "model": "models/m",
        "usageMetadata": {"totalTokenCount": 9},
    }
    reading = read(body, path="/v1beta/cachedContents")
    assert (reading.response_id, reading.response_model) == ("cachedContents/c1", "m")
    assert reading.attributes["cache.stored_tokens"] == 9
    assert "cache_storage_not_reported" in texts(reading.reasons)
    assert (reading.parts, reading.count) == ((), None)


def test_predictions_of_vertex() -> None:
    """Text embeddings state tokens, Imagen is billed by the image made."""
    path = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict"
    vectors = [{"embeddings": {"statistics": {"token_count": n}}} for n in (3, 4)]
    assert quantities(read({"predictions": vectors}, path=path)) == {"input": 7}
    images = [{"bytesBase64Encoded": "AA=="}, {"raiFilteredReason": "no"}]
    assert quantities(read({"predictions": images}, path=path)) == {"images": 1}


def test_a_video_is_billed_by_the_second_asked_for() -> None:
    """Eight seconds are the default; the charge is flagged until the video exists."""
    path = "/v1beta/models/veo-3.1-generate-preview:predictLongRunning"
    asked = {"parameters": {"resolution": "1080p", "sampleCount": 2, "generateAudio": True}}
    reading = read({"name": "operations/o1"}, path=path, request=asked)
    assert quantities(reading) == {"video_seconds": 16}
    assert reading.parts[0].terms == {"resolution": "1080p", "with_audio": True}
    assert texts(reading.reasons) == ("video_not_yet_made",)


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", "/v1beta/models/gemini-2.5-flash:countTokens", "token_counting"),
        ("POST", "/v1beta/models/m:batchGenerateContent", "billed_by_item"),
        ("GET", "/v1beta/cachedContents/c1", "no_charge_endpoint"),
        ("GET", "/v1beta/interactions/i1", "poll"),
        ("POST", "/v1/projects/p/locations/l/batchPredictionJobs", "batch_results_elsewhere"),
    ],
)
def test_what_is_not_charged(method: str, path: str, reason: str) -> None:
    """These calls are free, and say why."""
    reading = read({"totalTokens": 5}, path=path, method=method)
    assert (reading.billable, reading.parts, texts(reading.reasons)) == (False, (), (reason,))
