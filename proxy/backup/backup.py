"""A backup as a directory: `data/` has files, `store/` the database, `manifest.json` what they are.

Journals are copied before the store and its cursors stand still, so each row is in the copy once:
in the store, or in a journal from which it will be delivered.  The manifest is written last; a
directory without one is no backup.
"""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from exporters.clickhouse.migrations import schema_files
from exporters.record import TransientError
from proxy.delivery.delivery import Cursor
from proxy.evidence.growth import is_growing
from proxy.journal.disk import write_atomically
from proxy.settings.places import Places

FORMAT = 1
MANIFEST, FILES, STORE = "manifest.json", "data", "store"
READ_BYTES = 1024 * 1024


class StoredFile(msgspec.Struct, frozen=True):
    """A file of a backup."""

    path: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: int
    version: str  # of Taximeter
    made: str  # ISO 8601, UTC
    database: str
    schema: list[str]
    rows: dict[str, int]  # by table
    files: list[StoredFile]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def check(store: Path | None, to: Path, data: Path) -> None:
    """Raise ValueError if the store is a server, or if `to` is in use or inside of `data`."""
    if store is None or store.resolve() != Places(data).embedded_store.resolve():
        text = "store.dsn names a store of its own: back it up there, with BACKUP DATABASE"
        raise ValueError(text)
    if not to.is_absolute():
        raise ValueError(f"{to} is not an absolute path")
    if to.resolve().is_relative_to(data.resolve()):
        raise ValueError(f"{to} is inside the data directory; choose a place outside of it")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ValueError(f"{to} is not empty; a backup is not overwritten")


def begin(to: Path) -> None:
    """Make the directory.  Raises OSError."""
    (to / FILES).mkdir(parents=True, mode=0o700)
    to.chmod(0o700)


def copy_files(data: Path, to: Path) -> None:
    """Copy everything but the store; nobody may move a cursor meanwhile.

    Raises OSError, and TransientError if a batch may be in the store or not: a restored store does
    not remember its tokens, so its rows could be there twice.
    """
    places = Places(data)
    unfinished = places.reprice_pending.exists() or places.erasing.exists()
    if unfinished or is_growing(places.tree) or any(map(_is_sending, places.state.glob("*.json"))):
        text = "rows were being written when the meter was killed; start taximeter serve first"
        raise TransientError(text)
    ours = {places.serve_lock, places.serve_description, places.command_token, places.restoring}
    ours |= {places.evidence_key}  # a copy that signed as well would be another tree of one name
    ours |= {places.reprice_lock, places.items}
    # About calls of the moment.
    ours |= {places.gate, places.gateway_pools, places.gateway_live, places.gateway_sessions}
    for source in _files(data):
        inside = source.relative_to(data)
        is_draft = source.name.endswith(".new")
        of_items = source.name.startswith(places.items.name)
        if source in ours or is_draft or of_items or places.embedded_store in source.parents:
            continue
        _copy(source, to / FILES / inside)
    if places.items.exists():
        _copy_items(places.items, to / FILES / places.items.relative_to(data))


def _is_sending(file: Path) -> bool:
    """Whether a file in the state directory is a cursor with a batch on its way."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Cursor).sending_to > 0
    except (OSError, msgspec.MsgspecError):
        return False


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileNotFoundError):  # a segment that everybody has passed
        shutil.copyfile(source, to)
        to.chmod(0o600)


def _copy_items(source: Path, to: Path) -> None:
    """The ledger as of one transaction, without its write-ahead log."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(to)) as there:
        here.backup(there)
    to.chmod(0o600)


def seal(to: Path, database: str, rows: Mapping[str, int]) -> Manifest:
    """Write the manifest, which makes the directory a backup.  Raises OSError."""
    manifest = Manifest(
        format=FORMAT,
        version=version("taximeter"),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        database=database,
        schema=[file.name for file in schema_files()],
        rows=dict(rows),
        files=[_described(file, to) for file in _files(to)],
    )
    write_atomically(to / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def verified(source: Path) -> Manifest:
    """The manifest of a backup whose files are all as they were.  Raises ValueError, or OSError."""
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ValueError(f"{source} is no backup, or an unfinished one: no {MANIFEST}") from None
    except msgspec.MsgspecError:
        raise ValueError(f"{source / MANIFEST} is damaged") from None
    if manifest.format > FORMAT:
        text = f"{source} was made by Taximeter {manifest.version}: restore it with that version"
        raise ValueError(text)
    found = {_described(file, source) for file in _files(source) if file != source / MANIFEST}
    if odd := sorted({file.path for file in found ^ set(manifest.files)}):
        raise ValueError(f"{source} is damaged: {', '.join(odd[:5])} differ from {MANIFEST}")
    return manifest


def put_back(source: Path, data: Path) -> None:
    """Copy the files of a backup into a data directory.  Raises OSError."""
    for file in _files(source / FILES):
        _copy(file, data / file.relative_to(source / FILES))


def _described(file: Path, of: Path) -> StoredFile:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(READ_BYTES):
            digest.update(block)
        size = opened.tell()
    return StoredFile(file.relative_to(of).as_posix(), size, digest.hexdigest())


def _files(directory: Path) -> Iterator[Path]:
    """All files below `directory`, in order; those that vanish meanwhile are left out."""
    for folder, folders, names in os.walk(directory):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(names))
