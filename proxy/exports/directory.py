"""A directory that an export fills: lines are appended, and the manifest says when it is whole.

Whatever kills the process, the lines on disk are a beginning of the export: the next run cuts off a
line that is not whole, counts the others again and goes on behind the last one.
"""

import fcntl
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec

from exporters.clickhouse.conversations import CALL, KINDS, REFUSAL, SOCKET, Place
from proxy.exports.line import SCHEMA, Line, place_of
from proxy.journal.disk import write_atomically

LINES, MANIFEST, BEGUN = "conversations.jsonl", "manifest.json", "export.json"
SYNC_LINES = 1_000  # lines between two syncs: what a power cut may take
BLOCK = 1 << 20


class DirectoryError(ValueError):
    """The directory cannot take this export, or is none; says what to do."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported.  `asked` are the words, whose times may be ages such as 7d.

    A resumed export has the period of the first run.
    """

    asked: tuple[tuple[str, str], ...]
    since: str | None
    until: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What `manifest.json` says.  `digests` are SHA-256 of the files, as `sha256sum` prints them.

    `tree_head` is the signed head of the audit tree at the time; None without one.
    """

    schema: str = SCHEMA
    question: Question
    lines: int
    calls: int
    refusals: int
    sockets: int
    turns: int
    with_content: int
    bytes: int
    digests: Mapping[str, str]
    redacted: tuple[str, ...] = ()  # kinds that were looked for, besides credentials
    left_out: tuple[str, ...] = ()
    tree_head: object = None


@dataclass(slots=True)
class Counted:
    """What the lines so far add up to."""

    kinds: dict[str, int]
    turns: int = 0
    with_content: int = 0
    size: int = 0  # bytes
    last: Place | None = None

    @classmethod
    def nothing(cls) -> "Counted":
        return cls(dict.fromkeys(KINDS, 0))

    def add(self, data: bytes) -> Line:
        """Count a line, without its line end.  Raises ValueError if it is none."""
        self.last, line = place_of(data)
        self.kinds[self.last.kind] += 1
        self.turns += len(line["messages"])
        self.with_content += line["content"] is not None
        self.size += len(data) + 1
        return line


class Directory:
    """An export on its way.  Raises DirectoryError and OSError; close it, or use it in a `with`."""

    def __init__(self, path: Path, question: Question) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self.question = question
        self.counted = Counted.nothing()
        self._digest = sha256()
        self._file = self._opened()
        self._unsynced = 0

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _opened(self) -> BinaryIO:
        """The file of lines, read up to its last whole line; the question, if there is one."""
        fd = os.open(self.path / LINES, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = os.fdopen(fd, "r+b", buffering=BLOCK)
        try:
            _lock(fd, self.path)
            self._take_question()
            for data in file:
                if not data.endswith(b"\n"):
                    break
                self.counted.add(data[:-1])
                self._digest.update(data)
            file.seek(self.counted.size)
            file.truncate()
        except ValueError as error:
            file.close()
            if isinstance(error, DirectoryError):
                raise
            text = f"{self.path / LINES}: {error}; choose another directory"
            raise DirectoryError(text) from error
        except BaseException:
            file.close()
            raise
        return file

    def _take_question(self) -> None:
        """Note the question, or take the one that this export was begun with."""
        if (self.path / MANIFEST).exists():
            raise DirectoryError(f"{self.path} holds a whole export; choose another directory")
        begun = self.path / BEGUN
        with suppress(FileNotFoundError):
            asked = msgspec.json.decode(begun.read_bytes(), type=Question)
            if asked.asked != self.question.asked:
                raise DirectoryError(
                    f"{self.path} holds the beginning of another export;"
                    " ask as before to go on with it, or choose another directory"
                )
            self.question = asked
            return
        if (self.path / LINES).stat().st_size:
            raise DirectoryError(f"{self.path / LINES} is not ours; choose another directory")
        write_atomically(begun, msgspec.json.encode(self.question))

    def add(self, lines: Iterable[bytes]) -> None:
        """Append lines, given without their line ends."""
        for data in lines:
            self.counted.add(data)
            self._file.write(data + b"\n")
            self._digest.update(data + b"\n")
            self._unsynced += 1
        if self._unsynced >= SYNC_LINES:
            self._sync()

    def _sync(self) -> None:
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self._unsynced = 0

    def finish(
        self, *, redacted: tuple[str, ...], left_out: tuple[str, ...], tree_head: object = None
    ) -> Manifest:
        """Write the manifest: from now on the export is whole."""
        self._sync()
        counted = self.counted
        manifest = Manifest(
            question=self.question,
            lines=sum(counted.kinds.values()),
            calls=counted.kinds[CALL],
            refusals=counted.kinds[REFUSAL],
            sockets=counted.kinds[SOCKET],
            turns=counted.turns,
            with_content=counted.with_content,
            bytes=counted.size,
            digests={LINES: self._digest.hexdigest()},
            redacted=redacted,
            left_out=left_out,
            tree_head=tree_head,
        )
        pretty = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        write_atomically(self.path / MANIFEST, pretty + b"\n")
        (self.path / BEGUN).unlink(missing_ok=True)
        return manifest


def whole(path: Path) -> Manifest:
    """The manifest of a whole export whose digest is right.  Raises DirectoryError and OSError."""
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        hint = "run the same `taximeter export` again" if (path / BEGUN).exists() else ""
        text = f"{path} has no {MANIFEST}, so it is no whole export"
        raise DirectoryError(f"{text}; {hint}" if hint else text) from None
    except msgspec.DecodeError as error:
        raise DirectoryError(f"{path / MANIFEST}: {error}") from None
    if manifest.schema != SCHEMA:
        raise DirectoryError(
            f"{path / MANIFEST} has the schema {manifest.schema!r}, not {SCHEMA!r}"
        )
    digest = sha256()
    with (path / LINES).open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != manifest.digests.get(LINES):
        text = f"{path / LINES} is not what {MANIFEST} says: its SHA-256 is {digest.hexdigest()}"
        raise DirectoryError(f"{text}; export it again")
    return manifest


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DirectoryError(f"another export is writing to {path}") from None
