"""`taximeter serve`: runs proxy, meter and console until it is stopped."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from yarl import URL

from proxy.commands import terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.cli import SCHEDULER
from proxy.commands.numbers import port, positive_count
from proxy.commands.terminal import Exit
from proxy.door import keys
from proxy.metering.book import tariff_book
from proxy.network import client_tls, expired, outgoing_proxy, server_tls
from proxy.serving.child import StartError
from proxy.serving.companion import Companion
from proxy.serving.instance import Instance, TakenError, announced, claimed
from proxy.serving.listening import BindError, bind
from proxy.serving.supervisor import Supervisor
from proxy.settings.config import Config
from proxy.settings.gateway_checks import gateway_warnings
from proxy.settings.places import Places
from proxy.settings.sources import SettingsError

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    parser.add_argument("--host", help="address of the proxy (default: 127.0.0.1)")
    help = "port of the proxy, 0 for any free one (default: 4000)"
    parser.add_argument("--port", type=port, metavar="N", help=help)
    help = "port of the console, 0 for any free one (default: 4001)"
    parser.add_argument("--console-port", type=port, metavar="N", help=help)
    help = "number of relay processes (default: 1)"
    parser.add_argument("--relays", type=positive_count, metavar="N", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    reload = partial(usable_configuration, arguments)
    config = reload()
    again = ["--data", str(config.data)]  # the scheduler reads the same settings
    again += ["--config", str(arguments.config)] if arguments.config else []
    return serve(config, as_json=arguments.json, reload=reload, scheduler=again)


def usable_configuration(arguments: argparse.Namespace) -> Config:
    """The settings, once the files that they name have been read: no process would refuse them.

    Raises SettingsError, TariffError and OSError.
    """
    config = configuration(arguments)
    mistakes = list(network_mistakes(config))
    if mistakes:
        raise SettingsError(tuple(mistakes))
    tariff_book(config)
    return config


def network_mistakes(config: Config) -> Iterator[str]:
    """Certificates and outgoing proxies that no connection could use; logs what has expired."""
    for key, listen in (("proxy", config.proxy), ("console", config.console)):
        try:
            server_tls(listen)
            _warn_of_age(f"{key}.tls_cert", listen.tls_cert)
        except OSError as error:
            yield f"{key}.tls_cert: cannot load it with {key}.tls_key: {error}"
    try:
        if config.upstream.ca_file is not None:
            client_tls(config.upstream.ca_file)
    except OSError as error:
        yield f"upstream.ca_file: {error}"
    wrong = dict[str, None]()  # a variable is named once, however many providers it is for
    for provider in config.providers.values():
        try:
            outgoing_proxy(URL(provider.base_url))
        except ValueError as error:
            wrong[str(error)] = None
        try:
            if provider.client_cert is not None:
                client_tls(None, provider.client_cert, provider.client_key)
                _warn_of_age(f"providers.{provider.name}.client_cert", provider.client_cert)
        except OSError as error:
            key = f"providers.{provider.name}"
            yield f"{key}.client_cert: cannot load it with {key}.client_key: {error}"
    yield from wrong


def _warn_of_age(key: str, cert: Path | None) -> None:
    if cert is not None and (ended := expired(cert)):
        log.warning("%s: %s expired on %s; replace it.", key, cert, f"{ended:%Y-%m-%d}")


@contextmanager
def prepared(
    config: Config, reload: Callable[[], Config] | None = None, *, late_meter: bool = False
) -> Iterator[tuple[Supervisor, Instance]]:
    """A supervisor that holds the data directory and both ports; `serve.json` describes it.

    Raises TakenError, BindError and OSError.
    """
    with (
        claimed(config.data) as lock,
        bind(config.proxy, "proxy") as proxy,
        bind(config.console, "console") as console,
    ):
        bound = replace(
            with_keys(config),
            proxy=replace(config.proxy, port=proxy.port),
            console=replace(config.console, port=console.port),
        )
        with announced(bound) as instance:
            again = None if reload is None else lambda: with_keys(reload())
            supervisor = Supervisor(
                bound, proxy, console, lock=lock, reload=again, late_meter=late_meter
            )
            yield supervisor, instance


def with_keys(config: Config) -> Config:
    """`config` with the gateway's keys, which only this process can read; says which it cannot."""
    for warning in gateway_warnings(config):
        log.warning("%s", warning)
    missing = partial(log.error, "%s; its candidates are not used.")
    return replace(config, gateway=keys.read(config.gateway, os.environ, missing))


def serve(
    config: Config,
    *,
    as_json: bool,
    reload: Callable[[], Config] | None = None,
    scheduler: Sequence[str] | None = None,
) -> Exit:
    """Serve until SIGTERM or SIGINT; with its arguments, keep the scheduler running beside."""
    try:
        with prepared(config, reload) as (supervisor, instance):

            def started() -> None:
                terminal.emit(instance) if as_json else terminal.say(banner(instance, config))

            companion = None
            if scheduler is not None:
                companion = Companion(SCHEDULER, scheduler, Places(config.data).schedules)
            clean = asyncio.run(_accompanied(supervisor.run(started), companion))
            return Exit.OK if clean else Exit.FAILED
    except (TakenError, BindError) as error:
        log.error("%s", error)
        return Exit.TAKEN
    except (StartError, OSError) as error:
        log.error("Taximeter failed to start: %s", error)
        return Exit.FAILED


async def _accompanied(serving: Coroutine[None, None, bool], companion: Companion | None) -> bool:
    if companion is None:
        return await serving
    beside = asyncio.create_task(companion.run())
    try:
        return await serving
    finally:
        beside.cancel()
        await companion.stop()


def banner(instance: Instance, config: Config, *, shown_to: TextIO | None = None) -> str:
    """The variables to set and the addresses, for people; `shown_to` is standard output by default.

    Only a terminal gets the tokens: other output ends in logs.
    """
    private = (shown_to or sys.stdout).isatty()
    proxy, console = instance.proxy_url, instance.console_url
    if config.proxy.token:  # for clients that cannot set x-taximeter-token
        proxy += f"/~token={quote(config.proxy.token, safe='') if private else 'TOKEN'}"
    if config.console.token:
        console += f"/?token={quote(config.console.token, safe='')}" if private else "/?token=TOKEN"
    lines = [
        "Taximeter is running.  Point your application at it:",
        "",
        f"  export OPENAI_BASE_URL={proxy}/openai/v1",
        f"  export ANTHROPIC_BASE_URL={proxy}/anthropic",
        f"  export GOOGLE_GEMINI_BASE_URL={proxy}/gemini",
        "",
        f"  console  {console}",
        f"  data     {instance.data}",
        f"  store    {instance.store}",
        "",
    ]
    if not private and (config.proxy.token or config.console.token):
        lines.insert(-1, "  TOKEN stands for the token of each, which only a terminal is shown.")
    return "\n".join(lines)
