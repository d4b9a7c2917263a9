"""The data directory that a command reads: that it is one, and what is not in its store yet."""

import argparse
from collections.abc import Iterator

from exporters.clickhouse.clickhouse import ClickHouse
from proxy.commands.arguments import configuration
from proxy.delivery import lag
from proxy.journal.segments import segments
from proxy.settings.config import Config
from proxy.settings.places import Places
from proxy.settings.sources import SettingsError

SERVE = "`taximeter serve` makes it"


def stored_configuration(arguments: argparse.Namespace) -> Config:
    """The settings, for a command that reads what was recorded.

    Raises SettingsError, also if there is no data directory and no server has the rows.
    """
    config = configuration(arguments)
    if config.store.dsn:
        return config
    places = existing_places(config)
    ours = (places.calls, places.records, places.embedded_store, places.state, places.serve_lock)
    if not any(path.exists() for path in ours):
        text = f"data: {config.data} is not a data directory of Taximeter; {SERVE}"
        raise SettingsError((text,))
    return config


def existing_places(config: Config) -> Places:
    """The names inside the data directory.  Raises SettingsError if there is no such directory."""
    if not config.data.exists():
        raise SettingsError((f"data: there is no directory {config.data}; {SERVE}",))
    return Places(config.data)


def not_stored(config: Config) -> Iterator[str]:
    """What is recorded but not in the store, while nothing is running, in sentences."""
    places = Places(config.data)
    start = "; start `taximeter serve` to write them to it"
    if waiting := lag.undelivered(places.records, places.cursor(ClickHouse.name)):
        yield f"{waiting:,} calls are recorded, but not in the store yet{start}"
    if places.calls.is_dir() and any(segments(one) for one in places.calls.glob("*/")):
        yield f"calls in {places.calls} have not been metered yet{start}"
