"""Bytes, headers, paths and statuses arrive as they were sent, both ways."""

import asyncio
import gzip
import hashlib
import zlib
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from proxy.exchange import Kind, Outcome
from support.relay_bench import Message, answering, bench, read_chunked, read_head, read_message

HEADERS = (
    b"hOsT: 127.0.0.1:4000\r\nAuthorization: Bearer sk-test\r\nX-Stainless-Lang: python\r\n"
    b"x-dup: 1\r\nX-DUP: 2\r\nx-latin: caf\xe9\r\nx-empty: \r\n"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def body_of(size: int) -> bytes:
    """`size` bytes that do not repeat in step with any buffer."""
    return (b"0123456789abcdefg" * (size // 17 + 1))[:size]


def chunked(body: bytes, size: int = 60_000) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%X;ext=1\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


async def test_request_head_crosses_unchanged(tmp_path: Path) -> None:
    """Names keep case, order and repetition, values their bytes; only Host is the provider's."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        await b.send(b"GET /openai/v1/models HTTP/1.1\r\n" + HEADERS + b"\r\n")
    assert seen[0].line == b"GET /v1/models HTTP/1.1"
    assert seen[0].headers == [
        (b"Host", b"127.0.0.1:%d" % b.upstream_port),
        (b"Authorization", b"Bearer sk-test"),
        (b"X-Stainless-Lang", b"python"),
        (b"x-dup", b"1"),
        (b"X-DUP", b"2"),
        (b"x-latin", b"caf\xe9"),
        (b"x-empty", b""),
    ]


async def test_response_head_crosses_unchanged(tmp_path: Path) -> None:
    """Nothing is added to a response, not even Date or Server, and nothing is lost."""
    head = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
    head += b"x-latin: \xfc\r\ncontent-LENGTH: 2\r\n\r\n"
    async with bench(tmp_path, answering(head + b"no")) as b:
        reader, writer = await b.open()
        writer.write(b"GET /openai/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readexactly(len(head) + 2) == head + b"no"
        ended = await b.ended()
    assert ended.outcome is Outcome.HTTP_ERROR
    assert b.response_head().status == 429
    assert b.response_head().reason == "Slow Down"


async def test_hop_by_hop_and_own_headers_stay(tmp_path: Path) -> None:
    """The relay removes the fields of a connection, including those that Connection names."""
    seen: list[Message] = []
    answer = b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: t\r\n"
    answer += b"x-taximeter-error: forged\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n"
    async with bench(tmp_path, answering(answer, seen)) as b:
        response = await b.send(
            b"GET /openai/v1/models HTTP/1.1\r\nHost: x\r\nConnection: X-Secret-Hop, keep-alive\r\n"
            b"X-Secret-Hop: 1\r\nTE: trailers\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n"
            b"x-taximeter-team: search\r\nX-End: 1\r\n\r\n"
        )
    assert [name for name, _ in seen[0].headers] == [b"Host", b"X-End"]
    assert response.headers == [(b"X-End", b"1"), (b"Content-Length", b"0")]
    assert b.journal.begun[0].tags == {"team": "search"}


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (b"/openai/v1/models/a%3Ab?beta=true", b"/v1/models/a%3Ab?beta=true"),
        (b"/openai/v1/m:streamGenerateContent?alt=sse", b"/v1/m:streamGenerateContent?alt=sse"),
        (b"/openai//v1//x/", b"//v1//x/"),
        (b"/v1/chat?a=%20&a=+&b", b"/v1/chat?a=%20&a=+&b"),
        (b"/nested/v1/x", b"/deep/er/v1/x"),
        (b"/nested", b"/deep/er"),
        (b"/openai?x=1", b"/?x=1"),
        (b"/~team=a/openai/v1/x", b"/v1/x"),
        (b"http://evil.example/openai/v1/x", b"/v1/x"),
    ],
)
async def test_raw_path(tmp_path: Path, sent: bytes, received: bytes) -> None:
    """The path is forwarded as written, after the provider's own base path."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        await b.send(b"GET " + sent + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert seen[0].line == b"GET " + received + b" HTTP/1.1"


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024])
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_bodies_are_equal(tmp_path: Path, size: int, coding: str) -> None:
    """Bodies arrive with the same SHA-256, both ways, and are kept whole."""
    body, seen = body_of(size), list[Message]()
    if coding == "length":
        part = b"Content-Length: %d\r\n\r\n%b" % (size, body)
    else:
        part = b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body)
    async with bench(tmp_path, answering(b"HTTP/1.1 200 OK\r\n" + part, seen)) as b:
        response = await b.send(b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\n" + part)
        ended = await b.ended()
    digest = hashlib.sha256(body).digest()
    assert hashlib.sha256(seen[0].body).digest() == digest
    assert hashlib.sha256(response.body).digest() == digest
    assert b.kept(Kind.REQUEST) == body
    assert b.kept(Kind.RESPONSE) == body
    assert (ended.request_bytes, ended.response_bytes) == (size, size)


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        (b"gzip", gzip.compress(body_of(5000))),
        (b"br", brotli.compress(body_of(5000))),
        (b"zstd", zstandard.compress(body_of(5000))),
        (b"deflate", zlib.compress(body_of(5000))),
        (b"gzip", b"not gzip at all"),
    ],
    ids=["gzip", "br", "zstd", "deflate", "not gzip"],  # gzip's bytes hold the time of day
)
async def test_encoded_bodies_stay_encoded(tmp_path: Path, coding: bytes, data: bytes) -> None:
    """Content codings pass untouched, even if the body is damaged."""
    seen: list[Message] = []
    head = b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(data))
    async with bench(tmp_path, answering(b"HTTP/1.1 200 OK\r\n" + head + data, seen)) as b:
        response = await b.send(b"POST /v1/x HTTP/1.1\r\nHost: x\r\n" + head + data)
    assert seen[0].body == data
    assert response.body == data
    assert response.header(b"content-encoding") == [coding]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"PATCH", b"PUT"])
async def test_methods_without_body(tmp_path: Path, method: bytes) -> None:
    """Every method passes, and no framing is invented for a request that has no body."""
    seen: list[Message] = []
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + b"abc" * (method != b"HEAD")
    async with bench(tmp_path, answering(answer, seen)) as b:
        reader, writer = await b.open()
        for _ in range(2):  # the second proves that the first left nothing behind
            writer.write(method + b" /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readexactly(len(answer)) == answer
    assert [name for name, _ in seen[1].headers] == [b"Host"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: W/1\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 307 Go There\r\nLocation: https://elsewhere.example/?a=b\r\n"
        b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 599 Odd\xc3\xa9\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 299 Odd\xe9\xff\r\nX-A: \xff\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_statuses_pass(tmp_path: Path, answer: bytes) -> None:
    """Statuses, reason phrases and redirects pass to the caller; no redirect is followed."""
    async with bench(tmp_path, answering(answer)) as b:
        reader, writer = await b.open()
        for _ in range(2):
            writer.write(b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readexactly(len(answer)) == answer


async def test_http10_caller(tmp_path: Path) -> None:
    """An HTTP/1.0 caller gets no chunks: the close ends its body."""
    seen: list[Message] = []
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello")
    async with bench(tmp_path, answering(answer, seen)) as b:
        reader, writer = await b.open()
        writer.write(b"POST /v1/x HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
        assert await reader.read() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    assert seen[0].line == b"POST /v1/x HTTP/1.1"


async def test_http10_keep_alive(tmp_path: Path) -> None:
    """An HTTP/1.0 caller can keep its connection if the length of the body is known."""
    async with bench(tmp_path, answering(OK)) as b:
        reader, writer = await b.open()
        for _ in range(2):
            writer.write(b"GET /v1/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = await read_message(reader)
            assert response.header(b"connection") == [b"keep-alive"]


async def test_upstream_without_framing(tmp_path: Path) -> None:
    """A body that ends with the provider's close is sent to the caller in chunks."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")

    async with bench(tmp_path, upstream) as b:
        response = await b.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await b.ended()).outcome is Outcome.OK
    assert response.body == b"until the end"
    assert response.header(b"transfer-encoding") == [b"chunked"]


async def test_expect_is_answered_by_upstream(tmp_path: Path) -> None:
    """The caller gets 100 when the provider sends it, and the body follows only then."""
    events: list[str] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        assert head.header(b"expect") == [b"100-continue"]
        await asyncio.sleep(0.05)
        events.append("continue")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(
            b"POST /v1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert events == ["continue"]
        writer.write(b"body")
        assert (await read_message(reader)).body == b"hi"


async def test_expect_is_refused_by_upstream(tmp_path: Path) -> None:
    """A final answer instead of 100 reaches the caller, and no 100 follows."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\nfour")
        await asyncio.sleep(1.2)
        writer.write(b"four")

    async with bench(tmp_path, upstream) as b:
        response = await b.send(
            b"POST /v1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
    assert response.line == b"HTTP/1.1 413 Too Large"
    assert response.header(b"connection") == [b"close"]
    assert response.body == b"fourfour"


async def test_expect_that_upstream_ignores(tmp_path: Path) -> None:
    """A provider that never sends 100 delays the caller by a second at most."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen)) as b:
        reader, writer = await b.open()
        started = asyncio.get_running_loop().time()
        writer.write(
            b"POST /v1/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        await reader.readuntil(b"100 Continue\r\n\r\n")
        assert 0.9 < asyncio.get_running_loop().time() - started < 1.5
        writer.write(b"body")
        assert (await read_message(reader)).body == b"hi"
    assert seen[0].body == b"body"


async def test_early_hints_pass(tmp_path: Path) -> None:
    """Other interim responses are passed on as well."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with bench(tmp_path, answering(hints + OK)) as b:
        reader, writer = await b.open()
        writer.write(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readexactly(len(hints + OK)) == hints + OK


async def test_pipelined_requests(tmp_path: Path) -> None:
    """Requests that come at once are answered in order, over one pooled connection upstream."""
    connections = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            body = (await read_message(reader)).body
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        for n in range(5):
            writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nbody%d" % n)
        assert [(await read_message(reader)).body for _ in range(5)] == [
            b"body%d" % n for n in range(5)
        ]
    assert connections == 1


async def test_a_get_is_not_repeated(tmp_path: Path) -> None:
    """One request of the caller is one request upstream, even if it fails."""
    requests = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_message(reader)
        requests += 1

    async with bench(tmp_path, upstream) as b:
        response = await b.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.line.startswith(b"HTTP/1.1 502")
    assert requests == 1


async def test_chunked_upload_is_streamed(tmp_path: Path) -> None:
    """A request body is streamed: the provider has the first part before the second is sent."""
    parts: list[bytes] = []
    first = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        assert await reader.readuntil(b"\r\n") == b"5\r\n"
        parts.append(await reader.readexactly(7))
        first.set()
        parts.append(await read_chunked(reader))
        writer.write(OK)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"5\r\nfirst\r\n")
        await asyncio.wait_for(first.wait(), 5)
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")
        assert (await read_message(reader)).body == b"hi"
    assert parts == [b"first\r\n", b"second"]


async def test_introduction(tmp_path: Path) -> None:
    """`GET /` says what this is; `HEAD /`, which Claude Code sends first, works too."""
    async with bench(tmp_path, answering(OK)) as b:
        response = await b.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'"name":"taximeter"' in response.body
        assert b'"providers":["nested","openai"]' in response.body
        assert b'"OPENAI_BASE_URL":"http://x/openai/v1"' in response.body
        head = await b.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", bodyless=True)
    assert head.line == b"HTTP/1.1 200 OK"
    assert head.headers == response.headers
    assert not b.journal.begun


async def test_introduction_ends_the_connection_where_the_caller_wants_it(tmp_path: Path) -> None:
    """`Connection: close` also applies to the relay's own answers."""
    async with bench(tmp_path, answering(OK)) as b:
        reader, writer = await b.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"}")
