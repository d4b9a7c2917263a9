"""The attributes of a call's span: the whole set, in both generations of the conventions."""

import re
from decimal import Decimal

import pytest
from msgspec.structs import replace

from exporters.otel.facts import NAMED, TEXTS, TYPED
from exporters.otel.semconv import PROFILES, attributes, failed, span_name
from exporters.record import Record
from pricing.usage import Meter
from support.rooms import ROOT

FULL = Record(
    ts_us=1_760_000_000_000_000,
    call_id="0199c6a1-0000-7000-8000-000000000001",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    session_id="c1",
    project="shop",
    environment="prod",
    team="search",
    feature="answers",
    user_id="u1",
    key_id="k1",
    prompt_name="greeting",
    prompt_version="3",
    provider="openai",
    upstream="api.openai.com",
    region="eu",
    endpoint="openai.chat",
    operation="chat",
    request_model="gpt-4o",
    response_model="gpt-4o-2024-08-06",
    response_id="chatcmpl-1",
    service_tier="priority",
    stream=True,
    attempt=2,
    http_status=200,
    outcome="ok",
    finish_reason="stop,length",
    usage={
        "input": Decimal(60),
        "cache_read": Decimal(700),
        "cache_read.image": Decimal(100),
        "cache_write_5m": Decimal(100),
        "input.audio": Decimal(40),
        "output": Decimal(15),
        "output.image": Decimal(5),
        "output.reasoning": Decimal(30),
        "audio_seconds": Decimal("1.5"),
    },
    usage_origin="reported",
    input_tokens_total=1_000,
    output_tokens_total=50,
    cache_read_tokens=800,
    cache_write_tokens=100,
    reasoning_tokens=30,
    cost_usd=Decimal("0.0125"),
    cost_input_usd=Decimal("0.01"),
    cost_output_usd=Decimal("0.002"),
    cost_cache_read_usd=Decimal("0.0004"),
    cost_cache_write_usd=Decimal("0.0001"),
    cost_other_usd=Decimal(0),
    reported_usd=Decimal("0.0126"),
    cost_status="exact",
    reasons=("a_reason",),
    tariff="openai/2026-11-01",
    duration_us=2_000_000,
    first_byte_us=250_000,
    first_token_us=300_000,
    first_visible_us=400_000,
    gap_p50_us=10_000,
    gap_p95_us=20_000,
    gap_max_us=30_000,
    overhead_us=500,
    caller_wait_us=100,
    provider_us=1_900_000,
    request_bytes=1_234,
    response_bytes=4_321,
    dropped_bytes=7,
    tool_calls=1,
    tags={"branch": "main"},
    attributes={
        "request.temperature": "0.5",
        "request.top_p": "0.9",
        "request.top_k": "40",
        "request.max_tokens": "256",
        "request.frequency_penalty": "0.1",
        "request.presence_penalty": "0.2",
        "request.seed": "7",
        "request.choice.count": "2",
        "request.reasoning.level": "low",
        "request.previous_response.id": "resp_0",
        "request.service_tier": "flex",
        "request.speed": "fast",
        "output.type": "json",
        "response.system_fingerprint": "fp_1",
        "trace.sampled": "1",
        "link.trace_id": "00",
        "link.span_id": "00",
        "trace.state": "a=1",
        "baggage.tenant.id": "acme",
        "request.stop_sequences": '["END","\\n"]',
        "request.encoding_formats": '["float"]',
        "embeddings.dimension.count": "256",
        "ratelimit.remaining_tokens": "99",
        "provider_ms": "12.5",
        "provider.load_ms": "7",
        "response.code": "True",
        "response.refusal": "policy",
        "batch.succeeded": "3",
        "batch.state": "ended",
    },
    node="n1",
    client="openai-python/3.54.0",
)

# Golden: a name that changes here changes for everybody's dashboards.
LATEST = {
    "gen_ai.conversation.id": "c1",
    "gen_ai.operation.name": "chat",
    "gen_ai.output.type": "json",
    "gen_ai.prompt.name": "greeting",
    "gen_ai.prompt.version": "3",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.choice.count": 2,
    "gen_ai.request.frequency_penalty": 0.1,
    "gen_ai.request.max_tokens": 256,
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.presence_penalty": 0.2,
    "gen_ai.request.previous_response.id": "resp_0",
    "gen_ai.request.reasoning.level": "low",
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ("END", "\n"),
    "gen_ai.request.encoding_formats": ("float",),
    "gen_ai.embeddings.dimension.count": 256,
    "gen_ai.request.stream": True,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_k": 40,
    "gen_ai.request.top_p": 0.9,
    "gen_ai.response.finish_reasons": ("stop", "length"),
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.time_to_first_chunk": 0.25,
    "gen_ai.usage.audio.input_tokens": 40,
    "gen_ai.usage.image.cache_read.input_tokens": 100,
    "gen_ai.usage.image.input_tokens": 100,
    "gen_ai.usage.image.output_tokens": 5,
    "gen_ai.usage.text.cache_read.input_tokens": 700,
    "gen_ai.usage.text.input_tokens": 860,
    "gen_ai.usage.text.output_tokens": 45,
    "gen_ai.usage.cache_read.input_tokens": 800,
    "gen_ai.usage.cache_write.input_tokens": 100,
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.reasoning.output_tokens": 30,
    "openai.api.type": "chat_completions",
    "openai.request.service_tier": "flex",
    "openai.response.service_tier": "priority",
    "openai.response.system_fingerprint": "fp_1",
    "server.address": "api.openai.com",
    "server.port": 443,
    "taximeter.attempt": 2,
    "taximeter.call.id": "0199c6a1-0000-7000-8000-000000000001",
    "taximeter.caller_wait": 0.0001,
    "taximeter.client": "openai-python/3.54.0",
    "taximeter.cost.cache_read": 0.0004,
    "taximeter.cost.cache_write": 0.0001,
    "taximeter.cost.currency": "USD",
    "taximeter.cost.input": 0.01,
    "taximeter.cost.other": 0.0,
    "taximeter.cost.output": 0.002,
    "taximeter.cost.price_version": "openai/2026-11-01",
    "taximeter.cost.reasons": ("a_reason",),
    "taximeter.cost.reported": 0.0126,
    "taximeter.cost.status": "exact",
    "taximeter.cost.total": 0.0125,
    "taximeter.dropped.bytes": 7,
    "taximeter.endpoint": "openai.chat",
    "taximeter.environment": "prod",
    "taximeter.feature": "answers",
    "taximeter.http.status_code": 200,
    "taximeter.key.id": "k1",
    "taximeter.meter.audio_seconds": 1.5,
    "taximeter.meter.cache_read": 700.0,
    "taximeter.meter.cache_read_image": 100.0,
    "taximeter.meter.cache_write_5m": 100.0,
    "taximeter.meter.input": 60.0,
    "taximeter.meter.input_audio": 40.0,
    "taximeter.meter.output": 15.0,
    "taximeter.meter.output_image": 5.0,
    "taximeter.meter.output_reasoning": 30.0,
    "taximeter.node": "n1",
    "taximeter.outcome": "ok",
    "taximeter.overhead": 0.0005,
    "taximeter.project": "shop",
    "taximeter.baggage.tenant_id": "acme",
    "taximeter.batch.state": "ended",
    "taximeter.batch.succeeded": 3,
    "taximeter.provider.load_ms": 7.0,
    "taximeter.provider.name": "openai",
    "taximeter.provider_ms": 12.5,
    "taximeter.provider_time": 1.9,
    "taximeter.ratelimit.remaining_tokens": 99,
    "taximeter.region": "eu",
    "taximeter.request.bytes": 1_234,
    "taximeter.request.speed": "fast",
    "taximeter.response.bytes": 4_321,
    "taximeter.response.code": True,
    "taximeter.response.refusal": True,
    "taximeter.response.refusal_category": "policy",
    "taximeter.service_tier": "priority",
    "taximeter.tag.branch": "main",
    "taximeter.team": "search",
    "taximeter.time_between_chunks.max": 0.03,
    "taximeter.time_between_chunks.p50": 0.01,
    "taximeter.time_between_chunks.p95": 0.02,
    "taximeter.time_to_first_token": 0.3,
    "taximeter.time_to_first_visible_token": 0.4,
    "taximeter.tool_calls": 1,
    "taximeter.usage.origin": "reported",
    "taximeter.user.id": "u1",
    "user.id": "u1",
}
MODALITIES = ("gen_ai.usage.text.", "gen_ai.usage.image.", "gen_ai.usage.audio.")
COMPAT = {
    **{name: value for name, value in LATEST.items() if not name.startswith(MODALITIES)},
    "gen_ai.usage.cache_creation.input_tokens": 100,
    "gen_ai.usage.cost": 0.0125,
}

BARE = Record(ts_us=1, call_id="c", provider="acme", outcome="ok", cost_status="unpriced")


def test_latest() -> None:
    """The newest conventions: the whole set, and every value in its type."""
    found = attributes(FULL, "latest")
    assert found == LATEST
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in LATEST.items()
    }


def test_compat() -> None:
    """The default adds the older cache name and the cost name that others read."""
    assert attributes(FULL) == COMPAT


@pytest.mark.parametrize("profile", PROFILES)
def test_unknown_is_absent(profile: str) -> None:
    """Nothing is sent for what is not known: no empty text, no zero usage, no zero cost."""
    found = attributes(BARE, profile)  # type: ignore[arg-type]  # PROFILES are the literals
    assert not any(name.startswith("gen_ai.usage.") for name in found)
    assert "taximeter.cost.total" not in found
    assert "server.port" not in found
    assert found["taximeter.cost.status"] == "unpriced"
    assert not any(value is None or value == "" for value in found.values())


def test_no_name_is_a_namespace() -> None:
    """No attribute's name is the prefix of another's, which some stores cannot hold."""
    tagged = replace(
        FULL,
        tags={"a": "1", "a.b": "2"},
        usage={meter.value: Decimal(1) for meter in Meter},
        attributes=dict.fromkeys((*NAMED, *TYPED, *TEXTS), "1")
        | {"baggage.a": "1", "baggage.a.b": "2"},
    )
    for profile in PROFILES:
        names = set(attributes(tagged, profile))
        for name in names:
            parts = name.split(".")
            assert not names & {".".join(parts[:end]) for end in range(1, len(parts))}


EVENTS = {  # of OpenAI's streams, which are spelled like attributes
    *("response.create", "response.created", "response.done", "response.output_item.done"),
}


def test_every_fact_has_a_type() -> None:
    """Each attribute that a dialect or a head notes is in a table: none is text by default."""
    noted: set[str] = set()
    for path in (*(ROOT / "proxy" / "dialects").rglob("*.py"), ROOT / "proxy/reading/heads.py"):
        text = path.read_text()
        noted |= {
            a or b for a, b in re.findall(r'attributes\["([a-z_.]+)"\]|found\["([a-z_]+)"\]', text)
        }
        noted |= set(
            re.findall(
                r'"((?:request|response|output|usage|ratelimit|gateway|provider)\.[a-z_.]+)"', text
            )
        )
    assert len(noted) > 30
    assert noted - EVENTS <= {*NAMED, *TYPED, *TEXTS}


@pytest.mark.parametrize(
    ("status", "calls", "expected"),
    [
        ("completed", 0, "stop"),
        ("completed", 1, "tool_calls"),
        ("max_output_tokens", 0, "length"),
        ("content_filter", 0, "content_filter"),
        ("failed", 0, "error"),
    ],
)
def test_finish_of_responses(status: str, calls: int, expected: str) -> None:
    """A response that ended in a status has a finish reason as any other answer."""
    record = replace(FULL, endpoint="openai.responses", finish_reason=status, tool_calls=calls)
    assert attributes(record)["gen_ai.response.finish_reasons"] == (expected,)


@pytest.mark.parametrize(
    ("operation", "kind"), [("image_generation", "image"), ("speech", "speech"), ("chat", None)]
)
def test_output_type(operation: str, kind: str | None) -> None:
    """What makes pictures or speech says so."""
    assert attributes(replace(BARE, operation=operation)).get("gen_ai.output.type") == kind


def test_odd_lists() -> None:
    """One text is a list of one; a list of anything else stays text under our own name."""
    found = attributes(replace(FULL, attributes={"request.stop_sequences": "END"}))
    assert found["gen_ai.request.stop_sequences"] == ("END",)
    found = attributes(replace(FULL, attributes={"request.stop_sequences": "[1]"}))
    assert found["taximeter.request.stop_sequences"] == "[1]"


def test_estimates() -> None:
    """A guess goes under our own names, never under the convention's usage."""
    found = attributes(replace(FULL, usage_origin="estimated"))
    assert "gen_ai.usage.input_tokens" not in found
    assert found["taximeter.usage.input_tokens"] == 1_000
    assert found["taximeter.usage.output_tokens"] == 50
    assert found["taximeter.usage.origin"] == "estimated"


def test_counts() -> None:
    """What we counted by the provider's own method is usage."""
    assert attributes(replace(FULL, usage_origin="counted"))["gen_ai.usage.input_tokens"] == 1_000


def test_fetched_response() -> None:
    """Fetching a response again repeats its usage, which must not be added up twice."""
    found = attributes(replace(FULL, operation="fetch_response"))
    assert not any(
        name.startswith("gen_ai.usage.") for name in found if name != "gen_ai.usage.cost"
    )


@pytest.mark.parametrize(
    ("outcome", "error", "expected"),
    [("http_error", "429", "429"), ("client_gone", "", "client_gone"), ("ok", "", None)],
)
def test_error_type(outcome: str, error: str, expected: str | None) -> None:
    """A failed call has an error type, a good one never."""
    record = replace(FULL, outcome=outcome, error_type=error)
    assert attributes(record).get("error.type") == expected
    assert failed(record) == (expected is not None)


def test_cut_stream() -> None:
    """A stream that was cut before it gave a reason finishes with `error`."""
    record = replace(FULL, outcome="upstream_cut", finish_reason="")
    assert attributes(record)["gen_ai.response.finish_reasons"] == ("error",)


def test_not_streamed() -> None:
    """A call that is not streamed has no first chunk and no stream flag."""
    found = attributes(replace(FULL, stream=False))
    assert "gen_ai.response.time_to_first_chunk" not in found
    assert "gen_ai.request.stream" not in found


@pytest.mark.parametrize(
    ("upstream", "host", "port"),
    [
        ("api.openai.com", "api.openai.com", 443),
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("[::1]:8000", "::1", 8000),
        ("[::1]", "::1", 443),
    ],
)
def test_server(upstream: str, host: str, port: int) -> None:
    """The server is the one behind the proxy, with its port."""
    found = attributes(replace(FULL, upstream=upstream))
    assert (found["server.address"], found["server.port"]) == (host, port)


def test_provider_names() -> None:
    """The convention's provider name may differ from the configured one, which stays beside it."""
    found = attributes(replace(FULL, provider="gemini"), names={"gemini": "gcp.gemini"})
    assert found["gen_ai.provider.name"] == "gcp.gemini"
    assert found["taximeter.provider.name"] == "gemini"
    assert "openai.response.service_tier" not in found
    assert found["taximeter.service_tier"] == "priority"


def test_odd_facts() -> None:
    """A parameter that is no number, or none that 64 bits hold, stays as text."""
    facts = {"request.max_tokens": "many", "request.seed": str(10**30)}
    found = attributes(replace(FULL, attributes=facts))
    assert found["taximeter.request.max_tokens"] == "many"
    assert found["gen_ai.request.seed"] == str(10**30)


def test_defaults_are_not_sent() -> None:
    """One choice and the automatic tier are what everybody has: not sent."""
    facts = {"request.choice.count": "1", "request.service_tier": "auto"}
    found = attributes(replace(FULL, attributes=facts))
    assert "gen_ai.request.choice.count" not in found
    assert "openai.request.service_tier" not in found


def test_span_names() -> None:
    """Operation and model; the operation alone where no model was asked for."""
    assert span_name(FULL) == "chat gpt-4o"
    assert span_name(replace(FULL, request_model="")) == "chat"
