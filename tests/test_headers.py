"""Which headers pass, what may be stored, and who the caller is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.fields import noted
from proxy.relay.headers import sort_request, sort_response
from proxy.secrecy.fingerprint import credential
from proxy.secrecy.patterns import HIDDEN, is_secret
from proxy.secrecy.scrubbing import scrubbed_target

KEY = "sk-canary-0123456789abcdefghij"


def test_order_and_case_stay() -> None:
    """End-to-end fields stay in order and case, repeated ones repeated."""
    pairs = [(b"X-B", b"1"), (b"x-a", b"2"), (b"X-b", b"3"), (b"Content-Length", b"4")]
    assert sort_request([(b"host", b"h"), *pairs]).forward == pairs
    assert sort_response(pairs).forward == pairs


def test_connection_cannot_name_the_framing() -> None:
    """Connection cannot name the length or type of the body."""
    pairs = [(b"Content-Length", b"4"), (b"Content-Type", b"a/b")]
    named = (b"Connection", b"Content-Length, content-type, host, close")
    assert sort_request([named, *pairs]).forward == pairs


@pytest.mark.parametrize(
    ("values", "expected_s"),
    [
        ([b"timeout=5"], 5.0),
        ([b"max=100, Timeout = 7"], 7.0),
        ([b'timeout="3"'], 3.0),
        ([b"timeout=1.5"], 1.5),
        ([b"timeout=60", b"timeout=2"], 2.0),
        ([b"timeout=2", b"max=9"], 2.0),
        ([b"x-timeout=1"], None),
        ([b"timeout=soon"], None),
    ],
)
def test_keep_alive(values: list[bytes], expected_s: float | None) -> None:
    """The shortest time that a provider states, however it writes it."""
    assert sort_response([(b"Keep-Alive", value) for value in values]).idle_s == expected_s


def test_own_headers_are_tags() -> None:
    """`x-taximeter-*` headers are tags; those with an invalid name are ignored."""
    found = sort_request(
        [
            (b"X-Taximeter-Team", b"search"),
            (b"x-taximeter-", b"nameless"),
            (b"x-taximeter-bad~name", b"1"),
            (b"x-taximeter-city", "Zürich".encode()),
        ]
    )
    assert found.tags == {"team": "search", "city": "Zürich"}
    assert found.forward == []


@pytest.mark.parametrize(
    ("connection", "upgrade", "websocket"),
    [
        (b"Upgrade", b"websocket", True),
        (b"keep-alive, upgrade", b"WebSocket", True),
        (b"keep-alive", b"websocket", False),
        (b"Upgrade", b"h2c", False),
    ],
)
def test_websocket(connection: bytes, upgrade: bytes, websocket: bool) -> None:
    """Both fields are needed to request a WebSocket."""
    found = sort_request([(b"Upgrade", upgrade), (b"Connection", connection)])
    assert found.websocket is websocket


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie",
        "set-cookie", "x-amz-security-token", "x-auth-token", "x-my-secret", "ocp-apim-key",
        "openai-organization-key", "x-accesstoken", "apikey", "x-amz-signature", "sig", "password",
        "x-vault-token", "x-client-secret", "client_secret", "x-goog-iap-jwt", "access_token",
    ],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    """Names of credentials are recognised."""
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "content-type", "x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-limit",
        "x-claude-code-session-id", "user-agent", "x-stainless-retry-count", "anthropic-beta",
        "x-request-id", "openai-processing-ms", "traceparent", "retry-after", "max_tokens", "alt",
        "api-version", "cf-ray", "x-amzn-requestid", "openai-organization", "beta",
    ],
)  # fmt: skip
def test_harmless_names(name: str) -> None:
    """Names that the meter reads are not hidden."""
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Authorization", f"Bearer {KEY}"),
        (b"X-API-Key", KEY),
        (b"x-custom", f"prefix {KEY} suffix"),
        (b"Referer", f"https://app.example/page?a=1&api_key={KEY}"),
        (b"Location", f"https://bucket.example/o?X-Amz-Signature={KEY}&x=1"),
        (b"Sec-WebSocket-Protocol", f"realtime, openai-insecure-api-key.{KEY}"),
        (b"Link", f"<https://a.example/?sig={KEY}>; rel=next"),
        (b"x-proxy", f"http://user:{KEY}@proxy.example"),
    ],
)
def test_scrubbed_headers(name: bytes, value: str) -> None:
    """A credential is not stored, whichever header it is in."""
    [(key, text)] = noted([(name, value.encode())])
    assert key == name.decode()
    assert "canary" not in text
    assert HIDDEN in text


def test_scrubbing_keeps_the_rest() -> None:
    """Anything that is not a credential is stored as it was sent."""
    pairs = [
        (b"Sec-WebSocket-Protocol", b"realtime, openai-beta.realtime-v1"),
        (b"Referer", b"https://a.example/?q=1&r=2"),
        (b"x-latin", b"caf\xe9"),
    ]
    assert noted(pairs) == (
        ("Sec-WebSocket-Protocol", "realtime, openai-beta.realtime-v1"),
        ("Referer", "https://a.example/?q=1&r=2"),
        ("x-latin", "caf\ufffd"),
    )


@pytest.mark.parametrize(
    ("target", "written"),
    [
        ("/v1/x?key=abc&alt=sse", "/v1/x?key=***&alt=sse"),
        ("/v1/x?a=1&api_key=abc", "/v1/x?a=1&api_key=***"),
        ("/v1/x?%6bey=abc", "/v1/x?%6bey=***"),
        ("/v1/x?access_token=abc", "/v1/x?access_token=***"),
        ("/v1/x?sv=1&sig=a%2Bb", "/v1/x?sv=1&sig=***"),
        ("/v1/x?X-Amz-Credential=a&X-Amz-Date=b", "/v1/x?X-Amz-Credential=***&X-Amz-Date=***"),
        ("/v1/x?apiKey=abc", "/v1/x?apiKey=***"),
        (f"/v1/{KEY}/x", "/v1/***/x"),
        ("/v1/x?max_tokens=5&model=gpt-4o&key", "/v1/x?max_tokens=5&model=gpt-4o&key"),
        ("/v1/x\udcff", "/v1/x?"),
    ],
)
def test_scrubbed_target(target: str, written: str) -> None:
    """Secret parameters lose their values; path and other parameters stay."""
    assert scrubbed_target(target) == written


@given(st.text(st.characters(codec="ascii", exclude_characters="&?#"), max_size=30))
def test_no_parameter_value_survives(value: str) -> None:
    """Whatever the value of a secret parameter, it is gone."""
    assert scrubbed_target(f"/x?a=1&key={value}&b=2") == "/x?a=1&key=***&b=2"


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ([(b"Authorization", b"Bearer k1")], "/"),
        ([(b"authorization", b"bearer k1")], "/"),
        ([(b"x-api-key", b"k1")], "/"),
        ([(b"Api-Key", b"k1")], "/"),
        ([(b"x-goog-api-key", b"k1")], "/"),
        ([(b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key.k1")], "/"),
        ([], "/v1?alt=sse&key=k1"),
    ],
)
def test_one_key_is_one_caller(headers: list[tuple[bytes, bytes]], target: str) -> None:
    """A key is the same credential wherever it is sent."""
    assert credential(headers, target) == "k1"


def test_signed_calls_have_their_key_id() -> None:
    """A SigV4 signature changes with each call; the access key in it names the caller."""
    value = b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/bedrock/aws4_request, S=1"
    assert credential([(b"Authorization", value)], "/") == "AKIDEXAMPLE"


def test_no_credential() -> None:
    """A call without one has none."""
    assert credential([(b"accept", b"*/*")], "/v1/x?monkey=1") == ""
