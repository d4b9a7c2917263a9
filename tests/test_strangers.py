"""Strangers: who is let in, what they may take up, and that nobody speaks in another's name.

`test_relay_hygiene.py` has what is refused as no HTTP; here are the limits, the tokens, hostile
providers, and the console.
"""

import asyncio
import json
import re
import socket
import time
import tomllib
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import msgspec
import pytest
from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import Batch, Record
from proxy.commands import console_client
from proxy.console import api
from proxy.console.admission import admission
from proxy.dialects.errors import redacted
from proxy.exchange import Outcome
from proxy.network import server_tls, url_of
from proxy.relay import acceptor, attempt, callers, websocket
from proxy.relay.upstream import HEAD_BYTES_MAX
from proxy.secrecy.scrubbing import scrubbed, scrubbed_target
from proxy.settings import sources
from proxy.settings.config import CallerOptions, Config, Listen, UpstreamOptions
from proxy.settings.sources import SettingsError
from proxy.settings.typed import leaves
from support.relay_bench import (
    Handler,
    Message,
    answering,
    bench,
    make_certificate,
    read_head,
    read_message,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
TOKEN = "0123456789abcdef-token"
SLOW_S = 5.0  # by then a limit of tenths of a second has surely acted


async def to_the_end(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes."""
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), SLOW_S)
    return b""


# -- who is let in: the proxy -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        ("/openai/v1/x", "", 401),
        ("/openai/v1/x", "x-taximeter-token: wrong", 401),
        ("/openai/v1/x", f"x-taximeter-token: {TOKEN}\xe9", 401),
        ("/openai/v1/x", f"Authorization: Bearer {TOKEN}", 401),
        ("/~token=wrong/openai/v1/x", "", 401),
        ("/nobody/at/all", "", 401),
        ("/openai/v1/../x", "", 401),
        ("/", "", 401),
        ("/", f"x-taximeter-token: {TOKEN}", 200),
        ("/openai/v1/x", f"X-Taximeter-Token: {TOKEN}", 200),
        (f"/~token={TOKEN}/openai/v1/x", "", 200),
        (f"/~team=a,token={TOKEN}/v1/x", "", 200),
        (f"/~token={TOKEN}/nobody", "", 404),
        (f"/~token={TOKEN}/openai/v1/../x", "", 400),
    ],
)
async def test_proxy_token(tmp_path: Path, target: str, header: str, status: int) -> None:
    """With a token set, only who has it gets further than 401; it goes no further than here."""
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen), proxy=Listen(token=TOKEN)) as b:
        lines = f"GET {target} HTTP/1.1\r\nHost: x\r\n{header}".rstrip() + "\r\n\r\n"
        answer = await b.send(lines.encode("latin-1"))
    assert answer.line.split()[1] == str(status).encode()
    if status == 401:
        assert answer.header(b"x-taximeter-error") == [b"unauthorized"]
        assert "x-taximeter-token" in json.loads(answer.body)["error"]["message"]
        assert not b.journal.begun
    noted = str(b.journal.events) + (str(seen) if "Authorization" not in header else "")
    assert TOKEN not in noted


async def test_a_token_is_no_tag(tmp_path: Path) -> None:
    """Nor is one noted that nobody asked for."""
    async with bench(tmp_path, answering(OK)) as b:
        line = f"GET /~token={TOKEN},team=a/v1/x HTTP/1.1\r\nHost: x\r\nx-taximeter-token: {TOKEN}"
        assert (await b.send(line.encode() + b"\r\n\r\n")).body == b"hi"
    assert dict(b.journal.begun[0].tags) == {"team": "a"}
    assert TOKEN not in str(b.journal.events)


# -- who is let in: settings --------------------------------------------------------------------


def mistakes(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """What is wrong with a file of this text; [] if nothing is."""
    file = tmp_path / "taximeter.toml"
    file.write_text(text)
    try:
        sources.load(file, {"HOME": str(tmp_path), **environ})
    except SettingsError as error:
        return list(error.mistakes)
    return []


def test_beyond_loopback(tmp_path: Path) -> None:
    """The proxy needs TLS and a token there, the console a token; or somebody says otherwise."""
    (tmp_path / "pem").touch()
    tls = 'tls_cert = "pem"\ntls_key = "pem"\n'
    token = f'token = "{TOKEN}"\n'
    open_proxy, open_console = '[proxy]\nhost = "0.0.0.0"\n', '[console]\nhost = "::"\n'
    for text in (open_proxy, open_proxy + tls, open_proxy + token):
        (found,) = mistakes(tmp_path, text)
        assert found.startswith("proxy.host: 0.0.0.0 can be reached by other machines; set")
        assert "proxy.token, proxy.tls_cert and proxy.tls_key, or proxy.insecure = true" in found
    (found,) = mistakes(tmp_path, open_console)
    assert "set console.token, or console.insecure = true" in found
    for text in (
        open_proxy + tls + token,
        open_console + token,
        open_proxy + "insecure = true",
        open_console + "insecure = true",
    ):
        assert mistakes(tmp_path, text) == []


def test_tokens_from_environment_and_file(tmp_path: Path) -> None:
    """A container sets a variable, or mounts a file; what is wrong with one is told without it."""
    file = tmp_path / "secret"
    file.write_text(f"{TOKEN}\n")
    home = {"HOME": str(tmp_path)}
    config = sources.load(
        None, {**home, "TAXIMETER_PROXY_TOKEN": TOKEN, "TAXIMETER_CONSOLE_TOKEN_FILE": str(file)}
    )
    assert (config.proxy.token, config.console.token) == (TOKEN, TOKEN)
    assert TOKEN not in repr(config)
    assert sources.parse(sources.dump(config)) == config
    file.write_text("\n")
    assert "is empty" in mistakes(tmp_path, '[proxy]\ntoken_file = "secret"')[0]
    assert "cannot be read" in mistakes(tmp_path, '[proxy]\ntoken_file = "none"')[0]
    both = f'[proxy]\ntoken_file = "secret"\ntoken = "{TOKEN}"'
    assert "keep one of them" in mistakes(tmp_path, both)[0]
    for value in ('"short"', '"with a space 0123456789"', '"ümläut-0123456789abcdef"', "1234567"):
        (found,) = mistakes(tmp_path, f"[proxy]\ntoken = {value}")
        assert found.startswith("proxy.token: expected")
        assert value.strip('"') not in found


# -- what one may take up -----------------------------------------------------------------------


async def test_slow_head(tmp_path: Path) -> None:
    """A head has a time from its first byte, however steadily it trickles."""

    async def trickle(writer: asyncio.StreamWriter) -> None:
        for byte in b"GET /openai/v1/x HTTP/1.1\r\nX-A: " + b"a" * 1000:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.02)

    async with bench(tmp_path, answering(OK), callers=CallerOptions(head_timeout_s=0.3)) as b:
        reader, writer = await b.open()
        writer.write(GET)  # an earlier request does not buy time
        assert (await read_message(reader)).body == b"hi"
        slow = asyncio.create_task(trickle(writer))
        answer = await asyncio.wait_for(read_head(reader), SLOW_S)
        slow.cancel()
    assert answer.line == b"HTTP/1.1 408 Request Timeout"
    assert answer.header(b"x-taximeter-error") == [b"head_timeout"]
    assert len(b.journal.begun) == 1


async def test_empty_lines_are_no_head(tmp_path: Path) -> None:
    """An empty line after a body, as old clients send it, starts no clock (RFC 9112, 2.2)."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(head_timeout_s=0.05)) as b:
        reader, writer = await b.open()
        for _ in range(2):
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"
            writer.write(b"\r\n")
            await asyncio.sleep(0.1)


async def test_silent_connection(tmp_path: Path) -> None:
    """A connection that says nothing, or nothing more, is closed after a while."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_timeout_s=0.2)) as b:
        for request in (b"", GET):
            reader, writer = await b.open()
            writer.write(request)
            assert await to_the_end(reader) == (OK if request else b"")


async def test_many_idle_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many closes the one that idles longest; a call is no idle connection."""
    monkeypatch.setattr(callers, "FRESH_S", 0.0)
    release = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        await release.wait()
        writer.write(OK)

    async with bench(tmp_path, handle, callers=CallerOptions(idle_max=3)) as b:
        busy, writer = await b.open()
        writer.write(GET)
        while not b.journal.begun:
            await asyncio.sleep(0.005)
        idle = [await b.open() for _ in range(6)]
        for reader, _ in idle[:3]:
            assert await to_the_end(reader) == b""
        release.set()
        assert (await read_message(busy)).body == b"hi"
        for reader, writer in idle[4:]:  # and that one made room as well
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"


async def test_a_burst_of_new_connections_is_served(tmp_path: Path) -> None:
    """Far more callers than may idle connect before the first of them sends: none is cut."""
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_max=3)) as b:
        opened = [await b.open() for _ in range(40)]
        await asyncio.sleep(0.1)
        for reader, writer in opened:
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"


async def test_those_of_a_burst_that_say_nothing_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once they are not fresh any more, as many as are too many."""
    monkeypatch.setattr(callers, "FRESH_S", 0.3)
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_max=3)) as b:
        opened = [await b.open() for _ in range(9)]
        began = asyncio.get_running_loop().time()
        for reader, _ in opened[:6]:
            assert await to_the_end(reader) == b""
        assert 0.2 < asyncio.get_running_loop().time() - began < 5
        for reader, writer in opened[6:]:
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"


async def test_a_crowd_leaves_descriptors_for_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections take half of the descriptors at most, however fresh they are."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (12, 12))
    async with bench(tmp_path, answering(OK), callers=CallerOptions(idle_max=3)) as b:
        opened = [await b.open() for _ in range(8)]
        for reader, _ in opened[:2]:
            assert await asyncio.wait_for(to_the_end(reader), callers.FRESH_S / 2) == b""


async def test_large_head(tmp_path: Path) -> None:
    """A head has a size besides those of its lines."""
    async with bench(tmp_path, answering(OK)) as b:
        reader, writer = await b.open()
        writer.write(b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n")
        with suppress(ConnectionError):
            for n in range(200):
                writer.write(b"X-%d: " % n + b"a" * 60_000 + b"\r\n")
                await writer.drain()
        answer = await to_the_end(reader)
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # reset before it was read
    assert not b.journal.begun


async def test_stalled_body(tmp_path: Path) -> None:
    """A body that does not come ends its call, and upstream never sees it whole."""
    ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await read_message(reader)
        ended.set()

    async with bench(tmp_path, handle, upstream=UpstreamOptions(idle_timeout_s=0.3)) as b:
        head = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        answer = await b.send(head + b"ten bytes.")
        noted = await b.ended()
        await asyncio.wait_for(ended.wait(), SLOW_S)
    assert answer.line == b"HTTP/1.1 408 Request Timeout"
    assert answer.header(b"x-taximeter-error") == [b"request_timeout"]
    assert (noted.outcome, noted.request_bytes) == (Outcome.CLIENT_GONE, 10)


async def test_tls_handshakes(tmp_path: Path) -> None:
    """Who connects and does not shake hands is given up for others who do."""
    certificate, key = make_certificate(tmp_path)
    listening_socket = socket.create_server(("127.0.0.1", 0))
    listening_socket.setblocking(False)
    tls = server_tls(Listen(tls_cert=certificate, tls_key=key))
    with patch.object(acceptor, "OPENING_MAX", 2):
        made = acceptor.Acceptor(listening_socket, asyncio.Protocol, tls)
        address = listening_socket.getsockname()
        silent = [await asyncio.open_connection(*address) for _ in range(4)]
        for reader, _ in silent[:2]:
            assert await to_the_end(reader) == b""
        for _, writer in silent:
            writer.close()
        await asyncio.wait_for(made.stop(), SLOW_S)


@pytest.mark.parametrize(
    "text", ["eyJ-", "eyJ12345678.", "://a:", "://", "sk-", "a b ", "k=", ";k=", "%73", "-k", "&a="]
)
def test_scrubbing_takes_linear_time(text: str) -> None:
    """No value that fits a header holds the relay up, in whichever way it is written."""
    value = text * (65_536 // len(text))
    began = time.perf_counter()
    scrubbed([(b"x-a", value.encode()), (value.encode(), b"1")])
    scrubbed_target("/v1/" + value + "?" + value)
    redacted(value)
    assert time.perf_counter() - began < 1


# -- nobody speaks in another's name ------------------------------------------------------------

SMUGGLED = b"GET /openai/v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: identity\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: chunked, identity\r\n",
        b"Content-Length: %d\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: %d\r\nX: a\r\n Transfer-Encoding: chunked\r\n",
        b"Content-Length: %d\r\nX: a\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 0\r\nContent-Length: %d\r\n",
        b"Content-Length: 0, %d\r\n",
        b"Content-Length: -%d\r\n",
        b"Content-Length: 0x%d\r\n",
        b"Content-Length: %d, %d\r\n",
        b"Content-Length : %d\r\n",
        b"Connection: Content-Length\r\nContent-Length: %d\r\n",
        b"Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\nX: %d\r\n",
    ],
)
async def test_smuggled_request(tmp_path: Path, head: bytes) -> None:
    """However a body's end is written, no request that stands in a body is ever served as one."""
    seen: list[Message] = []
    body = b"0\r\n\r\n" + SMUGGLED
    head = head.replace(b"%d", b"%d" % len(body))
    async with bench(tmp_path, answering(OK, seen)) as b:
        _, writer = await b.open()
        writer.write(POST + head + b"\r\n" + body)
        for _ in range(2):  # others come over the same pooled connection
            await b.send(GET)
        await asyncio.sleep(0.05)
    # Behind a body that ends with `0` the rest is a request of this caller's own, and known to us.
    for message in seen:
        if b"smuggled" in message.line:
            assert head.startswith(b"Transfer-Encoding: chunked\r\nConnection"), head
    assert len(b.journal.begun) == len(seen)


@pytest.mark.parametrize(
    "chunks",
    [
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"-1\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"3\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"\r\n\r\n",
    ],
)
async def test_bad_chunks(tmp_path: Path, chunks: bytes) -> None:
    """A size that two parsers could read in two ways ends the call; nothing behind it is served."""
    seen: list[Message] = []
    limits = UpstreamOptions(idle_timeout_s=0.5)
    async with bench(tmp_path, answering(OK, seen), upstream=limits) as b:
        reader, writer = await b.open()
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + SMUGGLED)
        answer = await to_the_end(reader)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not seen


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
@pytest.mark.parametrize("more", [b"garbage", OK.replace(b"hi", b"no"), b"\r\n\r\n" + OK, b"\0"])
async def test_garbage_after_an_answer(tmp_path: Path, more: bytes, pause_s: float) -> None:
    """What a provider sends beyond its answer is never the next caller's."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_message(reader)
            writer.write(OK if pause_s else OK + more)
            await asyncio.sleep(pause_s)
            writer.write(more if pause_s else b"")

    async with bench(tmp_path, handle) as b:
        for _ in range(4):
            answer = await b.send(GET)
            whole = (answer.line, answer.body) == (b"HTTP/1.1 200 OK", b"hi")
            assert whole or answer.header(b"x-taximeter-error") == [b"upstream_bad_response"]
            assert whole or not pause_s
            await asyncio.sleep(2 * pause_s)


# -- hostile providers --------------------------------------------------------------------------


def endless(first: bytes, more: bytes) -> Handler:
    """An upstream that begins an answer and never comes to its end."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(first)
        while True:
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)

    return handle


@pytest.mark.parametrize(
    "handler",
    [
        endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"),
        endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 1000),
        endless(b"HTTP/1.1 200 ", b"a" * 1000),
        endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        answering(
            b"HTTP/1.1 200 OK\r\n"
            + b"".join(
                b"X-%d: %b\r\n" % (n, b"a" * 60_000) for n in range(HEAD_BYTES_MAX // 50_000)
            )
            + b"Content-Length: 0\r\n\r\n"
        ),
        answering(b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi"),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ],
    ids=lambda handler: "",
)
async def test_hostile_head(tmp_path: Path, handler: Handler) -> None:
    """A head without end, or with two meanings, is 502: bounded in size and number."""
    async with bench(tmp_path, handler) as b:
        reader, writer = await b.open()
        writer.write(GET)
        async with asyncio.timeout(10):
            while (answer := await read_head(reader)).line.split()[1].startswith(b"1"):
                pass
        assert answer.line == b"HTTP/1.1 502 Bad Gateway"
        assert answer.header(b"x-taximeter-error") == [b"upstream_bad_response"]
        assert (await b.ended()).outcome is Outcome.UNREACHABLE


def test_interim_limit() -> None:
    """A provider that says "still working" each second is far from the limit."""
    assert UpstreamOptions().idle_timeout_s <= attempt.INTERIM_MAX


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"Content-Length: 10\r\n\r\n", b"hi"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nhi\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"ffffffffffffffffff\r\nx"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"7fffffffffffffff\r\nx"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", b"-1\r\nx"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi", b"X\r\n0\r\n\r\n"),
    ],
)
async def test_lies_about_length(tmp_path: Path, first: bytes, then: bytes) -> None:
    """An answer that is shorter than announced, or has no such chunk, ends broken, never clean."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + first)
        await asyncio.sleep(0.05)
        writer.write(then)
        await writer.drain()

    async with bench(tmp_path, handle) as b:
        reader, writer = await b.open()
        writer.write(GET)
        with pytest.raises(asyncio.IncompleteReadError):
            await asyncio.wait_for(read_message(reader), SLOW_S)
        assert (await b.ended()).outcome is Outcome.UPSTREAM_CUT


def test_deflate_bomb_in_a_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that inflates without end is given up, with what its direction says later."""
    monkeypatch.setattr(websocket, "INFLATED_BYTES_MAX", 1 << 22)
    deflate = zlib.compressobj(wbits=-15)
    bomb = deflate.compress(bytes(1 << 24)) + deflate.flush(zlib.Z_SYNC_FLUSH)[:-4]
    reader = websocket.MessageReader(deflate=True, message_bytes_max=1 << 20)
    frame = b"\xc2\x7f" + len(bomb).to_bytes(8) + bomb
    assert list(reader.feed(frame)) == []
    assert reader.skipped_bytes == len(bomb)
    with pytest.raises(ValueError, match="reserved bits"):
        list(reader.feed(frame))


# -- the console --------------------------------------------------------------------------------

HOSTILE = (
    "'",
    "' OR 1=1 --",
    "\\' OR 1=1 --",
    "'; DROP TABLE calls; --",
    "{f0:String}",
    "%27%20OR%201",
    "a\tb\nc\\n\\0",
    "ü\U0001f600",
    "x' INTO OUTFILE '/tmp/owned' --",
)


@asynccontextmanager
async def console(
    dsn: str, database: str, listen: Listen, rows: list[Record]
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """The console over a real store with these rows."""
    writer = ClickHouse(dsn, database=database)
    await writer.open()
    await writer.export(Batch("test:0-1", tuple(rows)))
    store = Store(dsn, database=database)
    app = api.application(store, lambda: {"relays": {"ok": True}}, listen)
    client = TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True))
    try:
        async with client:
            yield client
    finally:
        await store.close()
        await writer.close()


def rows() -> list[Record]:
    """One call for each hostile text, in a column and as the name and value of a tag."""
    base = Record(
        ts_us=time.time_ns() // 1000,
        call_id="",
        provider="openai",
        outcome="ok",
        cost_status="unpriced",
    )
    return [
        msgspec.structs.replace(base, call_id=str(uuid4()), team=text, tags={text: text})
        for text in HOSTILE
    ]


async def test_no_sql_from_callers(chdb_dsn: str, database: str) -> None:
    """Whatever stands in a question is a value, compared as it is, or a clear 400; never SQL."""
    async with console(chdb_dsn, database, Listen(), rows()) as client:

        async def ask(path: str, **query: str) -> tuple[int, Any]:
            async with client.get(path, params=query) as answer:
                return answer.status, await answer.json()

        for text in HOSTILE:
            status, found = await ask("/api/calls", team=text)
            assert (status, [row["team"] for row in found]) == (200, [text])
            status, found = await ask("/api/spend", by=f"tag.{text}", since="1h")
            assert status in (200, 400), found
            for path, query in (
                ("/api/calls", {text: "1"}),
                ("/api/calls", {"limit": text}),
                ("/api/calls", {"since": text}),
                ("/api/calls", {"before": "1h", "before_id": text}),
                ("/api/calls", {"http_status": text}),
                ("/api/spend", {"by": text}),
                ("/api/spend", {"until": text}),
                ("/api/timeline", {"step": text}),
            ):
                status, found = await ask(path, **query)
                assert status == 400, (path, query, found)
            assert (await ask(f"/api/calls/{text}"))[0] == 404
        for query in ({"since": "9" * 30 + "d"}, {"since": "9" * 5000}, {"step": "9" * 30}):
            assert (await ask("/api/timeline", **query))[0] == 400, query
        assert len((await ask("/api/calls"))[1]) == len(HOSTILE)


async def test_console_token(chdb_dsn: str, database: str) -> None:
    """With a token set everything but a bare liveness wants it, as a header or as the cookie."""
    async with console(chdb_dsn, database, Listen(token=TOKEN), rows()) as client:

        async def status(path: str, headers: Mapping[str, str] | None = None) -> int:
            async with client.get(path, headers=headers) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert TOKEN not in await answer.text()
                return answer.status

        everything = ("/", "/console.js", "/api/calls", "/api/spend", "/metrics", "/api/nothing")
        for path in everything:
            assert await status(path) == 401
            assert await status(path + "?token=wrong") == 401
            assert await status(path, {"Authorization": "Bearer wrong"}) == 401
            assert await status(path, {"Cookie": f"taximeter_console={TOKEN}"}) == 401
            expected = 404 if path == "/api/nothing" else 200
            assert await status(path, {"Authorization": f"Bearer {TOKEN}"}) == expected
        assert await status(f"/api/calls?token={TOKEN}") == 401  # a page alone signs in
        async with client.get("/api/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})

        async with client.get(f"/?token={TOKEN}") as answer:
            assert answer.status == 200
            assert 'content="0;url=/"' in await answer.text()
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert await status("/") == 200
        async with client.get(f"/?token={TOKEN}") as answer:  # again: it leaves the address bar
            assert 'content="0;url=/"' in await answer.text()
        async with client.get("/api/health") as answer:
            assert "parts" in await answer.json()
        assert await status("/api/calls", {"Host": "taximeter.example:4001"}) == 200


async def test_console_without_token(chdb_dsn: str, database: str) -> None:
    """Without one, a page of another site learns nothing: by its name (rebinding) or by asking."""
    async with console(chdb_dsn, database, Listen(host="my-host"), rows()) as client:
        for host, expected in (
            ("localhost:4001", 200),
            ("127.0.0.1", 200),
            ("[::1]:4001", 200),
            ("10.1.2.3:4001", 200),
            ("My-Host:4001", 200),
            ("evil.example", 403),
            ("evil.example:4001", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost.evil.example", 403),
            ("evil.example@localhost", 200),
            ("[::1", 403),
            ("", 403),
        ):
            async with client.get("/api/calls", headers={"Host": host}) as answer:
                assert answer.status == expected, host
        for site, path, expected in (
            ("cross-site", "/api/calls", 403),
            ("cross-site", "/console.js", 403),
            ("cross-site", "/", 200),  # a link to us
            ("same-origin", "/api/calls", 200),
            ("none", "/api/calls", 200),
        ):
            async with client.get(path, headers={"Sec-Fetch-Site": site}) as answer:
                assert answer.status == expected, (site, path)
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_console_serves_three_files(chdb_dsn: str, database: str) -> None:
    """No path climbs out of what it serves, and none of our own sources is served."""
    async with console(chdb_dsn, database, Listen(), []) as client:
        port = client.port
        for path in (
            "/../api.py",
            "/..%2fapi.py",
            "/console.js/../api.py",
            "/console.js/..%2f..%2fpyproject.toml",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/api.py",
            "/defaults.toml",
            "/console.js%00.py",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await to_the_end(reader)
            writer.close()
            assert answer.split(b" ")[1] in (b"400", b"404"), (path, answer)


async def test_console_over_tls(tmp_path: Path) -> None:
    """With a certificate the address says https, and the command line trusts just that one."""
    certificate, key = make_certificate(tmp_path)
    listen = Listen(port=1, tls_cert=certificate, tls_key=key, token=TOKEN)
    assert url_of(listen) == "https://127.0.0.1:1"
    app = web.Application(middlewares=[admission(listen)])

    async def hello(_: web.Request) -> web.Response:
        return web.json_response({"hello": 1})

    app.router.add_get("/api/spend", hello)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=server_tls(listen))
    console_url = f"https://127.0.0.1:{server.port}"
    description = {
        "pid": 1, "port": 1, "console_port": 1, "started": "", "proxy_url": "",
        "console_url": console_url, "data": str(tmp_path), "store": "",
    }  # fmt: skip
    (tmp_path / "serve.json").write_text(json.dumps(description))
    config = Config(data=tmp_path, console=listen)
    assert await asyncio.to_thread(console_client.ask, config, "/api/spend", {}) == {"hello": 1}
    async with ClientSession() as session:
        with pytest.raises(OSError, match="certificate"):
            await session.get(f"{console_url}/api/spend")
    await server.close()


# -- the page that promises all this ------------------------------------------------------------

ROOT = Path(__file__).parents[1]


def test_the_limits_on_the_page() -> None:
    """Every limit that SECURITY.md names is a setting or a constant."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = page.partition("## Limits")[2].partition("## What")[0]
    names = set(re.findall(r"`([\w.]+)`", table))
    sources = [*(ROOT / "proxy").rglob("*.py"), *(ROOT / "exporters").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    constants = set(re.findall(r"^([A-Z]\w+) = ", text, re.MULTILINE))
    known = constants | set(leaves(Config, {"providers": {}}))
    assert len(names) > 20
    assert names - known == set()


def test_the_dependencies_on_the_page() -> None:
    """It names every package that we ask for ourselves, and no other."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = page.partition("## Dependencies")[2].partition("## Reporting")[0]
    cells = re.findall(r"^\| ([a-z][\w ,;()-]+) \|", table, re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"[a-z][\w-]+", cell)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    wanted = {re.split(r"[^\w-]", requirement)[0] for requirement in asked}
    assert listed - {"package", "optional"} == wanted
