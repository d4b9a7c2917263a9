"""Schedules in one file, and what became of their runs in another.

The command writes the first, the scheduler the second, so neither waits for the other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from evaluation.schedules.weekly import Weekly, weekly
from proxy.journal.disk import write_atomically
from proxy.settings.places import Places

T = TypeVar("T")
SCHEDULES_MAX = 100
RUNS_MAX = 200  # of a schedule that are remembered: four years


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A suite that is run every week."""

    name: str
    suite: str  # an absolute path, or `starter`
    weekly: str
    zone: str
    models: str  # PROVIDER/MODEL,…
    samples: int = 1
    judge: str = ""
    max_usd: Decimal | None = None
    notify: tuple[str, ...] = ()  # targets; none: those of `alerts.notify`
    added: datetime

    @property
    def when(self) -> Weekly:
        return weekly(self.weekly, self.zone)


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a schedule."""

    due: datetime
    ended: datetime
    run_id: str = ""
    state: str = ""  # of the run; "" if none began
    error: str = ""


class Progress(msgspec.Struct, kw_only=True):
    """What became of a schedule so far."""

    handled: datetime | None = None  # the newest instant that was run or missed
    running: datetime | None = None  # the instant whose run has begun and not ended
    missed: int = 0
    runs: list[Past] = []
    firing: dict[str, datetime] = {}  # id of a notice that fires → since when
    served: dict[str, list[str]] = {}  # model → what answered for it in the newest run


class _Schedules(msgspec.Struct):
    schedules: list[Schedule] = []


class _Progresses(msgspec.Struct):
    progress: dict[str, Progress] = {}


def schedules(places: Places) -> list[Schedule]:
    """All schedules.  Raises ValueError for a damaged file, and OSError."""
    return _read(places.schedules, _Schedules, _Schedules()).schedules


def save(places: Places, found: Sequence[Schedule]) -> None:
    """Replace the schedules.  Raises OSError."""
    _write(places.schedules, _Schedules(list(found)))


def progress(places: Places) -> dict[str, Progress]:
    """By the name of the schedule.  Raises as `schedules`."""
    return _read(places.schedules_progress, _Progresses, _Progresses()).progress


def save_progress(places: Places, found: Mapping[str, Progress]) -> None:
    """Replace the progress.  Raises OSError."""
    _write(places.schedules_progress, _Progresses(dict(found)))


def _read(path: Path, kind: type[T], empty: T) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return empty
    except msgspec.MsgspecError as error:
        what = f"{path} is damaged ({error}); remove it and add its schedules again"
        raise ValueError(what) from None


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, msgspec.json.format(msgspec.json.encode(document)))
