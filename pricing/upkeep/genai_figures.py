"""The figures of a model of genai-prices: its periods, its prices by length, and its variants."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from pricing.upkeep.listing import (
    INCLUSIVE,
    NO_STANDARD,
    STANDARD,
    Period,
    Prices,
    Unreadable,
    When,
    grounded,
    key,
    price,
    write_meter,
)
from pricing.usage import Meter

# Its records of changes at OpenRouter begin here: what a model cost before is not known.
OPENROUTER_RECORDS = date(2026, 10, 19)
METERS: Mapping[str, Meter] = {
    "input_mtok": Meter.INPUT,
    "cache_read_mtok": Meter.CACHE_READ,
    "cache_write_1h_mtok": Meter.CACHE_WRITE_1H,
    "output_mtok": Meter.OUTPUT,
    "output_reasoning_mtok": Meter.OUTPUT_REASONING,
    "output_citation_mtok": Meter.CITATION_TOKENS,
    "input_audio_mtok": Meter.INPUT_AUDIO,
    "cache_audio_read_mtok": Meter.CACHE_READ_AUDIO,
    "output_audio_mtok": Meter.OUTPUT_AUDIO,
    "input_image_mtok": Meter.INPUT_IMAGE,
    "cache_image_read_mtok": Meter.CACHE_READ_IMAGE,
    "output_image_mtok": Meter.OUTPUT_IMAGE,
    "input_video_mtok": Meter.INPUT_VIDEO,
    "output_video_mtok": Meter.OUTPUT_VIDEO,
    "audio_hours": Meter.AUDIO_SECONDS,
    "input_audio_hours": Meter.AUDIO_SECONDS,
    "input_document_kpages": Meter.PAGES,
    "input_annotated_document_kpages": Meter.PAGES_ANNOTATED,
    "input_mchars": Meter.CHARACTERS,
    "requests_kcount": Meter.REQUESTS,
}
# What we do not take of a model that is listed, and why its other prices are right without it.
SET_ASIDE: Mapping[str, str] = {
    "web_searches_kcount": "a fee of a tool: it stands once for all models of the provider",
    "storage_searches_kcount": "a fee of a tool: it stands once for all models of the provider",
}
TERMS = frozenset({"processing", "service_tier", "speed"})
NO_VARIANT: When = (("service_tier", "default"),)  # the standard price by another name

Entry = Mapping[str, Any]  # a part of the JSON
Variants = dict[When, dict[When, Prices]]
Aside = dict[str, str]  # field → why


def periods(model: Entry, ours: str, newest: date, aside: Aside) -> list[Period]:
    """The periods of a model in order of time, with the variants known on the day `newest`.

    Prices that are not taken are noted in `aside`.  Raises Unreadable.
    """
    listed = model["prices"]
    found = []
    for item in listed if isinstance(listed, list) else [{"prices": listed}]:
        constraint = item.get("constraint") or {}
        if constraint.get("type") not in (None, "StartDateConstraint"):
            raise Unreadable("a price that depends on the time of day")
        start = constraint.get("start_date")
        found.append(
            Period(
                date.fromisoformat(start) if start else None,
                _rows(item["prices"], ours, model["id"], aside),
            )
        )
    found = [period for period in found if period.rows]
    if not found:
        raise Unreadable("no price for any of our meters")
    found.sort(key=lambda period: period.start or date.min)
    if ours == "openrouter":
        found = _recorded(found)
    variants = _variants(model, ours, newest, aside)
    if variants:  # what was read lately belongs to the prices of that time
        rows, loose = grounded(_with_variants(found[-1].rows, variants))
        found[-1] = replace(found[-1], rows=rows)
        aside.update(dict.fromkeys(loose, NO_STANDARD))
    return found


def _recorded(found: Sequence[Period]) -> list[Period]:
    """Only the prices that were recorded while they were in force."""
    kept: list[Period] = []
    for period in found:
        start = max(period.start or OPENROUTER_RECORDS, OPENROUTER_RECORDS)
        kept = [*(other for other in kept if other.start != start), replace(period, start=start)]
    return kept


def _rows(prices: Entry, ours: str, model: str, aside: Aside) -> dict[When, Prices]:
    """The standard prices, and those of each prompt length, each row complete."""
    base: dict[tuple[str, Meter], Decimal] = {}
    steps: dict[int, dict[tuple[str, Meter], Decimal]] = {}
    for name, value in prices.items():
        if name in SET_ASIDE:
            aside[name] = SET_ASIDE[name]
            continue
        meter = write_meter(ours, model) if name == "cache_write_mtok" else METERS.get(name)
        if meter is None:
            raise Unreadable(f"the field {name} is not understood")
        item = key(meter)
        if not isinstance(value, Mapping):
            base[item] = _figure(name, value)
            continue
        if value.keys() - {"type", "base", "tiers"}:
            raise Unreadable(f"the tiers of {name} are not understood")
        base[item] = _figure(name, value["base"])
        for tier in value["tiers"]:
            if tier.keys() - {"type", "start", "price"}:
                raise Unreadable(f"the tiers of {name} are not understood")
            start = tier["start"] + (ours in INCLUSIVE and tier["start"] % 1_000 == 999)
            steps.setdefault(start, {})[item] = _figure(name, tier["price"])
    rows: dict[When, Prices] = {STANDARD: base} if base else {}
    before = base
    for start, changed in sorted(steps.items()):
        before = rows[(("prompt_tokens", start),)] = {**before, **changed}
    return rows


def _figure(name: str, value: object) -> Decimal:
    """A price; this set writes a zero only where something is free."""
    return price(name, value, 1) or Decimal(0)


def _variants(model: Entry, ours: str, newest: date, aside: Aside) -> Variants:
    """The last known rows of each variant by its condition; one without prices ends it."""
    found: Variants = {}
    listed = sorted(
        model.get("price_variants") or (),
        key=lambda item: (item.get("constraint") or {}).get("start_date", ""),
    )
    for variant in listed:
        constraint = variant.get("constraint") or {}
        when: When = tuple(sorted(variant["when"].items()))
        condition = ", ".join(f"{term} {value}" for term, value in when)
        if constraint.get("type") not in (None, "StartDateConstraint"):
            raise Unreadable(f"the prices of {condition} depend on the time of day")
        if when == NO_VARIANT or constraint.get("start_date", "") > newest.isoformat():
            continue
        if not TERMS.issuperset(term for term, _ in when):
            if variant.get("prices"):
                aside[condition] = "for a condition that has no term here"
            continue
        rows = _rows(variant.get("prices") or {}, ours, model["id"], aside)
        if rows:
            found[when] = rows
        else:
            found.pop(when, None)
    return found


def _with_variants(rows: Mapping[When, Prices], variants: Variants) -> dict[When, Prices]:
    """Each variant at each prompt length; a meter that it omits keeps its standard price."""
    found = dict(rows)
    lengths = {when for when in rows if when} | {
        when for variant in variants.values() for when in variant if when
    }
    for terms, variant in variants.items():
        for length in (STANDARD, *sorted(lengths)):
            plain = {**rows[STANDARD], **rows.get(length, {})}
            own = {**variant[STANDARD], **variant.get(length, {})}
            found[tuple(sorted((*terms, *length)))] = {**plain, **own}
    return found
