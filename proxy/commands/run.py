"""`taximeter run -- COMMAND`: meter one command, and say at its end what it cost.

The command keeps the terminal, its standard streams and its exit code; the fare goes to standard
error.  Everything of ours is on free ports and, unless it is to be kept, in a directory that is
thrown away.
"""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from exporters.clickhouse.store import Store
from exporters.record import TransientError
from proxy.commands import fare, terminal, upstreams
from proxy.commands.arguments import add_common, configuration
from proxy.commands.serve import prepared
from proxy.commands.terminal import Exit
from proxy.metering.book import tariff_book
from proxy.serving.child import StartError
from proxy.serving.instance import TakenError
from proxy.serving.supervisor import BindError, Supervisor
from proxy.settings.config import Config, Listen
from proxy.settings.places import store_dsn

DRAIN_S = 5.0  # for calls that outlive the command
NOT_EXECUTABLE, NOT_FOUND, KILLED = 126, 127, 128  # exit codes, as a shell has them

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the command line."""
    add_common(parser)
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")


def main(arguments: argparse.Namespace) -> int:
    """Entry of the command."""
    command = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not command:
        terminal.say("run: name a command, as in: taximeter run -- python app.py", sys.stderr)
        return Exit.MISTAKE
    logging.getLogger().setLevel(logging.WARNING)  # the terminal is the command's
    config = configuration(arguments)
    tariff_book(config)
    return run(config, command, keep=arguments.data is not None, as_json=arguments.json)


def run(config: Config, command: Sequence[str], *, keep: bool, as_json: bool) -> int:
    """The command's exit code, 128 + N if signal N killed it; our own if it could not begin.

    With `keep`, rows stay in the configured data directory and the fare is of all that is in it.
    """
    if shutil.which(command[0]) is None:
        log.error("%s: there is no such command.", command[0])
        return NOT_FOUND
    found = upstreams.read(os.environ, {p.name: p.base_url for p in config.providers.values()})
    if found.left:
        terminal.say(f"Taximeter: {', '.join(found.left)} left as set; not metered.", sys.stderr)
    with ExitStack() as stack:
        data = config.data
        if not keep:
            temporary = tempfile.TemporaryDirectory(prefix="taximeter-run-")
            data = Path(stack.enter_context(temporary))
        config = _for_one_command(config, found.base_urls, data)
        try:
            supervisor, instance = stack.enter_context(prepared(config))
            environ = os.environ | upstreams.variables(found, instance.proxy_url, os.environ)
            code, clean = asyncio.run(_supervised(supervisor, command, environ))
        except TakenError as error:
            log.error("%s", error)
            return Exit.TAKEN
        except (BindError, StartError, OSError) as error:
            log.error("Taximeter could not start: %s.", error)
            return Exit.FAILED
        if not clean:
            log.warning("Not everything stopped in time; the fare may lack calls.")
        _tell(config, as_json=as_json)
        return code


def _for_one_command(config: Config, base_urls: Mapping[str, str], data: Path) -> Config:
    providers = dict(config.providers)
    for name, base_url in base_urls.items():
        providers[name] = replace(providers[name], base_url=base_url)
    return replace(
        config,
        data=data,
        proxy=Listen(port=0),
        console=Listen(port=0),
        drain_timeout_s=min(config.drain_timeout_s, DRAIN_S),
        store=replace(config.store, dsn=""),
        providers=MappingProxyType(providers),
    )


async def _supervised(
    supervisor: Supervisor, command: Sequence[str], environ: Mapping[str, str]
) -> tuple[int, bool]:
    """(the command's exit code, whether all of ours ended as it should).  Raises StartError."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stop)
    started = asyncio.Event()
    serving = asyncio.create_task(supervisor.run(started.set, signals=False))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():  # did not start, or was told to stop before it had
        return KILLED + signal.SIGTERM, serving.result()
    try:
        code = await _command(command, environ)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, supervisor.stop)  # now they hurry us
        supervisor.stop()
        clean = await serving
    return code, clean


async def _command(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run it in the foreground: the terminal's Ctrl-C reaches it by itself, others we pass on."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environ)
    except OSError as error:
        log.error("%s: %s.", command[0], error.strerror)
        return NOT_EXECUTABLE

    def passed_on(number: signal.Signals) -> Callable[[], None]:
        def pass_on() -> None:
            with suppress(ProcessLookupError):
                process.send_signal(number)

        return pass_on

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, passed_on(number))
    code = await process.wait()
    return code if code >= 0 else KILLED - code


def _tell(config: Config, *, as_json: bool) -> None:
    """The fare, on standard error; the command's own output stays as it was."""
    try:
        found = asyncio.run(_fare(config))
    except TransientError as error:
        log.error("The fare cannot be told: %s", error)
        return
    if as_json:
        terminal.emit(found, sys.stderr)
    else:
        fare.show(found, sys.stderr)


async def _fare(config: Config) -> fare.Fare:
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await fare.read(store)
    finally:
        await store.close()
