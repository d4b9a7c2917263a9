"""The clients, by the API that they speak, and how each names the errors that it meets."""

from collections.abc import Iterator
from dataclasses import dataclass

# The providers that serve, and a model of each.  Mistral has chat completions alone, and `pro` is a
# model of OpenAI's that has Responses alone.
MODELS = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-3-flash-preview",
    "mistral": "mistral-small-latest",
    "pro": "gpt-5.4-pro",
}
OWNERS = {"pro": "openai"}  # whose a name is, where it is no provider's
# API → its word for a script, and who serves it: providers that speak another one.
APIS = {
    "chat": ("chat", ("anthropic", "gemini", "pro")),
    "messages": ("anthropic", ("openai", "gemini", "pro")),
    "Responses": ("responses", ("anthropic", "gemini", "mistral")),
    "Gemini": ("gemini", ("openai", "anthropic", "pro")),
}
SHOWN = ("text", "stream", "tool", "result", "image", "shape")  # keys of what a script prints


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A script of `calls/`; it gets the gateway's URL, a token, a provider and the API's word."""

    name: str
    api: str
    script: str
    packages: tuple[str, ...]  # of PyPI, or of npm for a .mjs; the first one is the client
    errors: tuple[str, ...] = ()  # classes, `|` for or: a rate limit, a mistake, a broken stream
    shown: tuple[str, ...] = SHOWN

    @property
    def word(self) -> str:
        """Of its API, for its script."""
        return APIS[self.api][0]

    @property
    def providers(self) -> tuple[str, ...]:
        """Who serves it."""
        return APIS[self.api][1]


OPENAI = ("RateLimitError", "BadRequestError", "APIError")
ANTHROPIC = ("RateLimitError", "BadRequestError", "APIStatusError")
AI = ("ai@latest", "@ai-sdk/openai@latest", "@ai-sdk/anthropic@latest")
PYDANTIC_AI = ("pydantic-ai-slim[openai,anthropic]",)
SAID = ("text", "stream")  # all that an agent shows
# What the routes `lossy-…` drop, for Claude Code.
CLAUDE_CODE = (
    *("cache_control", "context_management", "eager_input_streaming", "is_error"),
    *("metadata", "signature", "thinking"),
)


def _openais() -> Iterator[Client]:
    for api in ("chat", "Responses"):
        yield Client(
            name="openai",
            api=api,
            script="openai_sdk.py",
            packages=("openai[realtime]>=3,<4",),
            errors=OPENAI,
        )
        yield Client(
            name="openai, Node",
            api=api,
            script="node_openai.mjs",
            packages=("openai@latest",),
            errors=OPENAI,
        )
        yield Client(
            name="langchain-openai",
            api=api,
            script="langchain_models.py",
            packages=("langchain-openai",),
            errors=("OpenAIRateLimitError", "OpenAIInvalidRequestError", "APIError"),
        )


def _others() -> Iterator[Client]:
    yield Client(
        name="anthropic",
        api="messages",
        script="anthropic_sdk.py",
        packages=("anthropic>=2,<3",),
        errors=ANTHROPIC,
    )
    yield Client(
        name="@anthropic-ai/sdk, Node",
        api="messages",
        script="node_anthropic.mjs",
        packages=("@anthropic-ai/sdk@latest",),
        errors=("RateLimitError", "BadRequestError", "APIError"),
    )
    yield Client(
        name="langchain-anthropic",
        api="messages",
        script="langchain_models.py",
        packages=("langchain-anthropic",),
        errors=("AnthropicRateLimitError", "AnthropicInvalidRequestError", "APIStatusError"),
    )
    yield Client(
        name="google-genai",
        api="Gemini",
        script="google_genai.py",
        packages=("google-genai",),
        errors=("ClientError", "ClientError", "ServerError"),
    )


def _agents() -> Iterator[Client]:
    """Frameworks that speak several APIs, and agents."""
    for api in ("chat", "Responses", "messages"):
        shown = tuple(one for one in SHOWN if api != "messages" or one != "shape")
        yield Client(
            name="pydantic-ai",
            api=api,
            script="pydantic_ai_agent.py",
            packages=PYDANTIC_AI,
            errors=(
                "ModelRateLimitError",
                "ModelRequestRejectedError",
                "ModelServerError|ModelOverloadedError",
            ),
            shown=shown,
        )
        yield Client(
            name="ai (Vercel), Node",
            api=api,
            script="node_ai.mjs",
            packages=AI,
            errors=("APICallError", "APICallError", "StreamProviderError"),
            shown=shown,
        )
    yield Client(
        name="Claude Code",
        api="messages",
        script="claude_code.mjs",
        packages=("@anthropic-ai/claude-code@latest",),
        shown=SAID,
    )
    yield Client(
        name="Codex",
        api="Responses",
        script="codex.mjs",
        packages=("@openai/codex@latest",),
        shown=SAID,
    )


CLIENTS = (*_openais(), *_others(), *_agents())
