"""What providers say of their limits, in each of their ways."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.limits import limit_class, reset_s

AT = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Sun, 29 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 29 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6ms"}, 0.006),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6ms"}, None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-29T12:00:05Z",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-29T12:00:09Z",
            },
            9.0,
        ),
        ({}, None),
    ],
)
def test_when_a_limit_is_reset(headers: dict[str, str], seconds: float | None) -> None:
    """What a provider says to wait comes first, then the last of the limits that are used up."""
    assert reset_s(headers, {}, AT) == seconds


def test_gemini_says_it_in_the_body() -> None:
    """As RetryInfo among the details of the error."""
    details = [{"@type": "…QuotaFailure"}, {"@type": "…RetryInfo", "retryDelay": "34.5s"}]
    assert reset_s({}, {"details": details}, AT) == 34.5
    assert reset_s({}, {"details": [{"retryDelay": 3}, "x"]}, AT) is None


@given(st.text(), st.text())
def test_odd_headers_say_nothing(after: str, reset: str) -> None:
    """They raise nothing, and no time runs backwards."""
    headers = {"retry-after": after, "x-ratelimit-remaining-requests": "0"}
    found = reset_s(headers | {"x-ratelimit-reset-requests": reset}, {}, AT)
    assert found is None or found >= 0


def test_models_that_share_a_limit() -> None:
    """Anthropic counts by class; elsewhere each model is taken to have its own."""
    assert limit_class("anthropic", "claude-opus-4-8") == limit_class(
        "anthropic", "claude-opus-4-6"
    )
    assert limit_class("anthropic", "claude-opus-4-8") != limit_class("anthropic", "claude-opus-5")
    assert limit_class("openai", "gpt-5") == "gpt-5"
