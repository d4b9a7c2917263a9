"""A webhook gets every alert once, in order, whatever it answers; nobody waits for it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp.test_utils import unused_port
from msgspec.structs import replace

from exporters.notify import webhook as module
from exporters.notify.alert import Alert
from exporters.notify.webhook import BODY_ALERTS_MAX, WAITING_MAX, Webhook
from proxy.delivery import outlets
from proxy.settings.config import AlertOptions, Config, UpstreamOptions
from support.patience import PATIENCE_S
from support.relay_bench import Message, answering, listening, make_certificate
from support.webhook_receiver import Receiver

SECRET = "T0SECRET/B0SECRET"
BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def alert(name: str, *, over: bool = False) -> Alert:
    return Alert(
        name=name,
        severity="critical",
        summary="Something was lost.",
        action="Look.",
        started_at=BEGAN,
        ended_at=BEGAN if over else None,
    )


@asynccontextmanager
async def running(url: str, **options: Any) -> AsyncIterator[Webhook]:
    """A webhook at work, impatient enough for a test."""
    webhook = Webhook(url, {"x-secret": SECRET}, node="n1", **{"retry_s": 0.02, **options})
    task = asyncio.create_task(webhook.run())
    yield webhook
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await webhook.close()


async def settled(webhook: Webhook) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await webhook.settled()


async def test_begin_and_end() -> None:
    """What begins together comes together; what ends comes after, with the headers configured."""
    async with Receiver() as receiver, running(receiver.url) as webhook:
        webhook.send([alert("a"), alert("b"), alert("a", over=True)])
        await settled(webhook)
    assert [body["status"] for body in receiver.bodies] == ["firing", "resolved"]
    assert receiver.told() == [("firing", "a"), ("firing", "b"), ("resolved", "a")]
    assert receiver.headers[0]["x-secret"] == SECRET
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert webhook.status() == {
        "ok": True,
        "error": "",
        "waiting": 0,
        "delivered": 3,
        "lost": 0,
        "retries": 0,
    }


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, -1])
async def test_what_fails_for_now_comes_later(status: int) -> None:
    """An answer that may change is asked for again, and what came meanwhile follows in order."""
    async with Receiver(status, status) as receiver, running(receiver.url) as webhook:
        webhook.send([alert("a")])
        await asyncio.sleep(0.01)
        webhook.send([alert("a", over=True)])
        await settled(webhook)
    assert receiver.told() == [("firing", "a"), ("resolved", "a")]
    assert (webhook.retries, webhook.lost, webhook.error) == (2, 0, "")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 302, 307])
async def test_what_is_refused_for_good_is_lost_and_counted(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong URL holds nothing up: the log says what to look at, and the next one is tried."""
    async with Receiver(status) as receiver, running(receiver.url) as webhook:
        webhook.send([alert("a")])
        await settled(webhook)
        webhook.send([alert("a", over=True)])
        await settled(webhook)
    assert receiver.asked == 2
    assert (webhook.lost, webhook.delivered) == (1, 1)
    assert f"HTTP {status}; check alerts.webhook (alerts lost so far: 1)" in caplog.text


async def test_retry_after_is_waited_for() -> None:
    """A receiver that names the time is not asked before it."""
    async with Receiver(429, retry_after="1") as receiver, running(receiver.url) as webhook:
        began = monotonic()
        webhook.send([alert("a")])
        await settled(webhook)
        assert monotonic() - began >= 1
        assert receiver.asked == 2


async def test_one_that_hangs_delays_nobody() -> None:
    """Telling returns at once; the request is given up after its time and made again."""
    async with Receiver(0) as receiver, running(receiver.url, timeout_s=0.2) as webhook:
        began = monotonic()
        webhook.send([alert("a")])
        assert receiver.asked == 0
        await settled(webhook)
        assert 0.2 <= monotonic() - began < 5
    assert receiver.told() == [("firing", "a")]
    assert webhook.retries == 1


async def test_one_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """A refused connection is complained of once a minute, without the URL."""
    url = f"http://127.0.0.1:{unused_port()}/{SECRET}?sig={SECRET}"
    async with running(url) as webhook:
        webhook.send([alert("a")])
        while webhook.retries < 4:
            await asyncio.sleep(0.01)
    assert caplog.messages == [
        "Cannot deliver alerts to the webhook: cannot reach it (ClientConnectorError)."
    ]
    assert [one.name for one in webhook.waiting] == ["a"]


async def test_what_waits_has_a_limit() -> None:
    """Without room the oldest go and are counted; the newest state still arrives."""
    async with Receiver(0) as receiver, running(receiver.url, timeout_s=0.3) as webhook:
        webhook.send([alert("first")])
        await asyncio.sleep(0.1)  # it is on its way now
        webhook.send(alert(f"a{number}") for number in range(WAITING_MAX + 4))
        assert len(webhook.waiting) == WAITING_MAX
        await settled(webhook)
    assert webhook.lost == 5
    assert [name for _, name in receiver.told()] == [f"a{n}" for n in range(4, WAITING_MAX + 4)]
    assert {len(body["alerts"]) for body in receiver.bodies} == {BODY_ALERTS_MAX}


async def test_a_body_without_end_is_not_read() -> None:
    """The answer's head says it all: bytes that drip after it hold nothing up."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1_000):
            if writer.transport.is_closing():
                break
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(f"http://127.0.0.1:{port}/") as webhook:
        began = monotonic()
        webhook.send([alert("a")])
        await settled(webhook)
        assert monotonic() - began < 8  # they drip for ten seconds
    server.close()
    await asyncio.sleep(0.1)  # the receiver notices
    assert webhook.delivered == 1


async def test_the_secret_is_nowhere(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong, neither URL nor headers are in a log, an error or a repr."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(module, "LOG_EVERY_S", 0.0)
    bad_host = f"http://{SECRET.replace('/', '-')}.invalid/{SECRET}"
    async with Receiver(500, 404, -1, 302, path=f"/{SECRET}") as receiver:
        for url in (receiver.url, bad_host):
            async with running(url) as webhook:
                webhook.send([alert("a")])
                webhook.send([alert("a", over=True)])
                webhook.send([replace(alert("b"), summary="\ud800", ended_at=BEGAN)])  # no text
                await asyncio.sleep(0.5)
                said = f"{webhook!r} {webhook.status()} {webhook.waiting}"
                assert "SECRET" not in said
    logged = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert logged
    assert "SECRET" not in " ".join(logged)


async def configured(url: str, ca_file: Path | None = None) -> Webhook:
    """As the meter makes it from a configuration; gives up after a first failure."""
    config = Config(
        data=Path("/nowhere"),
        upstream=UpstreamOptions(ca_file=ca_file),
        alerts=AlertOptions(webhook=url),
    )
    webhook = outlets.webhook(config)
    assert webhook is not None
    task = asyncio.create_task(webhook.run())
    webhook.send([alert("a")])
    async with asyncio.timeout(PATIENCE_S):
        while not (webhook.delivered or webhook.retries):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await webhook.close()
    return webhook


async def test_tls(tmp_path: Path) -> None:
    """The receiver must be trusted by the system's authorities or those in `upstream.ca_file`."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    seen: list[Message] = []
    async with listening(answering(ok, seen), ssl=context) as port:
        url = f"https://localhost:{port}/{SECRET}"
        strange = await configured(url)
        trusted = await configured(url, certificate)
    assert strange.error == "cannot reach it (ClientConnectorCertificateError)"
    assert (trusted.delivered, len(seen)) == (1, 1)
    assert seen[0].header(b"user-agent") == [b"taximeter"]


async def test_an_outgoing_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and NO_PROXY decide, as for providers."""
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    seen: list[Message] = []
    async with listening(answering(ok, seen)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert (await configured("http://hooks.example.invalid/x")).delivered == 1
        assert seen[0].line == b"POST http://hooks.example.invalid/x HTTP/1.1"
        monkeypatch.setenv("no_proxy", "hooks.example.invalid")
        assert (await configured("http://hooks.example.invalid/x")).delivered == 0
    assert len(seen) == 1


def test_no_webhook() -> None:
    """Without a URL nothing goes out."""
    assert outlets.webhook(Config(data=Path("/nowhere"))) is None
