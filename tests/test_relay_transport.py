"""What networks do to calls: silence, stale connections, large heads, loopbacks, other HTTP."""

import asyncio
import socket
from pathlib import Path

import pytest

from proxy.exchange import Outcome
from proxy.network import KEEPALIVE_S, bypasses, keep_alive
from proxy.relay import pool
from proxy.serving.listening import bind
from proxy.settings.config import Config, Listen, Provider, UpstreamOptions
from support.relay_bench import (
    Message,
    answering,
    bench,
    listening,
    read_head,
    read_message,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def test_a_model_may_think_for_an_hour() -> None:
    """Flex and reasoning calls are silent for a quarter of an hour, and longer."""
    upstream = Config(data=Path()).upstream
    assert upstream.first_byte_timeout_s >= 3600
    assert upstream.idle_timeout_s >= 900


def test_silent_connections_are_probed() -> None:
    """NAT and firewalls forget a connection after 350 s without a packet."""
    with socket.socket() as sock:
        keep_alive(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_S


@pytest.mark.parametrize("size", [300_000, 2_000_000])
async def test_an_early_answer_arrives(tmp_path: Path, size: int) -> None:
    """A provider that refuses an upload and closes is heard, however much was still to come."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        await writer.drain()
        writer.close()

    head = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    async with bench(tmp_path, refuse) as b:
        for _ in range(5):
            response = await b.send(head + b"x" * size)
            assert (response.line, response.body) == (b"HTTP/1.1 413 Too Large", b"big")


async def test_nobody_gets_a_connection_that_was_closed(tmp_path: Path) -> None:
    """A provider that closes after each answer, without saying so, breaks no later call."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with bench(tmp_path, once) as b:
        for _ in range(5):
            assert (await b.send(POST)).body == b"hi"
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("listed", "host", "port", "expected"),
    [
        ("192.0.0.0/16", "192.0.2.1", 443, True),
        ("192.0.0.0/16", "193.0.2.1", 443, False),
        (".example.com", "api.example.com", 443, True),
        ("example.com", "api.example.com", 443, True),
        ("example.com", "badexample.com", 443, False),
        ("example.com:8443", "example.com", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("[::1]:443", "::1", 443, True),
        ("*", "anything", 1, True),
        ("other, *.corp", "a.corp", 443, True),
        ("other  .corp:443\tlast.test", "a.corp", 443, True),
        ("Example.COM.", "api.example.com", 443, True),
        ("example.com", "API.example.com.", 443, True),
        ("[fd00::1]", "fd00::1", 8443, True),
        ("fd00::/8:443", "fd00::1", 443, False),
        ("*:8443", "anything", 443, False),
        (" , ", "example.com", 443, False),
        ("", "example.com", 443, False),
    ],
)
def test_no_proxy(listed: str, host: str, port: int, expected: bool) -> None:
    """Networks, domains, ports and `*`, as curl and Go read them."""
    assert bypasses(listed, host, port) is expected


async def test_large_heads_pass(tmp_path: Path) -> None:
    """300 header lines, or one of 70 kB."""
    lines = b"".join(b"X-%d: y\r\n" % n for n in range(300))
    many = b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nhi"
    long = b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nhi"
    for response in (many, long):
        async with bench(tmp_path, answering(response)) as b:
            assert (await b.send(GET)).body == b"hi"


@pytest.mark.parametrize(
    ("head", "option"),
    [
        (b"".join(b"X-%d: y\r\n" % n for n in range(20)), "header_lines_max"),
        (b"X-Long: " + b"y" * 3_000 + b"\r\n", "header_bytes_max"),
    ],
)
async def test_a_limit_says_its_name(tmp_path: Path, head: bytes, option: str) -> None:
    """Beyond a limit, the error names the option to raise, and the call is not free."""
    limits = UpstreamOptions(header_lines_max=10, header_bytes_max=2_000, head_bytes_max=8_000)
    response = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\nhi"
    async with bench(tmp_path, answering(response), upstream=limits) as b:
        answer = await b.send(GET)
        ended = await b.ended()
    assert answer.line == b"HTTP/1.1 502 Bad Gateway"
    assert f"upstream.{option}".encode() in answer.body
    assert (ended.outcome, ended.sent) == (Outcome.UPSTREAM_CUT, True)


@pytest.mark.parametrize(
    ("lines", "option"),
    [
        ([b"X-Long: " + b"y" * 3_000], b"header_bytes_max"),
        ([b"X-%d: y" % n for n in range(20)], b"header_lines_max"),
        ([b"X-%d: " % n + b"y" * 1_500 for n in range(7)], b"head_bytes_max"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 4])
async def test_a_limit_of_requests_says_its_name(
    tmp_path: Path, lines: list[bytes], option: bytes, pieces: int
) -> None:
    """It holds for a head that comes in one piece as well; a long body is no long head."""
    limits = UpstreamOptions(header_lines_max=10, header_bytes_max=2_000, head_bytes_max=8_000)
    head = GET[:-2] + b"\r\n".join(lines) + b"\r\n\r\n"
    long = POST.replace(b"Length: 2", b"Length: 20000")[:-2] + b"x" * 20_000
    async with bench(tmp_path, answering(OK), upstream=limits) as b:
        reader, writer = await b.open()
        for at in range(0, len(head), step := -(-len(head) // pieces)):
            writer.write(head[at : at + step])
            await asyncio.sleep(0.01)
        refused = await asyncio.wait_for(read_message(reader), 10)
        assert (await b.send(long)).body == b"hi"
    assert refused.line == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert b"upstream." + option in refused.body
    assert len(b.journal.begun) == 1


async def test_a_provider_of_http2_alone_is_named(tmp_path: Path) -> None:
    """It says what the provider speaks, rather than "retry"."""

    async def settings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + b"\x00\x03\x00\x00\x00\x80")
        await writer.drain()

    async with bench(tmp_path, settings) as b:
        answer = await b.send(GET)
    assert b"HTTP/2" in answer.body


@pytest.mark.parametrize("cut", [0, 1, 8, 16, 23])
async def test_a_caller_of_http2_is_told(tmp_path: Path, cut: int) -> None:
    """A client with prior knowledge reads why it was turned away, however its preface arrives."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    async with bench(tmp_path, answering(OK)) as b:
        reader, writer = await b.open()
        for part in (preface[:cut], preface[cut:]):
            writer.write(part)
            await asyncio.sleep(0.02)
        assert b"not HTTP/2" in await asyncio.wait_for(reader.read(), 10)


async def test_tls_where_none_is_expected(tmp_path: Path) -> None:
    """Whoever speaks TLS to a port without it is told to change the URL, on either side."""

    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x15\x03\x01\x00\x02\x02\x50")

    async with bench(tmp_path, alert) as b:
        answer = await b.send(GET)
        hello = await b.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
    assert b"base_url must begin with https://" in answer.body
    assert b"Begin the base URL with http://" in hello.body


TWICE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\ncontent-length:2\r\n\r\nhi"
LISTED = b"HTTP/1.1 200 OK\r\nContent-Length: 2 , 2,2\r\n\r\nhi"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


CASES = {
    "twice": TWICE,
    "listed": LISTED,
    "hinted": HINT + TWICE,
    "hinted twice": HINT * 2 + LISTED,
}


@pytest.mark.parametrize("response", CASES.values(), ids=CASES.keys())
async def test_a_repeated_length_is_one_wherever_it_is_cut(tmp_path: Path, response: bytes) -> None:
    """RFC 9110, 8.6: identical values count once, in pieces and after interim heads too."""
    cuts = range(0, len(response), 5)
    seen = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while True:
            await read_message(reader)
            for part in (response[: cuts[seen]], response[cuts[seen] :]):
                writer.write(part)
                await asyncio.sleep(0.002)
            seen += 1

    async with bench(tmp_path, handle) as b:
        for _ in cuts:
            reader, writer = await b.open()
            writer.write(GET)
            for _ in range(response.count(HINT)):
                assert (await read_head(reader)).line == b"HTTP/1.1 103 Early Hints"
            answer = await asyncio.wait_for(read_message(reader), 10)
            assert (answer.line, answer.body) == (b"HTTP/1.1 200 OK", b"hi")
            assert len(answer.header(b"content-length")) == 1
            writer.close()


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"Duplicate Content-Length"),
        (b"Content-Length: 2, 3\r\n", b"Invalid character in Content-Length"),
        (b"Content-Length: 2\r\nX : y\r\n", b"Invalid header token"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"can't be present with"),
    ],
)
async def test_what_is_wrong_with_a_response_is_named(
    tmp_path: Path, head: bytes, found: bytes
) -> None:
    """A response that cannot be passed on is not repaired, and the caller reads why, at once."""
    for start in (b"", HINT):
        response = start + b"HTTP/1.1 200 OK\r\n" + head + b"\r\nhi"
        async with bench(tmp_path, answering(response)) as b:
            reader, writer = await b.open()
            writer.write(GET + b"\r\n")
            answer = await asyncio.wait_for(reader.readuntil(b"}}"), 10)
            ended = await b.ended()
        assert b"502 Bad Gateway" in answer
        assert found in answer
        assert (ended.outcome, ended.sent) == (Outcome.UPSTREAM_CUT, True)


async def test_a_status_without_a_class_is_no_interim_head(tmp_path: Path) -> None:
    """RFC 9110, 15: 099 is invalid, and nobody waits for the response behind it."""
    response = b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nhi"
    async with bench(tmp_path, answering(response)) as b:
        answer = await b.send(GET)
    assert answer.line == b"HTTP/1.1 502 Bad Gateway"
    assert b"Invalid status code" in answer.body


@pytest.mark.parametrize("apart", [True, False])
async def test_what_follows_a_whole_response_spoils_nothing(tmp_path: Path, apart: bool) -> None:
    """Bytes after the end are no part of the response; its connection is not used again."""
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_message(reader)
            head, end, body = OK.partition(b"\r\n\r\n")
            writer.write(head + end if apart else b"")
            await asyncio.sleep(0.02 if apart else 0)
            writer.write((body if apart else OK) + b"garbage")

    async with bench(tmp_path, handle) as b:
        for call in (1, 2):
            assert (await b.send(POST)).body == b"hi"
            assert (await b.ended(call)).outcome is Outcome.OK
    assert connections == 2


@pytest.mark.parametrize("wait_s", [0.0, 0.2])
async def test_a_connection_that_died_idle_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_s: float
) -> None:
    """Whoever notices first, the event loop or the next call: one connection, and no row."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(OK)

    monkeypatch.setattr(pool, "SWEEP_S", 0.1)
    stale: list[None] = []
    async with bench(tmp_path, once) as b:
        b.relay._upstreams._pool._stale = lambda: stale.append(None)
        assert (await b.send(POST)).body == b"hi"
        await asyncio.sleep(0.05)
        if wait_s:
            await asyncio.sleep(wait_s)  # until the pool is swept
        else:
            assert (await b.send(POST)).body == b"hi"
        assert len(b.journal.begun) == (1 if wait_s else 2)
    assert len(stale) == 1


def test_both_loopbacks_share_a_free_port() -> None:
    """`localhost` may be either; port 0 gives both the same."""
    with bind(Listen(port=0), "proxy") as listening:
        ports = {sock.getsockname()[1] for sock in listening.sockets}
        families = {sock.family for sock in listening.sockets}
    assert len(ports) == 1
    assert socket.AF_INET in families


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", {"127.0.0.1", "::1"}),
        ("LocalHost", {"127.0.0.1", "::1"}),
        (" [::1] , 10.0.0.5", {"127.0.0.1", "::1", "10.0.0.5"}),
        ("10.0.0.5", {"10.0.0.5"}),
        ("0.0.0.0, ::", {"::"}),
        ("127.0.0.1, ::", {"::"}),
        ("0.0.0.0, 127.0.0.1, ::1", {"0.0.0.0", "::1"}),
    ],
)
def test_addresses_do_not_stand_in_each_others_way(host: str, expected: set[str]) -> None:
    """One that means any address leaves out those that it covers."""
    listen = Listen(host=host, port=0)
    assert set(listen.hosts) == expected
    if "10.0.0.5" not in expected:
        bind(listen, "proxy").close()


async def test_probes(tmp_path: Path) -> None:
    """`/readyz` fails first when a relay stops; `/livez` does not, and both need no token."""
    probe = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
    async with bench(tmp_path, answering(OK)) as b:
        for form in (b"readyz", b"readyz?verbose"):
            assert (await b.send(probe % form)).line == b"HTTP/1.1 200 OK"
        posted = await b.send((probe % b"readyz").replace(b"GET", b"POST"))
        assert posted.line == b"HTTP/1.1 405 Method Not Allowed"
        b.relay.turn_unready()
        assert (await b.send(probe % b"readyz")).line.startswith(b"HTTP/1.1 503")
        assert (await b.send(probe % b"livez")).line == b"HTTP/1.1 200 OK"
        assert (await b.send(GET)).body == b"hi"


async def test_both_legs_are_probed(tmp_path: Path) -> None:
    """TCP keepalive is on at the connections that a call used."""
    async with bench(tmp_path, answering(OK)) as b:
        _, writer = await b.open()
        writer.write(GET)
        await b.ended()
        [caller] = b.callers.connections
        [upstream] = [one for idle in b.relay._upstreams._pool._idle.values() for one in idle]
        for transport in (caller.transport, upstream.transport):
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_S


async def test_a_request_is_never_sent_twice(tmp_path: Path) -> None:
    """A close after a request was written proves nothing: it may have been served, and billed."""
    seen = 0

    async def second_time_silent(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal seen
        for answer in (OK, b""):
            await read_message(reader)
            seen += 1
            writer.write(answer)
        writer.close()

    async with bench(tmp_path, second_time_silent) as b:
        assert (await b.send(POST)).body == b"hi"
        assert (await b.send(POST)).line == b"HTTP/1.1 502 Bad Gateway"
        ended = await b.ended(2)
    assert seen == 2
    assert (ended.outcome, ended.sent) == (Outcome.UPSTREAM_CUT, True)


async def test_a_provider_says_how_long_it_waits(tmp_path: Path) -> None:
    """`Keep-Alive: timeout` bounds how long a connection idles in the pool."""
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        answer = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=0\r\n\r\n")
        await answering(answer)(reader, writer)

    async with bench(tmp_path, count) as b:
        for _ in range(3):
            assert (await b.send(GET)).header(b"keep-alive") == []
    assert connections == 3


async def test_trailers_are_dropped_and_not_announced(tmp_path: Path) -> None:
    """Nobody waits for a trailer that does not come; the body before it is whole."""
    chunked = (
        b"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    seen: list[Message] = []
    async with bench(tmp_path, answering(b"HTTP/1.1 200 OK\r\n" + chunked, seen)) as b:
        head = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\n"
        for _ in range(2):
            answer = await b.send(head + chunked)
            assert (answer.body, answer.header(b"trailer")) == (b"hi", [])
    assert [m.body for m in seen] == [b"hi", b"hi"]
    assert not any(m.header(b"trailer") for m in seen)


async def test_a_provider_has_a_patience_of_its_own(tmp_path: Path) -> None:
    """`first_byte_timeout_s` of a provider goes before that of all."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        base = f"http://127.0.0.1:{port}"
        quick = {"openai": Provider(name="openai", base_url=base, first_byte_timeout_s=0.1)}
        async with bench(tmp_path, silent, providers=quick) as b:
            answer = await b.send(GET)
    assert answer.header(b"x-taximeter-error") == [b"upstream_timeout"]
