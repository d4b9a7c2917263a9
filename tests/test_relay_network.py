"""TLS on both sides, and outgoing proxies from the environment."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from yarl import URL

from proxy.exchange import Outcome
from proxy.network import outgoing_proxy
from proxy.settings.config import Provider, UpstreamOptions
from support.relay_bench import Message, answering, bench, listening, make_certificate, read_head

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x?a=%3A HTTP/1.1\r\nHost: x\r\n\r\n"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


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


def server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


def providers(base_url: str) -> dict[str, Provider]:
    return {"openai": Provider(name="openai", base_url=base_url)}


async def test_private_authority(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """A provider is trusted by the system's authorities, and by those in `ca_file`."""
    seen: list[Message] = []
    async with listening(answering(OK, seen), ssl=server_context(certificate)) as port:
        secure = providers(f"https://localhost:{port}")
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=secure, upstream=trusting) as b:
            assert (await b.send(GET)).body == b"hi"
        async with bench(tmp_path, answering(OK), providers=secure) as b:
            response = await b.send(GET)
            ended = await b.ended()
    assert len(seen) == 1
    assert response.line == b"HTTP/1.1 502 Bad Gateway"
    assert response.header(b"x-taximeter-error") == [b"upstream_tls"]
    assert ended.outcome is Outcome.UNREACHABLE


async def test_wrong_host(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """A trusted certificate of another name is refused."""
    async with listening(answering(OK), ssl=server_context(certificate)) as port:
        named = providers(f"https://127.0.0.1:{port}")
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=named, upstream=trusting) as b:
            response = await b.send(GET)
    assert response.header(b"x-taximeter-error") == [b"upstream_tls"]


@asynccontextmanager
async def proxying(seen: list[Message], port: int) -> AsyncIterator[int]:
    """A proxy that tunnels every CONNECT to `port`, and answers plain requests itself."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_head(reader))
            if not seen[-1].line.startswith(b"CONNECT"):
                writer.write(OK)
                continue
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            try:
                await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))
            finally:
                up_writer.close()
            return

    async with listening(handle) as proxy_port:
        yield proxy_port


async def test_https_through_a_proxy(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS goes through CONNECT, with the proxy's credentials to the proxy only, and is pooled."""
    tunnelled: list[Message] = []
    seen: list[Message] = []
    async with (
        listening(answering(OK, tunnelled), ssl=server_context(certificate)) as port,
        proxying(seen, port) as proxy_port,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@127.0.0.1:{proxy_port}")
        secure = providers(f"https://provider.test:{port}")
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=secure, upstream=trusting) as b:
            for _ in range(3):
                assert (await b.send(GET)).body == b"hi"
    basic = b"Basic " + b64encode(b"user:p@ss")
    assert [m.line for m in seen] == [b"CONNECT provider.test:%d HTTP/1.1" % port]
    assert seen[0].header(b"proxy-authorization") == [basic]
    assert len(tunnelled) == 3
    assert tunnelled[0].line == b"GET /v1/x?a=%3A HTTP/1.1"
    assert [name for name, _ in tunnelled[0].headers] == [b"Host"]


async def test_http_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP goes to the proxy in absolute form."""
    seen: list[Message] = []
    async with proxying(seen, 0) as proxy_port:
        monkeypatch.setenv("http_proxy", f"user:pw@127.0.0.1:{proxy_port}")
        plain = providers("http://provider.test/base")
        async with bench(tmp_path, answering(OK), providers=plain) as b:
            for _ in range(2):
                assert (await b.send(GET)).body == b"hi"
    assert [m.line for m in seen] == [b"GET http://provider.test/base/v1/x?a=%3A HTTP/1.1"] * 2
    assert seen[0].headers == [
        (b"Host", b"provider.test"),
        (b"Proxy-Authorization", b"Basic " + b64encode(b"user:pw")),
    ]


async def test_proxy_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is down is reported as such, not as a provider that is down."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    secure = providers("https://provider.test")
    async with bench(tmp_path, answering(OK), providers=secure) as b:
        response = await b.send(GET)
    assert response.header(b"x-taximeter-error") == [b"outgoing_proxy"]


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://a.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.example", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://a.example", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://a.example", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example"}, "http://p:1"),
        ("http://127.0.0.1:11434", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://localhost:8000", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://[::1]", {"HTTPS_PROXY": "http://p:1"}, None),
    ],
)
def test_environment(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], proxy: str | None
) -> None:
    """The usual variables decide, and loopback is always reached directly."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert outgoing_proxy(URL(url)) == (URL(proxy) if proxy else None)
