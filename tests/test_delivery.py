"""An exporter gets every record once, in order, whatever happens to it or to us."""

import asyncio
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporters.record import Batch, PermanentError, Record, TransientError, decode, encode
from proxy.delivery import delivery as module
from proxy.delivery.delivery import Delivery
from proxy.exchange import Kind
from proxy.journal.disk import write_atomically
from proxy.journal.journal import Journal
from proxy.settings.config import JournalOptions
from proxy.settings.places import Places
from support.patience import PATIENCE_S

LIMITS = JournalOptions(fsync="never")


class Remembering:
    """Remembers what it got; `failures` are raised first, `poison` ids are refused for good."""

    name = "remembering"

    def __init__(self, *failures: Exception, poison: Sequence[str] = ()) -> None:
        self.failures = list(failures)
        self.poison = poison
        self.batches: list[Batch[Record]] = []
        self.tries: list[str] = []
        self.tried = asyncio.Event()

    async def export(self, batch: Batch[Record]) -> None:
        self.tries.append(batch.token)
        self.tried.set()
        if self.failures:
            raise self.failures.pop(0)
        if any(record.call_id in self.poison for record in batch.records):
            raise PermanentError("not this one")
        self.batches.append(batch)

    async def close(self) -> None:
        pass

    @property
    def ids(self) -> list[str]:
        return [record.call_id for batch in self.batches for record in batch.records]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S_MIN", 0.001)


def write(journal: Journal, *ids: str) -> None:
    for call_id in ids:
        record = Record(ts_us=1, call_id=call_id, provider="p", outcome="ok", cost_status="exact")
        journal.append(1, Kind.RECORD, encode(record))
    journal.flush()


def deliver(tmp_path: Path, exporter: Remembering, rows_max: int = 100) -> Delivery[Record]:
    async def synced() -> None:
        pass

    places = Places(tmp_path)
    places.state.mkdir(exist_ok=True)
    return Delivery(
        exporter, places.records, places, decode, synced=synced, rows_max=rows_max, age_max_s=0.01
    )


async def everything(delivery: Delivery[Record]) -> None:
    while await delivery.step():
        pass


async def test_records_come_in_order_and_in_batches(tmp_path: Path) -> None:
    """Each record comes once, at most so many at a time."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, *"abcde")
    exporter = Remembering()
    await everything(deliver(tmp_path, exporter, rows_max=2))
    assert exporter.ids == list("abcde")
    assert [len(batch.records) for batch in exporter.batches] == [2, 2, 1]
    journal.close()


async def test_a_restart_goes_on_after_what_was_taken(tmp_path: Path) -> None:
    """What was delivered before is not delivered again; what came meanwhile is."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, "a", "b")
    await everything(deliver(tmp_path, Remembering()))
    write(journal, "c")
    exporter = Remembering()
    await everything(deliver(tmp_path, exporter))
    assert exporter.ids == ["c"]
    journal.close()


async def test_a_batch_cut_off_by_a_crash_is_sent_again_under_its_token(tmp_path: Path) -> None:
    """After a crash the same rows go out under the same token, though more have come since."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, "a", "b")
    first = Remembering(*[TransientError("down")] * 1000)
    crashed = asyncio.create_task(deliver(tmp_path, first).step())
    await first.tried.wait()
    crashed.cancel()
    write(journal, "c")
    second = Remembering()
    await everything(deliver(tmp_path, second))
    assert second.tries[0] == first.tries[0]
    assert [[r.call_id for r in batch.records] for batch in second.batches] == [["a", "b"], ["c"]]
    journal.close()


async def test_a_failing_store_is_tried_again_with_the_same_batch(tmp_path: Path) -> None:
    """A transient failure costs time, never rows, and keeps the token."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, "a")
    exporter = Remembering(TransientError("503"), TransientError("503"))
    delivery = deliver(tmp_path, exporter)
    await everything(delivery)
    assert exporter.ids == ["a"]
    assert len(set(exporter.tries)) == 1
    assert delivery.status() == {
        "ok": True,
        "error": "",
        "delivered": 1,
        "set_aside": 0,
        "retries": 2,
    }
    journal.close()


async def test_a_poison_row_is_set_aside_alone(tmp_path: Path) -> None:
    """The rows around a refused one arrive in order; it is kept with its reason, and once."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, *"abcdefg")
    exporter = Remembering(poison=["e"])
    delivery = deliver(tmp_path, exporter)
    await everything(delivery)
    assert exporter.ids == list("abcdfg")
    assert delivery.status()["set_aside"] == 1
    aside = (tmp_path / "state" / "remembering.aside.jsonl").read_text()
    assert '"call_id":"e"' in aside
    assert "not this one" in aside
    journal.close()


async def test_delivery_goes_on_across_segments_and_meters(tmp_path: Path) -> None:
    """A batch never spans segments, and the next meter's records follow the last one's."""
    journal = Journal(tmp_path / "records", "meter", JournalOptions(segment_bytes_max=1))
    write(journal, "a")
    write(journal, "b")
    journal.close()
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, "c")
    exporter = Remembering()
    await everything(deliver(tmp_path, exporter))
    assert exporter.ids == ["a", "b", "c"]
    assert len({batch.token for batch in exporter.batches}) == 3
    journal.close()


async def test_drained_says_when_nothing_is_left(tmp_path: Path) -> None:
    """A stop can wait for the rows that are still on their way."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, *"abc")
    exporter = Remembering()
    delivery = deliver(tmp_path, exporter, rows_max=1)
    running = asyncio.create_task(delivery.run())
    await asyncio.wait_for(delivery.drained(), PATIENCE_S)
    assert exporter.ids == ["a", "b", "c"]
    running.cancel()
    journal.close()


async def test_nothing_is_sent_before_it_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk holds rows up; sent without a note, a crash would send them in other pieces."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, "a", "b")
    exporter = Remembering()
    delivery = deliver(tmp_path, exporter)
    write_down, tries = write_atomically, 0

    def full_at_first(path: Path, data: bytes) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            assert exporter.tries == []
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_down(path, data)

    monkeypatch.setattr(module, "write_atomically", full_at_first)
    await everything(delivery)
    assert exporter.ids == ["a", "b"]
    journal.close()


def test_a_file_that_was_written_in_part_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes half of a cursor leaves the old one as it was."""
    path = tmp_path / "cursor.json"
    write_atomically(path, b"the old one")
    write_all, room = os.write, [3]

    def nearly_full(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_all(fd, data[: room.pop()])

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"the new one")
    assert path.read_bytes() == b"the old one"


async def test_a_fault_of_ours_in_an_exporter_costs_no_row(tmp_path: Path) -> None:
    """An error that nobody foresaw is shown and tried again, like a store that is down."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, "a")
    exporter = Remembering(ZeroDivisionError("a bug"))
    delivery = deliver(tmp_path, exporter)
    await everything(delivery)
    assert exporter.ids == ["a"]
    assert delivery.retries == 1
    journal.close()


async def test_rows_that_were_set_aside_stay_counted(tmp_path: Path) -> None:
    """A restart does not make health forget a loss."""
    journal = Journal(tmp_path / "records", "meter", LIMITS)
    write(journal, *"abc")
    await everything(deliver(tmp_path, Remembering(poison=["b"])))
    again = deliver(tmp_path, Remembering())
    await everything(again)
    assert again.status()["set_aside"] == 1
    journal.close()


async def test_segments_that_everybody_passed_leave_the_disk(tmp_path: Path) -> None:
    """Delivered records go, also the last sealed segment; those not delivered stay."""
    records = tmp_path / "records"
    journal = Journal(records, "meter", JournalOptions(fsync="never", segment_bytes_max=1))
    write(journal, "a")
    write(journal, "b")
    delivery = deliver(tmp_path, Remembering())
    assert module.prune(records, delivery.passed) == 0
    await everything(delivery)
    assert module.prune(records, min(delivery.passed, (journal.writer, journal.segment))) == 2
    write(journal, "c")
    assert module.prune(records, delivery.passed) == 0
    exporter = Remembering()
    await everything(deliver(tmp_path, exporter))
    assert exporter.ids == ["c"]
    journal.close()
