"""The disk usage of a journal, however many files it has."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange import Kind
from proxy.journal import segments
from proxy.journal.journal import Journal
from proxy.journal.segments import Sizes
from proxy.settings.config import JournalOptions


def held(directory: Path) -> int:
    """The sum of the sizes of all files."""
    return sum(path.stat().st_size for path in directory.glob("*/*"))


def test_sizes_follow_a_journal_that_grows_and_shrinks(tmp_path: Path) -> None:
    """The total is right after every write, seal and removal."""
    sizes = Sizes(tmp_path)
    assert sizes.total() == 0
    journal = Journal(tmp_path, "relay0", JournalOptions(segment_bytes_max=500, fsync="never"))
    for call in range(1, 60):
        journal.append(call, Kind.REQUEST, b"x" * (call % 7) * 20)
        journal.flush()
        if call % 3:
            assert sizes.total() == held(tmp_path)
        if call % 20 == 0:
            os.unlink(sorted((tmp_path / journal.writer).glob("*.seg"))[0])
    journal.close()
    assert len(list(tmp_path.glob("*/*.seg"))) > 5
    assert sizes.total() == held(tmp_path)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 99)), max_size=12))
def test_sizes_are_those_of_the_files(
    tmp_path_factory: pytest.TempPathFactory, steps: object
) -> None:
    """The total is right however the newest segments of two writers grew in between."""
    assert isinstance(steps, list)
    directory = tmp_path_factory.mktemp("journal")
    sizes, newest = Sizes(directory), {"a": 1, "b": 1}
    for number, (ahead, size) in enumerate(steps):
        writer = "ab"[number % 2]
        newest[writer] += ahead // 4  # now and then a new segment
        path = directory / writer / segments.segment_name(newest[writer])
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(b"x" * size)
        if ahead % 2:
            assert sizes.total() == held(directory)
    assert sizes.total() == held(directory)


def test_a_file_is_asked_for_its_size_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest is measured each time, since there may be ten thousand."""
    folder = tmp_path / "writer"
    folder.mkdir()
    for number in range(1, 101):
        (folder / segments.segment_name(number)).write_bytes(b"x" * number)
    asked: list[str] = []
    size_of = segments._size

    def size(file: Path) -> int:
        asked.append(file.name)
        return size_of(file)

    monkeypatch.setattr(segments, "_size", size)
    sizes = Sizes(tmp_path)
    assert [sizes.total() for _ in range(3)] == [5050] * 3
    assert asked.count(segments.segment_name(100)) == 3
    assert len(asked) == 102
