"""Heads are signed by the hour, kept before they are told, and told again after a crash."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from exporters.content import Content
from exporters.evidence.head import Head, heads_in
from exporters.notify.http_target import HttpTarget
from exporters.notify.machines import StandardWebhook
from exporters.record import Batch, Record, TransientError
from proxy.evidence import heads
from proxy.evidence.evidence import Evidence, Sealing, kind_of_record
from proxy.evidence.heads import EVERY, Heads
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from proxy.settings.config import Config
from support.patience import PATIENCE_S
from support.webhook_receiver import Receiver


class Anywhere:
    """A table that takes all leaves."""

    async def add(self, tree: str, first: int, sealed: object) -> None:
        """Take them."""


def grown(tmp_path: Path) -> Evidence:
    """A tree without leaves."""
    (tmp_path / "state").mkdir(exist_ok=True)
    return Evidence(Config(data=tmp_path, node="here"), Anywhere())


async def told(evidence: Evidence, tmp_path: Path, receiver: Receiver, count: int) -> list[Head]:
    """What arrives at a webhook when a process starts, signs `count` heads and stops."""
    target = HttpTarget("archive", StandardWebhook(receiver.url, node="here"))
    notices = Notices(Outbox(tmp_path / "outbox.log"), [target])
    signer = Heads(evidence, tmp_path / "heads.jsonl", notices, ("archive",), "here")
    running = [asyncio.create_task(one) for one in (notices.run(), signer.run())]
    async with asyncio.timeout(PATIENCE_S):
        while heads.read(tmp_path / "heads.jsonl") and signer.last is None:
            await asyncio.sleep(0.01)
    for number in range(count):
        row = Content(ts_us=1, call_id="a", source=str(number))
        await evidence.add("content", f"w:{evidence.growth.size + 1}:0-1", {"content": [row]})
        await signer.sign()
    await notices.settled()
    running[1].cancel()
    await signer.close()
    running[0].cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await notices.close()
    return [one for body in receiver.raw for one in heads_in(body.decode())]


async def test_heads_leave_the_machine(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each to the file, to the log and once to the target, over restarts; one kept is good."""
    caplog.set_level(logging.INFO, "taximeter.heads")
    async with Receiver() as receiver:
        first = await told(grown(tmp_path), tmp_path, receiver, 2)
        again = await told(grown(tmp_path), tmp_path, receiver, 1)
        assert [one.size for one in again] == [1, 2, 3]
    assert first == again[:2]
    assert heads.read(tmp_path / "heads.jsonl") == again
    assert not any(one.mistake() for one in again)
    logged = [one.getMessage().partition(": ")[2] for one in caplog.records]
    assert [one for text in logged for one in heads_in(text)] == again
    assert json.loads(logged[0])["node"] == "here"


async def test_a_head_that_was_kept_and_not_told(tmp_path: Path) -> None:
    """A kill between the file and the target: the next process tells it."""
    evidence = grown(tmp_path)
    head = evidence.growth.key.head(0, evidence.growth.root(), datetime.now(UTC), "here")
    heads.append(tmp_path / "heads.jsonl", head)
    async with Receiver() as receiver:
        assert await told(evidence, tmp_path, receiver, 0) == [head]


async def test_an_hour_passes(tmp_path: Path) -> None:
    """One is due an hour after the start, and an hour after the last."""
    signer = Heads(grown(tmp_path), tmp_path / "heads.jsonl", Notices(Outbox(tmp_path / "o.log")))
    began = datetime.now(UTC)
    assert not signer.is_due(began + EVERY - timedelta(seconds=1))
    assert signer.is_due(began + EVERY + timedelta(seconds=1))
    signed = await signer.sign()
    assert not signer.is_due(signed.time + EVERY - timedelta(seconds=1))
    assert signer.is_due(signed.time + EVERY)


ROW = Record(
    ts_us=1,
    call_id=str(UUID(int=1)),
    source="w:1",
    provider="openai",
    outcome="ok",
    cost_status="unpriced",
)


class Forgetful:
    """Evidence that fails once."""

    def __init__(self) -> None:
        self.asked = 0

    async def add(self, stream: str, token: str, rows: object) -> None:
        self.asked += 1
        if self.asked == 1:
            raise TransientError("leaves cannot be written")


async def test_rows_are_written_once_though_leaves_fail() -> None:
    """Who counts what was written would count it twice."""
    taken: list[str] = []

    class Inner:
        name = "inner"

        async def export(self, batch: Batch[Record]) -> None:
            taken.append(batch.token)

        async def close(self) -> None: ...

    evidence = Forgetful()
    sealing = Sealing(Inner(), evidence, kind_of_record)  # type: ignore[arg-type]
    one = Batch("w:1:0-1", (ROW,))
    with pytest.raises(TransientError):
        await sealing.export(one)
    await sealing.export(one)
    await sealing.export(Batch("w:1:1-2", one.records))
    assert (taken, evidence.asked) == (["w:1:0-1", "w:1:1-2"], 3)
