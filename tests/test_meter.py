"""Every call that was dispatched gets exactly one record, whoever dies."""

import asyncio
import os
from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path

import msgspec
import pytest

from exporters.record import Record, decode
from pricing.cause import texts
from proxy.exchange import Begun, Ended, Exchange, Kind, Outcome, ResponseHead
from proxy.journal import segments
from proxy.journal.counters import read_counters
from proxy.journal.follower import Follower
from proxy.journal.journal import Journal
from proxy.metering.recorder import Recorder
from proxy.metering.rows import outcome_of
from proxy.settings.config import Config, JournalOptions, Provider
from support.patience import PATIENCE_S

BODY = (
    b'{"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}'
)


def config(tmp_path: Path, **limits: int) -> Config:
    return Config(
        data=tmp_path,
        journal=JournalOptions(fsync="never", **limits),
        providers={"openai": Provider(name="openai", base_url="http://upstream")},
    )


def make(exchange: Exchange) -> Sequence[Record]:
    """A record that shows what the meter saw."""
    usage = next((part.usage for part in exchange.reading.parts), None)
    return [
        Record(
            ts_us=1,
            call_id=exchange.begun.call_id,
            provider=exchange.begun.provider,
            outcome=outcome_of(exchange).value,
            cost_status="exact",
            input_tokens_total=usage.input_tokens if usage else None,
            source=exchange.source,
        )
    ]


def meter(tmp_path: Path, **limits: int) -> Recorder:
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    return Recorder(config(tmp_path, **limits), make)


def relay(tmp_path: Path, **limits: int) -> Journal:
    return Journal(tmp_path / "calls", "relay-0", config(tmp_path, **limits).journal)


def begin(journal: Journal, call_id: str) -> int:
    call = journal.begin(
        Begun(
            call_id=call_id,
            wall_ns=1,
            method="POST",
            target="/v1/chat/completions",
            provider="openai",
            upstream="http://upstream",
        )
    )
    head = ResponseHead(status=200, headers=(("content-type", "application/json"),))
    journal.append(call, Kind.RESPONSE_HEAD, msgspec.json.encode(head))
    return call


def end(journal: Journal, call: int, body: bytes = BODY) -> None:
    journal.append(call, Kind.RESPONSE, body)
    journal.append(call, Kind.ENDED, msgspec.json.encode(Ended(outcome=Outcome.OK)))
    journal.flush()


def records(tmp_path: Path) -> list[Record]:
    """What the record journal holds, of all meters."""
    follower, found = Follower(tmp_path / "records"), []
    for writer in follower.scan():
        before = None
        while before != writer.position:
            before = writer.position
            found += [decode(frame.payload) for frame in follower.poll(writer)]
    follower.close()
    return found


def die(journal: Journal) -> None:
    """What kill -9 leaves: nothing sealed, the lock free."""
    journal.flush()
    os.close(journal._files._lock)
    if journal._files._fd >= 0:
        os.close(journal._files._fd)


async def steps(one: Recorder) -> None:
    """Until nothing is left to read or to count."""
    while await one.step() or one.status()["open"] != opened(one):
        await asyncio.sleep(0.001)


def opened(one: Recorder) -> int:
    """Calls that have not ended yet."""
    return sum(not call.finishing for call in one._open.values())


async def test_each_ended_call_gets_its_record(tmp_path: Path) -> None:
    """Calls that interleave come out whole, each once."""
    journal, one = relay(tmp_path), meter(tmp_path)
    calls = [begin(journal, f"c{number}") for number in range(20)]
    for call in reversed(calls):
        end(journal, call)
    await steps(one)
    found = records(tmp_path)
    assert sorted(record.call_id for record in found) == sorted(f"c{n}" for n in range(20))
    assert {(r.outcome, r.input_tokens_total) for r in found} == {("ok", 3)}
    one.close()
    journal.close()


async def test_a_restarted_meter_that_is_behind_forgets_nothing(tmp_path: Path) -> None:
    """It saves its progress before it has read again what an earlier one had read."""
    journal, one = relay(tmp_path), meter(tmp_path)
    call = begin(journal, "open")
    journal.flush()
    await steps(one)
    await one.upkeep()
    die(one.journal)
    two = meter(tmp_path)
    two._follower.scan()
    await two.upkeep()
    end(journal, call)
    await steps(two)
    assert [record.call_id for record in records(tmp_path)] == ["open"]
    two.close()
    journal.close()


async def test_a_relay_that_dies_leaves_interrupted_calls(tmp_path: Path) -> None:
    """A call whose relay is gone is a row with outcome interrupted; the ended one is not."""
    journal, one = relay(tmp_path), meter(tmp_path)
    end(journal, begin(journal, "whole"))
    begin(journal, "open")
    await steps(one)
    die(journal)
    await steps(one)
    assert {r.call_id: r.outcome for r in records(tmp_path)} == {
        "whole": "ok",
        "open": "interrupted",
    }
    assert one.status()["interrupted"] == 1
    one.close()


@pytest.mark.parametrize("saved", [True, False])
async def test_a_meter_that_dies_is_followed_by_one_that_repeats_nothing(
    tmp_path: Path, saved: bool
) -> None:
    """Whether or not the progress file was written, the next meter does only what is left."""
    journal, first = relay(tmp_path), meter(tmp_path)
    end(journal, begin(journal, "before"))
    half = begin(journal, "half")
    await steps(first)
    if saved:
        await first.upkeep()
    end(journal, begin(journal, "late"))
    await steps(first)
    die(first.journal)
    second = meter(tmp_path)
    end(journal, half)
    end(journal, begin(journal, "after"))
    await steps(second)
    ids = [record.call_id for record in records(tmp_path)]
    assert sorted(ids) == ["after", "before", "half", "late"]
    second.close()
    journal.close()


async def test_metered_segments_leave_the_disk_and_open_calls_keep_theirs(tmp_path: Path) -> None:
    """Bytes of finished calls go; those of a call still open stay until it ends."""
    journal, one = relay(tmp_path, segment_bytes_max=1), meter(tmp_path)
    long_call = begin(journal, "long")
    journal.flush()
    for number in range(5):
        end(journal, begin(journal, f"c{number}"))
    await steps(one)
    await one.upkeep()
    assert len(list((tmp_path / "calls").glob("*/*.seg"))) == 1
    end(journal, long_call)
    journal.close()
    await steps(one)
    await one.upkeep()
    assert list((tmp_path / "calls").iterdir()) == []
    assert one.status()["journal"]["calls_ended"] == 6  # type: ignore[index]
    one.close()


async def test_a_full_record_journal_makes_calls_wait_not_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for records: nothing is marked as done, and all come when there is room."""
    journal, one = relay(tmp_path), meter(tmp_path)
    end(journal, begin(journal, "c"))
    with monkeypatch.context() as patch:
        patch.setattr(one.journal, "_full", True)
        while await one.step():
            pass
        assert opened(one) == 0
        assert records(tmp_path) == []
    await one.step()
    assert [record.call_id for record in records(tmp_path)] == ["c"]
    one.close()
    journal.close()


async def test_frames_that_cannot_be_understood_are_counted(tmp_path: Path) -> None:
    """An odd frame harms no other call."""
    journal, one = relay(tmp_path), meter(tmp_path)
    journal.append(7, Kind.BEGUN, b"not json")
    journal.append(8, Kind.RESPONSE, b"nobody began this")
    end(journal, begin(journal, "good"))
    await steps(one)
    assert [record.call_id for record in records(tmp_path)] == ["good"]
    status = one.status()
    assert (status["failed"], status["orphan_frames"]) == (1, 1)
    one.close()
    journal.close()


async def test_stopping_does_not_wait_for_a_relay_that_lives(tmp_path: Path) -> None:
    """While relays are replaced there is always one; the next meter reads on."""
    journal, one = relay(tmp_path), meter(tmp_path)
    end(journal, begin(journal, "c"))
    await steps(one)
    begin(journal, "open")
    await asyncio.wait_for(one.drain(), PATIENCE_S)
    assert [record.call_id for record in records(tmp_path)] == ["c"]
    one.close()
    journal.close()


async def test_stopping_reads_what_the_relays_left(tmp_path: Path) -> None:
    """Drain returns when every writer is gone and every call has its record."""
    journal, one = relay(tmp_path), meter(tmp_path)
    end(journal, begin(journal, "last"))
    journal.close()
    await one.drain()
    assert [record.call_id for record in records(tmp_path)] == ["last"]
    assert read_counters(tmp_path / "calls" / journal.writer)["calls_begun"] == 1
    one.close()


async def test_a_call_with_two_records_is_not_written_twice_when_one_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the record that the journal refused is written again."""
    journal, one = relay(tmp_path), meter(tmp_path)
    made = lambda exchange: [*items(exchange), *make(exchange)]  # noqa: E731
    monkeypatch.setattr(one._making, "_make", made)
    end(journal, begin(journal, "c"))
    append = one.journal.append
    refused: list[int] = []

    def refuse_once(call: int, kind: int, payload: bytes, at_ns: int | None = None) -> bool:
        if b"c:item" in payload or refused:
            return append(call, kind, payload, at_ns)
        refused.append(call)
        one.journal._lost[call] = len(payload)
        return False

    monkeypatch.setattr(one.journal, "append", refuse_once)
    for _ in range(3):
        await one.step()
    assert sorted(record.call_id for record in records(tmp_path)) == ["c", "c:item"]
    assert one.journal._lost == {}
    one.close()
    journal.close()


def items(exchange: Exchange) -> Sequence[Record]:
    """A batch item beside the call's own record."""
    [own] = make(exchange)
    name = f"{own.call_id}:item"
    return [msgspec.structs.replace(own, call_id=name, source=f"{own.source}:item")]


async def test_a_meter_begun_after_the_clock_was_set_back_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records sort after the earlier ones, so the next meter finds them."""
    journal, first = relay(tmp_path), meter(tmp_path)
    await first.upkeep()
    first.close()
    with monkeypatch.context() as patch:
        patch.setattr(segments, "datetime", SetBack)
        second = meter(tmp_path)
    end(journal, begin(journal, "c"))
    await steps(second)
    die(second.journal)  # before it wrote its progress down
    third = meter(tmp_path)
    await steps(third)
    assert [record.call_id for record in records(tmp_path)] == ["c"]
    third.close()
    journal.close()


class SetBack(datetime):
    """A clock an hour behind."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "SetBack":
        return cls.fromtimestamp(datetime.now(tz).timestamp() - 3600, tz)


async def test_bytes_that_the_disk_refused_are_said_in_the_record(tmp_path: Path) -> None:
    """What the relay passed and the journal has not is counted, though the relay did not know."""
    journal = relay(tmp_path)
    seen: list[Exchange] = []
    one = meter(tmp_path)

    def noted(exchange: Exchange) -> Sequence[Record]:
        seen.append(exchange)
        return make(exchange)

    one._making._make = noted
    call = begin(journal, "c")
    ended = Ended(outcome=Outcome.OK, request_bytes=7, response_bytes=len(BODY))
    journal.append(call, Kind.ENDED, msgspec.json.encode(ended))
    journal.flush()
    await steps(one)
    [exchange] = seen
    assert exchange.ended.dropped_bytes == 7 + len(BODY)
    assert "bytes_dropped" in texts(exchange.reading.reasons)
    one.close()
    journal.close()
