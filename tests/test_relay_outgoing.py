"""Ways out that a network demands: SOCKS proxies, proxies behind TLS, and client certificates."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from proxy.commands.serve import network_mistakes
from proxy.exchange import Outcome
from proxy.network import outgoing_proxy
from proxy.settings.config import Config, Provider, UpstreamOptions
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
    assert b"client_cert" in bare.body


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_provider_says_what_it_misses(
    tmp_path: Path, certificate: tuple[Path, Path], newest: ssl.TLSVersion
) -> None:
    """Its alert comes during the handshake, or after it with TLS 1.3: the advice is the same."""
    context = server_context(certificate, asks=True)
    context.maximum_version = newest

    def shake(listener: socket.socket) -> None:  # asyncio's servers send no alert
        with listener, listener.accept()[0] as sock, suppress(OSError):
            context.wrap_socket(sock, server_side=True)

    async def answer() -> Message:
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"https://localhost:{listener.getsockname()[1]}"
        bare = {"openai": Provider(name="openai", base_url=url)}
        trusting = UpstreamOptions(ca_file=certificate[0])
        async with bench(tmp_path, answering(OK), providers=bare, upstream=trusting) as b:
            response, _ = await asyncio.gather(b.send(GET), asyncio.to_thread(shake, listener))
        return response

    response = uvloop.run(answer())
    assert response.header(b"x-taximeter-error") == [b"upstream_tls"]
    assert b"set client_cert and client_key" in response.body


async def saying(words: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy that answers CONNECT, or a greeting of SOCKS, with `words`, and closes."""
    await reader.read(1024)
    writer.write(words)
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"It answered 407."),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", b"It answered 502."),
        (b"SSH-2.0-OpenSSH\r\n", b""),
        (b"", b""),
    ],
)
async def test_a_proxy_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, words: bytes, told: bytes
) -> None:
    """What an outgoing proxy answers instead of a connection is not held against the provider."""
    async with listening(partial(saying, words)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{port}")
        away = {"openai": Provider(name="openai", base_url="https://provider.test")}
        async with bench(tmp_path, answering(OK), providers=away) as b:
            response = await b.send(GET)
            ended = await b.ended()
    assert response.header(b"x-taximeter-error") == [b"outgoing_proxy"]
    assert scheme != "http" or told in response.body
    assert (ended.outcome, ended.sent) == (Outcome.UNREACHABLE, False)


async def test_a_name_of_a_proxy_is_not_the_providers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy whose name is unknown fails as the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://nowhere.invalid:3128")
    away = {"openai": Provider(name="openai", base_url="https://provider.test")}
    async with bench(tmp_path, answering(OK), providers=away) as b:
        response = await b.send(GET)
    assert response.header(b"x-taximeter-error") == [b"outgoing_proxy"]


async def test_behind_socks_the_provider_is_still_told_apart(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that we look up, and a certificate that we refuse, are the provider's."""
    context = server_context(certificate)
    async with listening(answering(OK), ssl=context) as port, socks(port) as (proxy_port, _):
        trusting = UpstreamOptions(ca_file=certificate[0])
        for scheme, host, kind in (
            ("socks5", "nowhere.invalid", b"upstream_dns"),
            ("socks5h", "other.test", b"upstream_tls"),
        ):
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy_port}")
            away = {"openai": Provider(name="openai", base_url=f"https://{host}")}
            async with bench(tmp_path, answering(OK), providers=away, upstream=trusting) as b:
                response = await b.send(GET)
            assert response.header(b"x-taximeter-error") == [kind]


def test_socks_has_a_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a port it is 1080, as curl has it."""
    monkeypatch.setenv("ALL_PROXY", "socks5h://proxy.test")
    assert outgoing_proxy(URL("https://provider.test")) == URL("socks5h://proxy.test:1080")


@pytest.mark.parametrize("named", ["http://", "http://h:port", "//h:1", "http://u:secret@[::1"])
def test_what_is_no_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """The message names the variable, and quotes nothing that may be a password."""
    monkeypatch.setenv("HTTPS_PROXY", named)
    with pytest.raises(ValueError, match=r"^HTTPS_PROXY: expected http://HOST:PORT") as refused:
        outgoing_proxy(URL("https://provider.test"))
    assert "secret" not in str(refused.value)


@pytest.fixture(scope="module")
def other_files(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path]
) -> dict[str, Path]:
    """Files that are no certificate and key that fit together."""
    folder = tmp_path_factory.mktemp("files")
    other = make_certificate(folder)[1].rename(folder / "other.pem")
    locked, empty = folder / "locked.pem", folder / "empty.pem"
    locking = ["openssl", "pkey", "-aes256", "-passout", "pass:x"]
    subprocess.run([*locking, "-in", certificate[1], "-out", locked], check=True)
    empty.touch()
    return {"cert": certificate[0], "key": certificate[1], "other": other} | {
        "locked": locked,
        "empty": empty,
    }


@pytest.mark.parametrize(
    ("cert", "key", "mistake"),
    [
        ("cert", "locked", "the key is encrypted; decrypt it with: openssl pkey"),
        ("cert", "other", "not the key of"),
        ("cert", "empty", "no private key in PEM form"),
        ("cert", "cert", "no private key in PEM form"),
        ("empty", "key", "no certificate in PEM form"),
        ("key", "cert", "no certificate in PEM form"),
    ],
)
def test_files_that_do_not_fit_are_told_at_the_start(
    other_files: dict[str, Path], tmp_path: Path, cert: str, key: str, mistake: str
) -> None:
    """The message names option and file, what is wrong and what to do; nothing asks a terminal."""
    pair = {"client_cert": other_files[cert], "client_key": other_files[key]}
    shown = Provider(name="own", base_url="https://provider.test", **pair)  # type: ignore[arg-type]
    (told,) = network_mistakes(Config(data=tmp_path, providers={"own": shown}))
    assert told.startswith("providers.own.client_cert: cannot load it")
    assert mistake in told
    assert str(other_files["key" if cert == "key" else cert if cert == "empty" else key]) in told


def test_an_authority_that_is_none_is_told_at_the_start(
    other_files: dict[str, Path], tmp_path: Path
) -> None:
    """Before any process is started, so a reload keeps what works."""
    config = Config(data=tmp_path, upstream=UpstreamOptions(ca_file=other_files["empty"]))
    (told,) = network_mistakes(config)
    assert told == f"upstream.ca_file: {other_files['empty']}: no certificate in PEM form"


def test_an_expired_certificate_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, certificate: tuple[Path, Path]
) -> None:
    """It may still serve, so it stops nothing; the log says when it ended."""
    key, old = certificate[1], tmp_path / "old.pem"
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    name, day = x509.Name([]), datetime(2025, 3, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, day, day)
    signed = made.sign(private, hashes.SHA256())
    old.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    shown = Provider(name="own", base_url="https://a.test", client_cert=old, client_key=key)
    assert not list(network_mistakes(Config(data=tmp_path, providers={"own": shown})))
    assert f"providers.own.client_cert: {old} expired on 2025-03-01; replace it." in caplog.text
