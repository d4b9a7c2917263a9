"""Reads the price set of genai-prices (MIT, Pydantic), its `data.json`."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pricing import Meter
from pricing.upkeep.listing import (
    INCLUSIVE,
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

VIA = "genai-prices 0.2.3"
# Providers of the set that we know by another name; those of other names are the same.
OURS: Mapping[str, str] = {
    "aws": "bedrock",
    "google": "gemini",
    "moonshotai": "moonshot",
    "voyageai": "voyage",
    "x-ai": "xai",
}
HUGGING_FACE = "huggingface_"  # and the host that the router passes the call to
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
    "audio_hours": Meter.AUDIO_SECONDS,
    "input_audio_hours": Meter.AUDIO_SECONDS,
    "input_document_kpages": Meter.PAGES,
    "input_annotated_document_kpages": Meter.PAGES_ANNOTATED,
    "input_mchars": Meter.CHARACTERS,
    "requests_kcount": Meter.REQUESTS,
}
# Fees that stand once for a whole provider in our book, or that no response tells.
ELSEWHERE = frozenset({"web_searches_kcount", "storage_searches_kcount"})
TERMS = ("processing", "service_tier", "speed")
# `regional.anthropic.claude-opus-5` stands for `us.`, `eu.`; an undated `-v1:0` for any end.
MADE_UP = re.compile(r"^regional\.|claude-(?!.*\d{8}).*-v1:0$")
BORROWED = re.compile("(?:Imported from|Seen on) OpenRouter")
DAY = re.compile(r"20\d\d-\d\d-\d\d")
# `^gpt-6-sol-\d{4}-\d{2}-\d{2}$` → `gpt-6-sol-20??-??-??`
DATED = (("\\d{4}-\\d{2}-\\d{2}", "20??-??-??"), ("\\d{8}", "20??????"))
PLAIN_NAME = re.compile(r"[\w./:@-]+(?:20\?\?-\?\?-\?\?|20\?{6})?")

Entry = Mapping[str, Any]  # a part of the JSON
Known = Mapping[str, Collection[str]]  # exact names by provider


class Unreadable(ValueError):
    """A price that our tariffs cannot express."""


def read(
    providers: Sequence[Entry], newest: date, known: Known = MappingProxyType({})
) -> tuple[list[Listing], list[LeftOut]]:
    """The listings of the set, and what was left out.  `newest` is the day the set was taken.

    The set finds models by likeness too.  Names that we know, by provider, are added to the first
    model that it would take them for.
    """
    listings: list[Listing] = []
    left_out: list[LeftOut] = []
    for provider in providers:
        found: set[tuple[str, str]] = set()
        for model in provider["models"]:
            ours = _provider(provider["id"], model["id"])
            alike = {
                (other, name)
                for other in {ours, *(("gemini", "vertex") if provider["id"] == "google" else ())}
                for name in known.get(other, ())
                if (other, name) not in found and _matches(model["match"], name)
            }
            found |= alike
            try:
                if ours == "bedrock" and MADE_UP.search(model["id"]) and not known:
                    raise Unreadable("the set's own name for several of the provider's")
                listing = _listing(ours, provider, model, newest)
                if not listing.names and not known:
                    raise Unreadable("no certain name")
            except Unreadable as error:
                left_out.append(LeftOut(ours, model["id"], str(error)))
                continue
            listings += _with_names(listing, alike) if known else [listing]
    return listings, left_out


def _with_names(listing: Listing, alike: Iterable[tuple[str, str]]) -> Iterator[Listing]:
    """The listing under the names that we know, for each of our providers that it is of."""
    by_provider: dict[str, list[str]] = {}
    for provider, name in sorted(alike):
        by_provider.setdefault(provider, []).append(name)
    if listing.provider == "huggingface":  # its names bear their host
        yield listing
    for provider, names in by_provider.items():
        yield replace(listing, provider=provider, names=tuple(names))


def _provider(name: str, model: str) -> str:
    if name.startswith(HUGGING_FACE):
        return "huggingface"
    if name == "google" and (model.startswith("claude") or model.endswith("-maas")):
        return "vertex"
    return OURS.get(name, name)


def _listing(ours: str, provider: Entry, model: Entry, newest: date) -> Listing:
    if "prices" not in model:
        raise Unreadable("no price")
    if ours != "openrouter" and BORROWED.search(model.get("price_comments", "")):
        raise Unreadable("a price of OpenRouter's")
    host = provider["id"].removeprefix(HUGGING_FACE) if ours == "huggingface" else ""
    names = _names(model, host)
    periods = _periods(model, ours)
    if ours == "openrouter":
        periods = _recorded(periods)
    variants = _variants(model, ours)
    if variants:  # what was read lately belongs to the prices of that time
        periods[-1] = replace(periods[-1], rows=_with_variants(periods[-1].rows, variants))
    said = f"{model.get('price_comments', '')} {provider.get('price_comments', '')}"
    days = [date.fromisoformat(day) for day in DAY.findall(said)]
    starts = [period.start for period in periods if period.start is not None]
    days = [day for day in (*days, *starts) if day <= newest]
    return Listing(
        via=VIA,
        provider=ours,
        names=names,
        source=provider["pricing_urls"][-1 if ours == "vertex" else 0],  # Google's has both pages
        checked=max(days, default=newest),
        periods=tuple(periods),
    )


def _names(model: Entry, host: str) -> tuple[str, ...]:
    """The names that the set is sure of; what merely contains a word is not one."""
    own = [model["id"]] if _matches(model["match"], model["id"]) else []
    found = dict.fromkeys([*own, *_certain(model["match"])])  # a mere beginning is none
    names = tuple(name for name in found if PLAIN_NAME.fullmatch(name))
    return tuple(f"{name}:{host}" for name in names) if host else names


def _matches(clause: Entry, name: str) -> bool:
    """Whether the set itself takes a name for this model, whatever its case."""
    name = name.lower()
    said = {kind: str(value).lower() for kind, value in clause.items() if kind != "regex"}
    return (
        any(_matches(inner, name) for inner in clause.get("or_", ()))
        or (bool(clause.get("and_")) and all(_matches(inner, name) for inner in clause["and_"]))
        or name == said.get("equals")
        or ("starts_with" in said and name.startswith(said["starts_with"]))
        or ("contains" in said and said["contains"] in name)
        or ("ends_with" in said and name.endswith(said["ends_with"]))
        or ("regex" in clause and re.search(clause["regex"], name) is not None)
    )


def _certain(clause: Entry) -> Iterator[str]:
    for inner in clause.get("or_", ()):
        yield from _certain(inner)
    if "equals" in clause:
        yield clause["equals"]
    pattern = clause.get("regex", "")
    for digits, marks in DATED:
        name = pattern.removeprefix("^").removesuffix("$").replace(digits, marks)
        if name != pattern and name.endswith(marks):
            yield name.replace("\\.", ".")


def _periods(model: Entry, ours: str) -> list[Period]:
    listed = model["prices"]
    if not isinstance(listed, list):
        listed = [{"prices": listed}]
    periods = []
    for item in listed:
        constraint = item.get("constraint") or {}
        if constraint.get("type") not in (None, "StartDateConstraint"):
            raise Unreadable("a price by the hour of the day")
        start = constraint.get("start_date")
        rows = _rows(item["prices"], ours, model["id"])
        periods.append(Period(date.fromisoformat(start) if start else None, rows))
    if not any(period.rows for period in periods):
        raise Unreadable("no price that we have a meter for")
    periods.sort(key=lambda period: period.start or date.min)
    return [period for period in periods if period.rows]


def _recorded(periods: Sequence[Period]) -> list[Period]:
    """Only what was recorded while it held."""
    kept: list[Period] = []
    for period in periods:
        start = max(period.start or OPENROUTER_RECORDS, OPENROUTER_RECORDS)
        kept = [*(other for other in kept if other.start != start), replace(period, start=start)]
    return kept


def _rows(prices: Entry, ours: str, model: str) -> dict[When, Prices]:
    """The standard prices, and those of each prompt length, each row complete."""
    write = write_meter(ours, model)
    base: dict[tuple[str, Meter], Decimal] = {}
    steps: dict[int, dict[tuple[str, Meter], Decimal]] = {}
    for name, value in prices.items():
        if name in ELSEWHERE:
            continue
        meter = write if name == "cache_write_mtok" else METERS.get(name)
        if meter is None:
            raise Unreadable(f"no meter for {name}")
        item = key(meter)
        if isinstance(value, Mapping):
            base[item] = figure(Decimal(value["base"]))
            for tier in value["tiers"]:
                start = tier["start"] + (ours in INCLUSIVE and tier["start"] % 1_000 == 999)
                steps.setdefault(start, {})[item] = figure(Decimal(tier["price"]))
        else:
            base[item] = figure(Decimal(value))
    rows: dict[When, Prices] = {STANDARD: base} if base else {}
    before = base
    for start, changed in sorted(steps.items()):
        before = rows[(("prompt_tokens", start),)] = {**before, **changed}
    return rows


def _variants(model: Entry, ours: str) -> dict[When, dict[When, Prices]]:
    """The last known rows of each variant by its condition."""
    found: dict[When, dict[When, Prices]] = {}
    listed = sorted(
        model.get("price_variants") or (),
        key=lambda item: (item.get("constraint") or {}).get("start_date", ""),
    )
    for variant in listed:
        if "prices" not in variant:
            continue
        when: When = tuple(sorted(variant["when"].items()))
        if any(term not in TERMS for term, _ in when):
            continue
        constraint = variant.get("constraint") or {}
        if constraint.get("start_date", "") > "2026-11-23":
            continue
        found[when] = _rows(variant["prices"], ours, model["id"])
    return found


def _with_variants(
    rows: Mapping[When, Prices], variants: Mapping[When, Mapping[When, Prices]]
) -> dict[When, Prices]:
    """Each variant at each prompt length; what a variant does not name costs what it does else."""
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
