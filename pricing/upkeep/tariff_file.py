"""Writes listings as tariffs: a block for each period of a model, in files of one provider."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from pricing.upkeep.listing import (
    INCLUSIVE,
    STANDARD,
    ListedFactor,
    Listing,
    Period,
    Prices,
    When,
)
from pricing.usage import METER_ORDER, TOKEN_METERS, Meter

LISTED, IMPORTED = "-listed.toml", "-imported.toml"  # ends of files, shipped and of the user's own
MADE_OF_SETS = (LISTED, IMPORTED)
HEAD = """\
# {title}: what the public price sets list and nobody has checked at the source.
# Made by `python -m pricing.upkeep.seed`, which appends; a checked price goes into {provider}.toml.

provider = {name}
source = {source}
via = {via}
checked = {checked}
"""
# What a checked file says of all its models holds for the listed ones too.
SAME_PRICE: Mapping[str, str] = {
    "groq": 'same_price = { service_tier = ["flex", "performance"] }\n'
}


def file_text(provider: str, listings: Sequence[Listing]) -> str:
    """The text of a provider's listed file, its models sorted by name."""
    source = _common([each.source for each in listings])
    via = _common([each.via for each in listings])
    checked = max(Counter(each.checked for each in listings).items(), key=lambda i: (i[1], i[0]))[0]
    head = HEAD.format(
        title=provider,
        provider=provider,
        name=text(provider),
        source=text(source),
        via=text(via),
        checked=checked,
    )
    parts = [head + SAME_PRICE.get(provider, "")]
    for each in sorted(listings, key=lambda listing: listing.names[0].lower()):
        own = ""
        own += "" if each.source == source else f"source = {text(each.source)}\n"
        own += "" if each.via == via else f"via = {text(each.via)}\n"
        own += "" if each.checked == checked else f"checked = {each.checked}\n"
        parts += [_block(each, period, own) for period in each.periods]
    return "\n".join(parts)


def blocks(listing: Listing) -> list[str]:
    """The periods of a listing for a file that holds others: each names its own origin."""
    own = (
        f"source = {text(listing.source)}\nvia = {text(listing.via)}\nchecked = {listing.checked}\n"
    )
    return [_block(listing, period, own) for period in listing.periods]


def text(value: str) -> str:
    """A TOML string: JSON's form is one of its own."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def figures(prices: Prices) -> Iterator[str]:
    """`usd_per_mtok = { input = 3, output = 15 }`, by unit."""
    for unit in dict.fromkeys(unit for unit, _ in prices):
        meters = sorted((m for u, m in prices if u == unit), key=METER_ORDER.__getitem__)
        inner = ", ".join(f"{_key(meter)} = {_price(prices[unit, meter])}" for meter in meters)
        yield f"{unit} = {{ {inner} }}"


def _common(values: Sequence[str]) -> str:
    return max(Counter(values).items(), key=lambda item: (item[1], item[0]))[0]


def _block(listing: Listing, period: Period, own: str) -> str:
    """One `[[tariff]]`."""
    lines = ["[[tariff]]", f"names = [{', '.join(map(text, listing.names))}]"]
    if period.start is None:
        lines.append(f"known_from = {listing.known_from}")
    else:
        lines.append(f"from = {period.start}T00:00:00Z")
        if period.start > listing.checked:
            lines.append(f"announced = {listing.checked}")
    lines += own.splitlines()
    lines += figures(period.base)
    special = list(_special(listing, period))
    if special:
        lines += ["rates = [", *(f"  {{ {each} }}," for each in special), "]"]
    if listing.factors:
        lines += ["factors = [", *(f"  {{ {_factor(each)} }}," for each in listing.factors), "]"]
    return "\n".join(lines) + "\n"


def _special(listing: Listing, period: Period) -> Iterator[str]:
    """Prices under conditions, the narrowest first; what has no price there must not fall through.

    A tier that is known for prompts of one length alone says nothing about the others.
    """
    lengths = {clause for when in period.rows for clause in when if clause[0] == "prompt_tokens"}
    tiers = {tuple(c for c in when if c[0] != "prompt_tokens") for when in period.rows}
    every: set[When] = {tuple(sorted((*tier, clause))) for tier in tiers for clause in lengths}
    for when in sorted((every | tiers | set(period.rows)) - {STANDARD}, key=_narrowest):
        listed = period.rows.get(when, {})
        prices = {item: price for item, price in listed.items() if item in period.base}
        tokens = {item[1] for item in period.base if item[1] in TOKEN_METERS}
        missing = sorted(tokens - {meter for _, meter in prices}, key=METER_ORDER.__getitem__)
        parts = [f"when = {_when(when, listing.provider)}", *figures(prices)]
        if missing:
            parts.append(f"unpriced = [{', '.join(text(meter.value) for meter in missing)}]")
        yield ", ".join(parts)


def _narrowest(when: When) -> tuple[object, ...]:
    length = next((int(value) for term, value in when if term == "prompt_tokens"), 0)
    tier = tuple(clause for clause in when if clause[0] != "prompt_tokens")
    return not tier, tier, -length


def _when(when: When, provider: str) -> str:
    parts = []
    for term, value in sorted(when, key=lambda clause: clause[0] == "prompt_tokens"):
        if term == "prompt_tokens":
            start = int(value)
            inclusive = provider in INCLUSIVE
            if start % 1_000 == 999:  # the set's way to say: from the next one on
                start, inclusive = start + 1, True
            parts.append(f"{term} = {{ {'ge' if inclusive else 'gt'} = {start:_} }}")
        else:
            parts.append(f"{term} = {text(str(value))}")
    return f"{{ {', '.join(parts)} }}"


def _factor(factor: ListedFactor) -> str:
    value = text(factor.value)
    wanted = f"{{ not = [{value}] }}" if factor.other else value
    return (
        f"name = {text(factor.name)}, factor = {_price(factor.factor)},"
        f" when = {{ {factor.term} = {wanted} }}"
    )


def _key(meter: Meter) -> str:
    return text(meter.value) if "." in meter.value else meter.value


def _price(amount: Decimal) -> str:
    return f"{amount:f}"
