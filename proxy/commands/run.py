"""`taximeter run -- COMMAND`: meters one command and prints what it cost.

The command keeps the terminal, its standard streams and its exit code; the fare goes to standard
error.  We use free ports and, unless --data is given, a temporary data directory.
"""

import argparse
import asyncio
import logging
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import msgspec

from exporters.clickhouse.dsn import parse_dsn, require
from exporters.record import TransientError
from proxy.commands import agents, terminal, upstreams
from proxy.commands.arguments import add_common, configuration
from proxy.commands.peers import Peers
from proxy.commands.serve import prepared
from proxy.commands.terminal import Exit
from proxy.metering.book import tariff_book
from proxy.serving.child import StartError
from proxy.serving.instance import TakenError
from proxy.serving.listening import BindError
from proxy.serving.supervisor import Supervisor
from proxy.settings.config import Config, ConsoleListen, Listen
from proxy.settings.places import store_dsn

DRAIN_S = 5.0  # for calls still in flight when the command ends
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
NOT_EXECUTABLE, NOT_FOUND, KILLED = 126, 127, 128  # exit codes, as in a shell

log = logging.getLogger(__name__)


class StoppedEarly(Exception):
    """A signal came before the command was started: there is no fare."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    help = "the command to run and its arguments"
    parser.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    command = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not command:
        terminal.say("run: specify a command: taximeter run -- python app.py", sys.stderr)
        return Exit.MISTAKE
    logging.getLogger().setLevel(logging.WARNING)  # the terminal belongs to the command
    config = configuration(arguments)
    tariff_book(config)
    return run(config, command, keep=arguments.data is not None, as_json=arguments.json)


def run(config: Config, command: Sequence[str], *, keep: bool, as_json: bool) -> int:
    """The command's exit code, 128 + N if signal N killed it; our own if it could not start.

    With `keep`, rows stay in the configured data directory and the fare is that of all its calls.
    """
    if shutil.which(command[0]) is None:
        log.error("%s: command not found", command[0])
        return NOT_FOUND
    found = upstreams.read(os.environ, {p.name: p.base_url for p in config.providers.values()})
    if found.unchanged:
        names = ", ".join(found.unchanged)
        terminal.say(f"Taximeter: not metered, as set by you: {names}", sys.stderr)
    with ExitStack() as stack:
        data = config.data
        if not keep:
            temporary = tempfile.TemporaryDirectory(prefix="taximeter-run-")
            data = Path(stack.enter_context(temporary))
        config = _for_one_command(config, found.base_urls, data)
        peers = Peers({p.name: p.base_url for p in config.providers.values()})
        try:
            require(parse_dsn(store_dsn(config)))
            late = not (keep or config.budgets)  # relays ask the meter what budgets hold
            supervisor, instance = stack.enter_context(prepared(config, late_meter=late))
            environ = os.environ | upstreams.variables(found, instance.proxy_url, os.environ)
            adapted = _adapted(config, command, instance.proxy_url)
            if adapted.note and not as_json:
                terminal.say(f"Taximeter: {adapted.note}", sys.stderr)
            environ |= adapted.variables
            code, clean = asyncio.run(_supervised(supervisor, adapted.command, environ, peers))
        except StoppedEarly as stopped:
            return KILLED + stopped.number
        except TakenError as error:
            log.error("%s", error)
            return Exit.TAKEN
        except (BindError, StartError, ModuleNotFoundError, OSError) as error:
            log.error("Taximeter failed to start: %s", error)
            return Exit.FAILED
        if not clean:
            log.warning("Some processes were killed; the fare may lack calls.")
        _print_fare(config, supervisor.metered, peers.seen, keep=keep, as_json=as_json)
        return code


def what_next(rows: Path | None) -> str:
    """How to see the rows again; `rows` is the data directory that holds them, None: gone."""
    if rows is None:
        return "The rows were thrown away; --data DIR keeps them."
    return (
        f"The rows are kept.  Report on them:\n  taximeter report --data {shlex.quote(str(rows))}"
    )


def _adapted(config: Config, command: Sequence[str], proxy_url: str) -> agents.Adaptation:
    def url(name: str) -> str:
        return f"{proxy_url}/{name}" if config.providers[name].base_url else ""

    return agents.adapted(command, os.environ, url, session=str(uuid4()))


def _for_one_command(config: Config, base_urls: Mapping[str, str], data: Path) -> Config:
    providers = dict(config.providers)
    for name, base_url in base_urls.items():
        providers[name] = replace(providers[name], base_url=base_url)
    return replace(
        config,
        data=data,
        proxy=Listen(port=0),
        console=ConsoleListen(port=0),
        drain_timeout_s=min(config.drain_timeout_s, DRAIN_S),
        store=replace(config.store, dsn=""),
        providers=MappingProxyType(providers),
    )


async def _supervised(
    supervisor: Supervisor, command: Sequence[str], environ: Mapping[str, str], peers: Peers
) -> tuple[int, bool]:
    """(the command's exit code, whether our processes stopped cleanly).

    Raises StartError and StoppedEarly.
    """
    loop, came = asyncio.get_running_loop(), [int(signal.SIGTERM)]

    def stop_early(number: int) -> None:
        came[0] = number
        supervisor.stop()

    for number in STOPPING:
        loop.add_signal_handler(number, stop_early, number)
    started = asyncio.Event()
    serving = asyncio.create_task(supervisor.run(started.set, signals=False))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():  # it failed to start, or was stopped before it had started
        serving.result()
        raise StoppedEarly(came[0])
    try:
        code = await _command(command, environ, peers)
    finally:
        for number in STOPPING:
            loop.add_signal_handler(number, supervisor.stop)  # from now on they cut the drain short
        supervisor.stop()
        clean = await serving
    return code, clean


async def _command(command: Sequence[str], environ: Mapping[str, str], peers: Peers) -> int:
    """Run it in the foreground.  Ctrl-C reaches it from the terminal; we forward other signals."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environ)
    except OSError as error:
        log.error("%s: %s.", command[0], error.strerror)
        return NOT_EXECUTABLE

    def forward(number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(number)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, forward, number)
    watching = asyncio.create_task(peers.watch(process.pid))
    code = await process.wait()
    watching.cancel()
    return code if code >= 0 else KILLED - code


def _print_fare(
    config: Config, metered: bool, peers: AbstractSet[str], *, keep: bool, as_json: bool
) -> None:
    """Print the fare on standard error, apart from the command's own output.

    Without `metered` there is no store to ask: nothing was called.  `peers` are the providers to
    which the command was connected itself.
    """
    from proxy.commands import fare  # noqa: PLC0415 — the store's client is not needed before

    try:
        found = asyncio.run(fare.of(config)) if metered else fare.NO_CALLS
    except TransientError as error:
        log.error("Cannot read the fare: %s", error)
        return
    called = {str(row["provider"]) for row in found.models}
    found = msgspec.structs.replace(found, unmetered=sorted(peers - called))
    if as_json:
        terminal.emit(found, sys.stderr)
    else:
        fare.show(found, sys.stderr)
        if found.total["calls"]:
            terminal.say(what_next(config.data if keep else None), sys.stderr)
