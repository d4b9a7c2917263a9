"""What was written is read back, whatever happened to the file."""

import asyncio
import errno
import os
import shutil
from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.exchange import Begun, Kind
from proxy.journal import held, segments
from proxy.journal.counters import read_counters
from proxy.journal.follower import Followed, Follower, Position
from proxy.journal.frames import MAGIC, SEAL, Frame, Scan, Stop, header
from proxy.journal.journal import Journal
from proxy.settings.config import JournalOptions

LIMITS = JournalOptions(fsync="never")
BEGUN = Begun(
    call_id="01", wall_ns=1, method="POST", target="/v1", provider="openai", upstream="http://x"
)

frames_strategy = st.lists(
    st.tuples(st.integers(1, 8), st.integers(1, 99), st.binary(max_size=40)), max_size=6
)


async def settled(journal: Journal) -> None:
    """Waits for the disk if `fsync` asks for it."""
    if (synced := journal.settle()) is not None:
        await synced


def segment(frames: Sequence[tuple[int, int, bytes]], *, seal: bool = False) -> bytes:
    """A segment's bytes."""
    parts = [MAGIC]
    for kind, call, payload in frames:
        parts += [header(kind, call, 5, payload), payload]
    if seal:
        parts.append(header(SEAL, 0, 5, b""))
    return b"".join(parts)


def values(frames: Sequence[Frame]) -> list[tuple[int, int, bytes]]:
    return [(frame.kind, frame.call, frame.payload) for frame in frames]


def follow(directory: Path, start: dict[str, Position] | None = None) -> list[Frame]:
    """Everything that a new follower reads, writer by writer."""
    follower = Follower(directory, start)
    found = [frame for writer in follower.scan() for frame in everything(follower, writer)]
    follower.close()
    return found


def everything(follower: Follower, writer: Followed) -> list[Frame]:
    """What there is to read now, across segments."""
    found: list[Frame] = []
    before = None
    while before != writer.position:
        before = writer.position
        found += follower.poll(writer)
    return found


@settings(max_examples=60)
@given(frames_strategy, st.booleans())
def test_every_prefix_of_a_segment_reads_back_clean(
    frames: list[tuple[int, int, bytes]], seal: bool
) -> None:
    """Cut at any byte, a segment gives the frames that are whole, in order, and nothing else."""
    data = segment(frames, seal=seal)
    ends = [len(segment(frames[:n])) for n in range(len(frames) + 1)]
    for cut in range(len(data) + 1):
        scan = Scan(data[:cut], 0)
        found = values(list(scan))
        whole = sum(end <= cut for end in ends[1:])
        assert found == frames[:whole]
        assert scan.stop is (Stop.SEALED if seal and cut == len(data) else Stop.MORE)


@settings(max_examples=60)
@given(frames_strategy.filter(bool), st.data())
def test_a_flipped_byte_never_gives_a_wrong_frame(
    frames: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    """Frames before the damage are read, and none that was not written."""
    good = segment(frames)
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    found = values(list(Scan(bytes(bad), 0)))
    assert found == frames[: len(found)]


def test_a_follower_reads_what_a_writer_appends_while_it_appends(tmp_path: Path) -> None:
    """Each frame is read once, in order, across polls and segments."""
    journal = Journal(tmp_path, "relay", JournalOptions(fsync="never", segment_bytes_max=400))
    follower = Follower(tmp_path)
    expected, found = [], []
    for number in range(50):
        call = journal.begin(BEGUN)
        journal.append(call, Kind.RESPONSE, b"x" * number)
        expected += [(Kind.BEGUN, call), (Kind.RESPONSE, call)]
        if number % 3 == 0:
            journal.flush()
            for writer in follower.scan():
                found += [(f.kind, f.call) for f in everything(follower, writer)]
    journal.close()
    for writer in follower.scan():
        found += [(f.kind, f.call) for f in everything(follower, writer)]
    assert found == expected
    assert all(writer.finished for writer in follower.writers.values())


def test_a_writer_that_lives_is_not_finished(tmp_path: Path) -> None:
    """Only a free lock means that a writer is finished."""
    journal = Journal(tmp_path, "relay", LIMITS)
    journal.begin(BEGUN)
    journal.flush()
    follower = Follower(tmp_path)
    [writer] = follower.scan()
    assert len(list(follower.poll(writer))) == 1
    assert not writer.finished
    journal.close()
    assert everything(follower, writer) == []
    assert writer.finished


def test_a_torn_tail_is_dropped_and_counted(tmp_path: Path) -> None:
    """The half frame that a crash left is skipped, and the whole ones before it are read."""
    journal = Journal(tmp_path, "relay", LIMITS)
    journal.begin(BEGUN)
    journal.append(1, Kind.RESPONSE, b"half of this is torn away")
    journal.flush()
    [path] = tmp_path.glob("*/*.seg")
    os.truncate(path, path.stat().st_size - 5)
    fd = journal._files._fd  # the process "dies": its descriptors close, nothing is sealed
    os.close(fd)
    os.close(journal._files._lock)
    follower = Follower(tmp_path)
    [writer] = follower.scan()
    assert [frame.kind for frame in everything(follower, writer)] == [Kind.BEGUN]
    assert writer.finished
    assert writer.damaged_bytes > 0


def test_reading_goes_on_from_a_position(tmp_path: Path) -> None:
    """A follower that starts at a position reads exactly the rest."""
    journal = Journal(tmp_path, "relay", LIMITS)
    for _ in range(4):
        journal.begin(BEGUN)
    journal.close()
    frames = follow(tmp_path)
    start = {journal.writer: Position(1, frames[1].end)}
    assert [f.call for f in follow(tmp_path, start)] == [3, 4]


def test_retired_segments_leave_the_disk(tmp_path: Path) -> None:
    """Segments before the kept one go, needed ones stay, and a finished writer's directory too."""
    journal = Journal(tmp_path, "relay", JournalOptions(fsync="never", segment_bytes_max=1))
    for _ in range(3):
        journal.begin(BEGUN)
        journal.flush()
    journal.close()
    follower = Follower(tmp_path)
    [writer] = follower.scan()
    assert len(everything(follower, writer)) == 3
    assert follower.retire(writer, 3, frozenset({1})) == 1
    assert sorted(p.name for p in tmp_path.glob("*/*.seg")) == ["0000000001.seg", "0000000003.seg"]
    follower.retire(writer, writer.segment)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_drops_and_counts_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails half way leaves only whole frames, and the next ones are kept again."""
    monkeypatch.setattr(held, "HELD_CALL_BYTES_MAX", 0)  # as of a large call
    journal = Journal(tmp_path, "relay", LIMITS)
    journal.begin(BEGUN)
    journal.flush()
    writev = os.writev

    def full(fd: int, buffers: list[bytes]) -> int:
        writev(fd, [buffers[0][:7]])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", full)
        lost = journal.begin(BEGUN)
        journal.append(lost, Kind.RESPONSE, b"12345")
        journal.flush()
    assert journal.append(lost, Kind.RESPONSE, b"678") is False
    assert journal.dropped(lost) == len(b"12345678")
    journal._blocked_until = 0.0  # a second later
    kept = journal.begin(BEGUN)
    journal.close()
    frames = follow(tmp_path)
    assert [(frame.kind, frame.call) for frame in frames] == [
        (Kind.BEGUN, 1),
        (Kind.BEGUN, lost),
        (Kind.BEGUN, kept),
    ]
    counters = read_counters(next(tmp_path.iterdir()))
    assert (counters["calls_begun"], counters["calls_lost"]) == (3, 0)
    assert counters["write_errors"] == 1
    assert counters["frames_dropped"] == 2


def test_the_total_limit_stops_writing_until_there_is_room(tmp_path: Path) -> None:
    """At the limit frames are dropped and counted; when segments are deleted, writing resumes."""
    limits = JournalOptions(fsync="never", segment_bytes_max=1000, total_bytes_max=6000)
    journal = Journal(tmp_path, "relay", limits)  # the page of counters is part of the total
    journal.append(1, Kind.RESPONSE, bytes(3000))
    journal.flush()
    journal.upkeep()
    assert journal.append(1, Kind.RESPONSE, b"too much") is False
    for path in tmp_path.glob("*/*.seg"):
        path.unlink()
    journal.upkeep()
    assert journal.append(1, Kind.RESPONSE, b"room again") is True
    journal.close()


def test_a_removed_directory_is_made_again(tmp_path: Path) -> None:
    """Calls after the removal are kept, in a new directory."""
    journal = Journal(tmp_path / "calls", "relay", LIMITS)
    journal.begin(BEGUN)
    journal.flush()
    shutil.rmtree(tmp_path / "calls")
    journal.upkeep()
    journal.begin(BEGUN)
    journal.close()
    assert [frame.call for frame in follow(tmp_path / "calls")] == [2]


async def test_frames_are_written_once_a_loop_turn(tmp_path: Path) -> None:
    """Frames are flushed at the end of a loop turn without a call to flush."""
    journal = Journal(tmp_path, "relay", LIMITS)
    journal.begin(BEGUN)
    assert follow(tmp_path) == []
    await asyncio.sleep(0)
    assert len(follow(tmp_path)) == 1
    journal.close()


async def test_fsync_always_groups_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred calls that settle together cost a few syncs, and each returns after its own."""
    synced = []
    sync = os.fdatasync

    def noted(fd: int) -> None:
        synced.append(fd)
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", noted)
    journal = Journal(tmp_path, "relay", JournalOptions(fsync="always"))

    async def one() -> None:
        journal.begin(BEGUN)
        await settled(journal)
        assert synced

    await asyncio.gather(*(one() for _ in range(100)))
    assert 1 <= len(synced) <= 5
    journal.close()


def test_journal_files_are_for_the_owner_only(tmp_path: Path) -> None:
    """Segments, lock and counters are 0600, directories 0700."""
    journal = Journal(tmp_path / "calls", "relay", LIMITS)
    journal.begin(BEGUN)
    journal.flush()
    for path in [tmp_path / "calls", *(tmp_path / "calls").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    journal.close()


def test_a_disk_without_room_for_a_new_segment_reaches_no_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a new file cannot be written to, nothing is raised and the call is written later."""
    journal = Journal(tmp_path, "relay", LIMITS)

    def full(fd: int, buffers: list[bytes]) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "writev", full)
        call = journal.begin(BEGUN)
        journal.flush()
    journal.append(call, Kind.RESPONSE, b"small")
    journal.append(call, Kind.RESPONSE, bytes(held.HELD_CALL_BYTES_MAX))  # not kept
    journal.append(call, Kind.ENDED, b"{}")
    assert follow(tmp_path) == []
    journal._blocked_until = 0.0  # a second later
    journal.upkeep()
    frames = [(frame.kind, frame.call) for frame in follow(tmp_path)]
    assert frames == [(Kind.BEGUN, 1), (Kind.RESPONSE, 1), (Kind.ENDED, 1)]
    assert journal.counters.read()["frames_dropped"] == 1
    journal.close()


def test_small_calls_survive_a_full_disk_whole(tmp_path: Path) -> None:
    """Frame by frame and in order, of several calls at a time, until the bodies' share is full."""
    journal = Journal(tmp_path, "relay", LIMITS)
    journal._blocked_until = float("inf")
    calls = [journal.begin(BEGUN) for _ in range(6)]
    for kind, payload in ((Kind.REQUEST, b"ask"), (Kind.RESPONSE, b"one"), (Kind.RESPONSE, b"two")):
        for call in calls:
            assert journal.append(call, kind, payload)
    for call in calls:
        journal.append(call, Kind.ENDED, b"{}")
    many = [journal.begin(BEGUN) for _ in range(100)]
    kept = [journal.append(call, Kind.REQUEST, bytes(100_000)) for call in many]
    assert 20 < sum(kept) < 40  # 3 MiB
    for call in many:
        journal.append(call, Kind.ENDED, b"{}")
    journal._blocked_until = 0.0
    journal.upkeep()
    frames = follow(tmp_path)
    for call in calls:
        payloads = [frame.payload for frame in frames if frame.call == call]
        assert payloads[1:] == [b"ask", b"one", b"two", b"{}"]
    counters = journal.counters.read()
    assert (counters["calls_lost"], counters["frames_dropped"]) == (0, kept.count(False))
    assert {frame.call for frame in frames if frame.kind == Kind.ENDED} == {*calls, *many}
    journal.close()


def test_a_small_journal_holds_few_bodies(tmp_path: Path) -> None:
    """What is held is written when there is room for any: it must not be many times the limit."""
    limits = JournalOptions(fsync="never", total_bytes_max=100_000)
    journal = Journal(tmp_path, "relay", limits)
    journal._blocked_until = float("inf")
    many = [journal.begin(BEGUN) for _ in range(50)]
    kept = [journal.append(call, Kind.REQUEST, bytes(10_000)) for call in many]
    assert 0 < sum(kept) < 4
    ended = [journal.append(call, Kind.ENDED, b"{}") for call in many]
    assert all(ended)
    journal.close()


def test_what_is_held_is_bounded_and_its_loss_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that no longer fits into memory is lost, and no part of it is written later."""
    monkeypatch.setattr(held, "HELD_BYTES_MAX", 1000)
    journal = Journal(tmp_path, "relay", LIMITS)
    journal._blocked_until = float("inf")
    for _ in range(10):
        journal.append(journal.begin(BEGUN), Kind.ENDED, b"{}")
    journal._blocked_until = 0.0
    journal.upkeep()
    frames = follow(tmp_path)
    begun = [frame.call for frame in frames if frame.kind == Kind.BEGUN]
    assert begun == [frame.call for frame in frames if frame.kind == Kind.ENDED]
    assert journal.counters.read()["calls_lost"] == 10 - len(begun) > 0
    journal.close()


def test_at_the_limit_a_call_may_still_end(tmp_path: Path) -> None:
    """Otherwise its segments could never be deleted, and the journal would stay full."""
    limits = JournalOptions(fsync="never", segment_bytes_max=1000, total_bytes_max=6000)
    journal = Journal(tmp_path, "relay", limits)
    old = journal.begin(BEGUN)
    journal.append(old, Kind.RESPONSE, bytes(6000))
    journal.flush()
    new = journal.begin(BEGUN)
    assert journal.append(old, Kind.RESPONSE, b"too much") is False
    journal.append(new, Kind.ENDED, b"{}")
    journal.append(old, Kind.ENDED, b"{}")
    journal.flush()
    journal.upkeep()
    ended = [(f.kind, f.call) for f in follow(tmp_path)]
    assert ended == [(Kind.BEGUN, old), (Kind.RESPONSE, old), (Kind.ENDED, old)]
    min(tmp_path.glob("*/*.seg")).unlink()
    journal.upkeep()
    assert [(f.kind, f.call) for f in follow(tmp_path)] == [
        (Kind.ENDED, old),
        (Kind.BEGUN, new),
        (Kind.ENDED, new),
    ]
    journal.close()


def test_writers_sort_by_their_beginning_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is set back an hour does not make the next writer an earlier one."""
    first = Journal(tmp_path, "meter", LIMITS)
    with monkeypatch.context() as patch:
        patch.setattr(segments, "datetime", SetBack)
        second = Journal(tmp_path, "meter", LIMITS)
        third = Journal(tmp_path / "elsewhere", "meter", LIMITS, second.writer)
    assert first.writer < second.writer < third.writer
    for journal in (first, second, third):
        journal.close()


class SetBack(datetime):
    """A clock an hour behind."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "SetBack":
        return cls.fromtimestamp(datetime.now(tz).timestamp() - 3600, tz)


def test_a_directory_that_was_removed_and_made_again_is_read_on(tmp_path: Path) -> None:
    """Frames written to the deleted file are read, and later ones too."""
    journal = Journal(tmp_path / "calls", "relay", LIMITS)
    follower = Follower(tmp_path / "calls")
    journal.begin(BEGUN)
    journal.flush()
    [writer] = follower.scan()
    found = everything(follower, writer)
    shutil.rmtree(tmp_path / "calls")
    journal.begin(BEGUN)
    journal.flush()
    found += everything(follower, writer)
    assert not writer.finished
    journal.upkeep()
    journal.begin(BEGUN)
    journal.flush()
    found += everything(follower, writer)
    assert [frame.call for frame in found] == [1, 2, 3]
    journal.close()


def test_a_lock_that_cannot_be_looked_at_is_not_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is out of descriptors does not take a running writer for gone."""
    journal = Journal(tmp_path, "relay", LIMITS)
    follower = Follower(tmp_path)
    [writer] = follower.scan()

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", none_left)
    assert list(follower.poll(writer)) == []
    assert not writer.finished
    monkeypatch.undo()
    journal.close()


async def test_a_sync_that_cannot_begin_is_counted_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller gets its answer even if there is no descriptor left."""
    journal = Journal(tmp_path, "relay", JournalOptions(fsync="always"))

    def none_left(fd: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    journal.begin(BEGUN)
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", none_left)
        await settled(journal)
    assert journal.counters.read()["write_errors"] == 1
    await settled(journal)
    assert journal.counters.read()["write_errors"] == 1
    journal.close()


def test_no_frame_overtakes_one_that_waits(tmp_path: Path) -> None:
    """A head that was held is written before its call's end, even at the limit."""
    limits = JournalOptions(fsync="never", segment_bytes_max=1000, total_bytes_max=6000)
    journal = Journal(tmp_path, "relay", limits)
    call = journal.begin(BEGUN)
    journal.append(call, Kind.RESPONSE, bytes(6000))
    journal.flush()
    journal._blocked_until = float("inf")
    journal.append(call, Kind.RESPONSE_HEAD, b"{}")
    journal._blocked_until = 0.0  # from here on only the limit holds
    journal.append(call, Kind.ENDED, b"{}")
    journal.upkeep()
    kinds = [frame.kind for frame in follow(tmp_path)]
    assert kinds == [Kind.BEGUN, Kind.RESPONSE, Kind.RESPONSE_HEAD, Kind.ENDED]
    journal.close()
