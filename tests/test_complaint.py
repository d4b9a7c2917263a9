"""What a journal cannot keep is logged at once, and then once a minute while it lasts."""

import asyncio
import errno
import os
from pathlib import Path
from time import monotonic

import pytest
from test_journal import BEGUN

from proxy.exchange import Kind
from proxy.journal import complaint
from proxy.journal.complaint import EVERY_S, HELD, Complaint
from proxy.journal.held import HELD_CALL_BYTES_MAX
from proxy.journal.journal import Journal
from proxy.settings.config import JournalOptions


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr(complaint, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def test_one_line_a_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Trouble every quarter of a second for three minutes is three lines that miss no frame."""
    complaint = Complaint("relay-0")
    for _ in range(720):
        complaint.because("full")
        complaint.dropped(100)
        clock.now += 0.25
    complaint.speak()
    found = lines(caplog)
    text = "Journal of relay-0: full.  {}.  Calls are still forwarded."
    assert found[0] == text.format(HELD)
    dropped = "Frames dropped since the last report: 240 (24,000 bytes)"
    assert found[1:3] == [text.format(dropped)] * 2
    assert len(found) == 4  # the fourth begins another minute


def test_what_was_dropped_last_is_said_when_it_is_over(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Frames dropped after the last report are in a report of their own; then it is quiet."""
    complaint = Complaint("relay-0")
    complaint.because("cannot write (No space left on device)")
    complaint.dropped(5)
    for _ in range(300):
        clock.now += 1
        complaint.speak()
    assert len(lines(caplog)) == 2
    assert "dropped since the last report: 1 (5 bytes)" in lines(caplog)[1]


def test_a_disk_that_refuses_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that fails each second is one line a minute, with the reason and the count."""

    def full(fd: int, buffers: list[bytes]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "writev", full)
    journal = Journal(tmp_path, "relay-0", JournalOptions(fsync="never"))
    call = journal.begin(BEGUN)
    for _ in range(int(2 * EVERY_S)):
        journal._blocked_until = 0.0
        journal.append(call, Kind.RESPONSE, bytes(HELD_CALL_BYTES_MAX))
        journal.upkeep()
        clock.now += 1
    monkeypatch.undo()
    journal.close()
    found = lines(caplog)
    assert len(found) == 2
    assert all("cannot write (No space left on device)" in line for line in found)
    assert "Frames dropped since the last report: " in found[1]


def test_the_limit_is_said_once_a_minute(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the journal reaches its limit and leaves it again, one line names the limit."""
    limits = JournalOptions(fsync="never", total_bytes_max=1000)
    journal = Journal(tmp_path, "relay-0", limits)
    other = tmp_path / "other"
    other.mkdir()
    for _ in range(30):
        (other / "0000000001.seg").write_bytes(bytes(2000))
        journal.upkeep()
        (other / "0000000001.seg").unlink()
        journal.upkeep()
        clock.now += 1
    journal.close()
    (line,) = lines(caplog)
    assert "at its limit of 1,000 bytes" in line


async def test_fsync_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is asked to sync as often as `journal.fsync_interval_s` says, not by the second."""
    synced: list[float] = []
    fdatasync = os.fdatasync

    def watched(fd: int) -> None:
        synced.append(monotonic())
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", watched)
    journal = Journal(tmp_path / "often", "relay-0", JournalOptions(fsync_interval_s=0.05))
    seldom = Journal(tmp_path / "seldom", "relay-0", JournalOptions(fsync_interval_s=60.0))
    for _ in range(40):
        for one in (journal, seldom):
            one.begin(BEGUN)
        await asyncio.sleep(0.02)
    assert 5 <= len(synced) <= 20  # 0.8 s in steps of 0.05 s, on a machine that may be busy
    journal.close()
    seldom.close()
