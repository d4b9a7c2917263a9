"""What is lost is told in the log and to the webhook, once, also across restarts of the meter."""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer, unused_port
from test_watch import Parts, status

from evaluation.standin import processes
from exporters.notify.http_target import HttpTarget
from exporters.notify.machines import Alertmanager
from exporters.prometheus import render
from proxy.console.api import application
from proxy.health import alerts as module
from proxy.health.alerts import Alerting
from proxy.notices import notices as notices_module
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from proxy.notices.targets import WEBHOOK
from proxy.settings.config import AlertOptions, Listen
from support.patience import PATIENCE_S
from support.webhook_receiver import Receiver

QUIET_S, LONG_S = 0.2, 60.0
DROPPED: dict[str, Any] = {"journal": {"frames_dropped": 7}}


class Health:
    """A status that a test changes."""

    def __init__(self) -> None:
        self.parts: Parts = status()

    def now(self) -> Parts:
        return self.parts


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come faster than people need them."""
    monkeypatch.setattr(module, "CHECK_S", 0.02)


@asynccontextmanager
async def running(
    file: Path,
    health: Health,
    url: str = "",
    quiet_s: float = QUIET_S,
    *,
    timeout_s: float = PATIENCE_S,
) -> AsyncIterator[Alerting]:
    """As the meter runs it."""
    targets = [HttpTarget(WEBHOOK, Alertmanager(url), timeout_s=timeout_s)] if url else []
    notices = Notices(Outbox(file.with_name("outbox.log")), targets, retry_s=0.02)
    limits = AlertOptions(quiet_s=quiet_s)
    alerting = Alerting(limits, file, health.now, notices, targets=(WEBHOOK,))
    tasks = [asyncio.create_task(alerting.run()), asyncio.create_task(notices.run())]
    await asyncio.sleep(0.1)  # a first look
    yield alerting
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await alerting.close()
    await notices.close()


async def until(alerting: Alerting, firing: int, ended: int = 0) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown: Any = alerting.shown()
            if (len(shown["firing"]), len(shown["ended"])) == (firing, ended):
                return
            await asyncio.sleep(0.01)


async def test_from_loss_to_quiet(
    tmp_path: Path, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    """One line and one POST when it begins, one each when it is over."""
    async with (
        Receiver() as receiver,
        running(tmp_path / "alerts.json", health, receiver.url) as alerting,
    ):
        health.parts = status(**DROPPED)
        await until(alerting, firing=1)
        await until(alerting, firing=0, ended=1)
    assert receiver.told() == [("firing", "frames_dropped"), ("resolved", "frames_dropped")]
    levels = [(record.levelname, record.getMessage()[:29]) for record in caplog.records]
    assert levels == [
        ("ERROR", "Alert frames_dropped: 7 journ"),
        ("WARNING", "Alert frames_dropped resolved"),
    ]


async def test_a_restart_in_between(tmp_path: Path, health: Health) -> None:
    """A meter that starts while an alert fires says nothing new, and says when it is over."""
    async with Receiver() as receiver:
        async with running(tmp_path / "alerts.json", health, receiver.url, LONG_S) as alerting:
            health.parts = status(**DROPPED)
            await until(alerting, firing=1)
        file = tmp_path / "alerts.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        async with running(tmp_path / "alerts.json", health, receiver.url) as alerting:
            await until(alerting, firing=0, ended=1)
        assert receiver.told() == [("firing", "frames_dropped"), ("resolved", "frames_dropped")]
        first, last = (body["alerts"][0] for body in receiver.bodies)
        assert first["startsAt"] == last["startsAt"]


@pytest.mark.slow
async def test_a_meter_that_is_killed(tmp_path: Path) -> None:
    """The real product: what fires when the meter is killed is told by the next one, not again."""
    async with Receiver() as receiver:
        settings = f'[alerts]\nwebhook = "{receiver.url}"\njournal_share_max = 1e-9\n'
        with ExitStack() as stack:
            running = processes.serve(tmp_path, {}, settings=settings)
            served = await asyncio.to_thread(stack.enter_context, running)
            began = await alerts_of(served, 2)
            file = tmp_path / "data" / "state" / "outbox.log"
            async with asyncio.timeout(PATIENCE_S):
                while file.read_bytes().count(b'"target":"alerts.webhook"') < 2:
                    await asyncio.sleep(0.05)
            (meter,) = meters(served.pid)
            os.kill(meter, signal.SIGKILL)
            async with asyncio.timeout(PATIENCE_S):
                while meters(served.pid) in ([], [meter]):
                    await asyncio.sleep(0.05)
            assert await alerts_of(served, 2) == began
            await asyncio.to_thread(stack.close)
    assert receiver.told() == [("firing", "journal_nearly_full")] * 2


def meters(supervisor: int) -> list[int]:
    """Process ids of the meter: one, or none while it starts."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if b"meter_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


async def alerts_of(served: processes.Serving, count: int) -> set[tuple[str, str]]:
    """(journal, beginning) of what fires, once so many do."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(OSError):
                url = f"{served.console_url}/api/alerts"
                found = (await asyncio.to_thread(processes.get_json, url))["firing"]
                if len(found) == count:
                    return {(one["labels"]["journal"], one["started_at"]) for one in found}
            await asyncio.sleep(0.05)


async def test_what_the_webhook_did_not_take_goes_out_after_the_restart(
    tmp_path: Path, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop does not wait for a webhook that hangs, and what it did not take is not forgotten."""
    monkeypatch.setattr(notices_module, "STOP_WAIT_S", 0.2)
    async with Receiver(*[0] * 50) as hanging:
        file = tmp_path / "alerts.json"
        async with running(file, health, hanging.url, LONG_S, timeout_s=0.3) as alerting:
            health.parts = status(**DROPPED)
            await until(alerting, firing=1)
            began = monotonic()
        assert monotonic() - began < 5  # the request is given up after ten seconds
    async with (
        Receiver() as receiver,
        running(tmp_path / "alerts.json", health, receiver.url) as alerting,
    ):
        await until(alerting, firing=0, ended=1)
    assert receiver.told() == [("firing", "frames_dropped"), ("resolved", "frames_dropped")]


@pytest.mark.parametrize("content", ["", "{", '{"state": 1}', "\x00" * 99])
async def test_a_damaged_file(
    content: str, tmp_path: Path, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs what it held, with a warning, and is whole again after the next look."""
    (tmp_path / "alerts.json").write_text(content)
    health.parts = status(**DROPPED)
    async with running(tmp_path / "alerts.json", health) as alerting:
        await until(alerting, firing=0)
    assert "starting without earlier alerts" in caplog.text
    caplog.clear()
    async with running(tmp_path / "alerts.json", health):
        pass
    assert caplog.text == ""


async def test_a_directory_that_takes_no_file(tmp_path: Path, health: Health) -> None:
    """Alerts go out all the same: they matter most when the disk refuses."""
    async with Receiver() as receiver, running(tmp_path / "gone", health, receiver.url) as alerting:
        health.parts = status(**DROPPED)
        await until(alerting, firing=1)
    assert receiver.told()[0] == ("firing", "frames_dropped")


async def test_a_watch_that_fails_is_said_once(
    tmp_path: Path, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours ends neither the meter nor the watch, and does not flood the log."""
    async with running(tmp_path / "alerts.json", health) as alerting:
        health.parts = {
            "meter": {"journal_bytes": {"calls": "many"}, "journal_bytes_max": {"calls": 1}}
        }
        await asyncio.sleep(0.2)
        assert caplog.text.count("The check of our own health failed") == 1
        health.parts = status(**DROPPED)
        await until(alerting, firing=1)


async def test_the_api_and_the_metrics(tmp_path: Path, health: Health) -> None:
    """/api/alerts says what fires and what did, and how the webhook does; metrics say 1 or 0."""

    class Nothing:
        """No store is asked."""

    url = f"http://127.0.0.1:{unused_port()}/T0SECRET"
    async with running(tmp_path / "alerts.json", health, url) as alerting:
        app = application(Nothing(), health.now, Listen(), alerts=alerting.shown)  # type: ignore[arg-type]  # as it says
        async with TestServer(app) as server, ClientSession(server.make_url("/")) as session:
            health.parts = status(**DROPPED)
            await until(alerting, firing=1)
            async with session.get("/api/alerts") as answer:
                text = await answer.text()
                found = await answer.json()
            metrics = render(alerting.families()).decode()
            await until(alerting, firing=0, ended=1)
            async with session.get("/api/alerts") as answer:
                later = await answer.json()
    (firing,) = found["firing"]
    assert firing["name"] == "frames_dropped"
    assert firing["summary"].startswith("7 journal frames")
    assert firing["ended_at"] is None
    assert found["webhook"]["ok"] is False
    assert later["firing"] == []
    assert later["ended"][0]["ended_at"] > later["ended"][0]["started_at"]
    series = 'taximeter_alert{taximeter_alert="frames_dropped",taximeter_severity="critical"}'
    assert f"{series} 1\n" in metrics
    assert (
        'taximeter_alert{taximeter_alert="calls_lost",taximeter_severity="critical"} 0' in metrics
    )
    assert 'taximeter_notify_waiting{taximeter_target="alerts.webhook"} 1\n' in metrics
    assert "SECRET" not in text + metrics


async def test_without_a_webhook(tmp_path: Path, health: Health) -> None:
    """The log and the console are enough."""
    async with running(tmp_path / "alerts.json", health) as alerting:
        health.parts = status(**DROPPED)
        await until(alerting, firing=1)
        shown: Any = alerting.shown()
        assert (shown["webhook"], shown["targets"].keys()) == (None, {"log"})
        assert "webhook" not in render(alerting.families()).decode()
