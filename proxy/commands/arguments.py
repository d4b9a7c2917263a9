"""Arguments that most commands share, and the configuration that results from them."""

import argparse
import os
from pathlib import Path
from typing import TypeAlias

from exporters.clickhouse.dsn import parse_dsn
from proxy.settings import sources
from proxy.settings.config import Config
from proxy.settings.places import store_dsn
from proxy.settings.sources import CONFIG_VARIABLE, SettingsError
from proxy.settings.typed import Layer

FLAGS = {
    "data": "data",
    "host": "proxy.host",
    "port": "proxy.port",
    "console_port": "console.port",
    "relays": "relays",
}


Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_common(parser: argparse.ArgumentParser) -> None:
    """--config, --data and --json."""
    parser.add_argument("--config", metavar="FILE", help=f"TOML file (or ${CONFIG_VARIABLE})")
    parser.add_argument("--data", metavar="DIR", help="data directory: journal, store, state")
    parser.add_argument("--json", action="store_true", help="print JSON")


def common_again() -> argparse.ArgumentParser:
    """The same for subcommands: a flag given there overrides the command's own."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add_common(shared)
    return shared


def configuration(arguments: argparse.Namespace, routes: Layer | None = None) -> Config:
    """The settings from flags, environment, file and proposed `routes`.  Raises SettingsError."""
    file = arguments.config or os.environ.get(CONFIG_VARIABLE)
    given = {key: getattr(arguments, flag, None) for flag, key in FLAGS.items()}
    flags = {key: value for key, value in given.items() if value is not None}
    config = sources.load(Path(file) if file else None, os.environ, flags, routes)
    try:
        parse_dsn(store_dsn(config), config.store.database)
    except ValueError as error:
        raise SettingsError((f"store.dsn: {error}",)) from error
    return config
