"""Keeps a program beside `serve` running, as long as a file says that it has something to do.

It is no part of the way of a call: it may fail and be started again without anybody noticing, and
it ends when its standard input does.
"""

import asyncio
import logging
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from proxy.serving.child import environment, module

LOOK_S = 2.0  # between two looks at the file
AGAIN_S = 30.0  # before a program that ended is started again
STOP_S = 10.0  # for it to end after SIGTERM

log = logging.getLogger(__name__)


class Companion:
    """One such program: a module, started with `arguments` once `file` exists."""

    def __init__(self, name: str, arguments: Sequence[str], file: Path) -> None:
        self._command = (*module(name), *arguments)
        self._name, self._file = name, file
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Until cancelled; call `stop` after that."""
        while True:
            if not self._file.exists():
                await asyncio.sleep(LOOK_S)
                continue
            try:
                # It may need the keys of providers, which the children that serve do not get.
                paths = environment().get("PYTHONPATH", "")
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=subprocess.PIPE,
                    env=os.environ | ({"PYTHONPATH": paths} if paths else {}),
                    process_group=0,
                    umask=0o077,
                )
                code = await self._process.wait()
                log.warning("%s ended with code %d; starting it again.", self._name, code)
            except OSError as error:
                log.error("Cannot start %s: %s.", self._name, error)
            await asyncio.sleep(AGAIN_S)

    async def stop(self) -> None:
        """End the program, or kill it."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
