"""What a schedule has to do now: a run, or to own up to one that was missed.  Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from evaluation.schedules.book import Progress, Schedule

LATE_MAX = timedelta(hours=24)  # a run that is due for longer is missed: the next one will do


@dataclass(frozen=True, slots=True)
class Due:
    """`run` is the instant whose run is to begin, or to go on with if `resumed`; None: nothing.

    `missed` are instants for which there will be no run.
    """

    run: datetime | None = None
    resumed: bool = False
    missed: tuple[datetime, ...] = ()


def due(schedule: Schedule, progress: Progress, now: datetime) -> Due:
    """What is due.  The instants before the schedule was added are nobody's."""
    since = max(filter(None, (schedule.added, progress.handled)))
    open_run = progress.running
    if open_run is not None and open_run > since and now - open_run <= LATE_MAX:
        return Due(open_run, resumed=True)
    instants = schedule.when.between(since, now)
    fresh = [at for at in instants[-1:] if now - at <= LATE_MAX]
    return Due(fresh[0] if fresh else None, missed=tuple(at for at in instants if at not in fresh))
