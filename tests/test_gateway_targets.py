"""Where an attempt goes at each kind of provider, and with which credential."""

import pytest

from proxy.door import targets
from proxy.settings.config import Provider
from proxy.settings.sources import load

PROVIDERS = load(None, {}).providers
KEY = "sk-T0SECRET"


def provider(name: str) -> Provider:
    return PROVIDERS[name]


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("openai", b"Authorization", b"Bearer sk-T0SECRET"),
        ("openrouter", b"Authorization", b"Bearer sk-T0SECRET"),
        ("litellm", b"Authorization", b"Bearer sk-T0SECRET"),
        ("tokenmix", b"Authorization", b"Bearer sk-T0SECRET"),
        ("portkey", b"x-portkey-api-key", b"sk-T0SECRET"),
        ("azure", b"api-key", b"sk-T0SECRET"),
        ("anthropic", b"x-api-key", b"sk-T0SECRET"),
        ("gemini", b"x-goog-api-key", b"sk-T0SECRET"),
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
def test_each_provider_gets_its_key_and_nothing_of_the_callers(
    name: str, header: bytes, value: bytes, foreign: bool
) -> None:
    """One credential, ours; what else the caller sent goes on."""
    sent = [
        (b"Authorization", b"Bearer tmt_caller"),
        (b"X-Api-Key", b"tmt_caller"),
        (b"x-portkey-api-key", b"tmt_caller"),
        (b"X-Title", b"app"),
    ]
    found = targets.headers(sent, provider(name), KEY, foreign=foreign)
    assert (header, value) in found
    assert (b"X-Title", b"app") in found
    assert not any(b"tmt_caller" in one for _, one in found)
    assert sum(KEY.encode() in one for _, one in found) == 1


@pytest.mark.parametrize(
    ("name", "api", "path"),
    [
        ("openai", "openai", "/v1/chat/completions"),
        ("openai", "responses", "/v1/responses"),
        ("azure", "openai", "/openai/v1/chat/completions"),
        ("openrouter", "openai", "/api/v1/chat/completions"),
        ("portkey", "openai", "/v1/chat/completions"),
        ("anthropic", "anthropic", "/v1/messages"),
        ("gemini", "gemini", "/v1beta/models/m%2Fx:streamGenerateContent?alt=sse"),
    ],
)
def test_where_a_translated_call_goes(name: str, api: str, path: str) -> None:
    """To the operation that all of them have, streamed in the way that can be read."""
    assert targets.foreign_path(provider(name), api, "m/x", "chat", stream=True) == path


def test_gemini_is_asked_with_its_model_in_the_path() -> None:
    """With the caller's query, but not with a key in it."""
    asked = "/v1/models/assistant:streamGenerateContent"
    found = targets.own_path(provider("gemini"), asked, "alt=sse&key=tmt_caller", "gemini-3-pro")
    assert found == "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
    chat = targets.own_path(provider("openai"), "/v1/chat/completions", "", "gpt-5")
    assert chat == "/v1/chat/completions"
