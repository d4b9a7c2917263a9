"""The tariff book that a configuration asks for."""

from pathlib import Path

from pricing import TariffBook
from proxy.settings.config import Config


def tariff_book(config: Config, *laid_over: Path) -> TariffBook:
    """The shipped tariffs, the configured ones over them, then `laid_over`.

    Raises TariffError, which lists every problem, and OSError for a directory that is not there.
    """
    private = [config.metering.tariffs] if config.metering.tariffs else []
    return TariffBook.load(*private, *laid_over)
