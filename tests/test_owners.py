"""Paths that several providers have: what else a call says decides, or it is refused."""

from pathlib import Path

import pytest

from proxy.relay.routes import Refusal, Route, Routes
from proxy.settings.config import Config, Provider
from proxy.settings.sources import load

AZURE = "https://ours.openai.azure.com"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The shipped providers, and an Azure resource."""
    file = tmp_path_factory.mktemp("config") / "t.toml"
    file.write_text(f'[providers.azure]\nbase_url = "{AZURE}"\n')
    return load(file, environ={})


def found(config: Config, target: str, *headers: tuple[str, str]) -> tuple[str, str]:
    """(provider, target) of a call that is not refused."""
    route = Routes(config.providers).find(target, [(n.encode(), v.encode()) for n, v in headers])
    assert isinstance(route, Route), route
    return route.provider.name, route.target


DEPLOYMENT = "/openai/deployments/d/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("target", "headers", "provider"),
    [
        # DashScope's and OpenRouter's native paths are not Ollama's, though all begin with /api/.
        ("/api/v1/services/aigc/text-generation/generation", {}, "qwen"),
        ("/api/v1/services/embeddings/text-embedding/text-embedding", {}, "qwen"),
        ("/api/v1/tasks/1", {}, "qwen"),
        ("/compatible-mode/v1/chat/completions", {}, "qwen"),
        ("/api/v1/files", {"X-DashScope-SSE": "enable"}, "qwen"),
        ("/api/v1/models", {"Authorization": "Bearer sk-or-v1-x"}, "openrouter"),
        ("/api/v1/chat/completions", {}, "openrouter"),
        ("/api/paas/v4/chat/completions", {}, "zai"),
        ("/api/chat", {}, "ollama"),
        ("/api/embeddings", {}, "ollama"),
        ("/api/blobs/sha256:x", {}, "ollama"),
        # Azure's and Groq's begin as the name of OpenAI.
        (DEPLOYMENT, {"api-key": "x"}, "azure"),
        (DEPLOYMENT, {"Authorization": "Bearer eyJ"}, "azure"),
        ("/openai/deployments/d/embeddings", {}, "azure"),
        ("/openai/v1/responses", {"api-key": "x"}, "azure"),
        ("/openai/v1/chat/completions", {"authorization": "Bearer gsk_x"}, "groq"),
        ("/openai/v1/chat/completions", {"authorization": "Bearer sk-x"}, "openai"),
        ("/openai/v1/chat/completions", {}, "openai"),
        # /v1/ is OpenAI's unless the key or a version says otherwise.
        ("/v1/models", {}, "openai"),
        ("/v1/embeddings", {"Authorization": "Bearer sk-x"}, "openai"),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, "anthropic"),
        ("/v1/files/f", {"anthropic-version": "2023-06-01"}, "anthropic"),
        ("/v1/models/gemini-3-pro", {"x-goog-api-key": "x"}, "gemini"),
        ("/v1/models?key=x", {}, "gemini"),
        ("/v1/chat/completions", {"Authorization": "Bearer xai-x"}, "xai"),
        ("/v1/chat/completions", {"Authorization": "Bearer csk-x"}, "cerebras"),
        ("/v1/embeddings", {"Authorization": "Bearer pa-x"}, "voyage"),
        ("/v1/rerank", {"Authorization": "Bearer pa-x"}, "voyage"),
        ("/v1/rerank", {"X-Fern-SDK-Name": "cohere"}, "cohere"),
        ("/v1/chat", {}, "cohere"),
        ("/chat/completions", {"Authorization": "Bearer pplx-x"}, "perplexity"),
        ("/inference/v1/chat/completions", {}, "fireworks"),
        # The host that the call was meant for.
        ("/v1/chat/completions", {"Host": "api.mistral.ai"}, "mistral"),
        ("/chat/completions", {"Host": "api.deepseek.com:443"}, "deepseek"),
        ("/v1/chat/completions", {"Host": "127.0.0.1:4000"}, "openai"),
    ],
)
def test_decided(config: Config, target: str, headers: dict[str, str], provider: str) -> None:
    """A path goes to the provider that its marks or its host name, else to its one owner, whole."""
    name, sent = found(config, target, *headers.items())
    assert name == provider
    expected = target if provider != "openai" else target.removeprefix("/openai")
    assert sent == expected


@pytest.mark.parametrize(
    ("target", "candidates"),
    [
        ("/api/v1/models", "openrouter, qwen"),
        ("/chat/completions", "deepseek, perplexity"),
        ("/v1/rerank", "cohere, voyage"),
    ],
)
def test_undecided(config: Config, target: str, candidates: str) -> None:
    """Where nothing decides, the call and its key go nowhere: the refusal names the candidates."""
    refusal = Routes(config.providers).find(target)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, refusal.kind) == (400, "ambiguous_path")
    assert f": {candidates}. " in refusal.message
    assert f"/{candidates.partition(',')[0]}{target}" in refusal.message


def test_a_key_for_azure_does_not_go_to_openai(tmp_path: Path) -> None:
    """Without a resource, a path of Azure is refused: its key is not for OpenAI."""
    file = tmp_path / "t.toml"
    file.write_text("")
    refusal = Routes(load(file, environ={}).providers).find(DEPLOYMENT, [(b"api-key", b"x")])
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "provider_not_configured"
    assert "providers.azure.base_url" in refusal.message


def test_a_base_path_is_not_sent_twice() -> None:
    """The path of a base URL is part of the bare path."""
    router = Provider(name="router", base_url="https://r.example/api", owns=("/api/v1/",))
    route = Routes({"router": router}).find("/api/v1/chat")
    assert isinstance(route, Route)
    assert route.target == "/api/v1/chat"


def test_two_marks_are_no_decision() -> None:
    """Two providers that a call bears the marks of are as good as none."""
    names = ("a", "b")
    providers = {
        name: Provider(name=name, base_url=f"https://{name}.example", shares=("/x/",), marks=("m",))
        for name in names
    }
    refusal = Routes(providers).find("/x/y", [(b"M", b"1")])
    assert isinstance(refusal, Refusal)
    assert refusal.kind == "ambiguous_path"
