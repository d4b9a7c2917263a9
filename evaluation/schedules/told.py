"""What people are told of scheduled runs, as notices.  No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from evaluation.schedules.book import Progress, Schedule
from evaluation.schedules.drift import Change
from exporters.notify.alert import Severity
from exporters.notify.notice import Fact, Notice

AGAIN = timedelta(days=30)  # how long an id is remembered after its occasion


def missed_notice(schedule: Schedule, instants: Sequence[datetime], now: datetime) -> Notice:
    """Nobody was there to run it."""
    return _notice(
        schedule,
        f"missed:{instants[-1].isoformat()}",
        title=f"Evaluation {schedule.name} was missed",
        text=f"{len(instants)} runs of {schedule.name} were due while taximeter serve was not"
        f" running, the last at {instants[-1]:%Y-%m-%d %H:%M} UTC.",
        action="Run it now with taximeter eval run, or wait for the next.",
        severity="warning",
        at=now,
        facts={"missed": len(instants)},
    )


def failed_notice(schedule: Schedule, due: datetime, why: str, now: datetime) -> Notice:
    """It was run and did not finish."""
    return _notice(
        schedule,
        f"failed:{due.isoformat()}",
        title=f"Evaluation {schedule.name} did not finish",
        text=f"The run of {schedule.name} that was due at {due:%Y-%m-%d %H:%M} UTC did not"
        f" finish: {why}",
        action="The command that taximeter eval schedule --list shows resumes it.",
        severity="warning",
        at=now,
        facts={"why": why},
    )


def drift_notices(
    schedule: Schedule,
    found: Sequence[Change],
    progress: Progress,
    runs: tuple[str, str],
    now: datetime,
) -> Iterator[Notice]:
    """Models that drifted between two runs, and those that no longer differ.

    `runs` are the ids of the first run and of this one.  Changes `progress.firing`.
    """
    for change in found:
        key = f"drift:{change.model}:{runs[0]}"
        if change.drifted and key not in progress.firing:
            progress.firing[key] = now
            yield _drift(schedule, key, change, runs, began=now)
        elif not change.drifted and key in progress.firing:
            began = progress.firing.pop(key)
            yield _drift(schedule, key, change, runs, began=began, ended=now)


def served_notices(
    schedule: Schedule,
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
    now: datetime,
) -> Iterator[Notice]:
    """Models for which other ones answer than in the run before, as providers themselves say."""
    for model, names in after.items():
        if model in before and sorted(before[model]) != sorted(names):
            then, new = ", ".join(before[model]), ", ".join(names)
            yield _notice(
                schedule,
                f"served:{model}:{new}:{now:%Y-%m-%d}",
                title=f"{model} is another model now",
                text=f"{new} answers for {model}; in the run before it was {then}.",
                action="Compare the runs with taximeter eval report --against.",
                severity="info",
                at=now,
                facts={"model": model, "before": then, "now": new},
            )


def _drift(
    schedule: Schedule,
    key: str,
    change: Change,
    runs: tuple[str, str],
    *,
    began: datetime,
    ended: datetime | None = None,
) -> Notice:
    value, low, high = (
        100 * each
        for each in (change.accuracy.value, change.accuracy.low, change.accuracy.high)
        if each is not None
    )
    moved = f"{value:+.1f} points ({low:+.1f} to {high:+.1f}) over {change.cases:,} cases"
    if change.missing:
        moved += f", {change.missing:,} missing ones made up for by their earlier scores"
    back = "no longer differs from" if ended else "differs from"
    return _notice(
        schedule,
        key,
        title=f"{change.model} {'is back' if ended else 'drifted'} on {schedule.name}",
        text=f"The accuracy of {change.model} on {schedule.name} {back} the first run: {moved}.",
        action=f"Look at taximeter eval report {runs[1]} --against {runs[0]}.",
        severity="warning",
        at=began,
        ended=ended,
        facts={
            "model": change.model,
            "difference_points": round(value, 2),
            "low_points": round(low, 2),
            "high_points": round(high, 2),
            "cases": change.cases,
            "missing_cases": change.missing,
            "run": runs[1],
            "first_run": runs[0],
        },
    )


def _notice(
    schedule: Schedule,
    key: str,
    *,
    title: str,
    text: str,
    action: str,
    severity: Severity,
    at: datetime,
    facts: Mapping[str, Fact],
    ended: datetime | None = None,
) -> Notice:
    lasts = ended is None and key.startswith("drift:")
    return Notice(
        id=f"evaluation/{schedule.name}:{key}",
        kind="evaluation",
        name=f"evaluation_{key.partition(':')[0]}",
        title=title,
        text=text,
        action=action,
        severity=severity,
        started_at=at,
        ended_at=ended,
        until=None if lasts else (ended or at) + AGAIN,
        labels={"schedule": schedule.name},
        facts={"schedule": schedule.name, "suite": schedule.suite, **facts},
    )
