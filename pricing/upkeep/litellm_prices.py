"""Reads LiteLLM's price set (MIT, BerriAI), its `model_prices_and_context_window.json`.

Figures are dollars a single unit in binary floats; the file is to be read with Decimal.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from pricing import Meter
from pricing.upkeep.listing import (
    STANDARD,
    LeftOut,
    Listing,
    Period,
    Prices,
    When,
    figure,
    key,
    write_meter,
)

VIA = "litellm 1.109.1"
# Its provider → ours, and what stands before the model's name.
PROVIDERS: Mapping[str, tuple[str, str]] = {
    "anthropic": ("anthropic", ""),
    "azure": ("azure", "azure/"),
    "bedrock": ("bedrock", ""),
    "bedrock_converse": ("bedrock", ""),
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
    "vertex_ai-embedding-models": ("vertex", ""),
    "vertex_ai-language-models": ("vertex", ""),
    "voyage": ("voyage", "voyage/"),
    "xai": ("xai", "xai/"),
    "zai": ("zai", "zai/"),
}
# Names with a slash are models of these; elsewhere it stands for a region or a size.
SLASHED = frozenset({"deepinfra", "fireworks", "groq", "perplexity", "together"})
# Bedrock's regional profiles of a model: `us.anthropic.claude-opus-5`.
PROFILE = re.compile(r"(us|eu|au|jp|apac|ca|us-gov|global)\..+")
TOKEN_FIELD = re.compile(
    r"(?P<meter>input_cost_per_token|output_cost_per_token|cache_read_input_token_cost"
    r"|explicit_cache_read_input_token_cost"
    r"|cache_creation_input_token_cost(?:_above_(?:1hr|12hr))?"
    r"|(?:input|output)_cost_per_(?:audio|image|video|reasoning)_token"
    r"|cache_read_input_(?:audio|image)_token_cost)"
    r"(?:_above_(?P<length>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority|ultrafast))?"
)
METERS: Mapping[str, Meter] = {
    "input_cost_per_token": Meter.INPUT,
    "output_cost_per_token": Meter.OUTPUT,
    "cache_read_input_token_cost": Meter.CACHE_READ,
    "explicit_cache_read_input_token_cost": Meter.CACHE_READ_EXPLICIT,
    "cache_creation_input_token_cost_above_1hr": Meter.CACHE_WRITE_1H,
    "cache_creation_input_token_cost_above_12hr": Meter.CACHE_WRITE_12H,
    "input_cost_per_audio_token": Meter.INPUT_AUDIO,
    "input_cost_per_image_token": Meter.INPUT_IMAGE,
    "input_cost_per_video_token": Meter.INPUT_VIDEO,
    "output_cost_per_audio_token": Meter.OUTPUT_AUDIO,
    "output_cost_per_image_token": Meter.OUTPUT_IMAGE,
    "output_cost_per_reasoning_token": Meter.OUTPUT_REASONING,
    "cache_read_input_audio_token_cost": Meter.CACHE_READ_AUDIO,
    "cache_read_input_image_token_cost": Meter.CACHE_READ_IMAGE,
}
PLAIN_FIELDS: Mapping[str, tuple[str, Meter, int]] = {  # field → mode, meter, units that we price
    "input_cost_per_second": ("audio_transcription", Meter.AUDIO_SECONDS, 3_600),
    "input_cost_per_character": ("audio_speech", Meter.CHARACTERS, 1_000_000),
    "input_cost_per_query": ("rerank", Meter.SEARCH_UNITS, 1_000),
    "ocr_cost_per_page": ("ocr", Meter.PAGES, 1_000),
    "annotation_cost_per_page": ("ocr", Meter.PAGES_ANNOTATED, 1_000),
    "output_cost_per_image": ("image_generation", Meter.IMAGES, 1_000),
}
TIERS: Mapping[str, When] = {
    "batches": (("processing", "batch"),),
    "flex": (("service_tier", "flex"),),
    "priority": (("service_tier", "priority"),),
    "ultrafast": (("service_tier", "ultrafast"),),
}
Entry = Mapping[str, Any]  # one model of the JSON


def read(models: Mapping[str, Entry], newest: date) -> tuple[list[Listing], list[LeftOut]]:
    """The listings of the set, and what was left out.  `newest` is the day the set was taken."""
    listings, left_out = [], []
    for name, entry in models.items():
        ours, prefix = PROVIDERS.get(entry.get("litellm_provider", ""), ("", ""))
        if not ours:
            continue
        model = name.removeprefix(prefix)
        if not name.startswith(prefix) and f"{prefix}{name}" in models:
            continue  # listed twice: the entry that is spelt for this provider is kept
        why = _unsure(ours, model, entry)
        rows = {} if why else _rows(entry, ours, model)
        if not rows:
            left_out.append(LeftOut(ours, model, why or "no price that we have a meter for"))
            continue
        listings.append(
            Listing(
                via=VIA,
                provider=ours,
                names=(f"{model}:*" if model.startswith("ft:") else model,),
                source=entry.get("source", ""),
                checked=newest,
                periods=(Period(None, rows),),
            )
        )
    return listings, left_out


def _unsure(ours: str, model: str, entry: Entry) -> str:
    """Why an entry's name or price does not say which call it is for."""
    if "/" in model and ours not in SLASHED:
        return "the name holds a region or a size"
    if ours == "bedrock" and ("@" in model or "." not in model.partition(":")[0]):
        return "another cloud's spelling"
    if "off_peak_pricing" in entry:
        return "a price by the hour of the day"
    return ""


def _rows(entry: Entry, ours: str, model: str) -> dict[When, Prices]:
    rows: dict[When, dict[tuple[str, Meter], Decimal]] = {}
    for when, meter, price in _figures(entry, ours, model):
        rows.setdefault(when, {})[key(meter)] = price
    for when, prices in rows.items():  # a step names what changes
        if dict(when).get("prompt_tokens"):
            shorter = tuple(clause for clause in when if clause[0] != "prompt_tokens")
            rows[when] = {**rows.get(shorter, {}), **prices}
    base = rows.get(STANDARD, {})
    if not any(base.values()):
        return {}
    for prices in rows.values():  # reasoning is output unless it has a price of its own
        if prices.get(key(Meter.OUTPUT_REASONING)) == prices.get(key(Meter.OUTPUT)):
            prices.pop(key(Meter.OUTPUT_REASONING), None)
    return dict(rows)


def _figures(entry: Entry, ours: str, model: str) -> Iterator[tuple[When, Meter, Decimal]]:
    for name, value in entry.items():
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            continue
        if found := TOKEN_FIELD.fullmatch(name):
            meter = METERS.get(found["meter"]) or write_meter(ours, model)
            yield from _figure(_when(found["length"], found["tier"]), meter, value, 1_000_000)
        elif (plain := name.removesuffix("_batches")) in PLAIN_FIELDS:
            mode, meter, count = PLAIN_FIELDS[plain]
            if entry.get("mode") == mode:
                when = STANDARD if plain == name else TIERS["batches"]
                yield from _figure(when, meter, value, count)
    for step in entry.get("tiered_pricing", ()):
        length = int(step["range"][0])
        when = (("prompt_tokens", length),) if length else STANDARD
        for name, value in step.items():
            if (found := TOKEN_FIELD.fullmatch(name)) and not found["tier"]:
                meter = METERS.get(found["meter"]) or write_meter(ours, model)
                yield from _figure(when, meter, value, 1_000_000)


def _figure(
    when: When, meter: Meter, value: int | Decimal, count: int
) -> Iterator[tuple[When, Meter, Decimal]]:
    """A price, unless it is a zero that stands for "not sold" or "not known"."""
    price = figure(Decimal(value) * count)
    if price:
        yield when, meter, price


def _when(length: str | None, tier: str | None) -> When:
    terms = TIERS[tier] if tier else STANDARD
    size: When = (("prompt_tokens", int(length) * 1_000),) if length else STANDARD
    return tuple(sorted((*terms, *size)))
