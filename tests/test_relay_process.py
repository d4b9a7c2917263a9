"""The relay as a process of its own: start, memory, stop, and what it leaves in the journal."""

import asyncio
import hashlib
import os
import signal
import ssl
import subprocess
from pathlib import Path

import pytest

from proxy.journal.frames import Scan
from proxy.serving.child import environment, module
from proxy.settings.config import JournalOptions, Listen
from support.relay_bench import (
    answering,
    listening,
    make_certificate,
    read_chunked,
    read_head,
    read_message,
)
from support.relay_processes import relays

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
MIB = 1 << 20


async def call(port: int, request: bytes = GET) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return (await asyncio.wait_for(read_message(reader), 10)).body
    finally:
        writer.close()


async def send_body(writer: asyncio.StreamWriter, block: bytes, count: int, coding: str) -> None:
    """`block` so many times, each as a chunk of its own if chunked."""
    for _ in range(count):
        writer.write(b"%x\r\n%b\r\n" % (len(block), block) if coding == "chunked" else block)
        await writer.drain()
    writer.write(b"0\r\n\r\n" if coding == "chunked" else b"")
    await writer.drain()


async def body_digest(reader: asyncio.StreamReader, size: int, coding: str) -> bytes:
    """SHA-256 of a body of `size` bytes, read to its end."""
    digest, total = hashlib.sha256(), 0
    ends = size
    while total < size:
        if coding == "chunked":
            ends = total + int(await reader.readuntil(b"\r\n"), 16)
        while total < ends:
            data = await reader.read(min(ends - total, 4 * MIB))
            digest.update(data)
            total += len(data)
        if coding == "chunked":
            await reader.readexactly(2)
    if coding == "chunked":
        assert await reader.readexactly(5) == b"0\r\n\r\n"
    return digest.digest()


async def transfer(tmp_path: Path, count: int, coding: str) -> None:
    """So many MiB up through a relay, and as many down; memory stays flat."""
    block = os.urandom(MIB)
    size = count * MIB
    digests: list[bytes] = []
    length = b"Content-Length: %d\r\n\r\n" % size
    framing = length if coding == "length" else b"Transfer-Encoding: chunked\r\n\r\n"

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        digests.append(await body_digest(reader, size, coding))
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing)
        await send_body(writer, block, count, coding)

    small = JournalOptions(request_bytes_max=MIB, response_bytes_max=MIB)
    async with listening(upstream) as port, relays(tmp_path, port, journal=small) as [relay]:
        before = relay.rss()
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=8 * MIB)
        writer.write(b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\n" + framing)
        await send_body(writer, block, count, coding)
        await read_head(reader)
        digests.append(await body_digest(reader, size, coding))
        writer.close()
        grown = relay.rss("VmHWM") - before
    whole = hashlib.sha256()
    for _ in range(count):
        whole.update(block)
    assert digests == [whole.digest()] * 2
    assert grown < 16 * MIB


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_large_bodies(tmp_path: Path, coding: str) -> None:
    """256 MiB each way arrive with the same SHA-256, in flat memory."""
    await transfer(tmp_path, 256, coding)


@pytest.mark.slow
@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_very_large_bodies(tmp_path: Path, coding: str) -> None:
    """So do 600 MiB."""
    await transfer(tmp_path, 600, coding)


async def test_memory_is_used_again(tmp_path: Path) -> None:
    """A prompt of 100 kB finds the memory of the one before; else each page would be a fault."""

    def faults(pid: int) -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])

    head = b"POST /openai/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    post = head + b"x" * 100_000
    async with listening(answering(OK)) as port, relays(tmp_path, port) as [relay]:
        for _ in range(3):
            await asyncio.gather(*(call(relay.port, post) for _ in range(32)))
        before = faults(relay.process.pid)
        for _ in range(4):
            await asyncio.gather(*(call(relay.port, post) for _ in range(32)))
        assert (faults(relay.process.pid) - before) / 128 < 3  # it was 14 for each


async def test_journal_of_a_call(tmp_path: Path) -> None:
    """A call is in the journal, whole and sealed, after the process ended."""
    async with listening(answering(OK)) as port, relays(tmp_path, port) as [relay]:
        assert await call(relay.port) == b"hi"
        relay.process.send_signal(signal.SIGTERM)
        assert await relay.exit_code() == 0
    assert relay.kinds()[:4] == [1, 3, 4, 7]


async def test_tls_towards_callers(tmp_path: Path) -> None:
    """With a certificate configured, callers without TLS are dropped and others served."""
    cert, key = make_certificate(tmp_path)
    listen = Listen(tls_cert=cert, tls_key=key)
    trust = ssl.create_default_context(cafile=cert)
    async with listening(answering(OK)) as port, relays(tmp_path, port, proxy=listen) as [relay]:
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            writer.write(GET)
            assert b"HTTP" not in await reader.read()
            writer.close()
            reader, writer = await asyncio.open_connection("localhost", relay.port, ssl=trust)
            writer.write(GET)
            assert (await read_message(reader)).body == b"hi"
            writer.close()


async def test_relays_share_a_socket(tmp_path: Path) -> None:
    """With two relays on one socket, callers are still served when one of them stops."""
    async with listening(answering(OK)) as port, relays(tmp_path, port, 2) as [first, second]:
        assert await call(first.port) == b"hi"
        first.process.send_signal(signal.SIGTERM)
        for _ in range(20):
            assert await call(second.port) == b"hi"
        assert await first.exit_code() == 0
        assert await call(second.port) == b"hi"


async def test_readiness_fails_first(tmp_path: Path) -> None:
    """A relay that will stop says so to balancers while it serves; whoever waits then is served."""
    probe = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with listening(answering(OK)) as port, relays(tmp_path, port) as [relay]:
        assert b"ok" in await call(relay.port, probe)
        relay.process.send_signal(signal.SIGUSR1)
        while b"stopping" not in await call(relay.port, probe):
            await asyncio.sleep(0.01)
        assert await call(relay.port) == b"hi"
        relay.process.send_signal(signal.SIGSTOP)
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)  # in the queue
        writer.write(GET)
        relay.process.send_signal(signal.SIGTERM)
        relay.process.send_signal(signal.SIGCONT)
        assert (await asyncio.wait_for(read_message(reader), 10)).body == b"hi"
        assert await relay.exit_code() == 0
        writer.close()


async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that sends ten events in a second."""
    await read_message(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10):
        writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(0.1)
    writer.write(b"0\r\n\r\n")


@pytest.mark.parametrize("how", ["SIGTERM", "end of stdin"])
async def test_streams_finish(tmp_path: Path, how: str) -> None:
    """A relay that stops, or loses its supervisor, finishes its streams and refuses new callers."""
    async with listening(stream) as port, relays(tmp_path, port) as [relay]:
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", relay.port)
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(GET)
        await read_head(reader)
        if how == "SIGTERM":
            relay.process.send_signal(signal.SIGINT)  # ignored: the supervisor decides
            relay.process.send_signal(signal.SIGTERM)
        else:
            assert relay.process.stdin is not None
            relay.process.stdin.close()
        assert await idle_reader.read() == b""
        assert await read_chunked(reader) == b"x" * 10
        assert await reader.read() == b""
        assert await relay.exit_code() == 0
        idle_writer.close()
        writer.close()
    assert relay.kinds()[-1] == 7


@pytest.mark.parametrize("how", ["second SIGTERM", "drain timeout"])
async def test_streams_are_cut(tmp_path: Path, how: str) -> None:
    """A second SIGTERM, or the drain timeout, cuts off calls; their end is in the journal."""
    drain_s = 60.0 if how == "second SIGTERM" else 0.2
    async with (
        listening(stream) as port,
        relays(tmp_path, port, drain_timeout_s=drain_s) as [relay],
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(GET)
        await read_head(reader)
        relay.process.send_signal(signal.SIGTERM)
        if how == "second SIGTERM":
            await asyncio.sleep(0.1)
            relay.process.send_signal(signal.SIGTERM)
        with pytest.raises(asyncio.IncompleteReadError):
            await read_chunked(reader)
        assert await relay.exit_code(2) == 0
        writer.close()
    [segment] = tmp_path.glob("calls/*/*.seg")  # noqa: ASYNC240 — the loop has nothing else to do
    frames = list(Scan(segment.read_bytes(), 0))
    assert b'"interrupted"' in bytes(frames[-1].payload)


@pytest.mark.parametrize("line", [b"", b"not json\n", b"{}\n"])
def test_no_configuration(line: bytes) -> None:
    """Without a configuration a relay logs that and exits with 1."""
    done = subprocess.run(
        [*module("proxy.serving.relay_process"), "--fd", "0"],
        input=line, capture_output=True, env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"Cannot start the relay" in done.stderr
    assert b"Traceback" not in done.stderr
