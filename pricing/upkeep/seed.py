"""Makes tariff files of what both public price sets say: `NAME-listed.toml`, one a provider.

Run by hand, its output is read by a person and committed.  A name that a checked file of the book
prices is left alone.  Where the sets agree, what only one of them has is taken too; where they do
not, genai-prices is taken, which cites the provider's page.  A model that LiteLLM alone has is
taken if it cites a page of that provider.  What is missing stays missing.

    python -m pricing.upkeep.seed --genai data.json --litellm prices.json
"""

import argparse
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlparse

from pricing import TariffBook
from pricing.book import SHIPPED
from pricing.upkeep import genai_prices, litellm_prices
from pricing.upkeep.comparison import COUNTS, price_of
from pricing.upkeep.listing import STANDARD, LeftOut, Listing, Prices, When, figure, oddities
from pricing.upkeep.tariff_file import file_text

LISTED = "-listed.toml"
# The day the sets were taken; genai-prices' own newest record is older.
TAKEN = date(2026, 11, 20)
NEWEST_RECORD = date(2026, 11, 9)
# Hosts of a provider's own price pages, for what LiteLLM alone has; none: nothing is taken.
PAGES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("platform.claude.com", "docs.anthropic.com"),
    "azure": ("azure.microsoft.com", "prices.azure.com"),
    "bedrock": ("aws.amazon.com", "pricing.us-east-1.amazonaws.com", "docs.aws.amazon.com"),
    "cerebras": ("inference-docs.cerebras.ai", "www.cerebras.ai"),
    "cohere": ("cohere.com", "docs.cohere.com"),
    "deepinfra": ("deepinfra.com",),
    "fireworks": ("fireworks.ai", "docs.fireworks.ai", "api.fireworks.ai"),
    "gemini": ("ai.google.dev",),
    "groq": ("console.groq.com",),
    "minimax": ("platform.minimax.io",),
    "mistral": ("mistral.ai", "docs.mistral.ai"),
    "moonshot": ("platform.kimi.ai", "platform.moonshot.ai"),
    "openai": ("developers.openai.com", "platform.openai.com", "openai.com"),
    "perplexity": ("docs.perplexity.ai",),
    "qwen": ("www.alibabacloud.com",),
    "together": ("www.together.ai", "docs.together.ai", "api.together.ai"),
    "vertex": ("cloud.google.com",),
    "voyage": ("docs.voyageai.com",),
    "xai": ("docs.x.ai", "api.x.ai"),
    "zai": ("docs.z.ai",),
}
# DeepSeek's prices change by the hour and are all checked; what else goes by its name is others'.
PROVIDERS = frozenset(PAGES) | {"huggingface", "openrouter"}


@dataclass(frozen=True, slots=True)
class Seed:
    """What goes into the files, by provider, and what does not."""

    listings: Mapping[str, Sequence[Listing]]
    left_out: Sequence[LeftOut]


def checked_book() -> TariffBook:
    """The tariffs that a person checked, without those that this script made."""
    return TariffBook.parse(_checked_texts(SHIPPED))


def _checked_texts(directory: Path) -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(directory.glob("*.toml"))
        if not path.name.endswith(LISTED)
    }


def seed(
    book: TariffBook,
    genai: Sequence[Listing],
    litellm: Sequence[Listing],
    alike: Sequence[Listing] = (),
) -> Seed:
    """Merge the listings of both sets into those that the book lacks.

    `alike` is what genai-prices asks for LiteLLM's names, by likeness: no more than a second
    opinion, but a name on which the opinions differ has no price.
    """
    left_out: list[LeftOut] = []
    second = {(each.provider, name): each for each in litellm for name in each.names}
    merged = [
        _merged(each, second)
        for each in genai
        if each.provider in PROVIDERS and (each.provider != "vertex" or _is_in(second, each))
    ]
    claimed = {(each.provider, name) for each in merged for name in each.names}
    opinions = {(each.provider, name): each for each in alike for name in each.names}
    for each in _regional(litellm, left_out):
        if not _cites_its_provider(each) or (each.provider, each.names[0]) in claimed:
            continue
        names = tuple(name for name in each.names if _is_confirmed(each, name, opinions))
        for name in sorted(set(each.names) - set(names)):
            left_out.append(LeftOut(each.provider, name, "the sets disagree"))
        if names:
            kept = replace(each, names=names)
            regional = each.provider == "bedrock"  # where a surcharge stands between the two
            merged.append(kept if regional else _merged(kept, opinions))
    found: dict[str, list[Listing]] = {}
    taken: set[tuple[str, str]] = set()
    for each in merged:
        names = tuple(
            name
            for name in each.names
            if (each.provider, name) not in taken and not book.knows(each.provider, name)
        )
        odd = oddities(each.at(TAKEN).rows, each.names)
        if odd:
            left_out.append(LeftOut(each.provider, each.names[0], "; ".join(odd)))
        elif names and _is_as_checked(book, each):
            taken |= {(each.provider, name) for name in names}
            found.setdefault(each.provider, []).append(replace(each, names=names))
    return Seed(found, left_out)


def _is_in(listings: Mapping[tuple[str, str], Listing], listing: Listing) -> bool:
    return any((listing.provider, name) in listings for name in listing.names)


def _is_as_checked(book: TariffBook, listing: Listing) -> bool:
    """Whether no checked price of the model contradicts: else its other names have none either."""
    now = datetime.combine(TAKEN, time(), UTC)
    for name in listing.names:
        tariff = book.find(listing.provider, name, now)
        if tariff is None and book.knows(listing.provider, name):
            return False
        for (unit, meter), theirs in listing.at(TAKEN).base.items() if tariff else ():
            ours = price_of(tariff, meter, STANDARD, now) if tariff else None
            if ours is not None and figure(ours.each * COUNTS[unit]) != theirs:
                return False
    return True


def _cites_its_provider(listing: Listing) -> bool:
    return urlparse(listing.source).netloc in PAGES.get(listing.provider, ())


def _merged(listing: Listing, second: Mapping[tuple[str, str], Listing]) -> Listing:
    """The listing, with what the other set adds to a price that it agrees with."""
    others = [second[at] for name in listing.names if (at := (listing.provider, name)) in second]
    current = listing.at(TAKEN)
    if not others or not agree(current.base, others[0].at(TAKEN).base):
        return listing
    rows = united(current.rows, others[0].at(TAKEN).rows)
    if oddities(rows, listing.names):
        return listing
    periods = tuple(
        replace(period, rows=rows) if period == current else period for period in listing.periods
    )
    return replace(listing, periods=periods, via=f"{listing.via}, {others[0].via}")


def agree(first: Prices, second: Prices) -> bool:
    """Whether two sets ask the same for all that both name, which is something."""
    both = first.keys() & second.keys()
    return bool(both) and all(first[item] == second[item] for item in both)


def united(rows: Mapping[When, Prices], more: Mapping[When, Prices]) -> dict[When, Prices]:
    """All conditions of both; of two figures the first."""
    return {when: {**more.get(when, {}), **rows.get(when, {})} for when in (*rows, *more)}


def _regional(listings: Sequence[Listing], left_out: list[LeftOut]) -> Iterable[Listing]:
    """Bedrock's regional profiles go by the name of their model, with the surcharge of the book."""
    surcharge = _surcharge()
    plain = {each.names[0]: each for each in listings if each.provider == "bedrock"}
    profiles: dict[str, list[str]] = {}
    for name, each in plain.items():
        model = name.partition(".")[2]
        if not litellm_prices.PROFILE.fullmatch(name) or model not in plain:
            continue
        if _is_surcharged(name, surcharge, plain[model].at(TAKEN).base, each.at(TAKEN).base):
            profiles.setdefault(model, []).append(name)
        else:
            left_out.append(LeftOut("bedrock", name, "another price than its model's"))
    grouped = {name for names in profiles.values() for name in names}
    for each in listings:
        name = each.names[0]
        if each.provider == "bedrock" and litellm_prices.PROFILE.fullmatch(name):
            raised = any(fnmatchcase(name, pattern) for pattern in surcharge[1])
            if name not in grouped and name.partition(".")[2] not in plain and not raised:
                yield each
        else:
            yield replace(each, names=(name, *sorted(profiles.get(name, ()))))


def _is_confirmed(listing: Listing, name: str, opinions: Mapping[tuple[str, str], Listing]) -> bool:
    """Whether no opinion on a name contradicts, our surcharge on it included."""
    opinion = opinions.get((listing.provider, name))
    if opinion is None:
        return True
    ours, theirs = listing.at(TAKEN).base, opinion.at(TAKEN).base
    if listing.provider == "bedrock":
        return _is_surcharged(name, _surcharge(), ours, theirs)
    return agree(ours, theirs)


def _surcharge() -> tuple[Decimal, Sequence[str]]:
    """The regional factor of the checked file, and the names that it is for."""
    text = (SHIPPED / "bedrock.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text, parse_float=Decimal)
    found = next(each for each in document["factors"] if each["name"] == "regional")
    return Decimal(found["factor"]), found["models"]


def _is_surcharged(
    name: str, surcharge: tuple[Decimal, Sequence[str]], model: Prices, profile: Prices
) -> bool:
    factor, patterns = surcharge
    if not any(fnmatchcase(name, pattern) for pattern in patterns):
        factor = Decimal(1)
    return agree({item: figure(price * factor) for item, price in model.items()}, profile)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files and say what was left out."""
    parser = argparse.ArgumentParser(prog="python -m pricing.upkeep.seed", description=__doc__)
    parser.add_argument("--genai", type=Path, required=True, metavar="FILE")
    parser.add_argument("--litellm", type=Path, required=True, metavar="FILE")
    parser.add_argument("--to", type=Path, default=SHIPPED, metavar="DIR")
    arguments = parser.parse_args(argv)
    document = json.loads(arguments.genai.read_text())
    genai, no_price = genai_prices.read(document, NEWEST_RECORD)
    prices = json.loads(arguments.litellm.read_text(), parse_float=Decimal)
    litellm, no_use = litellm_prices.read(prices, TAKEN)
    names: dict[str, list[str]] = {}
    for each in litellm:
        names.setdefault(each.provider, []).extend(each.names)
    alike, _ = genai_prices.read(document, NEWEST_RECORD, names)
    found = seed(checked_book(), genai, litellm, alike)
    files = {
        f"{provider}{LISTED}": file_text(provider, listings)
        for provider, listings in sorted(found.listings.items())
    }
    TariffBook.parse(_checked_texts(SHIPPED) | files)  # a book that does not load is not written
    for name, text in files.items():
        (arguments.to / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(found.listings[name.removesuffix(LISTED)])} models")
    for left_out in found.left_out:
        print(f"left out: {left_out.provider} {left_out.model}: {left_out.why}")
    reasons = Counter(no.why for no in (*no_price, *no_use) if no.provider in PROVIDERS)
    for why, count in reasons.most_common():
        print(f"not read: {count}: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
