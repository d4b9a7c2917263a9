"""Real SDKs through the gateway of the whole product: what they get, and a row for each attempt."""

import os
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from evaluation.standin.processes import Row, Serving
from proxy.door.callers import hashed
from support.sdks import anthropic, openai

TOKEN = "tmt_" + "s" * 43
KEY = "sk-T0SECRET-gateway"
SETTINGS = f"""
[gateway.keys.openai]
provider = "openai"
value = "env:GATEWAY_KEY"
[gateway.keys.anthropic]
provider = "anthropic"
value = "env:GATEWAY_KEY"
[gateway.callers.search]
token_hash = "{hashed(TOKEN)}"
tags = {{ team = "search" }}
[gateway.routes.assistant]
version = "1"
candidates = [
  {{ provider = "openai", model = "gpt-5.4-mini@status=503" }},
  {{ provider = "openai", model = "gpt-5.4-mini" }},
  {{ provider = "anthropic", model = "claude-haiku-4-5" }},
]
[gateway.routes.lost]
candidates = [
  {{ provider = "openai", model = "gpt-5.4-mini@status=504" }},
  {{ provider = "openai", model = "gpt-5.4-mini" }},
]
[budgets.closed]
scope = {{ feature = "spent" }}
limit_usd = 0
action = "block"
[gateway.aliases]
small = "openai/text-embedding-3-small"
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A product of its own: its gateway has keys."""
    folder = tmp_path_factory.mktemp("gateway")
    with processes.stand_in(folder / "stand-in.log") as (upstream, _):
        upstreams = dict.fromkeys(("openai", "anthropic"), upstream)
        settings = processes.FAST_ROWS + SETTINGS
        environ = {"GATEWAY_KEY": KEY}
        with processes.serve(folder / "p", upstreams, settings=settings, environ=environ) as found:
            yield found


def rows(served: Serving, feature: str, count: int) -> list[Row]:
    """The rows of one test, by attempt."""
    found = served.calls_when(count, feature=feature)
    assert len(found) == count
    return sorted(found, key=lambda row: (row["ts"], row["attempt"]))


def openai_client(served: Serving, feature: str) -> "openai.OpenAI":
    headers = {"x-taximeter-feature": feature}
    base_url = f"{served.proxy_url}/gateway/v1"
    return openai.OpenAI(base_url=base_url, api_key=TOKEN, default_headers=headers)


def test_openai_fails_over(served: Serving) -> None:
    """Chat, whole and streamed: a 503, then the answer; two rows of one call, each priced."""
    with openai_client(served, "over") as client:
        whole = client.chat.completions.create(
            model="assistant", messages=[{"role": "user", "content": "time"}]
        )
        assert whole.choices[0].message.content
        stream = client.chat.completions.create(
            model="assistant",
            messages=[{"role": "user", "content": "people"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    found = rows(served, "over", 4)
    assert [row["attempt"] for row in found] == [1, 2, 1, 2]
    assert [row["http_status"] for row in found] == [503, 200, 503, 200]
    assert len({row["request_id"] for row in found}) == 2
    for first, second in (found[:2], found[2:]):
        assert first["request_id"] == second["request_id"]
        assert (first["cost_usd"], first["cost_status"]) == ("0", "not_billed")
        assert Decimal(str(second["cost_usd"])) > 0
        assert second["cost_status"] == "exact"
        assert second["candidate"] == "openai/gpt-5.4-mini"
        assert (first["route_reason"], second["route_reason"]) == ("rules", "failover:unavailable")
        assert (first["propensity"], second["propensity"]) == (1.0, 0.0)
        assert (first["route"], first["route_version"], first["team"]) == (
            "assistant",
            "1",
            "search",
        )


def test_what_may_have_been_billed_is_unknown(served: Serving) -> None:
    """A 504 reaches the caller, the SDK does not repeat it, and its one row costs NULL."""
    with openai_client(served, "lost") as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(
                model="lost", messages=[{"role": "user", "content": "year"}]
            )
        assert caught.value.response.headers["x-should-retry"] == "false"
    (row,) = rows(served, "lost", 1)
    assert (row["cost_usd"], row["cost_status"]) == (None, "unpriced")
    assert "no_response" in row["reasons"]


def test_the_rest_of_openai(served: Serving) -> None:
    """Responses, embeddings by an alias, `provider/model`, the list of models, a wrong token."""
    with openai_client(served, "rest") as client:
        assert client.responses.create(model="openai/gpt-5.4", input="time").output_text
        assert client.embeddings.create(model="small", input="time").data
        assert {one.id for one in client.models.list()} == {"assistant", "lost", "small"}
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="nobody", input="time")
        stranger = client.with_options(api_key="tmt_stranger", max_retries=0)
        with pytest.raises(openai.AuthenticationError, match="taximeter keys add"):
            stranger.responses.create(model="openai/gpt-5.4", input="time")
    found = rows(served, "rest", 2)
    assert [row["cost_status"] for row in found] == ["exact", "exact"]


def test_anthropic(served: Serving) -> None:
    """Messages, whole and streamed, and token counting, in their own dialect."""
    with anthropic.Anthropic(
        base_url=f"{served.proxy_url}/gateway",
        api_key=TOKEN,
        default_headers={"x-taximeter-feature": "claude"},
    ) as client:
        said = client.messages.create(
            model="anthropic/claude-haiku-4-5",
            max_tokens=50,
            messages=[{"role": "user", "content": "time"}],
        )
        assert said.content
        with client.messages.stream(
            model="anthropic/claude-haiku-4-5",
            max_tokens=50,
            messages=[{"role": "user", "content": "people"}],
        ) as stream:
            assert stream.get_final_text()
        counted = client.messages.count_tokens(
            model="anthropic/claude-haiku-4-5", messages=[{"role": "user", "content": "time"}]
        )
        assert counted.input_tokens > 0
    found = rows(served, "claude", 3)
    assert {row["candidate"] for row in found} == {"anthropic/claude-haiku-4-5"}
    assert [row["cost_status"] for row in found] == ["exact", "exact", "not_billed"]


def test_each_sdk_at_a_provider_of_another_dialect(served: Serving) -> None:
    """OpenAI's served by Claude, in both of its APIs, and Anthropic's by GPT, streamed; the rows
    are the providers'."""
    asked: Any = [{"role": "user", "content": "time"}]
    with openai_client(served, "translated") as client:
        chunks = list(
            client.chat.completions.create(
                model="anthropic/claude-haiku-4-5", messages=asked, stream=True
            )
        )
        with client.responses.stream(model="anthropic/claude-haiku-4-5", input="time") as said:
            assert said.get_final_response().output_text
        with pytest.raises(openai.BadRequestError, match="it cannot carry seed"):
            client.chat.completions.create(
                model="anthropic/claude-haiku-4-5", messages=asked, seed=7
            )
    assert "".join(one.choices[0].delta.content or "" for one in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    with anthropic.Anthropic(
        base_url=f"{served.proxy_url}/gateway",
        api_key=TOKEN,
        default_headers={"x-taximeter-feature": "translated"},
    ) as claude:
        tools: Any = [{"name": "weather", "input_schema": {"type": "object"}}]
        with claude.messages.stream(
            model="openai/gpt-5.4-mini", max_tokens=99, messages=asked, tools=tools
        ) as stream:
            assert stream.get_final_message().stop_reason == "tool_use"
    found = rows(served, "translated", 3)
    assert [row["provider"] for row in found] == ["anthropic", "anthropic", "openai"]
    assert {row["translated"] for row in found} == {True}
    assert {row["cost_status"] for row in found} == {"exact"}


def test_no_key_is_anywhere(served: Serving) -> None:
    """Neither the provider's nor the caller's, in any file of the data directory or the log."""
    secrets = (b"T0SECRET", TOKEN.encode())
    found = []
    # Folders and files of an insert or a merge that is over by now are passed over.
    for path in (Path(folder, name) for folder, _, names in os.walk(served.data) for name in names):
        with suppress(OSError):
            data = path.read_bytes()
            found += [path for secret in secrets if secret in data]
    assert found == []


@pytest.mark.parametrize(
    "model", ["assistant", "openai/gpt-5.4-mini", "anthropic/claude-haiku-4-5"]
)
def test_a_budget_holds_at_this_door_too(served: Serving, model: str) -> None:
    """The caller's SDK sees its own error, whoever would have answered; nobody is called."""
    with openai_client(served, "spent") as client, pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "time"}], max_tokens=5
        )
    assert raised.value.code == "insufficient_quota"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert raised.value.response.headers["x-taximeter-budget"] == "closed"
    assert served.calls(feature="spent") == []


def test_a_budget_in_the_words_of_anthropic(served: Serving) -> None:
    """Also if OpenAI would have answered."""
    headers = {"x-taximeter-feature": "spent"}
    with (
        anthropic.Anthropic(
            base_url=f"{served.proxy_url}/gateway", api_key=TOKEN, default_headers=headers
        ) as client,
        pytest.raises(anthropic.RateLimitError) as raised,
    ):
        client.messages.create(
            model="openai/gpt-5.4-mini",
            max_tokens=5,
            messages=[{"role": "user", "content": "time"}],
        )
    assert "enforced_spend_limit_reached" in str(raised.value.body)
    refused = processes.get_json(f"{served.console_url}/api/refusals?feature=spent&limit=100")
    assert {row["outcome"] for row in refused} <= {"refused"}
