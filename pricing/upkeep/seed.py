"""Appends to the shipped `NAME-listed.toml` what both public price sets say now.

Run by hand, its output is read by a person and committed.  A name that a checked file of the book
prices is left alone.  A model without a price is added, and a price that changed becomes a period
from the day the sets were taken; what stands there already is not touched.

    python -m pricing.upkeep.seed --genai data.json --litellm prices.json
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from pricing.book import SHIPPED, TariffBook
from pricing.upkeep import bedrock, genai_prices, litellm_prices
from pricing.upkeep.listing import LeftOut, PriceSet
from pricing.upkeep.merged_sets import PROVIDERS, merged
from pricing.upkeep.tariff_file import LISTED, blocks, file_text
from pricing.upkeep.updates import Updates, by_provider, updates

# The sets, and the day they were taken; genai-prices' own newest record is older.
GENAI, LITELLM = "genai-prices 0.2.3", "litellm 1.110.2"
TAKEN = date(2026, 11, 28)
NEWEST_RECORD = date(2026, 11, 9)


def texts(directory: Path) -> dict[str, str]:
    """The text of each tariff file by its name."""
    return {
        path.name: path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.toml"))
    }


def checked(files: Mapping[str, str]) -> dict[str, str]:
    """The files that a person checked, without those that this script made."""
    return {name: text for name, text in files.items() if not name.endswith(LISTED)}


def appended(files: Mapping[str, str], found: Updates) -> dict[str, str]:
    """The listed files that change, each with its new tariffs at the end."""
    changed = {}
    for provider, listings in by_provider(found.listings).items():
        name = f"{provider}{LISTED}"
        more = "\n".join(block for each in listings for block in blocks(each))
        before = files.get(name)
        changed[name] = f"{before}\n{more}" if before else file_text(provider, listings)
    return changed


def main(argv: Sequence[str] | None = None) -> int:
    """Append to the files, and print what differs and what was left out."""
    parser = argparse.ArgumentParser(prog="python -m pricing.upkeep.seed", description=__doc__)
    parser.add_argument("--genai", type=Path, required=True, metavar="FILE")
    parser.add_argument("--litellm", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--to", type=Path, default=SHIPPED, metavar="DIR", help="tariffs to append to"
    )
    arguments = parser.parse_args(argv)
    files = texts(arguments.to)
    document = json.loads(arguments.genai.read_text())
    genai = genai_prices.read(document, NEWEST_RECORD, via=GENAI)
    prices = json.loads(arguments.litellm.read_text(), parse_float=Decimal)
    litellm = litellm_prices.read(prices, TAKEN, via=LITELLM)
    names: dict[str, list[str]] = {}
    for listing in litellm.listings:
        names.setdefault(listing.provider, []).extend(listing.names)
    alike = genai_prices.read(document, NEWEST_RECORD, names, via=GENAI).listings
    book = TariffBook.parse(checked(files))
    listings, left_out = merged(
        book,
        genai,
        litellm,
        TAKEN,
        surcharge=bedrock.Surcharge.of(files[bedrock.FILE]),
        alike=alike,
    )
    found = updates(TariffBook.parse(files), listings, TAKEN)
    changed = appended(files, found)
    TariffBook.parse(files | changed)  # a book that does not load is not written
    for name, text in changed.items():
        (arguments.to / name).write_text(text, encoding="utf-8")
    _report(found, left_out, genai, litellm)
    return 0


def _report(found: Updates, left_out: Sequence[LeftOut], *sets: PriceSet) -> None:
    for difference in found.differences:
        print(*difference.row().values())
    for kind, count in found.models.items():
        print(f"{kind}: {count} models")
    for each in (*left_out, *found.left_out):
        print(f"left out: {each.provider} {each.model}: {each.why}")
    reasons = Counter(no.why for read in sets for no in read.left_out if no.provider in PROVIDERS)
    for why, count in reasons.most_common():
        print(f"not read: {count}: {why}")
    aside = Counter((each.field, each.why) for read in sets for each in read.set_aside)
    for (field, why), count in aside.most_common():
        print(f"set aside: {count}: {field}: {why}")


if __name__ == "__main__":
    sys.exit(main())
