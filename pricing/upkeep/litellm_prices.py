"""Reads LiteLLM's price set (MIT, BerriAI), its `model_prices_and_context_window.json`.

Figures are dollars a single unit in binary floats; the file is to be read with Decimal.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from pricing.upkeep import litellm_fields as fields
from pricing.upkeep.listing import (
    NO_STANDARD,
    ODD_ENTRY,
    STANDARD,
    LeftOut,
    ListedFactor,
    Listing,
    Period,
    Prices,
    PriceSet,
    SetAside,
    Unreadable,
    When,
    exact_name,
    grounded,
    key,
    price,
    states_a_number,
    stepped,
    write_meter,
)
from pricing.usage import Meter

# Its provider → ours, and what stands before the model's name.
PROVIDERS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("anthropic", ""),
    "azure": ("azure", "azure/"),
    "azure_ai": ("azure", "azure_ai/"),
    "bedrock": ("bedrock", ""),
    "bedrock_converse": ("bedrock", ""),
    "bedrock_mantle": ("bedrock", "bedrock_mantle/"),
    "cerebras": ("cerebras", "cerebras/"),
    "cohere": ("cohere", "cohere/"),
    "cohere_chat": ("cohere", ""),
    "dashscope": ("qwen", "dashscope/"),
    "deepinfra": ("deepinfra", "deepinfra/"),
    "deepseek": ("deepseek", "deepseek/"),
    "fireworks_ai": ("fireworks", "fireworks_ai/"),
    "gemini": ("gemini", "gemini/"),
    "groq": ("groq", "groq/"),
    "minimax": ("minimax", "minimax/"),
    "mistral": ("mistral", "mistral/"),
    "moonshot": ("moonshot", "moonshot/"),
    "openai": ("openai", ""),
    "perplexity": ("perplexity", "perplexity/"),
    "together_ai": ("together", "together_ai/"),
    "vertex_ai": ("vertex", "vertex_ai/"),
    "vertex_ai-anthropic_models": ("vertex", "vertex_ai/"),
    "vertex_ai-deepseek_models": ("vertex", "vertex_ai/"),
    "vertex_ai-embedding-models": ("vertex", "vertex_ai/"),
    "vertex_ai-language-models": ("vertex", "vertex_ai/"),
    "vertex_ai-llama_models": ("vertex", "vertex_ai/"),
    "vertex_ai-openai_models": ("vertex", "vertex_ai/"),
    "vertex_ai-qwen_models": ("vertex", "vertex_ai/"),
    "vertex_ai-zai_models": ("vertex", "vertex_ai/"),
    "voyage": ("voyage", "voyage/"),
    "xai": ("xai", "xai/"),
    "zai": ("zai", "zai/"),
}
# Names with a slash are models of these; of the others above it stands for a region or a size.
SLASHED = frozenset({"deepinfra", "fireworks", "groq", "perplexity", "together", "vertex"})
UNSLASHED = frozenset(ours for ours, _ in PROVIDERS.values()) - SLASHED
Entry = Mapping[str, Any]  # one model of the JSON


@dataclass(slots=True)
class _Read:
    """What was found in one entry."""

    provider: str
    model: str
    rows: dict[When, dict[tuple[str, Meter], Decimal]] = field(default_factory=dict)
    factors: list[ListedFactor] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)

    def add(self, when: When, meter: Meter, name: str, value: object, count: int) -> None:
        """A price, unless it is a zero that stands for "not sold" or "not known"."""
        amount = price(name, value, count)
        if amount is None:
            return
        if self.rows.setdefault(when, {}).setdefault(key(meter), amount) != amount:
            raise Unreadable(f"{name} contradicts another field")

    def set_aside(self, name: str, value: object, why: str) -> None:
        if states_a_number(value):
            self.aside.append(SetAside(self.provider, self.model, name, why))


def read(
    models: Mapping[str, Entry],
    newest: date,
    via: str = "litellm",
    others: Collection[str] = (),
) -> PriceSet:
    """What the set holds.  `newest` is the day it was taken, `via` its name and version.

    `others` are providers beside `PROVIDERS` to read, known here by the set's own names.
    """
    providers = {name: (name, f"{name}/") for name in others} | dict(PROVIDERS)
    listings: list[Listing] = []
    left_out: list[LeftOut] = []
    aside: list[SetAside] = []
    for name, entry in models.items():
        theirs = entry.get("litellm_provider") if isinstance(entry, Mapping) else None
        ours, prefix = providers.get(str(theirs), ("", ""))
        if not ours:
            continue
        model = name.removeprefix(prefix)
        if not name.startswith(prefix) and f"{prefix}{name}" in models:
            continue  # listed twice: the entry that is spelt for this provider is kept
        found = _Read(ours, model)
        try:
            _check_name(found, entry)
            _read_entry(found, entry)
            rows, loose = grounded(_whole(found.rows))
        except ODD_ENTRY as error:
            why = str(error) if isinstance(error, Unreadable) else "an entry of an unknown shape"
            left_out.append(LeftOut(ours, model, why))
            continue
        aside += found.aside
        aside += [SetAside(ours, model, meter, NO_STANDARD) for meter in loose]
        listings.append(
            Listing(
                via=via,
                provider=ours,
                names=(f"{model}:*" if model.startswith("ft:") else model,),
                source=entry.get("source", ""),
                checked=newest,
                known_from=newest,
                periods=(Period(None, rows),),
                factors=tuple(found.factors),
            )
        )
    agreed, contradicted = _one_each(listings)
    return PriceSet(agreed, [*left_out, *contradicted], aside)


def _check_name(found: _Read, entry: Entry) -> None:
    """Raises Unreadable where an entry's name does not say which call it is for."""
    ours, model = found.provider, exact_name(found.model)
    if "/" in model and ours in UNSLASHED:
        raise Unreadable("the name contains a region or a size")
    if ours == "bedrock" and ("@" in model or "." not in model.partition(":")[0]):
        raise Unreadable("another cloud's spelling")
    if entry["litellm_provider"] == "bedrock_mantle" and model.startswith("anthropic."):
        raise Unreadable("a price of one region, which the regional factor makes of the global one")


def _read_entry(found: _Read, entry: Entry) -> None:
    """Every field of an entry is a price, set aside by name, or harmless; else it is left out."""
    mode = entry.get("mode")
    for name, value in entry.items():
        if isinstance(value, bool) or value is None or fields.HARMLESS.fullmatch(name):
            continue
        if token := fields.TOKEN_FIELD.fullmatch(name):
            when = fields.terms(token["length"], token["tier"])
            found.add(when, _meter(found, token["base"]), name, value, 1_000_000)
        elif name == "input_cost_per_token_cache_hit":  # DeepSeek's word for a cache read
            found.add(STANDARD, Meter.CACHE_READ, name, value, 1_000_000)
        elif plain := _plain(name, mode):
            found.add(*plain[:2], name, value, plain[2])
        elif name == "tiered_pricing":
            _read_steps(found, value)
        elif name == "provider_specific_entry" or name.startswith("regional_"):
            _read_multipliers(found, name, value)
        elif why := fields.why_set_aside(name):
            found.set_aside(name, value, why)
        elif name == "off_peak_pricing":
            raise Unreadable("a price that depends on the time of day")
        elif value != 0:
            raise Unreadable(f"the field {name} is not understood")
    searches_always = found.provider == "perplexity" and "/" not in found.model  # Sonar
    if searches_always and "search_context_cost_per_query" in entry:
        raise Unreadable("search_context_cost_per_query is a fee on each request")


def _meter(found: _Read, base: str) -> Meter:
    if base == fields.CACHE_WRITE:
        return write_meter(found.provider, found.model)
    return fields.TOKEN_METERS[base]


def _plain(name: str, mode: object) -> tuple[When, Meter, int] | None:
    plain = name.removesuffix("_batches")
    wanted, meter, count = fields.PLAIN_FIELDS.get(plain, (None, Meter.REQUESTS, 0))
    if wanted is None or wanted not in ("", mode):
        return None
    return STANDARD if plain == name else fields.TIERS["batches"], meter, count


def _read_steps(found: _Read, steps: list[Entry]) -> None:
    for step in steps:
        if "range" not in step:
            raise Unreadable("tiered_pricing is by something other than the prompt's length")
        length = int(step["range"][0])
        when: When = (("prompt_tokens", length),) if length else STANDARD
        for name, value in step.items():
            token = fields.TOKEN_FIELD.fullmatch(name)
            if token and not token["tier"] and not token["length"]:
                found.add(when, _meter(found, token["base"]), name, value, 1_000_000)
            elif name != "range":
                raise Unreadable(f"the field tiered_pricing.{name} is not understood")


def _read_multipliers(found: _Read, name: str, value: Any) -> None:
    """Surcharges by place and speed, each for the provider that it is documented for."""
    ours = found.provider
    if name == "provider_specific_entry":
        for kind, amount in value.items():
            if fields.HARMLESS_SPECIFIC.fullmatch(kind):
                continue
            if ours == "bedrock" and kind == "us":
                found.set_aside(f"{name}.us", amount, "regional profiles have their own price")
                continue
            term = {"us": "inference_geo", "fast": "speed"}.get(kind, "")
            if ours != "anthropic" or not term:
                raise Unreadable(f"the field {name}.{kind} is not understood")
            label = "inference_geo_us" if kind == "us" else kind
            found.factors.append(ListedFactor(label, _multiplier(kind, amount), term, kind))
    elif name == "regional_endpoint_uplift_multiplier" and ours == "vertex":
        amount = _multiplier(name, value)
        found.factors.append(ListedFactor("regional", amount, "region", "global", other=True))
    elif (place := re.fullmatch(r"regional_processing_uplift_multiplier_(eu|us)", name)) and (
        ours == "openai"
    ):
        amount = _multiplier(name, value)
        found.factors.append(ListedFactor("regional", amount, "region", place[1]))
    else:
        raise Unreadable(f"the field {name} is not understood")


def _multiplier(name: str, value: object) -> Decimal:
    amount = price(name, value, 1)
    if amount is None or amount < 1:
        raise Unreadable(f"{name} is not a surcharge")
    return amount


def _whole(rows: Mapping[When, Prices]) -> dict[When, Prices]:
    if not rows.get(STANDARD):
        raise Unreadable("no price for any of our meters")
    whole = stepped(rows)
    reasoning, output = key(Meter.OUTPUT_REASONING), key(Meter.OUTPUT)
    for when, prices in whole.items():  # reasoning is output unless it has a price of its own
        if prices.get(reasoning) == prices.get(output):
            whole[when] = {item: each for item, each in prices.items() if item != reasoning}
    return whole


def _one_each(listings: list[Listing]) -> tuple[list[Listing], list[LeftOut]]:
    """One listing for each name, without the prices on which two entries of the set disagree.

    LiteLLM has two for what one cloud sells through two doors.
    """
    found: dict[tuple[str, str], Listing] = {}
    left_out = []
    for each in listings:
        name = each.provider, each.names[0]
        first = found.setdefault(name, each)
        if first is each:
            continue
        ours, theirs = first.periods[0].rows, each.periods[0].rows
        rows = {
            when: {**theirs.get(when, {}), **ours.get(when, {})}
            for when in (*ours, *theirs)
            if not _differ(ours.get(when, {}), theirs.get(when, {}))
        }
        found[name] = replace(
            first,
            source=first.source or each.source,
            periods=(Period(None, rows),),
            factors=first.factors or each.factors,
        )
        if STANDARD not in rows:
            left_out.append(LeftOut(*name, "two entries of the set contradict each other"))
    return [each for each in found.values() if each.periods[0].base], left_out


def _differ(first: Prices, second: Prices) -> bool:
    return any(second.get(item, amount) != amount for item, amount in first.items())
