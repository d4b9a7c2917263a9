"""The tariff book of a configuration."""

from pathlib import Path

from pricing import TariffBook
from proxy.settings.config import Config


def tariff_book(config: Config, *laid_over: Path) -> TariffBook:
    """The shipped tariffs, overlaid with the configured ones, then with `laid_over`.

    Raises TariffError, which lists every problem, and OSError for a directory that cannot be read.
    """
    private = [config.metering.tariffs] if config.metering.tariffs else []
    return TariffBook.load(*private, *laid_over)
