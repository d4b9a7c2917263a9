"""The directory of the user's own tariff files: where it is, what it holds, and writing to it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from pricing import TariffBook
from pricing.book import SHIPPED
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


def texts(place: Path) -> dict[str, str]:
    """The text of each tariff file in a directory by its name; none for one that is not there."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(place.glob("*.toml"))}


def book_with(place: Path, config: Config, changed: Mapping[str, str]) -> TariffBook:
    """The book as it would be with `changed` files in a directory.

    Raises TariffError, which lists all problems.
    """
    configured = config.metering.tariffs
    layers = [texts(SHIPPED)]
    if configured and configured.resolve() != place.resolve():
        layers.append({f"{configured}/{name}": text for name, text in texts(configured).items()})
    own = texts(place) | dict(changed)
    return TariffBook.parse(*layers, {f"{place}/{name}": text for name, text in own.items()})


def providers(book: TariffBook, config: Config) -> set[str]:
    """The providers that a tariff may name: those of the book and of the configuration."""
    return {*book.providers, *config.providers}


def write(place: Path, files: Mapping[str, str]) -> None:
    """Write each file completely or not at all.  Raises OSError, which leaves the old file."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=place, prefix=f".{name}.", suffix=".new", delete=False
        ) as file:
            new = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                new.chmod(0o644)
                new.replace(place / name)
            except OSError:
                new.unlink(missing_ok=True)
                raise


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
