"""Targets on real sockets that fail, hang, ask for patience, are gone and come back."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from time import monotonic

import pytest
from aiohttp.test_utils import unused_port
from msgspec.structs import replace
from test_notify_formats import NOTICE, SECRET

from exporters.notify.chat import Discord, Slack, Teams
from exporters.notify.http_target import HttpTarget, read_answer, retry_after_s
from exporters.notify.machines import Alertmanager, PagerDuty, StandardWebhook, secret_key
from exporters.notify.notice import Notice
from exporters.notify.other_targets import LogTarget, MailServer, SmtpTarget
from exporters.notify.otlp_event import OtlpEvent
from exporters.notify.target import Format, Target
from proxy.notices import notices as module
from proxy.notices import sender
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from proxy.notices.targets import loss_targets, target, targets
from proxy.settings.config import AlertOptions, Config, NotifyOptions, UpstreamOptions
from support.relay_bench import Message, answering, listening, make_certificate
from support.smtp_receiver import MailReceiver
from support.webhook_receiver import Receiver

PATH = "/T0SECRET/B0SECRET"
HTTP_TYPES = ("slack", "teams", "discord", "pagerduty", "webhook", "alertmanager", "otlp")


def format_of(type: str, url: str) -> Format:
    """The format of each type that is sent over HTTP."""
    formats: dict[str, Format] = {
        "slack": Slack(url),
        "teams": Teams(url),
        "discord": Discord(url),
        "pagerduty": PagerDuty("k" * 32, url=url),
        "webhook": StandardWebhook(url, (secret_key(SECRET),)),
        "alertmanager": Alertmanager(url, {"x-secret": "SECRET"}),
        "otlp": OtlpEvent(url, {"x-secret": "SECRET"}),
    }
    return formats[type]


def notice(name: str, *, resolved: bool = False) -> Notice:
    at = NOTICE.started_at
    return replace(
        NOTICE,
        id=name,
        also=(),
        title=name,
        text=f"{name} happened.",
        ended_at=at + timedelta(hours=1) if resolved else None,
    )


@asynccontextmanager
async def running(file: Path, *targets: Target, retry_s: float = 0.02) -> AsyncIterator[Notices]:
    """As the meter runs them, impatient enough for a test."""
    notices = Notices(Outbox(file), targets, retry_s=retry_s)
    task = asyncio.create_task(notices.run())
    yield notices
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await notices.close()


async def settled(notices: Notices) -> None:
    async with asyncio.timeout(10):
        await notices.settled()


def status(notices: Notices, name: str = "ops") -> tuple[object, ...]:
    found = notices.status()[name]
    return tuple(found[key] for key in ("delivered", "waiting", "lost", "retries", "gone"))


@pytest.mark.parametrize("type", HTTP_TYPES)
async def test_each_type_gets_through_trouble(type: str, tmp_path: Path) -> None:
    """It fails, hangs, disconnects, asks for patience; then it has each message once, in order."""
    async with Receiver(500, 0, -1, 429) as receiver:
        ops = HttpTarget("ops", format_of(type, receiver.url), timeout_s=0.3)
        async with running(tmp_path / "outbox", ops) as notices:
            began = monotonic()
            assert notices.tell(notice("a"), ["ops"])
            assert notices.tell(notice("b"), ["ops"])
            assert monotonic() - began < 0.1, "callers never wait"
            await settled(notices)
            assert status(notices) == (2, 0, 0, 4, False)
        first, second = receiver.bodies
        assert first != second
        assert receiver.asked == 6


@pytest.mark.parametrize("status_code", [400, 401, 403, 413, 302, 307])
async def test_what_is_refused_is_lost_and_counted(
    status_code: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what to look at, redirects are not followed, and the next one is tried."""
    async with (
        Receiver(status_code) as receiver,
        running(tmp_path / "outbox", HttpTarget("ops", Slack(receiver.url))) as notices,
    ):
        notices.tell(notice("a"), ["ops"])
        notices.tell(notice("b"), ["ops"])
        await settled(notices)
        assert status(notices) == (1, 0, 1, 0, False)
    assert receiver.asked == 2
    assert f"HTTP {status_code}; check its configuration (alerts lost so far: 1)" in caplog.text


@pytest.mark.parametrize("status_code", [404, 410])
async def test_what_is_gone_is_left_alone_until_a_restart(
    status_code: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent to it, and nothing is lost: a corrected target gets what waited."""
    async with Receiver(status_code) as receiver:
        async with running(tmp_path / "outbox", HttpTarget("ops", Slack(receiver.url))) as notices:
            for name in ("a", "b", "c"):
                notices.tell(notice(name), ["ops"])
            await settled(notices)
            assert status(notices) == (0, 3, 0, 0, True)
        assert receiver.asked == 1
        assert "It is gone; correct it and reload" in caplog.text
        async with running(tmp_path / "outbox", HttpTarget("ops", Slack(receiver.url))) as notices:
            await settled(notices)
            assert status(notices) == (3, 0, 0, 0, False)


async def test_patience(tmp_path: Path) -> None:
    """Discord's float in the body, a Retry-After in seconds: nobody is asked before that."""
    for answer, header, least in (('{"retry_after": 0.65}', "1", 0.65), ("", "1", 1.0)):
        async with Receiver(429, retry_after=header) as receiver:
            receiver.answer = answer
            ops = HttpTarget("ops", Discord(receiver.url))
            async with running(tmp_path / f"outbox{least}", ops) as notices:
                began = monotonic()
                notices.tell(notice("a"), ["ops"])
                await settled(notices)
                assert monotonic() - began >= least


def test_retry_after() -> None:
    """Seconds, a date, Discord's body; nonsense is no reason to wait."""
    now = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
    assert retry_after_s("120", b"", now) == 120
    assert retry_after_s("0.5", b"", now) == 0.5
    assert retry_after_s(format_datetime(now + timedelta(seconds=90), usegmt=True), b"", now) == 90
    assert retry_after_s("1", b'{"retry_after": 64.57, "global": false}', now) == 64.57
    for header in ("", "soon", "-3", "nan", "inf", "Sun, 99 Foo"):
        assert retry_after_s(header, b'{"retry_after": true}', now) == 0
    assert read_answer(503, {"Retry-After": "999999"}, b"").after_s == 3600


async def test_several_targets_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """One that hangs delays nobody, and what it missed comes after a restart, once."""
    async with Receiver(*[0] * 9) as hanging, Receiver() as quick:
        slow = HttpTarget("slow", Slack(hanging.url), timeout_s=5)
        async with running(tmp_path / "outbox", slow, HttpTarget("ops", Slack(quick.url))) as told:
            began = monotonic()
            told.tell(notice("a"), ["slow", "ops", "nobody"])
            async with asyncio.timeout(5):
                while not quick.bodies:
                    await asyncio.sleep(0.01)
            assert monotonic() - began < 2
            module_wait = monotonic()
        assert monotonic() - module_wait < module.STOP_WAIT_S + 2
        hanging.statuses.clear()
        fixed = HttpTarget("slow", Slack(hanging.url))
        async with running(tmp_path / "outbox", fixed, HttpTarget("ops", Slack(quick.url))) as told:
            await settled(told)
            assert status(told, "slow")[0] == 1
            assert not told.tell(notice("a"), ["slow", "ops"]), "told before"
        assert (len(hanging.bodies), len(quick.bodies)) == (1, 1)


async def test_the_log_is_always_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once, whether it is named as a target or not."""
    for number, named in enumerate(([], [LogTarget("audit")])):
        async with running(tmp_path / f"outbox{number}", *named) as notices:
            notices.tell(notice(f"n{number}"), [one.name for one in named])
            await settled(notices)
        assert caplog.text.count(f"Alert n{number}: ") == 1


async def test_a_body_without_end_is_not_read(tmp_path: Path) -> None:
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
    target = HttpTarget("ops", Slack(f"http://127.0.0.1:{port}/"))
    began = monotonic()
    assert (await target.send(NOTICE)).result == "delivered"
    assert monotonic() - began < 5
    await target.close()
    server.close()
    await asyncio.sleep(0.1)  # the receiver notices


@pytest.mark.thorough
async def test_the_secret_is_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong, neither URL nor headers are in a log, an error or a repr."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(sender, "LOG_EVERY_S", 0.0)
    async with Receiver(500, 403, -1, 302, path=PATH) as receiver:
        urls = (
            receiver.url,
            f"http://t0secret.invalid{PATH}",
            f"http://127.0.0.1:{unused_port()}{PATH}",
        )
        for number, url in enumerate(urls):
            format = format_of("alertmanager", url)
            ops = HttpTarget("ops", format, timeout_s=0.3)
            async with running(tmp_path / f"outbox{number}", ops) as notices:
                for name in ("a", "b", "c"):
                    notices.tell(notice(name), ["ops"])
                notices.tell(replace(notice("d"), text="\ud800"), ["ops"])  # no text
                await asyncio.sleep(0.5)
                said = (
                    f"{ops!r} {format!r} {notices.status()} {format.request(NOTICE, NOTICE.at)!r}"
                )
                assert "SECRET" not in said.replace("t0secret", "")
            assert b"SECRET" not in (tmp_path / f"outbox{number}").read_bytes()
    logged = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert any("Cannot deliver alerts to ops" in line for line in logged)
    assert "SECRET" not in " ".join(logged)


def smtp(
    port: int, timeout_s: float = 5.0, recipients: tuple[str, ...] = ("a@x.org",)
) -> SmtpTarget:
    server = MailServer(host="127.0.0.1", port=port, encryption="none")
    return SmtpTarget("mail", server, sender="t@x.org", recipients=recipients, timeout_s=timeout_s)


async def test_mail_gets_through_trouble(tmp_path: Path) -> None:
    """4xx and silence are retried with the same Message-ID; 5xx is final."""
    async with MailReceiver(451, 0, 250, 554) as receiver:
        async with running(tmp_path / "outbox", smtp(receiver.port, 0.3)) as notices:
            notices.tell(notice("a"), ["mail"])
            await settled(notices)
            notices.tell(notice("b"), ["mail"])
            await settled(notices)
            assert status(notices, "mail") == (1, 0, 1, 2, False)
        assert [one["Subject"] for one in receiver.messages] == ["[taximeter] WARNING: a"]


async def test_mail_that_cannot_be_handed_in() -> None:
    """No server: later.  No recipient, no STARTTLS: never.  Some recipients: said so."""
    assert (await smtp(unused_port()).send(NOTICE)).result == "retry"
    async with MailReceiver(refused=("nobody@x.org",)) as receiver:
        refused = await smtp(receiver.port, recipients=("nobody@x.org",)).send(NOTICE)
        assert (refused.result, refused.detail) == ("refused", "SMTP 550: all recipients refused")
        some = await smtp(receiver.port, recipients=("nobody@x.org", "a@x.org")).send(NOTICE)
        assert some.detail == "1 of 2 recipients refused"
        server = MailServer(host="127.0.0.1", port=receiver.port, encryption="starttls")
        strict = SmtpTarget("mail", server, sender="t@x.org", recipients=("a@x.org",))
        assert (await strict.send(NOTICE)).result == "refused"


async def configured(url: str, ca_file: Path | None = None) -> str:
    """What a target answers, made from a configuration as the meter does it."""
    config = Config(
        data=Path("/nowhere"),
        upstream=UpstreamOptions(ca_file=ca_file),
        alerts=AlertOptions(webhook=url, notify=("ops",)),
    )
    assert loss_targets(config) == ("ops", "alerts.webhook")
    (webhook,) = targets(config)
    answer = await webhook.send(NOTICE)
    await webhook.close()
    return answer.detail


async def test_tls(tmp_path: Path) -> None:
    """The receiver must be trusted by the system's authorities or those in `upstream.ca_file`."""
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    seen: list[Message] = []
    async with listening(answering(ok, seen), ssl=context) as port:
        url = f"https://localhost:{port}/"
        assert await configured(url) == "cannot reach it (ClientConnectorCertificateError)"
        assert await configured(url, certificate) == "HTTP 200: ok"
    assert seen[0].header(b"user-agent") == [b"taximeter"]


async def test_an_outgoing_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and NO_PROXY decide, as for providers."""
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    seen: list[Message] = []
    async with listening(answering(ok, seen)) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert await configured("http://hooks.example.invalid/x") == "HTTP 200: ok"
        assert seen[0].line == b"POST http://hooks.example.invalid/x HTTP/1.1"
        monkeypatch.setenv("no_proxy", "hooks.example.invalid")
        assert "cannot reach it" in await configured("http://hooks.example.invalid/x")
    assert len(seen) == 1


async def test_every_type_is_made_from_its_options() -> None:
    """Each that the configuration allows; without any there is none."""
    config = Config(data=Path("/nowhere"))
    assert targets(config) == []
    assert loss_targets(config) == ()
    for type in (*HTTP_TYPES, "smtp", "log"):
        options = NotifyOptions(
            name="ops", type=type, url="http://127.0.0.1:1/", secret=SECRET, host="x", sender="a@x"
        )
        made = target(options, config)
        assert (made.name, made.type) == ("ops", type)
        await made.close()
