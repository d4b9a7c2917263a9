"""Canaries in a meter: judged from rows, told once, rolled back for good, seen by relays."""

import argparse
import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from test_gateway_routes_api import asked

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.store import Store
from exporters.feedback import Feedback
from exporters.notify.notice import Notice
from exporters.record import Batch, Record
from proxy.access.audit import NotAudited
from proxy.access.roles import Caller
from proxy.canaries.canaries import Canaries
from proxy.canaries.notice import notice
from proxy.commands import routes as command
from proxy.commands.terminal import Exit
from proxy.gateway.canary import (
    ROLLED_BACK,
    RUNNING,
    UNEVEN,
    WORSE,
    Arm,
    Finding,
    Standing,
    Standings,
    Verdict,
)
from proxy.gateway.options import CanaryOptions, GatewayOptions, Share
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from proxy.settings.config import Config, Provider
from proxy.settings.places import Places
from support.gateway_bench import Script, answer, asking, door, options

if TYPE_CHECKING:
    from conftest import RecordMaker

A, B = "openai/a", "openai/b"
SPLIT = (Share(candidate=0, share=0.5), Share(candidate=1, share=0.5))


def watched(folder: Path, *, version: str = "1", **canary: object) -> GatewayOptions:
    """Route `r` of a and b, half of the sessions each; b is the canary."""
    made = CanaryOptions(candidate=1, **canary)  # type: ignore[arg-type]
    return options(folder, "a", "b", split=SPLIT, version=version, canary=made)


class Meter:
    """What a meter has around its canaries: the audit log, which may refuse, and an outbox."""

    def __init__(self, data: Path, made: GatewayOptions, store: Store) -> None:
        self.entries: list[tuple[str, str, Any]] = []
        self.refuses = False
        self.places = Places(data)
        self.places.state.mkdir(parents=True, exist_ok=True)
        self.notices = Notices(Outbox(self.places.outbox))
        self.canaries = Canaries(Config(data=data, gateway=made), store, self.audit, self.notices)

    async def audit(
        self, actor: Caller, action: str, target: str, before: object, after: object
    ) -> str:
        if self.refuses:
            raise NotAudited("the disk is full")
        self.entries.append((action, target, msgspec.to_builtins(after)))
        return ""

    async def look(self) -> Standing:
        await self.canaries.look()
        (one,) = msgspec.json.decode(
            self.places.gateway_canaries.read_bytes(), type=Standings
        ).canaries
        return one

    def told(self) -> list[str]:
        """The ids of what fires."""
        return list(self.notices.outbox.told())


def calls(
    make: "RecordMaker", sessions: int, arm: str, **more: Callable[[int], object] | object
) -> list[Record]:
    """A call of each session of one arm, which ended well and cost a cent; `more` by number."""
    usual: dict[str, Any] = {"outcome": "ok", "finish_reason": "stop", "fault": "", "tags": {}}
    usual |= {"cost_usd": Decimal("0.01"), "duration_us": 1_000_000, "session_id": ""}
    usual |= {"route": "r", "route_version": "1", "arm": arm, "stream": False}
    found = []
    for n, one in enumerate(make(sessions)):
        given = {name: each(n) if callable(each) else each for name, each in more.items()}
        unit = f"{arm}{n}"
        at_us = int(time() * 1e6) + n
        changed = {**usual, "ts_us": at_us, "unit": unit, "request_id": unit, **given}
        found.append(msgspec.structs.replace(one, **changed))
    return found


@pytest.fixture
def write(chdb_dsn: str, database: str) -> Callable[[Sequence[Record]], None]:
    """Writes rows as a meter does, under ids of their own."""
    counted = [0]

    def written(records: Sequence[Record]) -> None:
        async def fill() -> None:
            exporter = ClickHouse(chdb_dsn, database=database)
            await exporter.export(Batch(f"c{counted[0]}:{len(records)}", tuple(records)))
            await exporter.close()

        counted[0] += 1
        asyncio.run(fill())

    return written


@pytest.fixture
async def store(chdb_dsn: str, database: str) -> AsyncIterator[Store]:
    """Reads them."""
    made = Store(chdb_dsn, database=database)
    yield made
    await made.close()


async def test_a_worse_canary_is_rolled_back(
    make_records: "RecordMaker",
    write: Callable[[Sequence[Record]], None],
    store: Store,
    tmp_path: Path,
) -> None:
    """From rows: an entry in the audit log, an alert for each state, and for good."""
    made = watched(tmp_path, rollback=True, total_s=2.0)
    meter = Meter(tmp_path, made, store)
    assert (await meter.look()).state == RUNNING
    fails = {"outcome": "http_error", "http_status": 503, "fault": "unavailable"}
    rows = [
        *calls(make_records, 60, A),
        *calls(make_records, 30, B),
        *calls(make_records, 30, B, unit=lambda n: f"f{n}", **fails),
        *calls(make_records, 30, B, unit=lambda n: f"f{n}", **fails),  # again in the same session
        *calls(make_records, 30, A, fault="limited", outcome="http_error"),  # is no error of it
        *calls(make_records, 5, "openai/c", route="other", fault="failed"),
    ]
    await asyncio.to_thread(write, rows)
    meter.refuses = True
    kept = await meter.look()
    assert (kept.state, kept.verdict.worse) == (WORSE, ("errors",))
    assert (kept.canary.units, kept.canary.errors, kept.others.errors) == (60, 30, 0)
    meter.refuses = False
    assert (await meter.look()).state == ROLLED_BACK
    ((action, target, after),) = meter.entries
    assert (action, target, after["state"]) == ("canary-rollback", "r", ROLLED_BACK)
    assert [one.rpartition(":")[2] for one in meter.told()] == [WORSE, ROLLED_BACK]

    again = Meter(tmp_path, made, store)
    assert (await again.look()).state == ROLLED_BACK
    assert not again.entries
    assert len(again.told()) == 2

    new = Meter(tmp_path, watched(tmp_path, version="2"), store)
    assert (await new.look()).state == RUNNING
    assert not new.told()  # both are over


async def test_what_is_counted_of_a_session(
    make_records: "RecordMaker",
    write: Callable[[Sequence[Record]], None],
    chdb_dsn: str,
    database: str,
    tmp_path: Path,
) -> None:
    """Refusals, slow answers, costs of all attempts, and successes as feedback has them."""
    store = Store(chdb_dsn, database=database)
    meter = Meter(tmp_path, watched(tmp_path, total_s=2.0, first_token_s=0.5), store)
    await meter.look()
    rows = [
        *calls(make_records, 10, A, unit="one"),  # ten calls of one session
        *calls(make_records, 1, A, unit="unknown", cost_usd=None),
        *calls(make_records, 2, A, unit="unknown"),
        *calls(make_records, 1, A, unit="failed over", fault="failed", outcome="http_error"),
        *calls(make_records, 1, A, unit="failed over", session_id="s"),
        *calls(make_records, 1, B, unit="refused", finish_reason="stop,SAFETY"),
        *calls(make_records, 1, B, unit="slow", duration_us=2_000_001),
        *calls(make_records, 1, B, unit="late", stream=True, first_token_us=500_001),
        *calls(make_records, 1, B, unit="in time", stream=True, first_token_us=500_000),
    ]
    await asyncio.to_thread(write, rows)
    told = FeedbackTable(chdb_dsn, database=database)
    now = int(time() * 1e6)
    no = {"about": "session", "target": "s", "id": "1", "name": "n", "value": "false"}
    await told.write([Feedback(ts_us=now, received_us=now, success=False, **no)])
    found = await meter.look()
    a, b = found.others, found.canary
    assert (a.units, a.errors, a.slow, a.refusals, a.priced) == (3, 1, 0, 0, 2)
    assert (a.usd, a.successes) == (Decimal("0.12"), 10)  # the session that failed has none
    assert (a.usd_usd, a.successes_successes, a.usd_successes) == pytest.approx((0.0104, 100, 1.0))
    assert (b.units, b.errors, b.slow, b.refusals, b.priced) == (4, 0, 2, 1, 4)
    assert b.successes == 3
    await told.close()
    await store.close()


STANDING = Standing(
    route="r",
    version="1",
    candidate=B,
    share=0.1,
    began_at=1.0,
    ended_at=60.0,
    canary=Arm(units=500),
    others=Arm(units=500),
)
FINDINGS = (
    Finding(of="errors", canary=0.06, others=0.02, worse=True, evidence=99.0),
    Finding(of="cost", canary=0.02, others=0.01, worse=True),
    Finding(of="slow", canary=0.0, others=0.0),
)


def roll_back(data: Path) -> GatewayOptions:
    """As a meter does; returns the configuration."""
    verdict = Verdict(state=WORSE, worse=("errors",), findings=FINDINGS)
    out = msgspec.structs.replace(STANDING, share=0.5, state=ROLLED_BACK, verdict=verdict)
    places = Places(data)
    places.state.mkdir(parents=True)
    places.gateway_canaries.write_bytes(msgspec.json.encode(Standings(canaries=(out,))))
    return watched(data, rollback=True)


async def test_relays_ask_it_no_more(tmp_path: Path) -> None:
    """Its sessions go to the others, and still count for its arm."""
    made = roll_back(tmp_path)
    chat = answer(200, {"choices": [{"message": {"content": "Bonjour"}}]})
    script = Script({"a": [chat], "b": [chat]})
    async with door(tmp_path, script, made) as b:
        for n in range(20):
            await b.send(asking(headers=b"x-taximeter-session: s%d\r\n" % n))
        notes = [begun.gateway for begun in b.journal.begun]
    assert set(script.models) == {"a"}
    assert {note.arm for note in notes if note} == {A, B}  # as intended, whoever serves
    assert len({note.unit for note in notes if note}) == 20
    assert {note.reason for note in notes if note and note.arm == B} == {"rules"}


async def test_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the console and by commands."""
    made = roll_back(tmp_path)
    _, [shown] = await asked(tmp_path, made)
    assert shown["canary"]["state"] == ROLLED_BACK
    assert (shown["canary"]["sessions"], shown["canary"]["share"]) == (500, 0.5)
    assert shown["canary"]["findings"][0]["canary"] == 0.06
    config = Config(data=tmp_path, gateway=made)
    config = replace(config, providers={"openai": Provider(name="openai", base_url="http://x")})
    command.show(config, as_json=False)
    assert "rolled back" in capsys.readouterr().out
    body = tmp_path / "body.json"
    body.write_text('{"model": "r", "messages": [{"role": "user", "content": "Hi"}]}')
    asked_for = argparse.Namespace(
        **{"route": "r", "request": str(body), "api": "", "tag": [], "caller": "", "json": False}
    )
    assert command.explain(config, asked_for) == Exit.OK
    said = capsys.readouterr().out
    assert re.search(r"openai/b +0\.0% .*rolled_back\n", said)
    assert "The route's canary: rolled back." in said


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (WORSE, "6.00% of sessions had an error, against 2.00%; a success costs 0.02 USD against"),
        (ROLLED_BACK, "It was rolled back"),
        (UNEVEN, "got 500 of 1,000 sessions instead of its share of 0.1"),
    ],
)
def test_what_people_are_told(state: str, said: str) -> None:
    """A sentence with its numbers, what follows, and the same id after a restart."""
    verdict = Verdict(state=state, worse=("errors", "cost"), findings=FINDINGS)
    found: Notice = notice(msgspec.structs.replace(STANDING, state=state, verdict=verdict), "n1")
    assert said in found.text
    assert found.action
    assert found.id == f"canary/n1:r:1970-01-01T00:00:01.000000Z:{state}"
    assert found.facts["errors_of_others"] == 0.02


async def test_a_store_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is judged, it is said once, and the meter goes on."""
    places = Places(tmp_path)
    places.state.mkdir(parents=True)
    places.gateway_canaries.write_text("{")
    meter = Meter(tmp_path, watched(tmp_path), Store("clickhouse://127.0.0.1:1"))
    assert "begin anew" in caplog.text
    for _ in range(2):
        assert (await meter.look()).state == RUNNING
    assert caplog.text.count("Canary of route r: ") == 1
