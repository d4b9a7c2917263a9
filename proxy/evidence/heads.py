"""Signs a head of the tree every hour, and tells it to a file, the log and the targets.

Whoever owns the disk can make another tree, so heads must leave the machine: a head that somebody
else keeps shows later whether the leaves before it are still the same.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from exporters.evidence.head import Head, heads_in
from exporters.notify.notice import Fact, Notice
from proxy.evidence.evidence import Evidence
from proxy.journal.disk import write_all
from proxy.notices.notices import Notices

log = logging.getLogger(__name__)
# Whoever keeps the log keeps the heads, so they are logged although other news is not.
told = logging.getLogger("taximeter.heads")
told.setLevel(logging.INFO)

EVERY = timedelta(hours=1)
LOOK_S = 30.0


class Heads:
    """The heads of one data directory."""

    def __init__(
        self,
        evidence: Evidence,
        file: Path,
        notices: Notices,
        targets: tuple[str, ...] = (),
        node: str = "",
    ) -> None:
        self.evidence = evidence
        self._file = file
        self._notices = notices
        self._targets = targets
        self._node = node
        self._turn = asyncio.Lock()
        self._began = datetime.now(UTC)
        self.last: Head | None = None

    async def run(self) -> None:
        """Sign one whenever an hour has passed, until cancelled."""
        await self._resume()
        while True:
            try:
                if self.is_due(datetime.now(UTC)):
                    await self.sign()
            except OSError as error:
                log.error("Cannot write %s (%s); retrying.", self._file, error.strerror)
            await asyncio.sleep(LOOK_S)

    def is_due(self, now: datetime) -> bool:
        """An hour after the start or the last one, whether leaves came or not."""
        return now - (self.last.time if self.last else self._began) >= EVERY

    async def _resume(self) -> None:
        """Read the last head, and tell it again: a crash may have come between file and target."""
        try:
            kept = await asyncio.to_thread(read, self._file)
        except OSError as error:
            log.error("Cannot read %s (%s).", self._file, error.strerror)
            return
        ours = [one for one in kept if one.tree == self.evidence.growth.key.tree]
        if ours and self.last is None:
            self.last = ours[-1]
            self._tell(self.last)

    async def sign(self, *, is_last: bool = False) -> Head:
        """Sign a head of the tree as it is now.  Raises OSError if it cannot be kept.

        It is not logged in a terminal, where nobody keeps the log, nor as the last one at a stop.
        """
        async with self._turn:
            async with self.evidence.turn:
                growth = self.evidence.growth
                head = growth.key.head(growth.size, growth.root(), datetime.now(UTC), self._node)
            await asyncio.to_thread(append, self._file, head)
            self.last = head
            self._tell(head)
            if not is_last and not sys.stderr.isatty():
                told.info("Tree head: %s", msgspec.json.encode(head).decode())
            return head

    def kept(self) -> list[Head]:
        """All heads in the file, also of earlier trees.  Raises OSError."""
        return read(self._file)

    async def close(self) -> None:
        """Sign a last head if the tree has grown since the one before."""
        try:
            if self.evidence.growth.size > (self.last.size if self.last else 0):
                await self.sign(is_last=True)
        except OSError as error:
            log.error("Cannot write %s (%s).", self._file, error.strerror)

    def _tell(self, head: Head) -> None:
        self._notices.tell(notice(head), self._targets)


def notice(head: Head) -> Notice:
    """A head as a message; its facts are the head's members."""
    facts: Mapping[str, Fact] = {**msgspec.to_builtins(head)}
    return Notice(
        id=f"head/{head.tree}:{head.size}:{msgspec.to_builtins(head.time)}",
        kind="head",
        name="tree_head",
        title="Tree head",
        text=f"{head.size} leaves, root {head.root}",
        action="Keep it on another machine; taximeter audit verify --head compares.",
        severity="info",
        started_at=head.time,
        until=head.time,
        labels={"tree": head.tree},
        facts=facts,
    )


def append(file: Path, head: Head) -> None:
    """Write a line and sync it.  A line that a crash cut short stays apart.  Raises OSError."""
    line = msgspec.json.encode(head) + b"\n"
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line
        write_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def read(file: Path) -> list[Head]:
    """The heads in the file, oldest first.  Skips a line that a crash cut.  Raises OSError."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found += heads_in(line) if line.strip() else []
        except ValueError:
            continue
    return found


def newest(file: Path) -> dict[str, object] | None:
    """The newest head as a document, or None if there is none.  Raises OSError."""
    heads = read(file)
    document: dict[str, object] | None = msgspec.to_builtins(heads[-1]) if heads else None
    return document
