"""Jobs and unknown calls: charged where their usage first shows, and free only by proof."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from pricing.cause import texts
from pricing.usage import Meter
from proxy.exchange import Begun, Operation, Reading, ResponseHead
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions, Provider

JSON, SSE = "application/json", "text/event-stream"
USAGE = {"prompt_tokens": 40, "completion_tokens": 8, "total_tokens": 48}


def call(
    body: bytes | Sequence[object] | Mapping[str, object],
    path: str,
    *,
    method: str = "GET",
    kind: str = JSON,
    status: int = 200,
    request: object = None,
    dialect: str = "openai",
) -> Reading:
    """The reading of a call; a list of frames is a WebSocket."""
    begun = Begun(
        call_id="call",
        wall_ns=0,
        method=method,
        target=path,
        provider="p",
        upstream="https://provider.example",
        websocket=status == 101,
    )
    provider = Provider(name="p", base_url="", dialect=dialect)
    reader = CallReader(begun, provider, MeteringOptions())
    if request is not None:
        reader.request(json.dumps(request).encode(), 0)
    headers = (("content-type", kind),) if kind else ()
    reader.head(ResponseHead(status=status, headers=headers), 0)
    if isinstance(body, list):
        for frame in body:
            reader.message(False, b"\x01" + json.dumps(frame).encode(), 0)
    else:
        reader.response(body if isinstance(body, bytes) else json.dumps(body).encode(), 0)
    return reader.close()


def charged(reading: Reading) -> list[tuple[str, str, dict[str, int]]]:
    """(item, model, quantities) of each part."""
    return [
        (
            part.item,
            part.model or reading.response_model,
            {m.value: int(n) for m, n in part.usage.quantities.items() if m != Meter.REQUESTS},
        )
        for part in reading.parts
    ]


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            "/v1/threads/t1/runs/run_1",
            {"id": "run_1", "model": "m", "status": "completed", "usage": USAGE},
            ("run_1", "m", {"input": 40, "output": 8}),
        ),
        (
            "/async/chat/completions/job_1",
            {
                "id": "job_1",
                "status": "COMPLETED",
                "response": {"id": "c", "model": "m", "usage": USAGE},
            },
            ("job_1", "m", {"input": 40, "output": 8}),
        ),
        (
            "/v1/chat/deferred-completion/req_1",
            {"model": "m", "choices": [{"message": {"content": "x"}}], "usage": USAGE},
            ("req_1", "m", {"input": 40, "output": 8}),
        ),
        (
            "/v1/fine_tuning/jobs/ft_1",
            {"id": "ft_1", "model": "m", "status": "succeeded", "trained_tokens": 900},
            ("ft_1", "m", {"training_tokens": 900}),
        ),
    ],
)
def test_a_job_is_an_item(path: str, body: dict[str, object], expected: object) -> None:
    """The result of a job is named, so that only the first call that shows it is charged."""
    reading = call(body, path)
    assert (reading.billable, charged(reading)) == (True, [expected])
    assert reading.parts[0].item == reading.response_id


def test_a_cost_is_read_where_a_job_states_nothing_else() -> None:
    """A video job may state its price only."""
    body = {
        "status": "done",
        "video": {"duration": 6},
        "usage": {"cost_in_usd_ticks": 3_000_000_000},
    }
    reading = call(body, "/v1/videos/req_2")
    assert (reading.reported_usd, reading.parts[0].item) == (Decimal("0.3"), "req_2")


@pytest.mark.parametrize(
    ("path", "request_body", "body"),
    [
        ("/async/chat/completions", {"request": {}}, {"id": "j", "status": "CREATED"}),
        (
            "/v1/chat/completions",
            {"deferred": True, "messages": [{"role": "user", "content": "Hi"}]},
            {"request_id": "r"},
        ),
        ("/v1/videos/generations", {"prompt": "x"}, {"request_id": "r"}),
        ("/v1/fine_tuning/jobs", {"model": "m"}, {"id": "f", "status": "validating_files"}),
        ("/v1beta/interactions", {"background": True}, {"id": "i", "status": "in_progress"}),
    ],
)
def test_the_start_of_a_job_says_that_its_usage_comes_later(
    path: str, request_body: object, body: dict[str, object]
) -> None:
    """It is neither free nor an estimate of its prompt."""
    dialect = "gemini" if "beta" in path else "openai"
    reading = call(body, path, method="POST", request=request_body, dialect=dialect)
    assert (reading.billable, reading.parts, reading.count) == (True, (), None)
    assert "background_usage_comes_later" in texts(reading.reasons)


def test_an_interaction_is_an_item_of_every_call_that_shows_it() -> None:
    """The call that begins one and the call that fetches it name it alike."""
    usage = {"total_input_tokens": 40, "total_output_tokens": 8, "total_tokens": 48}
    body = {"id": "i1", "model": "m", "status": "completed", "usage": usage}
    begun = call(body, "/v1beta/interactions", method="POST", request={}, dialect="gemini")
    fetched = call(body, "/v1beta/interactions/i1", dialect="gemini")
    assert charged(begun) == charged(fetched) == [("i1", "m", {"input": 40, "output": 8})]
    assert fetched.operation is Operation.GENERATE_CONTENT


@pytest.mark.parametrize(
    ("path", "body", "dialect"),
    [
        ("/v1/threads/t1/runs/run_1", {"id": "run_1", "status": "in_progress"}, "openai"),
        (
            "/v1/jobs/j",
            {"id": "j", "status": "running", "usage": {"input_tokens": 3}},
            "openai",
        ),
        ("/v1/chat/deferred-completion/req_1", b"", "openai"),
        ("/v1beta/interactions/i1", {"id": "i1", "status": "in_progress"}, "gemini"),
    ],
)
def test_a_job_that_is_not_done_is_a_poll(
    path: str, body: bytes | dict[str, object], dialect: str
) -> None:
    """Nothing is charged before it is done, nor claimed."""
    reading = call(body, path, dialect=dialect)
    assert (reading.billable, reading.parts, texts(reading.reasons)) == (False, (), ("poll",))


@pytest.mark.parametrize(
    ("method", "status", "body"),
    [
        ("GET", 200, b'{"object": "list", "data": [{"id": "m", "usage": 3}]}'),
        ("GET", 200, b'[{"id": "m"}, {"id": "n"}]'),
        ("GET", 204, b""),
        ("DELETE", 200, b"gone"),
        ("OPTIONS", 200, b""),
    ],
)
def test_what_provably_states_nothing_is_free(method: str, status: int, body: bytes) -> None:
    """JSON without usage or cost, an empty answer, and methods that make nothing."""
    reading = call(body, "/v1/new", method=method, status=status)
    assert (reading.billable, texts(reading.reasons)) == (False, ("no_usage_stated",))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (SSE, b'data: {"type": "speech", "audio": "AAAA"}\n\n'),
        ("audio/mpeg", b"\xff\xfb\x90\x00" * 9),
        ("video/mp4", b"\x00\x00\x00\x18ftyp" * 9),
        ("text/plain", b"spoken words"),
    ],
)
def test_streams_and_media_of_unknown_routes_are_not_free(kind: str, body: bytes) -> None:
    """They may be billed without a word."""
    reading = call(body, "/v1/new/stream", kind=kind)
    assert reading.billable
    assert "unknown_endpoint" in texts(reading.reasons)


def test_an_unknown_socket_is_never_free_and_never_whole() -> None:
    """What it states is read by shape: the last figures of each thing that has a name."""
    frames: list[object] = [
        {"type": "hello", "session": {"id": "s1", "model": "live"}},
        {"type": "tick", "usage": {"seconds": 2}},
        {"type": "inner", "event": {"response": {"id": "r1", "model": "m", "usage": USAGE}}},
        {"type": "bye", "usage": {"seconds": 7.5}},
    ]
    reading = call(frames, "/v1/new/socket", status=101, kind="")
    assert charged(reading) == [
        ("", "live", {"session_seconds": 7}),
        ("", "m", {"input": 40, "output": 8}),
    ]
    assert "unknown_endpoint" in texts(reading.reasons)
    silent = call([{"type": "audio"}], "/v1/new/socket", status=101, kind="")
    assert silent.billable
    assert "unknown_endpoint" in texts(silent.reasons)


def test_an_event_stream_that_is_fetched_states_what_it_states() -> None:
    """An agent's events each count their own model calls; whether that is all is not known."""
    events = [
        {"id": f"e{n}", "type": "span.end", "model_usage": {"input_tokens": n, "output_tokens": 1}}
        for n in (3, 4)
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    reading = call(body, "/v1/sessions/s/events/stream", kind=SSE)
    assert [quantities for _, _, quantities in charged(reading)] == [
        {"input": 3, "output": 1},
        {"input": 4, "output": 1},
    ]
    assert "unknown_endpoint" in texts(reading.reasons)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/v1/chat/completions/c1", "repeats_usage"),
        ("/api/v1/generation", "repeats_usage"),
        ("/v1/videos/v1/content", "no_charge_endpoint"),
        ("/health", "no_charge_endpoint"),
    ],
)
def test_routes_that_are_free_by_name(path: str, reason: str) -> None:
    """A stored completion was charged when it was made; a download is what was paid for."""
    reading = call({"id": "c1", "usage": USAGE}, path)
    assert (reading.billable, texts(reading.reasons)) == (False, (reason,))
