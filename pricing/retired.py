"""Which models their providers have switched off, or will: quotes leave them out unless asked.

`retired.toml` is made by `pricing.upkeep.retiring` from a public set.  A model that it does not
name may be retired too; no price depends on it.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("retired.toml")


def retired_from(provider: str, model: str) -> date | None:
    """The day from which a provider no longer serves a model; None: none is known."""
    return _dates().get(provider, {}).get(model)


@cache
def _dates() -> Mapping[str, Mapping[str, date]]:
    with FILE.open("rb") as file:
        found: dict[str, dict[str, date]] = tomllib.load(file)
    return found
