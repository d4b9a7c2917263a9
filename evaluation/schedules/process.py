"""The scheduler as a process beside `serve`: runs suites when they are due.

`python -m evaluation.schedules.process --data DIR [--config FILE]`; the end of standard input means
that `serve` is gone.  A run is a command of its own, `taximeter eval run`, which resumes where it
was cut off; this process keeps to a few lines of state, and asks the console for the rest.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from evaluation.reports.rows import Stored, decoded
from evaluation.schedules import book
from evaluation.schedules.book import RUNS_MAX, Past, Progress, Schedule
from evaluation.schedules.drift import changes, served
from evaluation.schedules.due import due
from evaluation.schedules.told import (
    drift_notices,
    failed_notice,
    missed_notice,
    served_notices,
)
from exporters.evaluation import FINISHED
from exporters.notify.notice import Notice
from proxy.commands.arguments import add_common, configuration
from proxy.commands.console_client import TIMEOUT_S, ask, request
from proxy.commands.terminal import Exit
from proxy.console.notices_api import PATH, Telling
from proxy.serving import process
from proxy.serving.child import module
from proxy.settings.config import Config
from proxy.settings.places import Places

LOOK_S = 5.0  # between two looks at what is due
ERROR_CHARACTERS_MAX = 300
RUNS = "/api/evaluations"

log = logging.getLogger(__name__)


class Outcome(msgspec.Struct):
    """What `eval run --json` prints; one that was refused has an error or mistakes."""

    run_id: str = ""
    state: str = ""
    error: str = ""
    mistakes: list[str] = []
    broken: dict[str, str] = {}

    @property
    def why(self) -> str:
        """Why it did not finish."""
        broken = [f"{model}: {reason}" for model, reason in self.broken.items()]
        return "; ".join(filter(None, [self.error, *self.mistakes, *broken])) or self.state


class Scheduler:
    """Runs what is due, one run at a time.  `words` name the configuration for its commands."""

    def __init__(self, config: Config, words: Sequence[str]) -> None:
        self._config, self._words = config, tuple(words)
        self._places = Places(config.data)
        self._child: asyncio.subprocess.Process | None = None
        self._said = ""  # the last error

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                for schedule in book.schedules(self._places):
                    await self.look(schedule, datetime.now(UTC))
                self._said = ""
            except (OSError, ValueError) as error:
                if str(error) != self._said:  # once, until it is over
                    log.error("Cannot run scheduled evaluations: %s.", error)
                self._said = str(error)
            await asyncio.sleep(LOOK_S)

    async def look(self, schedule: Schedule, now: datetime) -> None:
        """Do what is due.  Raises OSError if its progress cannot be saved: then nothing is run."""
        progress = book.progress(self._places).get(schedule.name, Progress())
        found = due(schedule, progress, now)
        if found.missed:
            progress.missed += len(found.missed)
            progress.handled = found.missed[-1]
            self._save(schedule, progress)
            await self._tell(schedule, [missed_notice(schedule, found.missed, now)])
        if found.run is None:
            return
        progress.running = found.run
        self._save(schedule, progress)
        outcome = await self._evaluate(schedule, resumed=found.resumed)
        if outcome is None:
            return
        ended = datetime.now(UTC)
        progress.running, progress.handled = None, found.run
        progress.runs = [
            *progress.runs[1 - RUNS_MAX :],
            Past(
                due=found.run,
                ended=ended,
                run_id=outcome.run_id,
                state=outcome.state,
                error="" if outcome.state == FINISHED else outcome.why[:ERROR_CHARACTERS_MAX],
            ),
        ]
        notices = await self._findings(schedule, progress, outcome, ended)
        self._save(schedule, progress)
        await self._tell(schedule, notices)

    async def stop(self) -> None:
        """Let a run under way stop; the next scheduler resumes it."""
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGINT)
            await self._child.wait()

    async def _evaluate(self, schedule: Schedule, *, resumed: bool) -> Outcome | None:
        """How the run ended; None while one that another scheduler began is under way."""
        command = [*module("proxy"), "eval", "run", *words(schedule), "--json", *self._words]
        if not resumed:
            command.append("--new")
        self._child = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await self._child.communicate()
        if self._child.returncode == Exit.TAKEN:
            return None
        try:
            return msgspec.json.decode(out, type=Outcome)
        except msgspec.MsgspecError:
            return Outcome(error=f"eval run exited with code {self._child.returncode}; see the log")

    async def _findings(
        self, schedule: Schedule, progress: Progress, outcome: Outcome, now: datetime
    ) -> list[Notice]:
        """What is to be told of a run that has ended."""
        last = progress.runs[-1]
        if outcome.state != FINISHED:
            return [failed_notice(schedule, last.due, last.error, now)]
        try:
            run = await self._stored(outcome.run_id)
            first, look = await self._first(progress, run)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.error("Cannot compare run %s with earlier ones: %s.", outcome.run_id, error)
            return []
        names = served(run)
        found = [*served_notices(schedule, progress.served, names, now)]
        progress.served = names
        if first is not None:
            runs = (first.run.run_id, run.run.run_id)
            changed = changes(run, first, look)
            found += drift_notices(schedule, changed, progress, runs, now)
        return found

    async def _first(self, progress: Progress, run: Stored) -> tuple[Stored | None, int]:
        """The first run of the same suite, and how many were compared with it, this one too."""
        earlier = [past.run_id for past in progress.runs[:-1] if past.state == FINISHED]
        for number, run_id in enumerate(earlier):
            found = await self._stored(run_id)
            if (
                found.run.suite == run.run.suite
                and found.run.suite_version == run.run.suite_version
            ):
                return found, len(earlier) - number
        return None, 0

    async def _stored(self, run_id: str) -> Stored:
        found = await asyncio.to_thread(ask, self._config, f"{RUNS}/{run_id}", {})
        if found is None:
            raise OSError("no console is running")
        return decoded(found)

    async def _tell(self, schedule: Schedule, notices: Sequence[Notice]) -> None:
        for notice in notices:
            body = msgspec.json.encode(Telling(notice=notice, targets=schedule.notify))
            try:
                await asyncio.to_thread(self._post, body)
            except (OSError, ValueError) as error:
                log.error("Cannot tell of %s: %s.", notice.title, error)

    def _post(self, body: bytes) -> None:
        with request(self._config, PATH, method="POST", timeout_s=TIMEOUT_S, data=body) as answer:
            if answer is None:
                raise OSError("no console is running")
            answer.read()

    def _save(self, schedule: Schedule, progress: Progress) -> None:
        names = {one.name for one in book.schedules(self._places)}
        known = book.progress(self._places) | {schedule.name: progress}
        book.save_progress(self._places, {name: known[name] for name in known if name in names})


def words(schedule: Schedule) -> list[str]:
    """The arguments of `eval run` for a schedule."""
    found = [schedule.suite, "--models", schedule.models, "--samples", str(schedule.samples)]
    found += ["--judge", schedule.judge] if schedule.judge else []
    return found + (["--max-usd", str(schedule.max_usd)] if schedule.max_usd is not None else [])


async def serve(config: Config, given: Sequence[str]) -> None:
    """Run until SIGTERM or until `serve` is gone."""
    stop, _ = process.signals()
    scheduler = Scheduler(config, given)
    running = asyncio.create_task(scheduler.run())
    await process.until(stop, running)
    running.cancel()
    await scheduler.stop()


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="taximeter scheduler")
    add_common(parser)
    process.begin()
    asyncio.run(serve(configuration(parser.parse_args()), sys.argv[1:]))


if __name__ == "__main__":
    main()
