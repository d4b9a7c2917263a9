"""Nothing lost, nothing doubled: `trials.faults` in short, and that it would notice."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluation.standin import processes
from support import clickhouse
from trials.faults import __main__ as command
from trials.faults import clocks, contents, disks, kills, webhooks
from trials.faults.audit import AuditResult, compare, dispatched
from trials.faults.callers import Connection, SeenCall
from trials.faults.world import World

USAGE = {"usage": {"input_total": 3, "output_total": 4}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A provider and a store for the faults to happen between."""
    folder = tmp_path_factory.mktemp("faults")
    with (
        processes.stand_in(folder / "stand-in.log") as (provider, _),
        clickhouse.running(folder / "clickhouse") as server,
    ):
        yield World(folder=folder, provider=provider, server=server)


@pytest.mark.slow
async def test_who_dies_loses_and_doubles_nothing(world: World) -> None:
    """A relay, then the meter are killed with calls in flight; rows, rollup and spans are exact."""
    [result] = await kills.kill_9(world, rounds=2, calls=60)
    assert result.ok, result
    assert result.calls == 120
    assert result.cut < 60


@pytest.mark.slow
async def test_files_that_cannot_grow_trouble_no_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relays and meter cannot write: calls go on, and every one has its row afterwards."""
    monkeypatch.setattr(disks, "FAULT_S", 1.0)
    result = await disks.broken(world, "short", "no file may grow", *disks.NO_GROWTH)
    assert result.ok, result


@pytest.mark.slow
async def test_content_is_kept_once_and_costs_no_row(world: World) -> None:
    """The meter is killed with content captured; then a dead store leaves no room for it."""
    for result in (await contents.killed(world, rounds=2, calls=40), await contents.no_room(world)):
        assert result.ok, result


def row(ticket: str, **other: object) -> dict[str, Any]:
    """A row as the store gives it."""
    return {
        "tags": {"ticket": ticket},
        "outcome": "ok",
        "cost_status": "exact",
        "cost_usd": "0.1",
        "input_tokens_total": 3,
        "output_tokens_total": 4,
    } | other


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ([], "lost"),
        ([row("g-1"), row("g-1")], "doubled"),
        ([row("g-1", output_tokens_total=5)], "wrong"),
        ([row("g-1", cost_status="estimated")], "wrong"),
    ],
)
def test_the_audit_sees_what_is_amiss(rows: list[dict[str, Any]], field: str) -> None:
    """A missing row, a second one, and one that does not say what the provider billed."""
    result = AuditResult(fault="none")
    compare(result, [SeenCall(ticket="g-1", finished=True)], {"g-1": USAGE}, rows)
    assert getattr(result, field) == 1
    assert not result.ok


def test_the_audit_sees_a_rollup_that_is_not_the_sum_of_its_rows() -> None:
    """Exact to the last digit."""
    sums = {"calls": 1, "input_tokens_total": 3, "output_tokens_total": 4, "cost_usd": "0.1"}
    for rollup, wrong in ((sums, 0), (sums | {"cost_usd": "0.10000000000000001"}, 1)):
        result = AuditResult(fault="none")
        seen = [SeenCall(ticket="g-1", finished=True)]
        compare(result, seen, {"g-1": USAGE}, [row("g-1")], rollup)
        assert result.wrong == wrong


@pytest.mark.parametrize(("cuts", "field"), [(True, "cut"), (False, "errors")])
def test_a_broken_call_is_excused_only_by_the_death_of_what_carried_it(
    cuts: bool, field: str
) -> None:
    """Any other failure that a caller sees is ours."""
    result = AuditResult(fault="none")
    seen = [SeenCall(ticket="g-1", finished=False, error="ClientPayloadError")]
    compare(result, seen, {"g-1": USAGE}, [row("g-1", outcome="interrupted")], cuts=cuts)
    assert getattr(result, field) == 1


WHOLE = b"HTTP/1.1 200 OK\r\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (WHOLE, ""),
        (WHOLE[:-5], "no final event"),
        (WHOLE.replace(b"[DONE]", b"[MORE]"), "no final event"),
        (WHOLE.replace(b"200", b"502"), "HTTP/1.1 502"),
        (b"", "no answer"),
    ],
)
async def test_a_caller_notices_an_answer_without_its_end(answer: bytes, error: str) -> None:
    """However it is cut: status, final event and last chunk must be there."""
    connection = Connection(b"")
    for at in range(len(answer)):
        connection.data_received(answer[at : at + 1])
    connection.connection_lost(None)
    assert connection.error == error


def test_a_call_that_reached_the_provider_twice_is_noticed() -> None:
    """A proxy must not repeat a call by itself."""
    one = {"received": {"body": '{"content": "ticket g-1"}'}, "answered": USAGE}
    assert dispatched([one], "g") == {"g-1": USAGE}
    assert dispatched([one], "other") == {}
    with pytest.raises(ValueError, match="twice"):
        dispatched([one, one], "g")


def test_a_log_that_floods_is_noticed(tmp_path: Path) -> None:
    """Two complaints of one process within a minute are too many, two of two processes are not."""
    log = tmp_path / "serve.log"
    lines = ("12:00:00,100 ERROR Journal of meter: x", "12:00:01,000 ERROR Journal of relay0: x")
    log.write_text("".join(f"2026-11-23 {line}\n" for line in lines))
    assert all(webhooks.once_a_minute(times) for times in webhooks.complaints(log).values())
    with log.open("a") as file:
        file.write("2026-11-23 12:01:00,050 ERROR Journal of meter: x\n")
        file.write("2026-11-23 12:01:30,000 ERROR Journal of meter: x\n")
    found = webhooks.complaints(log)
    assert {name: len(times) for name, times in found.items()} == {"meter": 3, "relay0": 1}
    assert not webhooks.once_a_minute(found["meter"])


def test_the_made_up_summer_time_ends_when_it_should() -> None:
    """A process with that TZ is an hour ahead until the instant, and not after it."""
    end = datetime.now(UTC).replace(microsecond=0)
    instants = [int(end.timestamp()) - 1, int(end.timestamp())]
    script = f"import time; print([time.localtime(t).tm_gmtoff for t in {instants}])"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TZ": clocks.summer_time_until(end)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "[3600, 0]"


@pytest.mark.slow
def test_the_table_says_what_was_skipped_and_what_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody takes a fault that could not be made for one that was survived."""
    lines = [AuditResult(fault="made", calls=7), AuditResult(fault="not made", skipped=True)]
    Console().print(command.table(lines))
    shown = capsys.readouterr().out.splitlines()
    assert any("not made" in line and "skipped" in line for line in shown)
