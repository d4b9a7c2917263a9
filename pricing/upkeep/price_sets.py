"""Recognises a public price set by its shape, and reads it.

The sets: LiteLLM's cost map, genai-prices' `data.json`, models.dev's `api.json` and OpenRouter's
`/models`.
"""

import json
from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import NoReturn

from pricing.upkeep import genai_prices, litellm_prices, models_dev, openrouter_prices
from pricing.upkeep.listing import ODD_ENTRY, PriceSet

SETS = ("litellm", "genai-prices", "models.dev", "openrouter")


def decode(data: bytes) -> object:
    """A JSON document with exact decimals.  Raises ValueError for anything else."""
    try:
        return json.loads(data, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("not a price set: JSON that is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not a price set: invalid JSON ({error})") from None


def name_of(document: object) -> str:
    """Which of `SETS` a document is.  Raises ValueError for one that is none."""
    if isinstance(document, list):
        first = document[0] if document else None
        if isinstance(first, Mapping) and {"id", "models", "pricing_urls"} <= first.keys():
            return "genai-prices"
    elif isinstance(document, Mapping):
        listed = document.get("data")
        if isinstance(listed, list) and listed and _has(listed[0], "pricing"):
            return "openrouter"
        if any(_has(entry, "litellm_provider") for entry in document.values()):
            return "litellm"
        models = [entry["models"] for entry in document.values() if _has(entry, "models")]
        if models and all(isinstance(each, Mapping) for each in models):
            return "models.dev"
    raise ValueError(f"not one of the price sets that can be read: {', '.join(SETS)}")


def read(document: object, day: date, via: str, providers: Collection[str] = ()) -> PriceSet:
    """The contents of a document that was taken on a day; `via` names it in the tariffs.

    `providers` are those whose models are wanted, by our names.  Raises ValueError for a document
    that is not a price set.
    """
    name = name_of(document)
    try:
        if name == "genai-prices":
            assert isinstance(document, list)
            return genai_prices.read(document, day, via=via)
        assert isinstance(document, Mapping)
        if name == "litellm":
            others = set(providers) - {ours for ours, _ in litellm_prices.PROVIDERS.values()}
            return litellm_prices.read(document, day, via=via, others=others)
        if name == "models.dev":
            return models_dev.read(document, day, via=via)
        return openrouter_prices.read(document, day, via=via)
    except ODD_ENTRY as error:
        raise ValueError(f"looks like {name}, but is structured differently") from error


def _has(entry: object, name: str) -> bool:
    return isinstance(entry, Mapping) and name in entry


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
