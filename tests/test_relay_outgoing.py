"""Ways out that a network demands: SOCKS proxies, proxies behind TLS, and client certificates."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from yarl import URL

from proxy.network import outgoing_proxy
from proxy.settings.config import Provider, UpstreamOptions
from support.relay_bench import Message, answering, bench, listening, make_certificate, read_head

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-canary-0123456789\r\n\r\n"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
IPV4, NAME = 1, 3  # address types of SOCKS5 (RFC 1928, 5)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs the tests does not matter."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that no system trusts, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


def server_context(certificate: tuple[Path, Path], *, asks: bool = False) -> ssl.SSLContext:
    """`asks`: callers must show this certificate themselves."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])
    return context


@dataclass
class Socks:
    """What a SOCKS proxy was told: the user, the kind of address, the address; and what it saw."""

    user: bytes = b""
    kind: int = 0
    address: bytes = b""
    passed: list[bytes] = field(default_factory=list)


async def pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: list[bytes]
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            passed.append(data)
            writer.write(data)
    writer.close()


@asynccontextmanager
async def socks(port: int) -> AsyncIterator[tuple[int, Socks]]:
    """A SOCKS5 proxy (RFC 1928, 1929) that connects every name to `port` here."""
    seen = Socks()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, methods = await reader.readexactly(2)
        assert version == 5
        offered = await reader.readexactly(methods)
        writer.write(b"\x05\x02" if 2 in offered else b"\x05\x00")
        if 2 in offered:
            await reader.readexactly(1)
            seen.user = await reader.readexactly((await reader.readexactly(1))[0])
            await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(b"\x01\x00")
        *_, seen.kind = await reader.readexactly(4)
        size = 4 if seen.kind == IPV4 else (await reader.readexactly(1))[0]
        seen.address = await reader.readexactly(size)
        await reader.readexactly(2)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        try:
            ways = pump(reader, up_writer, seen.passed), pump(up_reader, writer, seen.passed)
            await asyncio.gather(*ways)
        finally:
            up_writer.close()

    async with listening(handle) as proxy_port:
        yield proxy_port, seen


@pytest.mark.parametrize(
    ("scheme", "host", "kind"), [("socks5", "192.0.2.7", IPV4), ("socks5h", "provider.test", NAME)]
)
async def test_socks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, host: str, kind: int
) -> None:
    """Calls go through the SOCKS proxy, which looks the name up itself with `socks5h`."""
    told: list[Message] = []
    async with listening(answering(OK, told)) as port, socks(port) as (proxy_port, seen):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:pw@127.0.0.1:{proxy_port}")
        away = {"openai": Provider(name="openai", base_url=f"http://{host}")}
        async with bench(tmp_path, answering(OK), providers=away) as b:
            for _ in range(2):
                assert (await b.send(GET)).body == b"hi"
    assert (seen.user, seen.kind) == (b"user", kind)
    assert seen.address == (bytes((192, 0, 2, 7)) if kind == IPV4 else host.encode())
    assert [m.line for m in told] == [b"GET /v1/x HTTP/1.1"] * 2


async def test_a_socks_proxy_sees_no_key(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS with the provider is inside, so nothing of a call passes the proxy in clear."""
    told: list[Message] = []
    async with (
        listening(answering(OK, told), ssl=server_context(certificate)) as port,
        socks(port) as (proxy_port, seen),
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy_port}")
        secure = {"openai": Provider(name="openai", base_url="https://provider.test")}
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=secure, upstream=trusting) as b:
            assert (await b.send(GET)).body == b"hi"
    assert len(told) == 1
    assert b"sk-canary" not in b"".join(seen.passed)
    assert b"HTTP/1.1" not in b"".join(seen.passed)


async def test_a_socks_proxy_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the outgoing proxy, not the provider; nothing was sent."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\xff")  # no acceptable method

    async with listening(refuse) as proxy_port:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy_port}")
        away = {"openai": Provider(name="openai", base_url="http://provider.test")}
        async with bench(tmp_path, answering(OK), providers=away) as b:
            response = await b.send(GET)
            ended = await b.ended()
    assert response.header(b"x-taximeter-error") == [b"outgoing_proxy"]
    assert not ended.sent


async def test_a_proxy_behind_tls(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an `https` proxy a plain-HTTP call is not readable on its way there."""
    seen: list[Message] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_head(reader))
            writer.write(OK)

    async with listening(handle, ssl=server_context(certificate)) as proxy_port:
        monkeypatch.setenv("HTTP_PROXY", f"https://localhost:{proxy_port}")
        plain = {"openai": Provider(name="openai", base_url="http://provider.test")}
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=plain, upstream=trusting) as b:
            assert (await b.send(GET)).body == b"hi"
    assert seen[0].line == b"GET http://provider.test/v1/x HTTP/1.1"


def test_other_kinds_of_proxy_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that we cannot speak to would get the key in clear."""
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1080")
    with pytest.raises(ValueError, match=r"'socks4' are not supported \(http, https, socks5"):
        outgoing_proxy(URL("https://provider.test"))


async def test_client_certificate(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """A provider that asks for a certificate gets its own; without one, the error says TLS."""
    told: list[Message] = []
    context = server_context(certificate, asks=True)
    async with listening(answering(OK, told), ssl=context) as port:
        url = f"https://localhost:{port}"
        shown = Provider(
            name="openai", base_url=url, client_cert=certificate[0], client_key=certificate[1]
        )
        both = {"openai": shown, "bare": Provider(name="bare", base_url=url)}
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=both, upstream=trusting) as b:
            assert (await b.send(GET)).body == b"hi"
            bare = await b.send(GET.replace(b"/openai/", b"/bare/"))
    assert len(told) == 1
    assert bare.line == b"HTTP/1.1 502 Bad Gateway"
