"""What callers of each provider are told: its own answer, over a real socket, with our facts."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pricing.budget import Budget
from pricing.window import Window
from proxy.gate.answers import answer, shape_of
from proxy.gate.layout import whole
from proxy.gate.verdict import Cause, Refusal
from support.budget_bench import Machine, machine_in
from support.relay_bench import Bench, Message, answering, bench

SPENT = Budget(name="b", limit_usd=Decimal(0), action="block", scope={"user": "*"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
LEFT_S = 36 * 3600
PATHS = {
    "/openai/v1/chat/completions": "openai",
    "/openai/v1/responses": "openai",
    "/gemini/v1beta/openai/chat/completions": "openai",
    "/anthropic/v1/messages": "anthropic",
    "/gemini/v1beta/models/gemini-2.5-pro:streamGenerateContent": "gemini",
    "/bedrock/model/anthropic.claude-sonnet-4-5/converse": "bedrock",
    "/cohere/v2/chat": "cohere",
    "/openai/api/v1/services/aigc/text-generation/generation": "dashscope",
    "/ollama/api/chat": "ollama",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with machine_in(tmp_path_factory.mktemp("answers")) as made:
        yield made


@pytest_asyncio.fixture
async def relay(machine: Machine, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, answering(OK), machine.keeper(SPENT)) as b:
        yield b


async def post(relay: Bench, path: str) -> Message:
    body = b'{"model":"m"}'
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return await relay.send(head.encode() + body)


def inside(document: Mapping[str, Any], shape: str) -> tuple[str, object]:
    """The message, and what marks a spend limit, in the shape of a provider."""
    error = document.get("error", document)
    marks: dict[str, Any] = {
        "openai": lambda: (error["type"], error["code"], error["param"]),
        "anthropic": lambda: (document["type"], error["type"], error["details"]["error_code"]),
        "gemini": lambda: (error["code"], error["status"]),
        "bedrock": lambda: document["__type"],
        "dashscope": lambda: document["code"],
    }
    message = error if isinstance(error, str) else error["message"]
    return message, marks.get(shape, lambda: None)()


MARKS = {
    "openai": ("insufficient_quota", "insufficient_quota", None),
    "anthropic": ("error", "rate_limit_error", "enforced_spend_limit_reached"),
    "gemini": (429, "RESOURCE_EXHAUSTED"),
    "bedrock": "ServiceQuotaExceededException",
    "dashscope": "Throttling.AllocationQuota",
}


@pytest.mark.parametrize(("path", "shape"), PATHS.items())
async def test_every_shape(relay: Bench, path: str, shape: str) -> None:
    """Plain JSON as the provider would send it, and both headers that stop its SDK."""
    told = await post(relay, path)
    status = b"400" if shape == "bedrock" else b"429"
    assert told.line.split()[1] == status
    assert told.header(b"content-type") == [b"application/json"]
    assert told.header(b"x-should-retry") == [b"false"]
    assert told.header(b"x-taximeter-budget") == [b"b"]
    assert int(told.header(b"retry-after")[0]) > 0
    message, mark = inside(json.loads(told.body), shape)
    assert message == "Taximeter: refused by the budget b: its limit is 0, so it admits no calls."
    assert mark == MARKS.get(shape)


def refusal(cause: Cause, **changes: Any) -> Refusal:
    limited: Any = {"limit_usd": Decimal(500), **changes}
    return Refusal(
        budget=replace(SPENT, **limited),
        key=(("user", "ann"),),
        cause=cause,
        window=Window(WINDOW.start, None) if changes.get("period") == "total" else WINDOW,
        committed=whole(Decimal("499.5")) if cause is not Cause.SPENT else whole(Decimal("500.1")),
        reserved=whole(Decimal("0.25")),
        amount=whole(Decimal("0.75")),
    )


@pytest.mark.parametrize(
    ("cause", "changes", "retry_s", "stops"),
    [
        (Cause.SPENT, {}, LEFT_S, True),
        (Cause.NEVER, {}, LEFT_S, True),
        (Cause.UNPRICED, {}, LEFT_S, True),
        (Cause.SPENT, {"period": "total"}, 86_400, True),
        (Cause.RESERVED, {}, 2, False),
        (Cause.UNREADABLE, {}, 5, False),
        (Cause.SPENT, {"action": "throttle"}, 60, False),
        (Cause.NEVER, {"action": "throttle"}, LEFT_S, True),
    ],
)
def test_when_to_come_back(
    cause: Cause, changes: dict[str, Any], retry_s: int, stops: bool
) -> None:
    """At the window's end; in seconds if only open calls or ourselves are in the way."""
    told = answer(refusal(cause, **changes), "/v1/chat/completions", "openai", NOW)
    headers = dict(told.headers)
    assert int(headers[b"Retry-After"]) == retry_s
    assert headers.get(b"x-should-retry") == (b"false" if stops else None)
    code = told.document["error"]["code"]  # type: ignore[index]
    assert code == ("insufficient_quota" if stops else "rate_limit_exceeded")


def test_a_window_that_has_just_ended() -> None:
    """There is never less than a second to wait."""
    end = WINDOW.end or NOW
    told = answer(refusal(Cause.SPENT), "/v1/messages", "anthropic", end + timedelta(seconds=1))
    assert dict(told.headers)[b"Retry-After"] == b"1"


@pytest.mark.parametrize("status", [402, 403])
def test_another_status(status: int) -> None:
    """For callers that retry every 429; not where retrying is right."""
    path = "/v1/chat/completions"
    assert answer(refusal(Cause.SPENT, status=status), path, "openai", NOW).status == status
    assert answer(refusal(Cause.RESERVED, status=status), path, "openai", NOW).status == 429


def test_facts_and_hidden_amounts() -> None:
    """Who, until when and how much; with `hide_amounts` no amount, in the message neither."""
    told = answer(refusal(Cause.SPENT), "/v1/chat/completions", "openai", NOW)
    error: Any = told.document["error"]
    assert error["metadata"] == {
        "budget": "b",
        "cause": "spent",
        "scope": {"user": "ann"},
        "window_start": "2026-11-01T00:00:00Z",
        "window_end": "2026-12-01T00:00:00Z",
        "limit_usd": "500",
        "spent_usd": "500.1",
        "reserved_usd": "0.25",
        "amount_usd": "0.75",
    }
    assert error["message"] == (
        "Taximeter: refused by the budget b: it is spent (500.1 of 500 USD). "
        "It starts again at 2026-12-01T00:00:00Z."
    )
    for cause in Cause:
        hidden = answer(refusal(cause, hide_amounts=True), "/v1/messages", "anthropic", NOW)
        assert "500" not in json.dumps(hidden.document)
        assert "499" not in json.dumps(hidden.document)


def test_gemini_names_a_quota_of_the_day() -> None:
    """By which gemini-cli knows that waiting is useless, as by a delay above five minutes."""
    path = "/v1beta/models/gemini-2.5-pro:generateContent"
    for cause, delay, period in ((Cause.SPENT, LEFT_S, "PerDay"), (Cause.RESERVED, 2, "PerMinute")):
        error: Any = answer(refusal(cause), path, "gemini", NOW).document["error"]
        info, retry, quota = error["details"]
        assert info["metadata"]["scope"] == "user=ann"
        assert retry["retryDelay"] == f"{delay}s"
        assert quota["violations"][0]["quotaId"].endswith(period)


def test_the_path_tells_more_than_the_provider() -> None:
    """An unknown path gets the provider's own shape."""
    for path, shape in PATHS.items():
        provider, rest = path[1:].split("/", 1)
        assert shape_of(f"/{rest}", provider) == shape
    assert shape_of("/v1/anything", "cohere") == "cohere"
