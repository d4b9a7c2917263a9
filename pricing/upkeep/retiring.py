"""Makes `pricing/retired.toml` from LiteLLM's price set: the dates that its entries name.

python -m pricing.upkeep.retiring prices.json "litellm 1.109.1"
"""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pricing.book import TariffBook
from pricing.retired import FILE
from pricing.upkeep.litellm_prices import PROVIDERS

FIELD = "deprecation_date"  # the day on which the provider switches it off
HEAD = "# The day from which a provider no longer serves a model, by {} (NOTICE).  Made by\n\
# pricing.upkeep.retiring; no price depends on it.\n"


def retiring(models: Mapping[str, Any], book: TariffBook) -> dict[str, dict[str, date]]:
    """provider → model → day, of the models that `book` prices by that very name."""
    found: dict[str, dict[str, date]] = {}
    for name, entry in models.items():
        if not isinstance(entry, Mapping) or FIELD not in entry:
            continue
        provider, prefix = PROVIDERS.get(str(entry.get("litellm_provider")), ("", ""))
        model = name.removeprefix(prefix)
        if provider and book.knows(provider, model):
            found.setdefault(provider, {})[model] = date.fromisoformat(entry[FIELD])
    return found


def text(found: Mapping[str, Mapping[str, date]], source: str) -> str:
    """The file."""
    tables = (
        f"\n[{provider}]\n" + "".join(f'"{name}" = {day}\n' for name, day in sorted(names.items()))
        for provider, names in sorted(found.items())
    )
    return HEAD.format(source) + "".join(tables)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file."""
    prices, source = sys.argv[1:] if argv is None else argv
    models = json.loads(Path(prices).read_text(encoding="utf-8"))
    FILE.write_text(text(retiring(models, TariffBook.load()), source), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
