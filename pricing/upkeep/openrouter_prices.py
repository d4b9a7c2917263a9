"""Reads OpenRouter's own list, the response of `GET /api/v1/models`: dollars per unit, as text.

https://openrouter.ai/docs/api-reference/list-available-models
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from pricing.upkeep.listing import (
    ODD_ENTRY,
    STANDARD,
    LeftOut,
    Listing,
    Period,
    Prices,
    PriceSet,
    SetAside,
    Unreadable,
    When,
    exact_name,
    key,
    price,
    stepped,
    write_meter,
)
from pricing.usage import Meter

NAME = "openrouter"
SOURCE = "https://openrouter.ai/models"
METERS: Mapping[str, tuple[Meter, int]] = {  # and how many units we price
    "prompt": (Meter.INPUT, 1_000_000),
    "completion": (Meter.OUTPUT, 1_000_000),
    "internal_reasoning": (Meter.OUTPUT_REASONING, 1_000_000),
    "input_cache_read": (Meter.CACHE_READ, 1_000_000),
    "input_cache_write_1h": (Meter.CACHE_WRITE_1H, 1_000_000),
    "audio": (Meter.INPUT_AUDIO, 1_000_000),
    "audio_output": (Meter.OUTPUT_AUDIO, 1_000_000),
    "input_audio_cache": (Meter.CACHE_READ_AUDIO, 1_000_000),
    "image_token": (Meter.INPUT_IMAGE, 1_000_000),
    "request": (Meter.REQUESTS, 1_000),
}
SET_ASIDE: Mapping[str, str] = {
    "web_search": "a fee of a tool: it stands once for all models of the provider",
    "image": "an image each or a token of it: the list does not say which",
    "image_output": "an image each or a token of it: the list does not say which",
}
LENGTH = "min_prompt_tokens"  # a request beyond it costs the override, all of it

Entry = Mapping[str, Any]


def read(document: Mapping[str, Any], newest: date, via: str = "openrouter") -> PriceSet:
    """What the list holds.  `newest` is the day it was taken, `via` its name and version."""
    listings: list[Listing] = []
    left_out: list[LeftOut] = []
    aside: list[SetAside] = []
    for entry in document["data"]:
        model = str(entry.get("id", ""))
        try:
            rows = _rows(entry, model)
            names = dict.fromkeys((model, entry.get("canonical_slug") or model))
            exact = tuple(exact_name(name) for name in names)
        except ODD_ENTRY as error:
            why = str(error) if isinstance(error, Unreadable) else "an entry of unknown shape"
            left_out.append(LeftOut(NAME, model, why))
            continue
        aside += [
            SetAside(NAME, model, field, why)
            for field, why in SET_ASIDE.items()
            if price(field, entry["pricing"].get(field, 0), 1) is not None
        ]
        listings.append(
            Listing(
                via=via,
                provider=NAME,
                names=exact,
                source=SOURCE,
                checked=newest,
                known_from=newest,
                periods=(Period(None, rows),),
            )
        )
    return PriceSet(listings, left_out, aside)


def _rows(entry: Entry, model: str) -> dict[When, Prices]:
    for name, value in entry.items():
        if "pric" in name and name != "pricing" and value:
            raise Unreadable(f"the field {name} is not understood")
    pricing = entry["pricing"]
    plain = {name: value for name, value in pricing.items() if name != "overrides"}
    if price("discount", plain.pop("discount", 0), 1) is not None:
        raise Unreadable("the field discount is not understood")
    rows: dict[When, Prices] = {STANDARD: _prices(plain, model)}
    for override in pricing.get("overrides") or ():
        other = sorted(override.keys() - {LENGTH, *METERS, *SET_ASIDE, "input_cache_write"})
        if LENGTH not in override or other:
            condition = other[0] if other else "without a length"
            raise Unreadable(f"an override by {condition} is not understood")
        changed = {name: value for name, value in override.items() if name != LENGTH}
        rows[(("prompt_tokens", int(override[LENGTH])),)] = _prices(changed, model)
    if not rows[STANDARD]:
        raise Unreadable("free or unknown: the list writes 0 for both")
    return stepped(rows)


def _prices(pricing: Entry, model: str) -> Prices:
    found = {}
    for name, value in pricing.items():
        if name == "input_cache_write":
            meter, count = write_meter(NAME, model), 1_000_000
        elif name in METERS:
            meter, count = METERS[name]
        elif name in SET_ASIDE:
            price(name, value, 1)
            continue
        else:
            raise Unreadable(f"the field pricing.{name} is not understood")
        amount = price(f"pricing.{name}", value, count)
        if amount is not None:
            found[key(meter)] = amount
    return found
