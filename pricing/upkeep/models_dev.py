"""Reads the price set of models.dev (MIT, Anomaly), its `api.json`: dollars per million tokens.

https://github.com/anomalyco/models.dev, `packages/core/src/schema.ts`
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
    states_a_number,
    stepped,
    write_meter,
)
from pricing.usage import Meter

# Providers of the set that we know by another name; those of other names are the same.
OURS: Mapping[str, str] = {
    "alibaba": "qwen",
    "amazon-bedrock": "bedrock",
    "fireworks-ai": "fireworks",
    "google": "gemini",
    "google-vertex": "vertex",
    "google-vertex-anthropic": "vertex",
    "moonshotai": "moonshot",
    "togetherai": "together",
}
METERS: Mapping[str, Meter] = {
    "input": Meter.INPUT,
    "output": Meter.OUTPUT,
    "reasoning": Meter.OUTPUT_REASONING,
    "cache_read": Meter.CACHE_READ,
    "input_audio": Meter.INPUT_AUDIO,
    "output_audio": Meter.OUTPUT_AUDIO,
}
# Fields of a model that are read, or that are no price and change none.
MODEL_FIELDS = frozenset(
    {
        *("id", "name", "description", "family", "attachment", "reasoning", "reasoning_options"),
        *("tool_call", "structured_output", "temperature", "interleaved", "open_weights"),
        *("knowledge", "release_date", "last_updated", "modalities", "limit", "status"),
        *("provider", "cost", "experimental"),
    }
)
# A legacy field that repeats the first of `tiers`, whose threshold may be above 200,000.
LEGACY_STEP = "context_over_200k"

Entry = Mapping[str, Any]


def read(providers: Mapping[str, Entry], newest: date, via: str = "models.dev") -> PriceSet:
    """What the set holds.  `newest` is the day it was taken, `via` its name and version."""
    listings: list[Listing] = []
    left_out: list[LeftOut] = []
    aside: list[SetAside] = []
    for name, provider in providers.items():
        ours = OURS.get(name, name)
        for model, entry in provider["models"].items():
            try:
                rows = _rows(entry, ours, model)
            except ODD_ENTRY as error:
                why = str(error) if isinstance(error, Unreadable) else "an entry of unknown shape"
                left_out.append(LeftOut(ours, model, why))
                continue
            modes = (entry.get("experimental") or {}).get("modes")
            if states_a_number(modes):
                why = "for a mode that has no term here: such calls stay unpriced"
                aside.append(SetAside(ours, model, "experimental.modes", why))
            listings.append(
                Listing(
                    via=via,
                    provider=ours,
                    names=(model,),
                    source=str(provider.get("doc") or "https://models.dev"),
                    checked=newest,
                    known_from=newest,
                    periods=(Period(None, rows),),
                )
            )
    return PriceSet(listings, left_out, aside)


def _rows(entry: Entry, ours: str, model: str) -> dict[When, Prices]:
    exact_name(model)
    if ours == "huggingface":
        raise Unreadable("the name does not say the host, which sets the price")
    for name, value in entry.items():
        if name not in MODEL_FIELDS and states_a_number(value):
            raise Unreadable(f"the field {name} is not understood")
    cost = entry.get("cost")
    if not cost:
        raise Unreadable("no price")
    if LEGACY_STEP in cost and not cost.get("tiers"):
        raise Unreadable(f"the field {LEGACY_STEP} does not say where the price rises")
    plain = {name: value for name, value in cost.items() if name not in ("tiers", LEGACY_STEP)}
    rows: dict[When, Prices] = {STANDARD: _prices(plain, ours, model)}
    for tier in cost.get("tiers", ()):
        bound = tier["tier"]
        if bound.get("type", "context") != "context" or bound.keys() - {"type", "size"}:
            raise Unreadable("the tiers are by something other than the prompt's length")
        changed = {name: value for name, value in tier.items() if name != "tier"}
        rows[(("prompt_tokens", int(bound["size"])),)] = _prices(changed, ours, model)
    if not rows[STANDARD]:
        raise Unreadable("free or unknown: the set writes 0 for both")
    return stepped(rows)


def _prices(cost: Entry, ours: str, model: str) -> Prices:
    found = {}
    for name, value in cost.items():
        meter = write_meter(ours, model) if name == "cache_write" else METERS.get(name)
        if meter is None:
            raise Unreadable(f"the field cost.{name} is not understood")
        amount = price(f"cost.{name}", value, 1)
        if amount is not None:
            found[key(meter)] = amount
    return found
