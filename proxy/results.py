"""Results of `taximeter simulate` and `loadtest`, kept in the data directory for the console.

Such a command runs for minutes and may cost money, so no page starts one: it keeps its result, as
the document of `--json` and the page of `--html`, and the console shows it.
"""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from proxy.journal.disk import write_atomically
from proxy.settings.places import Places

log = logging.getLogger(__name__)

COMMANDS = ("simulate", "loadtest")
KEPT_MAX = 50  # results of one command; the oldest go
BYTES_MAX = 8 * 1024 * 1024  # of one result; a larger one is not kept
NAME = re.compile(r"[0-9]{8}T[0-9]{12}Z")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shows of a result."""

    at: datetime
    title: str
    said: str  # the conclusion, in a sentence
    ok: bool


class Result(Summary, frozen=True, kw_only=True):
    """A kept result: the document of `--json`, and the page of `--html`."""

    document: Mapping[str, Any]
    html: str


def keep(data: Path, command: str, result: Result) -> Path | None:
    """Keep a result of `command` in a data directory; None if it cannot be kept, which is logged.

    A directory that nobody serves from is not made for it.
    """
    if not data.is_dir():
        return None
    text = msgspec.json.encode(result)
    if len(text) > BYTES_MAX:
        log.warning("The result is not kept for the console: larger than %d bytes", BYTES_MAX)
        return None
    folder = _folder(data, command)
    path = folder / f"{result.at.astimezone(UTC):%Y%m%dT%H%M%S%f}Z.json"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, text)
        for old in _files(folder)[KEPT_MAX:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.warning("The result is not kept for the console: %s", error)
        return None
    return path


def listed(data: Path, command: str) -> list[tuple[str, Summary]]:
    """The results by name, the newest first; one that cannot be read is left out, and logged."""
    found = []
    for path in _files(_folder(data, command)):
        try:
            found.append((path.stem, msgspec.json.decode(path.read_bytes(), type=Summary)))
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("Cannot read %s: %s", path, error)
    return found


def kept(data: Path, command: str, name: str) -> Result | None:
    """The result of that name; None if there is none.  Raises OSError and MsgspecError."""
    if not NAME.fullmatch(name):
        return None
    try:
        text = (_folder(data, command) / f"{name}.json").read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(text, type=Result)


def _folder(data: Path, command: str) -> Path:
    return Places(data).results / command


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((one for one in folder.glob("*.json") if NAME.fullmatch(one.stem)), reverse=True)
