"""Makes one list of what both public price sets say, for the shipped files.

Where the sets agree, what only one of them has is taken too; where they do not, genai-prices is
taken, which cites the provider's page.  A model that LiteLLM alone has is taken if it cites a page
of that provider.  What is missing stays missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from urllib.parse import urlparse

from pricing.book import TariffBook
from pricing.upkeep import bedrock
from pricing.upkeep.comparison import COUNTS, price_of
from pricing.upkeep.listing import (
    STANDARD,
    LeftOut,
    Listing,
    Prices,
    PriceSet,
    When,
    agree,
    figure,
    oddities,
)

# Hosts of a provider's own price pages, for what LiteLLM alone has; none: nothing is taken.
PAGES: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("platform.claude.com", "docs.anthropic.com"),
    "azure": (
        *("azure.microsoft.com", "prices.azure.com", "learn.microsoft.com", "ai.azure.com"),
        "techcommunity.microsoft.com",
    ),
    "bedrock": ("aws.amazon.com", "pricing.us-east-1.amazonaws.com", "docs.aws.amazon.com"),
    "cerebras": ("inference-docs.cerebras.ai", "www.cerebras.ai"),
    "cohere": ("cohere.com", "docs.cohere.com"),
    "deepinfra": ("deepinfra.com",),
    "fireworks": ("fireworks.ai", "docs.fireworks.ai", "api.fireworks.ai"),
    "gemini": ("ai.google.dev", "aistudio.google.com"),
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

ByName = Mapping[tuple[str, str], Listing]


def merged(
    checked: TariffBook,
    genai: PriceSet,
    litellm: PriceSet,
    day: date,
    *,
    surcharge: bedrock.Surcharge,
    alike: Sequence[Listing] = (),
) -> tuple[list[Listing], list[LeftOut]]:
    """What the sets say of models that no checked tariff prices, and what was left out.

    `checked` are the tariffs that a person checked.  `alike` is what genai-prices asks for
    LiteLLM's names, by likeness: no more than a second opinion, but a name on which the opinions
    differ has no price.
    """
    left_out: list[LeftOut] = []
    second = _by_name(litellm.listings)
    found = [
        _joined(each, second, day)
        for each in genai.listings
        if each.provider in PROVIDERS and (each.provider != "vertex" or _is_in(second, each))
    ]
    claimed = {(each.provider, name) for each in found for name in each.names}
    opinions = _by_name(alike)
    for each in bedrock.grouped(litellm.listings, surcharge, day, left_out):
        free = [name for name in each.names if (each.provider, name) not in claimed]
        if not _cites_its_provider(each):
            continue
        names = tuple(n for n in free if _is_confirmed(each, n, opinions, day, surcharge))
        for name in sorted(set(free) - set(names)):
            left_out.append(LeftOut(each.provider, name, "the sets disagree"))
        if names:
            kept = replace(each, names=names)
            regional = each.provider == bedrock.NAME  # where a surcharge stands between the two
            found.append(kept if regional else _joined(kept, opinions, day))
    return list(_unchecked(checked, found, day, left_out)), left_out


def _by_name(listings: Sequence[Listing]) -> ByName:
    return {(each.provider, name): each for each in listings for name in each.names}


def _unchecked(
    checked: TariffBook, listings: Sequence[Listing], day: date, left_out: list[LeftOut]
) -> Iterator[Listing]:
    """The listings under the names that no checked tariff has, each name once."""
    taken: set[tuple[str, str]] = set()
    for each in listings:
        names = tuple(
            name
            for name in each.names
            if (each.provider, name) not in taken and not checked.knows(each.provider, name)
        )
        odd = oddities(each.at(day).rows, each.names)
        if odd:
            left_out.append(LeftOut(each.provider, each.names[0], "; ".join(odd)))
        elif names and _is_as_checked(checked, each, day):
            taken |= {(each.provider, name) for name in names}
            yield replace(each, names=names)


def _is_in(listings: ByName, listing: Listing) -> bool:
    return any((listing.provider, name) in listings for name in listing.names)


def _is_as_checked(checked: TariffBook, listing: Listing, day: date) -> bool:
    """Whether no checked price of the model contradicts: else its other names have none either."""
    now = datetime.combine(day, time(), UTC)
    for name in listing.names:
        tariff = checked.find(listing.provider, name, now)
        if tariff is None and checked.knows(listing.provider, name):
            return False
        for (unit, meter), theirs in listing.at(day).base.items() if tariff else ():
            ours = price_of(tariff, meter, STANDARD, now) if tariff else None
            if ours is not None and figure(ours.each * COUNTS[unit]) != theirs:
                return False
    return True


def _cites_its_provider(listing: Listing) -> bool:
    return urlparse(listing.source).netloc in PAGES.get(listing.provider, ())


def _joined(listing: Listing, second: ByName, day: date) -> Listing:
    """The listing, with the other set's surcharges, and what it adds to a price it agrees with."""
    others = [second[at] for name in listing.names if (at := (listing.provider, name)) in second]
    if not others:
        return listing
    listing = replace(listing, factors=listing.factors or others[0].factors)
    current, theirs = listing.at(day), others[0].at(day)
    if not agree(current.base, theirs.base):
        return listing
    rows = united(current.rows, theirs.rows)
    if oddities(rows, listing.names):
        return listing
    periods = tuple(
        replace(period, rows=rows) if period == current else period for period in listing.periods
    )
    return replace(listing, periods=periods, via=f"{listing.via}, {others[0].via}")


def united(rows: Mapping[When, Prices], more: Mapping[When, Prices]) -> dict[When, Prices]:
    """All conditions of both; where both have a figure, the first."""
    return {when: {**more.get(when, {}), **rows.get(when, {})} for when in (*rows, *more)}


def _is_confirmed(
    listing: Listing, name: str, opinions: ByName, day: date, surcharge: bedrock.Surcharge
) -> bool:
    """Whether no opinion on a name contradicts the listing, our surcharge included."""
    opinion = opinions.get((listing.provider, name))
    if opinion is None:
        return True
    ours, theirs = listing.at(day).base, opinion.at(day).base
    if listing.provider == bedrock.NAME:
        return surcharge.makes(name, ours, theirs)
    return agree(ours, theirs)
