"""Which provider a path goes to, and what is sent there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.routes import TAG_VALUE_CHARACTERS_MAX, Refusal, Route, Routes
from proxy.settings.config import Provider

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(name="openai", base_url="https://api.openai.example", owns=("/v1/",)),
        Provider(name="anthropic", base_url="https://claude.example", owns=("/v1/messages",)),
        Provider(
            name="gemini",
            base_url="https://gemini.example",
            owns=("/v1beta/", "/v1/models/*:generateContent"),
        ),
        Provider(name="router", base_url="https://router.example/api"),
        Provider(name="azure"),
    )
}
ROUTES = Routes(PROVIDERS)


def found(target: str) -> Route:
    route = ROUTES.find(target)
    assert isinstance(route, Route), route
    return route


def refused(target: str) -> Refusal:
    refusal = ROUTES.find(target)
    assert isinstance(refusal, Refusal), refusal
    return refusal


@pytest.mark.parametrize(
    ("target", "provider", "sent"),
    [
        ("/openai/v1/chat/completions", "openai", "/v1/chat/completions"),
        ("/router/v1/chat?x=1", "router", "/api/v1/chat?x=1"),
        ("/router", "router", "/api"),
        ("/openai", "openai", "/"),
        ("/openai/", "openai", "/"),
        ("/openai?a=b?c", "openai", "/?a=b?c"),
        ("/v1/responses", "openai", "/v1/responses"),
        ("/v1/messages", "anthropic", "/v1/messages"),
        ("/v1/messages/batches?beta=true", "anthropic", "/v1/messages/batches?beta=true"),
        ("/v1beta/models/m:generateContent", "gemini", "/v1beta/models/m:generateContent"),
        ("/v1/models/m:generateContent", "gemini", "/v1/models/m:generateContent"),
        ("/v1/models/ft:gpt-4o:team::id", "openai", "/v1/models/ft:gpt-4o:team::id"),
        ("/openai//v1///x%2F%3a", "openai", "//v1///x%2F%3a"),
        ("http://any.example/openai/v1/x", "openai", "/v1/x"),
        ("https://user:pw@any.example:1/v1/x?a", "openai", "/v1/x?a"),
        ("/openai/v1/files/a..b/.hidden", "openai", "/v1/files/a..b/.hidden"),
    ],
)
def test_routes(target: str, provider: str, sent: str) -> None:
    """A named provider, else the owner of the longest prefix; the text stays as it is."""
    route = found(target)
    assert (route.provider.name, route.target) == (provider, sent)


@pytest.mark.parametrize(
    ("target", "tags", "sent"),
    [
        ("/~team=search/openai/v1/x", {"team": "search"}, "/v1/x"),
        ("/~team=a,feature=b%20c/v1/x?q", {"team": "a", "feature": "b c"}, "/v1/x?q"),
        ("/~Team=A=B/openai", {"team": "A=B"}, "/"),
        ("/~a=/openai/", {"a": ""}, "/"),
    ],
)
def test_tags(target: str, tags: dict[str, str], sent: str) -> None:
    """A leading segment tags the call and goes no further."""
    route = found(target)
    assert (dict(route.tags), route.target) == (tags, sent)


def test_long_tag() -> None:
    """A long tag value is cut at its limit."""
    route = found(f"/~a={'x' * 999}/openai/v1/x")
    assert route.tags == {"a": "x" * TAG_VALUE_CHARACTERS_MAX}


@pytest.mark.parametrize(
    ("target", "status", "kind"),
    [
        ("/nobody/v1/x", 404, "unknown_path"),
        ("/", 404, "unknown_path"),
        ("*", 404, "unknown_path"),
        ("http://any.example", 404, "unknown_path"),
        ("/OpenAI/v1/x", 404, "unknown_path"),
        ("/openai@evil.example/v1", 404, "unknown_path"),
        ("/azure/openai/deployments/d", 404, "provider_not_configured"),
        ("/router/../admin", 400, "bad_path"),
        ("/router/%2e%2e/admin", 400, "bad_path"),
        ("/router/.%2E", 400, "bad_path"),
        ("/router/..%2fadmin", 400, "bad_path"),
        ("/router/..\\admin", 400, "bad_path"),
        ("/router/a/./b", 400, "bad_path"),
        ("/~team/openai/v1", 400, "bad_tags"),
        ("/~a b=1/openai/v1", 400, "bad_tags"),
        ("/~/openai/v1", 400, "bad_tags"),
    ],
)
def test_refusals(target: str, status: int, kind: str) -> None:
    """A path that is refused says why."""
    refusal = refused(target)
    assert (refusal.status, refusal.kind) == (status, kind)


def test_unset_provider_says_what_to_set() -> None:
    """A provider without an address names the setting."""
    assert "providers.azure.base_url" in refused("/azure/x").message


@given(st.text(max_size=40))
def test_target_is_in_origin_form(text: str) -> None:
    """Whatever follows a provider's name, what is sent begins with that provider's own path."""
    route = ROUTES.find(f"/router{text}")
    if isinstance(route, Route) and route.provider.name == "router":
        assert route.target.startswith("/api")
