"""Real SDKs through the gateway to a provider of another dialect, in the whole product."""

import base64
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from evaluation.standin import processes
from evaluation.standin.processes import Row, Serving
from proxy.door.callers import hashed
from support import node
from support.sdks import anthropic, genai, openai

pytestmark = pytest.mark.slow  # a product of its own; `test_gateway_sdk` has the shortest of these
NODE = Path(__file__).with_name("node")
TOKEN = "tmt_" + "t" * 43
MODELS = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-3-flash-preview",
}
# Mistral has chat completions alone, and a model of OpenAI's has Responses alone.
SERVED = MODELS | {"mistral": "mistral-small-latest", "pro": "gpt-5.4-pro", "cohere": "command-a"}
OWNERS = {"pro": "openai"}  # whose a name is, where it is no provider's
ROUTES = "".join(
    f"""
[gateway.keys.{name}]
provider = "{(provider := OWNERS.get(name, name))}"
value = "env:GATEWAY_KEY"
[gateway.routes.to-{name}]
candidates = [{{ provider = "{provider}", model = "{model}" }}]
[gateway.routes.limited-{name}]
deadline_s = 0.5
candidates = [{{ provider = "{provider}", model = "{model}@status=429,retry-after-s=1" }}]
[gateway.routes.broken-{name}]
candidates = [{{ provider = "{provider}", model = "{model}@error-after=2" }}]
[gateway.routes.wrong-{name}]
candidates = [{{ provider = "{provider}", model = "{model}@status=400" }}]
[gateway.routes.lossy-{name}]
candidates = [{{ provider = "{provider}", model = "{model}" }}]
drop = ["seed", "top_k", "topK", "cache_control", "metadata"]
"""
    for name, model in SERVED.items()
)
SETTINGS = f"""
[gateway.callers.search]
token_hash = "{hashed(TOKEN)}"
{ROUTES}
""" + "".join(
    f"""[gateway.models."openai/gpt-5.4-pro{steering}"]
responses_only = true
"""
    for steering in ("", "@status=429,retry-after-s=1", "@error-after=2", "@status=400")
)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
    "required": ["city", "unit"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A product of its own, whose gateway has keys for all three."""
    folder = tmp_path_factory.mktemp("translation")
    with processes.stand_in(folder / "stand-in.log") as (upstream, _):
        upstreams = dict.fromkeys((*MODELS, "mistral", "cohere"), upstream)
        settings = processes.FAST_ROWS + SETTINGS
        environ = {"GATEWAY_KEY": "sk-T0SECRET-translation"}
        with processes.serve(folder / "p", upstreams, settings=settings, environ=environ) as found:
            yield found


@pytest.fixture
def chat(served: Serving) -> Iterator["openai.OpenAI"]:
    with openai.OpenAI(
        base_url=f"{served.proxy_url}/gateway/v1", api_key=TOKEN, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def claude(served: Serving) -> Iterator["anthropic.Anthropic"]:
    with anthropic.Anthropic(
        base_url=f"{served.proxy_url}/gateway", api_key=TOKEN, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def gemini(served: Serving) -> Iterator["genai.Client"]:
    options = genai.types.HttpOptions(base_url=f"{served.proxy_url}/gateway")
    client = genai.Client(api_key=TOKEN, http_options=options)
    yield client
    client.close()


def row(served: Serving, request_id: str) -> Row:
    """The row of the last call of this id."""
    (found,) = served.calls_when(1, request_id=request_id)
    return found


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "pro"])
def test_openai_chat(served: Serving, chat: "openai.OpenAI", provider: str) -> None:
    """Whole and streamed; usage is the provider's, and the row is the provider's call."""
    messages: Any = [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "time"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
    ]
    raw = chat.chat.completions.with_raw_response.create(
        model=f"to-{provider}", messages=messages, max_completion_tokens=100
    )
    whole = raw.parse()
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.model == SERVED[provider]
    assert "x-taximeter-losses" not in raw.headers
    chunks = list(
        chat.chat.completions.create(
            model=f"to-{provider}",
            messages=messages,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    found = row(served, raw.headers["x-taximeter-request-id"])
    assert (found["provider"], found["translated"]) == (OWNERS.get(provider, provider), True)
    assert (found["cost_status"], found["losses"]) == ("exact", [])
    assert whole.usage is not None
    assert Decimal(str(found["cost_usd"])) > 0
    assert whole.usage.completion_tokens == found["output_tokens_total"]


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "pro"])
def test_openai_tools_and_schema(chat: "openai.OpenAI", provider: str) -> None:
    """A forced tool, its result, a strict answer; whole, and as a stream of calls."""
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    asked: Any = [{"role": "user", "content": "weather"}]
    with chat.chat.completions.stream(
        model=f"to-{provider}", messages=asked, tools=tools, tool_choice="required"
    ) as stream:
        called = stream.get_final_completion().choices[0]
    assert called.finish_reason == "tool_calls"
    assert called.message.tool_calls
    call = called.message.tool_calls[0]
    assert call.function.name == "weather"
    told: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turn: Any = called.message.model_dump(exclude_none=True)
    after = chat.chat.completions.create(
        model=f"to-{provider}",
        messages=[*asked, turn, told],
        tools=tools,
    )
    assert after.choices[0].message.content

    class Answer(BaseModel):
        city: str

    shape: Any = {"name": "Answer", "schema": Answer.model_json_schema(), "strict": True}
    strict = chat.chat.completions.create(
        model=f"to-{provider}",
        messages=asked,
        response_format={"type": "json_schema", "json_schema": shape},
    )
    assert strict.choices[0].message.content


@pytest.mark.parametrize("provider", ["openai", "gemini", "pro"])
def test_anthropic_messages(served: Serving, claude: "anthropic.Anthropic", provider: str) -> None:
    """Whole and streamed, with tools and a picture."""
    picture: Any = {"type": "base64", "media_type": "image/png", "data": PNG}
    content: Any = [{"type": "text", "text": "time"}, {"type": "image", "source": picture}]
    raw = claude.messages.with_raw_response.create(
        model=f"to-{provider}",
        max_tokens=100,
        system="be brief",
        messages=[{"role": "user", "content": content}],
    )
    said = raw.parse()
    assert (said.content[0].type, said.stop_reason) == ("text", "end_turn")
    assert said.usage.input_tokens > 0
    tools: Any = [{"name": "weather", "input_schema": WEATHER}]
    asked: Any = [{"role": "user", "content": "weather"}]
    with claude.messages.stream(
        model=f"to-{provider}", max_tokens=200, messages=asked, tools=tools
    ) as stream:
        called = stream.get_final_message()
    assert called.stop_reason == "tool_use"
    use = called.content[-1]
    assert use.type == "tool_use"
    assert use.input == {"city": "Paris", "unit": "celsius"}
    turn: Any = {"role": "assistant", "content": [b.model_dump() for b in called.content]}
    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
    after = claude.messages.create(
        model=f"to-{provider}",
        max_tokens=200,
        messages=[*asked, turn, {"role": "user", "content": [result]}],
        tools=tools,
    )
    assert after.stop_reason == "end_turn"
    found = row(served, raw.headers["x-taximeter-request-id"])
    assert (found["provider"], found["translated"]) == (OWNERS.get(provider, provider), True)
    assert said.usage.output_tokens == found["output_tokens_total"]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "pro"])
def test_google_genai(gemini: "genai.Client", provider: str) -> None:
    """Whole, streamed, and with tools, in its own dialect and others."""
    types = genai.types
    whole = gemini.models.generate_content(model=f"to-{provider}", contents="time")
    assert whole.text
    assert whole.usage_metadata is not None
    assert whole.usage_metadata.prompt_token_count
    chunks = list(gemini.models.generate_content_stream(model=f"to-{provider}", contents="year"))
    assert "".join(chunk.text or "" for chunk in chunks)
    declared = types.FunctionDeclaration(name="weather", parameters_json_schema=WEATHER)
    tool = types.Tool(function_declarations=[declared])
    with_tool = types.GenerateContentConfig(tools=[tool], system_instruction="be brief")
    called = gemini.models.generate_content(
        model=f"to-{provider}", contents="weather", config=with_tool
    )
    assert called.function_calls
    assert called.function_calls[0].args == {"city": "Paris", "unit": "celsius"}
    assert {one.name for one in gemini.models.list()} >= {f"models/to-{provider}"}


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "mistral"])
def test_openai_responses(served: Serving, chat: "openai.OpenAI", provider: str) -> None:
    """Whole and streamed, with a tool and its result; the row is the provider's."""
    raw = chat.responses.with_raw_response.create(model=f"to-{provider}", input="time")
    said = raw.parse()
    assert (said.status, bool(said.output_text)) == ("completed", True)
    tools: Any = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]
    asked: Any = [{"role": "user", "content": "weather"}]
    with chat.responses.stream(model=f"to-{provider}", input=asked, tools=tools) as stream:
        called = stream.get_final_response()
    call: Any = next(item for item in called.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Paris", "unit": "celsius"}
    told: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    given: Any = [*asked, *called.output, told]
    after = chat.responses.create(model=f"to-{provider}", input=given, tools=tools)
    assert after.output_text
    with pytest.raises(openai.APIError):
        list(chat.responses.create(model=f"broken-{provider}", input="time", stream=True))
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        chat.responses.create(model=f"to-{provider}", input="time", previous_response_id=said.id)
    found = row(served, raw.headers["x-taximeter-request-id"])
    assert (found["provider"], found["translated"]) == (provider, True)
    assert said.usage is not None
    assert said.usage.output_tokens == found["output_tokens_total"]


def test_openai_embeddings(served: Serving, chat: "openai.OpenAI") -> None:
    """Gemini's vectors, which the SDK asks for in base64; tokens that are not stated are counted
    in the row."""
    raw = chat.embeddings.with_raw_response.create(
        model="gemini/gemini-embedding-001", input=["time", "people"]
    )
    found = raw.parse()
    assert [one.index for one in found.data] == [0, 1]
    assert all(-1 <= value <= 1 for one in found.data for value in one.embedding)
    stored = row(served, raw.headers["x-taximeter-request-id"])
    assert (stored["provider"], stored["translated"]) == ("gemini", True)
    assert stored["losses"] == []
    assert raw.headers["x-taximeter-losses"] == "usage"
    with pytest.raises(openai.BadRequestError, match="token ids"):
        chat.embeddings.create(model="gemini/gemini-embedding-001", input=[1, 2])


def test_openai_embeddings_at_cohere(served: Serving, chat: "openai.OpenAI") -> None:
    """With what they are for, which OpenAI's SDK says beside its own fields."""
    model = "cohere/embed-v4.0"
    raw = chat.embeddings.with_raw_response.create(
        model=model, input=["time", "people"], extra_body={"input_type": "search_document"}
    )
    found = raw.parse()
    assert len(found.data) == 2
    stored = row(served, raw.headers["x-taximeter-request-id"])
    assert (stored["provider"], stored["translated"]) == ("cohere", True)
    assert (stored["cost_status"], stored["input_tokens_total"]) == (
        "exact",
        found.usage.prompt_tokens,
    )
    with pytest.raises(openai.BadRequestError, match="input_type"):
        chat.embeddings.create(model=model, input="time")


@pytest.mark.parametrize(
    ("model", "purpose"),
    [
        ("openai/text-embedding-3-small", None),
        ("cohere/embed-v4.0", "RETRIEVAL_QUERY"),
        ("gemini/gemini-embedding-001", "RETRIEVAL_QUERY"),
    ],
)
def test_google_genais_embeddings(gemini: "genai.Client", model: str, purpose: str | None) -> None:
    """At others and at its own provider; what another has no word for is refused."""
    texts: Any = ["time", "people"]
    types = genai.types
    asked = types.EmbedContentConfig(task_type=purpose)
    made = gemini.models.embed_content(model=model, contents=texts, config=asked)
    assert made.embeddings is not None
    assert len(made.embeddings) == 2
    assert all(one.values for one in made.embeddings)
    if purpose is None:
        with pytest.raises(genai.errors.ClientError, match="taskType"):
            gemini.models.embed_content(
                model=model,
                contents=texts,
                config=types.EmbedContentConfig(task_type="RETRIEVAL_QUERY"),
            )


def test_errors_are_of_the_callers_own_class(
    chat: "openai.OpenAI", claude: "anthropic.Anthropic", gemini: "genai.Client"
) -> None:
    """A limit, a mistake and a stream that fails, of each provider, for each SDK."""
    errors = genai.errors
    asked: Any = [{"role": "user", "content": "time people year"}]
    for provider in (*MODELS, "pro"):
        with pytest.raises(openai.RateLimitError):
            chat.chat.completions.create(model=f"limited-{provider}", messages=asked)
        with pytest.raises(anthropic.RateLimitError):
            claude.messages.create(model=f"limited-{provider}", max_tokens=9, messages=asked)
        with pytest.raises(errors.ClientError) as limited:
            gemini.models.generate_content(model=f"limited-{provider}", contents="time")
        assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
        with pytest.raises(openai.BadRequestError):
            chat.chat.completions.create(model=f"wrong-{provider}", messages=asked)
        with pytest.raises(anthropic.BadRequestError):
            claude.messages.create(model=f"wrong-{provider}", max_tokens=9, messages=asked)
        with pytest.raises(errors.ClientError) as wrong:
            gemini.models.generate_content(model=f"wrong-{provider}", contents="time")
        assert wrong.value.status == "INVALID_ARGUMENT"
        with pytest.raises(openai.APIError):
            list(
                chat.chat.completions.create(
                    model=f"broken-{provider}", messages=asked, stream=True
                )
            )
        with pytest.raises(anthropic.APIStatusError):
            list(
                claude.messages.create(
                    model=f"broken-{provider}", max_tokens=90, messages=asked, stream=True
                )
            )


def test_what_cannot_be_carried_is_refused_or_listed(
    served: Serving, chat: "openai.OpenAI", claude: "anthropic.Anthropic"
) -> None:
    """By its name; with `drop` it stands in the header and in the row."""
    asked: Any = [{"role": "user", "content": "time"}]
    with pytest.raises(openai.BadRequestError, match="seed"):
        chat.chat.completions.create(model="to-anthropic", messages=asked, seed=7)
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        claude.messages.create(
            model="to-openai", max_tokens=9, messages=asked, extra_body={"top_k": 3}
        )
    raw = chat.chat.completions.with_raw_response.create(
        model="lossy-anthropic", messages=asked, seed=7
    )
    assert raw.headers["x-taximeter-losses"] == "seed"
    assert row(served, raw.headers["x-taximeter-request-id"])["losses"] == ["seed"]


@pytest.mark.parametrize("provider", ["anthropic", "gemini"])
def test_openai_for_node(served: Serving, provider: str) -> None:
    """Another implementation of the same API: whole, a streamed call of a tool, an error."""
    try:
        node.packages(NODE)
    except node.NodeError as error:
        pytest.skip(str(error))
    script = NODE / "gateway_calls.mjs"
    said = node.run(script, f"{served.proxy_url}/gateway/v1", TOKEN, f"to-{provider}")
    found = json.loads(said)
    assert found["text"]
    assert found["usage"]["total_tokens"] > 0
    assert found["finish"] == "tool_calls"
    assert found["calls"][0]["name"] == "weather"
    kind, status, message = found["error"]
    assert (kind, status) == ("BadRequestError", 400)
    assert "n" in message
