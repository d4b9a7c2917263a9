"""Hostile and secret input: what is refused, and what is never written down."""

import asyncio
import json
import logging
import os
from pathlib import Path

import msgspec
import pytest

from proxy.exchange import Kind
from proxy.settings.config import UpstreamOptions
from proxy.settings.places import Places
from support.relay_bench import Message, answering, bench, read_message

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CANARY = "sk-canary-0123456789abcdefghij"


@pytest.mark.parametrize(
    "request_bytes",
    [
        # smuggling: two ideas of where the body ends
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
        # injection: a second header inside a value, a folded line, a bare line feed
        b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-A: a\rX-B: b\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n",
        b"GET /v1/x HTTP/1.1\nHost: x\n\n",
        # routing: two hosts, none, spaces in the target
        b"GET /v1/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\n\r\n",
        b"GET /v1/x y HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\xffT /v1/x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_invalid_requests(tmp_path: Path, request_bytes: bytes) -> None:
    """What is not plain HTTP/1.1 is answered 400 and goes nowhere; the connection ends."""
    async with bench(tmp_path, answering(OK)) as b:
        reader, writer = await b.open()
        writer.write(request_bytes)
        response = await asyncio.wait_for(read_message(reader), 5)
        assert await reader.read() == b""
    assert response.line == b"HTTP/1.1 400 Bad Request"
    assert response.header(b"x-taximeter-error") == [b"bad_request"]
    assert not b.journal.begun


async def test_other_transfer_codings(tmp_path: Path) -> None:
    """Any transfer coding other than chunked is refused."""
    async with bench(tmp_path, answering(OK)) as b:
        response = await b.send(
            b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        )
    assert response.line == b"HTTP/1.1 501 Not Implemented"


@pytest.mark.parametrize(
    ("what", "status"),
    [
        (b"X-Long: " + b"a" * 8100, b"200"),
        (b"X-Long: " + b"a" * 9000, b"431"),
        (b"\r\n".join(b"X-%d: 1" % n for n in range(450)), b"200"),
        (b"\r\n".join(b"X-%d: 1" % n for n in range(600)), b"431"),
    ],
)
async def test_header_limits(tmp_path: Path, what: bytes, status: bytes) -> None:
    """The length and number of header lines are limited."""
    async with bench(tmp_path, answering(OK), upstream=UpstreamOptions(header_bytes_max=8192)) as b:
        response = await b.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n" + what + b"\r\n\r\n")
    assert response.line.split()[1] == status


async def test_long_response_header(tmp_path: Path) -> None:
    """The same limits hold for a provider's response head."""
    long = b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 9000 + b"\r\nContent-Length: 0\r\n\r\n"
    async with bench(
        tmp_path, answering(long), upstream=UpstreamOptions(header_bytes_max=8192)
    ) as b:
        response = await b.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.line == b"HTTP/1.1 502 Bad Gateway"


@pytest.mark.parametrize("value", [b"a\rSet-Cookie: forged=1", b"a\rb"])
async def test_response_splitting(tmp_path: Path, value: bytes) -> None:
    """A response header that would become two headers is not passed on."""
    answer = b"HTTP/1.1 200 OK\r\nX-A: " + value + b"\r\nContent-Length: 0\r\n\r\n"
    async with bench(tmp_path, answering(answer)) as b:
        response = await b.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.line == b"HTTP/1.1 502 Bad Gateway"
    assert not response.header(b"set-cookie")


async def test_connect_is_refused(tmp_path: Path) -> None:
    """The relay does not act as a forward proxy."""
    async with bench(tmp_path, answering(OK)) as b:
        response = await b.send(
            b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n"
        )
    assert response.line == b"HTTP/1.1 405 Method Not Allowed"
    assert b"base URL" in response.body


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
async def test_unknown_path(tmp_path: Path, method: bytes) -> None:
    """An unknown path is answered 404, with a list of the providers."""
    async with bench(tmp_path, answering(OK)) as b:
        request = method + b" /nobody/v1 HTTP/1.1\r\nHost: x\r\n\r\n"
        response = await b.send(request, bodyless=method == b"HEAD")
    assert response.line == b"HTTP/1.1 404 Not Found"
    assert response.header(b"x-taximeter-error") == [b"unknown_path"]
    if method != b"HEAD":
        assert json.loads(response.body)["error"]["providers"] == ["nested", "openai"]


async def test_unread_body_is_not_the_next_request(tmp_path: Path) -> None:
    """A refused request ends its connection, unless its body has arrived: it may never be sent."""
    async with bench(tmp_path, answering(OK)) as b:
        for more, closes in ((b"Expect: 100-continue\r\n\r\n", True), (b"\r\nhi", False)):
            response = await b.send(
                b"POST /nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + more
            )
            assert response.line == b"HTTP/1.1 404 Not Found"
            assert response.header(b"connection") == ([b"close"] if closes else [])


async def test_never_another_host(tmp_path: Path) -> None:
    """No form of a path and no Host sends a call anywhere but to the provider's address."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        for target in (
            b"http://evil.example/openai/v1/x",
            b"http://evil.example@other.example:9/openai/v1/x",
            b"/openai//evil.example/v1/x",
            b"/openai/@evil.example/",
            b"/openai/http://evil.example/",
        ):
            await b.send(b"GET " + target + b" HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert len(seen) == 5
    own = b"127.0.0.1:%d" % b.upstream_port
    assert all(message.header(b"host") == [own] for message in seen)


async def test_canary(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A credential reaches the provider in every form, but no journal, log or answer of ours."""
    caplog.set_level(logging.DEBUG)
    seen: list[Message] = []
    key = CANARY.encode()
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=" + key + b"\r\nX-Token: " + key
    answer += b"\r\nLocation: /x?access_token=" + key + b"\r\nContent-Length: 0\r\n\r\n"
    requests = [
        b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
        for header in (
            b"Authorization: Bearer " + key,
            b"x-api-key: " + key,
            b"api-key: " + key,
            b"X-Goog-Api-Key: " + key,
            b"Cookie: a=" + key,
            b"Proxy-Authorization: Basic " + key,
            b"X-Amz-Security-Token: " + key,
            b"X-Forwarded-Note: my key is " + key,
        )
    ]
    requests.append(b"GET /openai/v1/x?alt=sse&key=" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    async with bench(tmp_path, answering(answer, seen)) as b:
        for request in requests:
            response = await b.send(request)
            assert response.header(b"x-token") == [key]
        ours = [  # what the relay says by itself when something is wrong with such a request
            await b.send(request)
            for request in (
                b"GET /nobody?key=" + key + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\nAuthorization " + key + b"\r\n\r\n",
                b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\nX-A: " + key + b"\0\r\n\r\n",
            )
        ]
    assert len(seen) == len(requests)
    assert all(CANARY in str(message) for message in seen)
    assert not any(CANARY in str(message) for message in ours)
    journal = b"".join(e[2] for e in b.journal.events if not isinstance(e, str))
    assert CANARY not in journal.decode()
    assert CANARY not in caplog.text
    assert os.listdir(tmp_path) == [Places(tmp_path).fingerprint_key.name]  # a random key, no text
    with_key = [begun.key_id for begun in b.journal.begun]
    assert len({*with_key[:4], with_key[8]}) == 1
    assert with_key[0].startswith("k_")


async def test_what_is_noted_of_a_call(tmp_path: Path) -> None:
    """BEGUN says where the call went and under which tags, as the meter reads it."""
    async with bench(tmp_path, answering(OK)) as b:
        await b.send(
            b"POST /~team=search/openai/v1/x?key=s&a=1 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n"
            b"x-taximeter-feature: chat\r\nContent-Length: 0\r\n\r\n"
        )
        begun = msgspec.json.decode(b.journal.payloads(Kind.BEGUN)[0])
    assert begun["method"] == "POST"
    assert begun["target"] == "/v1/x?key=***&a=1"
    assert begun["provider"] == "openai"
    assert begun["upstream"] == f"http://127.0.0.1:{b.upstream_port}"
    assert begun["headers"] == [["X-A", "1"], ["Content-Length", "0"]]
    assert begun["tags"] == {"team": "search", "feature": "chat"}
    assert len(begun["call_id"]) == 36
    assert begun["call_id"][14] == "7"
