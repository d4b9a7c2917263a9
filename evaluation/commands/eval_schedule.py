"""`taximeter eval schedule`: runs a suite every week, beside `taximeter serve`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from shlex import join

import msgspec

from evaluation.commands import eval_order
from evaluation.runs import through_proxy
from evaluation.runs.plan import Plan, PlanError, Prices, candidates, quoted
from evaluation.schedules import book
from evaluation.schedules.book import SCHEDULES_MAX, Progress, Schedule
from evaluation.schedules.process import words
from evaluation.suites import reader
from pricing.charge import plain
from proxy.commands import audited, terminal
from proxy.commands.arguments import configuration
from proxy.commands.local_zone import local_zone
from proxy.commands.terminal import Column, Exit
from proxy.console.audit_api import ChangeMade
from proxy.metering.book import tariff_book
from proxy.query.language import time_zone
from proxy.serving.instance import alive, find
from proxy.settings.config import Config
from proxy.settings.places import Places
from proxy.settings.typed import nearest

LISTED: Sequence[Column] = (
    Column("name", "name"),
    Column("models", "models"),
    Column("next", "next run"),
    Column("last", "last run"),
    Column("missed", "missed", number=True),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("suite", nargs="?", default="", metavar="SUITE", help="folder or file of a suite")
    add("--weekly", default="", metavar="DAY@HH:MM", help="when, such as mon@03:00")
    add("--models", default="", metavar="NAMES", help="PROVIDER/MODEL,PROVIDER/MODEL")
    add("--tz", default="", metavar="ZONE", help="time zone (default: that of this machine)")
    add("--name", default="", metavar="NAME", help="name of the schedule (default: the suite's)")
    add("--samples", type=int, default=1, metavar="K", help="answers to each case (default: 1)")
    add("--judge", default="", metavar="NAME", help="PROVIDER/MODEL that judges, of another maker")
    help = "limit of each run (default: what it can cost at most, where prices are known)"
    add("--max-usd", type=eval_order.usd, metavar="USD", help=help)
    help = "where to tell of drift: NAME of a [notify.NAME] (default: those of alerts.notify)"
    add("--notify", action="append", default=[], metavar="NAME", help=help)
    add("--list", action="store_true", help="list schedules and what became of their runs")
    add("--remove", default="", metavar="NAME", help="remove a schedule")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = through_proxy.with_upstreams(configuration(arguments))
    try:
        asked = [bool(arguments.suite), arguments.list, bool(arguments.remove)]
        if sum(asked) != 1:
            raise ValueError("give a suite to schedule, --list, or --remove NAME")
        if arguments.list:
            return _list(config, as_json=arguments.json)
        if arguments.remove:
            return _remove(config, arguments.remove, as_json=arguments.json)
        return _add(config, arguments)
    except (PlanError, reader.SuiteError, ValueError) as error:
        for mistake in str(error).split("\n"):
            terminal.say(f"eval schedule: {mistake}", sys.stderr)
        return Exit.MISTAKE
    except OSError as error:
        terminal.say(f"eval schedule: cannot change the schedules: {error}", sys.stderr)
        return Exit.FAILED


def _add(config: Config, arguments: argparse.Namespace) -> int:
    schedule = _schedule(config, arguments)
    places = Places(config.data)
    others = [one for one in book.schedules(places) if one.name != schedule.name]
    if len(others) >= SCHEDULES_MAX:
        raise ValueError(f"there are {SCHEDULES_MAX} schedules already; remove one first")
    before = next((one for one in book.schedules(places) if one.name == schedule.name), None)
    _note(config, "schedule-change" if before else "schedule-add", schedule.name, before, schedule)
    book.save(places, [*others, schedule])
    if arguments.json:
        terminal.emit(_document(schedule, Progress()))
        return Exit.OK
    limit = f", at most ${plain(schedule.max_usd)} each" if schedule.max_usd is not None else ""
    terminal.say(f"{schedule.name}: next run {_next(schedule)}{limit}.")
    running = find(config.data)
    if not (running and alive(running.pid)):
        terminal.say("taximeter serve runs it; none is running on this data directory.")
    return Exit.OK


def _schedule(config: Config, arguments: argparse.Namespace) -> Schedule:
    """What was asked for, checked.  Raises PlanError, SuiteError and ValueError."""
    if not arguments.weekly or not arguments.models:
        raise ValueError("give --weekly DAY@HH:MM and --models PROVIDER/MODEL")
    suite = reader.read(arguments.suite)
    if arguments.samples < 1:
        raise PlanError("--samples must be 1 or more")
    for name in arguments.notify:
        if name not in config.notify:
            raise ValueError(f"--notify: unknown target {name!r}{nearest(name, config.notify)}")
    judge = arguments.judge or suite.judge
    judges = candidates(judge, config.providers) if judge else [None]
    if len(judges) > 1:
        raise PlanError("--judge: give one model")
    models = candidates(arguments.models, config.providers)
    plan = Plan(suite=suite, candidates=models, samples=arguments.samples, judge=judges[0])
    lines = quoted(plan, Prices(tariff_book(config), datetime.now(UTC)))
    if refusal := eval_order.refusal(lines, arguments.max_usd, Decimal(0)):
        raise ValueError(refusal)
    path = Path(arguments.suite)
    schedule = Schedule(
        name=arguments.name or suite.name,
        suite=str(path.resolve()) if path.exists() else arguments.suite,
        weekly=arguments.weekly,
        zone=time_zone(arguments.tz or local_zone()),
        models=",".join(candidate.name for candidate in models),
        samples=arguments.samples,
        judge=judge,
        max_usd=eval_order.total_of(lines) if arguments.max_usd is None else arguments.max_usd,
        notify=tuple(arguments.notify),
        added=datetime.now(UTC),
    )
    _ = schedule.when  # raises ValueError
    return schedule


def _remove(config: Config, name: str, *, as_json: bool) -> int:
    places = Places(config.data)
    found = {one.name: one for one in book.schedules(places)}
    if name not in found:
        known = f"there are: {', '.join(found)}" if found else "there is none"
        raise ValueError(f"no schedule is named {name!r}; {known}")
    _note(config, "schedule-remove", name, found[name], None)
    removed = found.pop(name)
    book.save(places, list(found.values()))
    if as_json:
        terminal.emit(_document(removed, Progress()))
    else:
        terminal.say(f"Removed {name}; its runs stay.")
    return Exit.OK


def _list(config: Config, *, as_json: bool) -> int:
    places = Places(config.data)
    found, progress = book.schedules(places), book.progress(places)
    rows = [(one, progress.get(one.name, Progress())) for one in found]
    if as_json:
        terminal.emit([_document(*row) for row in rows])
    elif not rows:
        terminal.say("No schedules; add one with taximeter eval schedule SUITE --weekly mon@03:00.")
    else:
        terminal.show(LISTED, [_cells(*row) for row in rows])
        for one, so_far in rows:
            terminal.say(f"{one.name}: taximeter eval run {join(words(one))}")
            if so_far.runs and so_far.runs[-1].error:
                terminal.say(f"{one.name}: the last run did not finish: {so_far.runs[-1].error}")
    return Exit.OK


def _next(schedule: Schedule) -> str:
    at = schedule.when.next(datetime.now(UTC)).astimezone(schedule.when.zone)
    return f"{at:%a %Y-%m-%d %H:%M} {schedule.zone}"


def _cells(schedule: Schedule, progress: Progress) -> dict[str, str]:
    last = progress.runs[-1] if progress.runs else None
    state = "never" if last is None else f"{last.ended:%Y-%m-%d} {last.state or 'failed'}"
    return {
        "name": schedule.name,
        "models": schedule.models,
        "next": _next(schedule),
        "last": "running" if progress.running else state,
        "missed": f"{progress.missed:,}",
    }


def _document(schedule: Schedule, progress: Progress) -> dict[str, object]:
    rest = msgspec.to_builtins(progress)
    following = schedule.when.next(datetime.now(UTC))
    return {**msgspec.to_builtins(schedule), "next": following.isoformat(), **rest}


def _note(
    config: Config, action: str, name: str, before: Schedule | None, after: Schedule | None
) -> None:
    """An entry in the audit log before the change.  Raises OSError: then do not make it."""
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    audited.note(config, ChangeMade(action, name, before, after))
