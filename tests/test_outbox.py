"""The outbox: nothing is told twice or forgotten, whatever is killed, torn or full."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_notify_formats import NOTICE

from exporters.notify.notice import Notice
from proxy.notices import outbox as module
from proxy.notices.lines import documents, line
from proxy.notices.outbox import AGE_MAX, Outbox

FAR = datetime(2200, 1, 1, tzinfo=UTC)


def notice(name: str, *, ended: bool = False, also: tuple[str, ...] = ()) -> Notice:
    """One whose id can recur for a long time."""
    end = NOTICE.started_at + timedelta(hours=1) if ended else None
    return replace(NOTICE, id=name, also=also, ended_at=end, until=FAR)


def names(outbox: Outbox, target: str = "ops") -> list[str]:
    return [one.key for one in outbox.waiting(target)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outbox.log"


def test_once(file: Path) -> None:
    """An id is told once, also by another's message and after a restart; so is its end."""
    outbox = Outbox(file)
    assert outbox.add(notice("b:80", also=("b:50",)), ["ops", "ops", "mail"])
    assert not outbox.add(notice("b:80"), ["ops"])
    assert not outbox.add(notice("b:50"), ["ops"])
    assert names(outbox) == names(outbox, "mail") == ["b:80"]
    assert outbox.done("b:80", "ops")
    assert not outbox.done("b:80", "ops")
    outbox.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = Outbox(file)
    assert (names(again), names(again, "mail")) == ([], ["b:80"])
    assert list(again.told()) == ["b:80", "b:50"]
    assert not again.add(notice("b:50"), ["ops"])
    assert again.started_at("b:80") is not None
    assert again.started_at("b:50") is None
    assert again.add(notice("b:80", ended=True, also=("b:50",)), ["ops", "mail", "late"])
    assert not again.add(notice("b:80", ended=True), ["ops"])
    assert names(again, "mail") == ["b:80", "b:80#resolved"]
    assert names(again, "late") == [], "it was never told of the beginning"
    assert list(again.told()) == []
    assert not again.add(notice("b:80"), ["ops"]), "an end does not make the id new"


def test_an_end_without_a_message(file: Path) -> None:
    """Alerts can be closed silently; what is closed stays closed after a restart."""
    outbox = Outbox(file)
    outbox.add(notice("b:80", also=("b:50",)), [])
    outbox.end(["b:80", "unknown"])
    outbox.end(["unknown"])
    assert list(outbox.told()) == ["b:50"]
    outbox.close()
    assert list(Outbox(file).told()) == ["b:50"]
    assert list(Outbox(file).told()) == ["b:50"], "also after it was written anew"


def test_what_can_be_forgotten_is(file: Path) -> None:
    """Finished notices whose ids cannot recur leave the file; what waits or fires stays."""
    outbox = Outbox(file)
    past = datetime.now(UTC) - timedelta(days=1)
    for name in ("done", "waits", "fires"):
        outbox.add(replace(notice(name), until=past), ["ops"])
    for name in ("done", "waits"):
        outbox.end([name])
    outbox.done("done", "ops")
    outbox.done("fires", "ops")
    outbox.close()
    Outbox(file).close()
    text = file.read_text()
    assert ('"done"' in text, '"waits"' in text, '"fires"' in text) == (False, True, True)
    assert NOTICE.text in text.splitlines()[0]
    assert text.count(NOTICE.text) == 1, "the text of what was delivered is not kept"


def test_limits(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits, what is remembered and the file are bounded, and what is lost is counted."""
    monkeypatch.setattr(module, "WAITING_MAX", 5)
    monkeypatch.setattr(module, "REMEMBERED_MAX", 10)
    monkeypatch.setattr(module, "FILE_BYTES_MAX", 20_000)
    outbox = Outbox(file)
    for number in range(200):
        assert outbox.add(notice(f"n{number}"), ["ops"])
        assert file.stat().st_size < 60_000
    assert names(outbox) == [f"n{number}" for number in range(195, 200)]
    outbox.close()
    again = Outbox(file)
    assert names(again) == names(outbox)
    assert again.forgotten + outbox.forgotten == 185
    assert not again.add(notice("n190"), ["ops"])


def test_age(file: Path) -> None:
    """What has waited for three days is told of, for the sender to give up."""
    outbox = Outbox(file)
    now = datetime.now(UTC)
    outbox.add(notice("old"), ["ops"], now - AGE_MAX - timedelta(minutes=1))
    outbox.add(notice("new"), ["ops"], now)
    assert [one.id for one in outbox.expired("ops", now)] == ["old"]
    assert outbox.expired("mail", now) == []
    outbox.done("old", "ops", lost=True)
    assert names(outbox) == ["new"]
    assert not outbox.add(notice("old"), ["ops"])
    assert outbox.status()["firing"] == 2


@given(st.integers(0, 2000), st.sampled_from([b"", b"\x00", b"x" * 40, b"\n"]))
def test_a_torn_tail(cut: int, junk: bytes) -> None:
    """Whatever the last write left behind, all whole lines before it count."""
    whole = [b'{"a":%d}' % number for number in range(20)]
    data = b"".join(map(line, whole))
    kept = data[: max(len(data) - cut, 0)]
    found = [one for one in documents(kept + junk) if one is not None]
    assert found == whole[: len(found)]
    assert len(found) >= kept.count(b"\n")


@pytest.mark.parametrize(
    "damage", [b"", b"\n", b"{", b"00000000 {}\n", line(b"{}"), line(b'{"type":"x"}'), b"\xff" * 99]
)
def test_a_damaged_file(damage: bytes, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It costs the damaged lines, which are counted, and is whole again."""
    outbox = Outbox(file)
    outbox.add(notice("a"), ["ops"])
    outbox.close()
    file.write_bytes(file.read_bytes() + damage)
    again = Outbox(file)
    assert names(again) == ["a"]
    assert again.damaged == (1 if damage.strip() else 0)
    again.add(notice("b"), ["ops"])
    again.close()
    caplog.clear()
    assert names(Outbox(file)) == ["a", "b"]
    assert caplog.text == ""


async def test_a_disk_that_refuses(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Notices go on in memory, a complaint is made once, and all is written when it accepts."""
    outbox = Outbox(file)
    outbox.add(notice("a"), ["ops"])
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: os.pwrite(fd, data[:10], 10**6) * 0)
        for name in ("b", "c"):
            assert outbox.add(notice(name), ["ops"])
    assert names(outbox) == ["a", "b", "c"]
    assert caplog.text.count("alerts are kept in memory") == 1
    assert outbox.write_errors == 1
    assert names(Outbox(file)) == ["a"]
    await outbox.sync()
    assert names(Outbox(file)) == ["a", "b", "c"]
    outbox.close()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """Alerts go out all the same: they matter most when the disk refuses."""
    outbox = Outbox(tmp_path / "gone" / "outbox.log")
    assert outbox.add(notice("a"), ["ops"])
    assert names(outbox) == ["a"]
    outbox.close()


WRITER = """
import sys
from pathlib import Path
from msgspec.structs import replace
from proxy.notices.outbox import Outbox
sys.path.insert(0, "tests")
from test_outbox import notice
outbox = Outbox(Path(sys.argv[1]))
number = len(outbox.waiting("ops"))
while True:
    outbox.add(notice(f"n{number}"), ["ops", "log"])
    outbox.done(f"n{number}", "log")
    print(number, flush=True)
    number += 1
"""


def test_kill(file: Path) -> None:
    """Each notice that was accepted before `kill -9` is there after it, once and in order."""
    for kills in range(1, 4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        accepted = [int(writer.stdout.readline()) for _ in range(30)]
        writer.send_signal(signal.SIGKILL)
        accepted += [int(each) for each in writer.stdout.read().split()]
        writer.wait()
        writer.stdout.close()
        outbox = Outbox(file)
        found = names(outbox)
        assert found == [f"n{number}" for number in range(len(found))]
        assert len(found) > accepted[-1]
        assert len(names(outbox, "log")) <= kills, "only what was being told may come again"
        outbox.close()


async def test_sync_beside_additions(file: Path) -> None:
    """It may run twice at once while notices come in."""
    outbox = Outbox(file)
    for number in range(20):
        outbox.add(notice(f"n{number}"), ["ops"])
        await asyncio.gather(outbox.sync(), outbox.sync())
    outbox.close()
    assert len(names(Outbox(file))) == 20
