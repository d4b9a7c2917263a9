"""How calls fail, and what the journal says about each of them."""

import asyncio
import json
import socket
import struct
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from proxy.exchange import Ended, Kind, Outcome
from proxy.settings.config import JournalOptions, Provider, UpstreamOptions
from support.relay_bench import Message, answering, bench, read_chunked, read_head, read_message

GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def said(response: Message, kind: str) -> str:
    """Checks that the answer is ours, of this class, and returns its sentence."""
    assert response.header(b"x-taximeter-error") == [kind.encode()]
    document = json.loads(response.body)
    assert document["error"]["code"] == kind
    return str(document["error"]["message"])


async def test_order_of_the_journal(tmp_path: Path) -> None:
    """BEGUN is settled before the call is dispatched, ENDED before the last byte is sent."""
    dispatched: list[str] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        dispatched.extend(b.journal.names())
        writer.write(OK)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await reader.readexactly(len(OK))
        names = b.journal.names()
    assert dispatched == ["BEGUN", "settle"]
    assert names[:6] == [*dispatched, "RESPONSE_HEAD", "RESPONSE", "ENDED", "settle"]


async def test_end_comes_before_the_terminator(tmp_path: Path) -> None:
    """Of a chunked response the terminator is the last byte: ENDED is settled before it."""
    terminate = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM + b"1\r\nx\r\n")
        await terminate.wait()
        writer.write(b"0\r\n\r\n")

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await reader.readexactly(len(STREAM) + 6)
        assert "ENDED" not in b.journal.names()
        terminate.set()
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        names = b.journal.names()
    assert names[names.index("ENDED") + 1] == "settle"


async def test_bytes_beyond_the_limit(tmp_path: Path) -> None:
    """Beyond its limit a body is forwarded and counted, not kept."""
    limits = JournalOptions(request_bytes_max=4, response_bytes_max=1)
    seen: list[Message] = []
    async with bench(tmp_path, answering(OK, seen), journal=limits) as b:
        b.journal.lost = 3  # what the journal itself could not write
        await b.send(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabcdef")
        ended = await b.ended()
    assert seen[0].body == b"abcdef"
    assert (b.kept(Kind.REQUEST), b.kept(Kind.RESPONSE)) == (b"abcd", b"h")
    assert (ended.request_bytes, ended.response_bytes, ended.dropped_bytes) == (6, 2, 2 + 1 + 3)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_upstream_breaks_mid_body(tmp_path: Path, framing: str, how: str) -> None:
    """What arrived is delivered, but no end: half an answer cannot be taken for a whole one."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" if framing == "length" else STREAM
    part = b"half" if framing == "length" else b"4\r\nhalf\r\n"

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(head + part)
        await asyncio.sleep(0.05)
        if how == "reset":
            reset(writer)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        assert await reader.read() == head + part
        ended = await b.ended()
    assert ended.outcome is Outcome.UPSTREAM_CUT
    assert b.kept(Kind.RESPONSE) == b"half"


async def test_bytes_before_a_reset_are_delivered(tmp_path: Path) -> None:
    """Bytes that came together with the reset still reach the caller and the journal."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM + b"3\r\none\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"3\r\ntwo\r\n")
        reset(writer)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        assert await reader.read() == STREAM + b"3\r\none\r\n3\r\ntwo\r\n"
        await b.ended()
    assert b.kept(Kind.RESPONSE) == b"onetwo"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_upstream_resets_an_unframed_body(tmp_path: Path, version: bytes) -> None:
    """If only a close marks the end, a reset is passed on as one, or as chunks without an end."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        reset(writer)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(b"GET /v1/x HTTP/%b\r\nHost: x\r\n\r\n" % version)
        await read_head(reader)
        if version == b"1.0":
            assert await reader.readexactly(4) == b"half"
            with pytest.raises(ConnectionResetError):
                await reader.read()
        else:
            with pytest.raises(asyncio.IncompleteReadError):
                await read_chunked(reader)
        assert (await b.ended()).outcome is Outcome.UPSTREAM_CUT


async def test_upstream_refuses(tmp_path: Path) -> None:
    """If nothing listens upstream, the relay answers 502, with the reason and what to do."""
    provider = Provider(name="openai", base_url=f"http://127.0.0.1:{free_port()}")
    async with bench(tmp_path, answering(OK), providers={"openai": provider}) as b:
        response = await b.send(GET)
        ended = await b.ended()
    assert response.line == b"HTTP/1.1 502 Bad Gateway"
    assert "connection refused. Is it running?" in said(response, "upstream_refused")
    assert (ended.outcome, ended.error) == (Outcome.UNREACHABLE, "ConnectionRefusedError")


async def test_unknown_name(tmp_path: Path) -> None:
    """An unknown host name is reported as such, not as a provider that is down."""
    provider = Provider(name="openai", base_url="http://nowhere.invalid")
    async with bench(tmp_path, answering(OK), providers={"openai": provider}) as b:
        response = await b.send(GET)
        ended = await b.ended()
    assert "base_url" in said(response, "upstream_dns")
    assert ended.outcome is Outcome.UNREACHABLE


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "upstream_reset"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "upstream_bad_response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "upstream_bad_response"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "upstream_bad_response",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "upstream_bad_response",
        ),
    ],
)
async def test_no_usable_answer(tmp_path: Path, answer: bytes, kind: str) -> None:
    """If upstream closes or sends garbage before a response head, the relay answers 502."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(answer)
        await writer.drain()

    async with bench(tmp_path, upstream) as b:
        response = await b.send(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        ended = await b.ended()
    assert response.line == b"HTTP/1.1 502 Bad Gateway"
    said(response, kind)
    assert ended.outcome is Outcome.UPSTREAM_CUT
    assert b.kept(Kind.REQUEST) == b"hi"


async def test_idle_before_the_head(tmp_path: Path) -> None:
    """If a provider sends nothing for longer than the idle timeout, the relay answers 504."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with bench(tmp_path, upstream, upstream=UpstreamOptions(first_byte_timeout_s=0.1)) as b:
        response = await b.send(GET)
        ended = await b.ended()
    assert response.line == b"HTTP/1.1 504 Gateway Timeout"
    assert "first_byte_timeout_s" in said(response, "upstream_timeout")
    assert ended.outcome is Outcome.TIMED_OUT


async def test_idle_mid_stream(tmp_path: Path) -> None:
    """A long pause breaks a stream; a slow stream with shorter pauses goes on."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(STREAM)
        for _ in range(6):
            await asyncio.sleep(0.1)
            writer.write(b"1\r\na\r\n")
        await reader.read()

    async with bench(tmp_path, upstream, upstream=UpstreamOptions(idle_timeout_s=0.3)) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await read_head(reader)
        with pytest.raises(asyncio.IncompleteReadError):
            await read_chunked(reader)
        ended = await b.ended()
    assert ended.outcome is Outcome.TIMED_OUT
    assert b.kept(Kind.RESPONSE) == b"aaaaaa"


async def test_idle_in_the_upload(tmp_path: Path) -> None:
    """A provider that stops reading the request body times out as well."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await asyncio.sleep(5)

    async with bench(tmp_path, upstream, upstream=UpstreamOptions(idle_timeout_s=0.2)) as b:
        reader, writer = await b.open()
        size = 32 * 1024 * 1024
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        response = await asyncio.wait_for(read_head(reader), 3)
        assert (await b.ended()).outcome is Outcome.TIMED_OUT
    assert response.line == b"HTTP/1.1 504 Gateway Timeout"


@pytest.mark.parametrize("answers", [True, False])
async def test_upstream_resets_in_the_upload(tmp_path: Path, answers: bool) -> None:
    """A provider that breaks off an upload has cut the call, unless it has answered before."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        if answers:
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.2)  # the relay waits for us to read on by now
        reset(writer)

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        size = 32 * 1024 * 1024
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        response = await asyncio.wait_for(read_head(reader), 5)
        ended = await b.ended()
    if answers:
        assert response.line == b"HTTP/1.1 413 Too Large"
        assert ended.outcome is Outcome.HTTP_ERROR
    else:
        assert response.line == b"HTTP/1.1 502 Bad Gateway"
        assert ended.outcome is Outcome.UPSTREAM_CUT


@pytest.mark.parametrize("when", ["before the head", "mid stream", "while uploading"])
async def test_caller_leaves(tmp_path: Path, when: str) -> None:
    """When the caller leaves, upstream is cut off at once and the call ends as `client_gone`."""
    began, cut = asyncio.Event(), asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        if when == "mid stream":
            writer.write(STREAM + b"4\r\nhalf\r\n")
        began.set()
        try:
            await reader.read()
        finally:
            cut.set()

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        body = b"Content-Length: 9\r\n" if when == "while uploading" else b""
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\n" + body + b"\r\n")
        await asyncio.wait_for(began.wait(), 5)
        if when == "mid stream":
            await reader.readuntil(b"half\r\n")
        left = monotonic()
        writer.close()
        await asyncio.wait_for(cut.wait(), 1)
        assert monotonic() - left < 0.5
        ended = await b.ended()
    assert (ended.outcome, ended.error) == (Outcome.CLIENT_GONE, "ClientDisconnected")


async def test_caller_leaves_while_connecting(tmp_path: Path) -> None:
    """A caller that leaves before the relay is connected upstream still gets its row."""
    with socket.socket() as full:  # a listener that accepts nobody, its queue already full
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            base = f"http://127.0.0.1:{full.getsockname()[1]}"
            providers = {"openai": Provider(name="openai", base_url=base)}
            async with bench(tmp_path, answering(OK), providers=providers) as b:
                _, writer = await b.open()
                writer.write(GET)
                await asyncio.sleep(0.1)
                writer.close()
                assert (await b.ended()).outcome is Outcome.CLIENT_GONE


async def test_what_came_is_noted_when_the_caller_leaves(tmp_path: Path) -> None:
    """Bytes that upstream delivered and a slow caller never took are in the journal."""
    size = 20 * 1024 * 1024

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        await writer.drain()

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(GET)
        await reader.readexactly(100)
        await asyncio.sleep(0.2)  # all buffers between are full now, and the relay waits for us
        kept = len(b.kept(Kind.RESPONSE))
        reset(writer)
        ended = await b.ended()
    assert ended.outcome is Outcome.CLIENT_GONE
    assert 100 < kept <= len(b.kept(Kind.RESPONSE)) < size
    assert ended.response_bytes == len(b.kept(Kind.RESPONSE))


async def test_complete_is_complete(tmp_path: Path) -> None:
    """Once upstream has delivered everything the call is OK, even if the caller never reads it."""
    size = 200_000  # more than the socket buffers towards a caller that does not read

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async with bench(tmp_path, upstream) as b:
        _, writer = await b.open()
        writer.write(GET)
        ended = await b.ended()
        reset(writer)
        await asyncio.sleep(0.05)
        assert ended == await b.ended()
    assert ended.outcome is Outcome.OK


async def test_early_answer(tmp_path: Path) -> None:
    """An answer that arrives before the request body was sent is passed on at once."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal")
        assert (await read_message(reader)).body == b"no"
        assert (await b.ended()).outcome is Outcome.HTTP_ERROR


async def test_bad_request_body(tmp_path: Path) -> None:
    """A caller whose chunks are damaged gets 400; upstream never sees a clean end."""
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        seen.append(await reader.read())

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(
            b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"
        )
        await asyncio.sleep(0.05)
        writer.write(b"xyz\r\n")
        response = await asyncio.wait_for(read_message(reader), 5)
        ended = await b.ended()
    assert response.line == b"HTTP/1.1 400 Bad Request"
    assert ended.outcome is Outcome.CLIENT_GONE
    assert seen == [b"2\r\nhi\r\n"]


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n", b""])
async def test_bad_request_body_mid_stream(tmp_path: Path, framing: bytes) -> None:
    """If a request body breaks while the response is being sent, the response breaks off too."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n1\r\nx\r\n")
        await reader.read()

    async with bench(tmp_path, upstream) as b:
        reader, writer = await b.open()
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await read_head(reader)
        writer.write(b"xyz\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await asyncio.wait_for(read_chunked(reader), 5)
        ended = await b.ended()
    assert (ended.outcome, ended.error) == (Outcome.CLIENT_GONE, "BadRequestBody")


async def test_pooled_connection_that_upstream_closed(tmp_path: Path) -> None:
    """A connection that the provider closed while it was idle is not used again."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(OK)

    async with bench(tmp_path, upstream) as b:
        for call in (1, 2, 3):
            assert (await b.send(GET)).body == b"hi"
            await asyncio.sleep(0.02)
            assert (await b.ended(call)).outcome is Outcome.OK


async def test_a_bug_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the relay itself fails, the call has an end in the journal and no secret in the answer."""

    def fail(*_: object) -> None:
        raise RuntimeError("sk-canary-0123456789abcdef")

    async with bench(tmp_path, answering(OK)) as b:
        monkeypatch.setattr("proxy.relay.call.Call._decide", fail)
        response = await b.send(GET)
        ended = await b.ended()
    assert response.line == b"HTTP/1.1 500 Internal Server Error"
    assert b"canary" not in response.body
    assert (ended.outcome, ended.error) == (Outcome.INTERRUPTED, "InternalError")


def test_ended_says_little() -> None:
    """`Ended` leaves out what is zero, so that the frequent case is short."""
    assert msgspec.json.encode(Ended(outcome=Outcome.OK)) == b'{"outcome":"ok"}'
