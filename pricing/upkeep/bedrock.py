"""Bedrock's regions: sets list a bare id at the global price, and regional ids cost a factor more.

A bare id is a call in one region, which costs what the regional profiles (`us.`, `eu.`) do; only
`global.` costs the listed price.  So bare ids and profiles share the tariff of the global price,
and the factor of the checked file makes the difference.
https://platform.claude.com/docs/en/about-claude/pricing, "Third-party platform pricing"
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase

from pricing.upkeep.listing import LeftOut, Listing, Prices, agree, figure

NAME = "bedrock"
FILE = "bedrock.toml"  # of the shipped tariffs
REGIONAL = "regional"  # the factor's name there
# Profiles of a model: `us.anthropic.claude-opus-5`.
PROFILE = re.compile(r"(us|eu|au|jp|apac|ca|in|us-gov|global)\..+")


@dataclass(frozen=True, slots=True)
class Surcharge:
    """The regional factor, and the patterns of the ids that it is for."""

    factor: Decimal
    patterns: Sequence[str]

    @classmethod
    def of(cls, text: str) -> "Surcharge":
        """The surcharge that the shipped Bedrock file states."""
        document = tomllib.loads(text, parse_float=Decimal)
        found = next(each for each in document["factors"] if each["name"] == REGIONAL)
        return cls(Decimal(found["factor"]), found["models"])

    def applies(self, name: str) -> bool:
        """Whether an id costs the factor."""
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)

    def makes(self, name: str, model: Prices, of_name: Prices) -> bool:
        """Whether `of_name` is the price of `model` plus the surcharge on `name`."""
        factor = self.factor if self.applies(name) else Decimal(1)
        return agree({item: figure(price * factor) for item, price in model.items()}, of_name)


def grouped(
    listings: Sequence[Listing], surcharge: Surcharge, day: date, left_out: list[LeftOut]
) -> Iterator[Listing]:
    """The listings, with each regional profile under the model that its price follows from.

    A profile of another price keeps it, unless the surcharge would raise it once more.
    """
    plain = {each.names[0]: each for each in listings if each.provider == NAME}
    profiles: dict[str, list[str]] = {}
    for name, each in plain.items():
        model = plain.get(name.partition(".")[2])
        if model is None or not PROFILE.fullmatch(name):
            continue
        if surcharge.makes(name, model.at(day).base, each.at(day).base):
            profiles.setdefault(model.names[0], []).append(name)
    taken = {name for names in profiles.values() for name in names}
    for each in listings:
        name = each.names[0]
        if each.provider != NAME or not PROFILE.fullmatch(name):
            yield replace(each, names=(*each.names, *sorted(profiles.get(name, ()))))
        elif name not in taken:
            if surcharge.applies(name):
                left_out.append(
                    LeftOut(NAME, name, "not the price of its model plus the surcharge")
                )
            else:
                yield each
