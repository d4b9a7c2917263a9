"""Writes listings as a tariff file: one block a model, sorted by name."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

from pricing.upkeep.listing import INCLUSIVE, STANDARD, Listing, Period, Prices, When
from pricing.usage import METER_ORDER, TOKEN_METERS, Meter

HEAD = """\
# {title}: what the public price sets list and nobody has checked at the source.
# Made by `python -m pricing.upkeep.seed`; a checked price goes into {provider}.toml.

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
    """The text of a provider's file."""
    source = _common([each.source for each in listings])
    via = _common([each.via for each in listings])
    checked = max(Counter(each.checked for each in listings).items(), key=lambda i: (i[1], i[0]))[0]
    head = HEAD.format(
        title=provider,
        provider=provider,
        name=_text(provider),
        source=_text(source),
        via=_text(via),
        checked=checked,
    )
    blocks = [head + SAME_PRICE.get(provider, "")]
    for each in sorted(listings, key=lambda listing: listing.names[0].lower()):
        own = ""
        own += "" if each.source == source else f"source = {_text(each.source)}\n"
        own += "" if each.via == via else f"via = {_text(each.via)}\n"
        own += "" if each.checked == checked else f"checked = {each.checked}\n"
        blocks += [_block(each, period, own) for period in each.periods]
    return "\n".join(blocks)


def _common(values: Sequence[str]) -> str:
    return max(Counter(values).items(), key=lambda item: (item[1], item[0]))[0]


def _block(listing: Listing, period: Period, own: str) -> str:
    """One `[[tariff]]`."""
    lines = ["[[tariff]]", f"names = [{', '.join(map(_text, listing.names))}]"]
    if period.start is not None:
        lines.append(f"from = {period.start}T00:00:00Z")
        if period.start > listing.checked:
            lines.append(f"announced = {listing.checked}")
    lines += own.splitlines()
    lines += [f"{unit} = {text}" for unit, text in _units(period.base)]
    special = list(_special(listing, period))
    if special:
        lines += ["rates = [", *(f"  {{ {text} }}," for text in special), "]"]
    return "\n".join(lines) + "\n"


def _special(listing: Listing, period: Period) -> Iterator[str]:
    """Prices under conditions, the narrowest first; what has no price there must not fall through.

    A tier that is known for short prompts alone says nothing about long ones.
    """
    lengths = {clause for when in period.rows for clause in when if clause[0] == "prompt_tokens"}
    tiers = {tuple(c for c in when if c[0] != "prompt_tokens") for when in period.rows}
    every: set[When] = {tuple(sorted((*tier, clause))) for tier in tiers for clause in lengths}
    for when in sorted((every | set(period.rows)) - {STANDARD}, key=_narrowest):
        listed = period.rows.get(when, {})
        prices = {item: price for item, price in listed.items() if item in period.base}
        tokens = {item[1] for item in period.base if item[1] in TOKEN_METERS}
        missing = sorted(tokens - {meter for _, meter in prices}, key=METER_ORDER.__getitem__)
        parts = [f"when = {_when(when, listing.provider)}"]
        parts += [f"{unit} = {text}" for unit, text in _units(prices)]
        if missing:
            parts.append(f"unpriced = [{', '.join(_text(meter.value) for meter in missing)}]")
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
            parts.append(f"{term} = {_text(str(value))}")
    return f"{{ {', '.join(parts)} }}"


def _units(prices: Prices) -> Iterator[tuple[str, str]]:
    """`usd_per_mtok`, `{ input = 3, output = 15 }`, by unit."""
    for unit in dict.fromkeys(unit for unit, _ in prices):
        meters = sorted((m for u, m in prices if u == unit), key=METER_ORDER.__getitem__)
        inner = ", ".join(f"{_key(meter)} = {_price(prices[unit, meter])}" for meter in meters)
        yield unit, f"{{ {inner} }}"


def _key(meter: Meter) -> str:
    return _text(meter.value) if "." in meter.value else meter.value


def _price(amount: Decimal) -> str:
    return f"{amount:f}"


def _text(value: str | date) -> str:
    return json.dumps(str(value), ensure_ascii=False)
