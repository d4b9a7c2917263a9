"""What the commands about own tariff files say and ask; `own_tariffs` reads and writes them."""

import sys
from pathlib import Path

from pricing import TariffBook
from proxy.commands import terminal
from proxy.settings.config import Config

TO_HELP = "directory to write to (default: metering.tariffs)"
NO_DIRECTORY = """\
No directory for your own tariff files is configured.  Pass --to DIR, or set it in the
configuration, where `serve` reads it too:

  [metering]
  tariffs = "DIR"
"""


def directory(to: Path | None, config: Config) -> Path | None:
    """Where to write: the one asked for, else the configured one."""
    return to or config.metering.tariffs


def providers(book: TariffBook, config: Config) -> set[str]:
    """The providers that a tariff may name: those of the book and of the configuration."""
    return {*book.providers, *config.providers}


def say_what_next(place: Path, config: Config) -> None:
    """How the new tariffs take effect, on standard error: standard output may be JSON."""
    configured = config.metering.tariffs
    if configured is None or configured.resolve() != place.resolve():
        text = f'Set tariffs = "{place}" under [metering] in the configuration to use these prices.'
        terminal.say(text, sys.stderr)
    terminal.say(
        "Restart `taximeter serve` to price new calls with them.  To reprice stored calls:"
        "\n  taximeter reprice --since 30d --dry-run",
        sys.stderr,
    )


def confirmed(question: str) -> bool:
    """Whether the user confirms; False if there is nobody to ask."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    terminal.say(question)
    return input("Type yes: ").strip().lower() == "yes"
