"""What a reading says besides its usage: endpoint, errors without secrets, head facts, times."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects import table
from proxy.exchange import Begun, Operation, Reading, ResponseHead, Timing
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions

PATH = "/v1/chat/completions"
JSON = "application/json"
SSE = "text/event-stream"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
BODY = json.dumps({"model": "m", "choices": [], "usage": USAGE}).encode()


def event(**fields: object) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def delta(**fields: object) -> bytes:
    return event(model="m", choices=[{"index": 0, "delta": fields}])


def call(
    body: bytes,
    *,
    path: str = PATH,
    method: str = "POST",
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    request: bytes = b'{"model": "gpt-4o"}',
    request_headers: Iterable[tuple[str, str]] = (),
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
    reader = CallReader(begun, None, MeteringOptions())
    reader.request(request, 0)
    reader.head(ResponseHead(status=status, headers=(("Content-Type", JSON), *headers)), 0)
    reader.response(body, 0)
    return reader.close()


@pytest.mark.parametrize(
    ("usage", "reason"),
    [(USAGE, "error_with_usage"), (None, "http_error"), ({"total_tokens": 0}, "http_error")],
)
def test_an_error_that_says_what_it_used(usage: object, reason: str) -> None:
    """Errors are free, but whoever states usage may bill it: that is unknown, and not 0."""
    failed = {"error": {"message": "died", "type": "server_error"}, "usage": usage}
    found = call(json.dumps(failed).encode(), status=500)
    assert (found.billable, texts(found.reasons)) == (reason == "error_with_usage", (reason,))
    assert (found.parts, found.error_type) == ((), "server_error")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            {"error": {"message": "No.", "type": "invalid_request_error"}},
            "invalid_request_error",
            "No.",
        ),
        (
            {"error": {"message": "No.", "type": None, "code": "model_not_found"}},
            "model_not_found",
            "No.",
        ),
        ([{"error": {"code": 404, "message": "No.", "status": "NOT_FOUND"}}], "NOT_FOUND", "No."),
        ({"error": "No."}, "400", "No."),
        ({"code": "InvalidApiKey", "message": "No."}, "InvalidApiKey", "No."),
        ({"message": "No."}, "400", "No."),
        ({"detail": "No."}, "400", "No."),
        ("<html>No.</html>", "400", "<html>No.</html>"),
        (None, "400", ""),
    ],
)
def test_an_error_response(body: object, kind: str, message: str) -> None:
    """A 4xx is not billed; its error is named in whatever shape it comes."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reading = call(b"" if body is None else data, status=400)
    assert not reading.billable
    assert texts(reading.reasons) == ("http_error",)
    assert reading.error_type == kind
    assert reading.error_message == message
    assert reading.count is None
    assert reading.request_model == "gpt-4o"


SECRETS = [
    "sk-proj-abcdefghijklmnop",
    "sk-abc***************wxyz",
    "AIzaSyA1234567890abcdefghijk",
    "Bearer abc.def",
    "gsk_1234567890abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "0123456789abcdef0123456789abcdef",
    "api_key=hunter2",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_in_an_error(secret: str) -> None:
    """What looks like a credential is taken out of error text before it is kept."""
    body = {
        "error": {"message": f"Incorrect API key provided: {secret}. Try again.", "type": "auth"}
    }
    message = call(json.dumps(body).encode(), status=401).error_message
    assert re.split("[= ]", secret)[-1] not in message
    assert message.startswith("Incorrect API key provided")


def test_error_text_is_bounded() -> None:
    """A long error is cut, and never in the middle of a key."""
    body = {"error": {"message": "word " * 98 + "sk-abcdefghijklmnopqrstuvwxyz" + "x" * 90_000}}
    message = call(json.dumps(body).encode(), status=500).error_message
    assert len(message) <= 500
    assert "sk-abc" not in message


def test_a_redirect_is_not_billed() -> None:
    """Neither is a redirect."""
    assert not call(b"", status=307).billable


def test_header_facts() -> None:
    """What the head says is kept: the provider's own time, what is left of limits, its id."""
    headers = [
        ("OpenAI-Processing-MS", "565"),
        ("x-ratelimit-remaining-tokens", "39999995"),
        ("x-ratelimit-remaining-requests", "unlimited"),
        ("X-Request-Id", "req_1"),
    ]
    assert call(BODY, headers=headers).attributes == {
        "provider_ms": 565,
        "ratelimit.remaining_tokens": 39999995,
        "provider_request_id": "req_1",
    }


def test_session_of_a_client() -> None:
    """Clients that name their session in a header have it in the reading."""
    reading = call(BODY, request_headers=[("X-Claude-Code-Session-Id", "abc")])
    assert reading.session_id == "abc"


def timed(*events: tuple[int, bytes]) -> Timing:
    reader = CallReader(
        Begun(call_id="c", wall_ns=0, method="POST", target=PATH, provider="openai", upstream=""),
        None,
        MeteringOptions(),
        7_000_000,
    )
    reader.head(ResponseHead(status=200, headers=(("content-type", SSE),)), 7_000_000)
    for at_ms, data in events:
        reader.response(data, (7 + at_ms) * 1_000_000)
    return reader.close().timing


def test_timing() -> None:
    """A role is no token; reasoning is one that nobody sees; gaps lie between arrivals."""
    timing = timed(
        (5, delta(role="assistant", content="")),
        (10, delta(reasoning_content="Let me")),
        (20, delta(reasoning_content=" think")),
        (40, delta(content="He") + delta(content="llo")),
        (140, delta(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{}"}}])),
        (150, event(choices=[], usage=USAGE)),
    )
    assert timing.first_token_ns == 10_000_000
    assert timing.first_visible_ns == 40_000_000
    assert timing.last_token_ns == 140_000_000
    assert timing.gap_max_us == 100_000
    assert timing.gap_p50_us == pytest.approx(20_000, rel=0.02)
    assert timing.gap_p95_us == pytest.approx(100_000, rel=0.02)


def test_no_timing_without_a_stream() -> None:
    """A call that is not streamed has no time of a first token."""
    assert call(BODY).timing == Timing()


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/chat/completions", "openai.chat"),
        ("POST", "/v1/chat/completions/", "openai.chat"),
        ("post", "/openai/v1/chat/completions", "openai.chat"),
        ("POST", "/compatible-mode/v1/chat/completions", "openai.chat"),
        ("POST", "/api/paas/v4/chat/completions", "openai.chat"),
        ("POST", "/openai/deployments/D/chat/completions", "openai.chat"),
        ("POST", "/v1beta/openai/chat/completions", "openai.chat"),
        ("POST", "/inference/v1/completions", "openai.completions"),
        ("POST", "/v1/responses", "openai.responses"),
        ("POST", "/responses", "openai.responses"),
        ("GET", "/v1/responses", "openai.responses"),
        ("GET", "/v1/responses/resp_1", "openai.responses.fetch"),
        ("POST", "/v1/responses/resp_1/cancel", "openai.responses.fetch"),
        ("POST", "/v1/responses/compact", "openai.responses.compact"),
        ("POST", "/v1/responses/input_tokens", "openai.responses.input_tokens"),
        ("POST", "/v1/embeddings", "openai.embeddings"),
        ("POST", "/v1/moderations", "openai.moderations"),
        ("POST", "/v1/images/edits", "openai.images"),
        ("POST", "/v1/audio/translations", "openai.audio.transcriptions"),
        ("POST", "/v1/audio/speech", "openai.audio.speech"),
        ("POST", "/v1/files", "openai.files"),
        ("GET", "/v1/files/file-1/content", "openai.files.content"),
        ("GET", "/v1/batches/batch_1", "openai.batches"),
        ("GET", "/v1/realtime", "openai.realtime"),
        ("POST", "/v1/realtime/client_secrets", "openai.realtime.client_secrets"),
        ("GET", "/v1/models", "other"),
        ("POST", "/v1/chat/completions/x", "other"),
        ("POST", "", "other"),
    ],
)
def test_endpoint(method: str, path: str, name: str) -> None:
    """The method and the end of the path tell the endpoint, whatever comes before."""
    assert table.find(method, path).name == name


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_an_unknown_read_is_free(method: str) -> None:
    """Reading something unknown is not billed if its JSON states neither usage nor cost."""
    reading = call(b'{"object": "list"}', method=method, path="/v1/models", request=b"")
    assert not reading.billable
    assert texts(reading.reasons) == ("no_usage_stated",)


def test_an_unknown_write_is_unknown() -> None:
    """A POST that nobody knows is not free: it is unknown."""
    reading = call(b'{"result": 1}', path="/v1/new-thing")
    assert reading.billable
    assert reading.operation is Operation.OTHER
    assert set(texts(reading.reasons)) == {"unknown_endpoint", "no_usage"}
    assert reading.count is None


def test_an_unknown_write_with_usage_is_read() -> None:
    """If it states usage as OpenAI does, that is believed."""
    reading = call(BODY, path="/v1/new-thing")
    assert reading.parts[0].usage.quantities[Meter.INPUT] == 9


@pytest.mark.parametrize(
    ("said", "usd"),
    [("0.000125", "0.000125"), ("1.25e-05", "0.0000125"), ("nan", None), ("-1", None), ("", None)],
)
def test_a_gateway_states_its_cost_in_a_header(said: str, usd: str | None) -> None:
    """LiteLLM's response cost is kept exactly; anything that is no amount is left out."""
    body = (
        b'{"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'
    )
    reading = call(body, headers=[("x-litellm-response-cost", said)])
    assert reading.reported_usd == (None if usd is None else Decimal(usd))


def test_what_a_gateway_did_is_kept() -> None:
    """Its cache, its retries and the upstream it chose are facts about the call."""
    headers = [
        ("x-portkey-cache-status", "HIT"),
        ("x-portkey-retry-attempt-count", "2"),
        ("x-litellm-model-api-base", "https://api.openai.com"),
    ]
    attributes = call(b'{"model": "gpt-4o"}', headers=headers).attributes
    assert attributes["gateway.cache_status"] == "HIT"
    assert attributes["gateway.retries"] == 2
    assert attributes["gateway.upstream"] == "https://api.openai.com"
