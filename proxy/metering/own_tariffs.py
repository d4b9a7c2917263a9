"""The user's own tariff files: reading them, the book that they would make, and writing them."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from pricing import TariffBook
from pricing.book import SHIPPED
from proxy.settings.config import Config


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
