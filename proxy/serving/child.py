"""One child process that is kept running: started, watched, restarted, stopped.

A child must read its configuration from standard input as one line of JSON, write a byte to
`--ready-fd` once it serves, finish its work on SIGTERM, and exit when standard input ends, because
then the supervisor is gone.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from proxy.secrecy.patterns import is_secret

RESTART_S = 0.1  # before a child that served for a while is restarted
BACKOFF_S = 0.5  # before a child that died at once is restarted; doubles each time
BACKOFF_MAX_S = 30.0
STEADY_S = 5.0  # a child that lived this long did not die at once
HURRY_S = 5.0  # to exit in after the second signal
KILL_S = 5.0  # a process that survives SIGKILL for longer is stuck in the kernel

log = logging.getLogger(__name__)


class StartError(Exception):
    """A child exited before it served for the first time: restarting it would not help."""


def module(name: str) -> tuple[str, ...]:
    """The command that runs one of our modules, whatever is in the working directory.

    Without -P, `python -m` would prefer a folder named `proxy` there.
    """
    return (sys.executable, "-P", "-m", name)


def environment() -> dict[str, str]:
    """The environment of a child, which finds the same packages even in a bare checkout.

    It has no settings, which come on standard input, and no secrets that a child does not need.
    """
    kept = {name: value for name, value in os.environ.items() if not _withheld(name)}
    root = Path(__file__).parents[2]
    paths = [str(root)] if (root / "pyproject.toml").exists() else []
    paths += filter(None, [os.environ.get("PYTHONPATH", "")])
    return kept | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


def _withheld(name: str) -> bool:
    return name.startswith("TAXIMETER_") or (
        is_secret(name.lower()) and not name.startswith("OTEL_")
    )


class Child:
    """Keeps one process running until `stop`.  `fds` stay open in it, under the same numbers.

    A child that exits before it ever served is given up, unless `insist` is set: at the first start
    somebody is there to read why, later perhaps nobody.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        fds: Sequence[int],
        stdin: bytes,
        *,
        insist: bool = False,
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._fds = tuple(fds)
        self._stdin = stdin
        self._insist = insist
        self._process: asyncio.subprocess.Process | None = None
        self._ready: int | None = None  # our end of the pipe on which it reports that it serves
        self._stopping = asyncio.Event()
        self._serving = False  # whether the current or last process reported that it serves
        self._served = asyncio.get_running_loop().create_future()  # done after the first report
        self._keeper = asyncio.create_task(self._keep(), name=name)

    async def serving(self) -> None:
        """Wait until it serves for the first time.  Raises StartError if it exits before that."""
        await asyncio.shield(self._served)

    def announce_end(self) -> None:
        """Tell it that it will be stopped: its readiness fails from now on."""
        if self._serving:
            self._signal(signal.SIGUSR1)

    async def stop(self, within_s: float, hurry: asyncio.Event) -> bool:
        """Send SIGTERM and wait; send SIGKILL after `within_s`, or `HURRY_S` after `hurry` is set.

        False: it had to be killed, or exited with an error.
        """
        self._stopping.set()
        self._signal(signal.SIGTERM)
        in_time = await _finished(self._keeper, within_s, hurry)
        if not in_time and hurry.is_set():
            self._signal(signal.SIGTERM)  # the second one tells it to cut its work short
            in_time = await _finished(self._keeper, HURRY_S)
        if not in_time:
            log.error("%s did not exit in time; killing it.", self.name)
            self._signal(signal.SIGKILL)
            await _finished(self._keeper, KILL_S)
        code = None if self._process is None else self._process.returncode
        return in_time and code in (0, -signal.SIGTERM)  # the latter before it handles signals

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _keep(self) -> None:
        delay_s = 0.0
        while not self._stopping.is_set():
            began = monotonic()
            code = await self._run()
            lived_s = monotonic() - began
            if self._stopping.is_set():
                break
            how = f"{self.name} {_ending(code)} after {lived_s:.1f} s"
            if not self._served.done() and not self._insist:
                self._served.set_exception(StartError(f"{how}, before it could serve"))
                self._served.exception()  # nobody has to wait for it
                return
            if lived_s >= STEADY_S:
                delay_s = RESTART_S
            elif self._serving:  # it may be killed again and again, but callers are waiting
                delay_s = min(max(delay_s * 2, RESTART_S), BACKOFF_S)
            else:
                delay_s = min(max(delay_s * 2, BACKOFF_S), BACKOFF_MAX_S)
            log.error("%s; restarting in %.1f s.", how, delay_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)

    async def _run(self) -> int:
        """Run the process once; returns its exit code, negative for the signal that killed it."""
        ready, tell = os.pipe()
        self._serving = False
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                "--ready-fd",
                str(tell),
                stdin=subprocess.PIPE,
                pass_fds=(*self._fds, tell),
                env=environment(),
                process_group=0,  # the supervisor passes Ctrl-C on, in the right order
                umask=0o077,  # what passed is only for the user who runs it
            )
        except OSError as error:
            os.close(ready)
            log.error("Cannot start %s: %s.", self.name, error)
            return 127  # as a shell says "command not found"
        finally:
            os.close(tell)
        self._process = process
        if self._stopping.is_set():  # requested while it was being started
            self._signal(signal.SIGTERM)
        self._ready = ready
        asyncio.get_running_loop().add_reader(ready, self._hear)
        assert process.stdin is not None
        process.stdin.write(self._stdin + b"\n")  # left open: its end means that we are gone
        code = await process.wait()
        process.stdin.close()
        self._close_ready()
        return code

    def _hear(self) -> None:
        """Handle a byte from the child on its ready pipe, or the end of the pipe."""
        assert self._ready is not None
        if os.read(self._ready, 1):
            self._serving = True
            if not self._served.done():
                self._served.set_result(None)
        self._close_ready()

    def _close_ready(self) -> None:
        if self._ready is not None:
            asyncio.get_running_loop().remove_reader(self._ready)
            os.close(self._ready)
            self._ready = None


async def _finished(
    task: asyncio.Task[None], within_s: float, or_event: asyncio.Event | None = None
) -> bool:
    """Whether `task` ends within the time and before the event.  It is not cancelled."""
    event = asyncio.create_task((or_event or asyncio.Event()).wait())
    await asyncio.wait({task, event}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    event.cancel()
    return task.done()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
