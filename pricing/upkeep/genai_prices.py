"""Reads the price set of genai-prices (MIT, Pydantic), its `data.json`."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from types import MappingProxyType

from pricing.upkeep.genai_figures import Entry, periods
from pricing.upkeep.listing import (
    ODD_ENTRY,
    LeftOut,
    Listing,
    PriceSet,
    SetAside,
    Unreadable,
    states_a_number,
)

# Providers of the set that we know by another name; those of other names are the same.
OURS: Mapping[str, str] = {
    "aws": "bedrock",
    "google": "gemini",
    "moonshotai": "moonshot",
    "voyageai": "voyage",
    "x-ai": "xai",
}
HUGGING_FACE = "huggingface_"  # and the host that the router passes the call to
# The set has kept the history of prices since its first releases in July 2025.
HISTORY = date(2025, 8, 1)
# Fields of a model that are read, or that are no price and change none.
MODEL_FIELDS = frozenset(
    {
        *("id", "name", "match", "description", "context_window", "deprecated"),
        *("prices", "price_comments", "price_variants", "prices_checked", "price_discrepancies"),
    }
)
# `regional.anthropic.claude-opus-5` stands for `us.`, `eu.`; an undated `-v1:0` for any end.
MADE_UP = re.compile(r"^regional\.|claude-(?!.*\d{8}).*-v1:0$")
BORROWED = re.compile("(?:Imported from|Seen on) OpenRouter")
DAY = re.compile(r"20\d\d-\d\d-\d\d")
RELEASED = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")  # in a model's name
# `^gpt-6-sol-\d{4}-\d{2}-\d{2}$` → `gpt-6-sol-20??-??-??`
DATED = (("\\d{4}-\\d{2}-\\d{2}", "20??-??-??"), ("\\d{8}", "20??????"))
PLAIN_NAME = re.compile(r"[\w./:@-]+(?:20\?\?-\?\?-\?\?|20\?{6})?")

Known = Mapping[str, Collection[str]]  # exact names by provider


def read(
    providers: Sequence[Entry],
    newest: date,
    known: Known = MappingProxyType({}),
    via: str = "genai-prices",
) -> PriceSet:
    """What the set holds.  `newest` is the day it was taken, `via` its name and version.

    The set finds models by likeness too.  Names that we know, by provider, are added to the first
    model that it would take them for.
    """
    listings: list[Listing] = []
    left_out: list[LeftOut] = []
    aside: list[SetAside] = []
    for provider in providers:
        found: set[tuple[str, str]] = set()
        for model in provider["models"]:
            ours = _provider(provider["id"], model["id"])
            try:
                alike = _alike(provider, model, ours, known) - found
                found |= alike
                if ours == "bedrock" and MADE_UP.search(model["id"]) and not known:
                    raise Unreadable("a name that the set made up for several models")
                why_aside: dict[str, str] = {}
                listing = _listing(ours, provider, model, newest, why_aside)
                if not listing.names and not known:
                    raise Unreadable("no exact name")
            except ODD_ENTRY as error:
                why = str(error) if isinstance(error, Unreadable) else "an entry of unknown shape"
                left_out.append(LeftOut(ours, model["id"], why))
                continue
            aside += [SetAside(ours, model["id"], *each) for each in why_aside.items()]
            listing = replace(listing, via=via)
            listings += _with_names(listing, alike) if known else [listing]
    return PriceSet(listings, left_out, aside)


def _alike(provider: Entry, model: Entry, ours: str, known: Known) -> set[tuple[str, str]]:
    others = {ours, *(("gemini", "vertex") if provider["id"] == "google" else ())}
    return {
        (other, name)
        for other in others
        for name in known.get(other, ())
        if _matches(model["match"], name)
    }


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


def _listing(
    ours: str, provider: Entry, model: Entry, newest: date, aside: dict[str, str]
) -> Listing:
    for name, value in model.items():
        if name not in MODEL_FIELDS and states_a_number(value):
            raise Unreadable(f"the field {name} is not understood")
    if "prices" not in model:
        raise Unreadable("no price")
    if ours != "openrouter" and BORROWED.search(model.get("price_comments", "")):
        raise Unreadable("a price taken from OpenRouter")
    host = provider["id"].removeprefix(HUGGING_FACE) if ours == "huggingface" else ""
    names = _names(model, host)
    found = periods(model, ours, newest, aside)
    said = f"{model.get('price_comments', '')} {provider.get('price_comments', '')}"
    days = [date.fromisoformat(day) for day in DAY.findall(said)]
    starts = [period.start for period in found if period.start is not None]
    checked = max((day for day in (*days, *starts) if day <= newest), default=newest)
    return Listing(
        via="",
        provider=ours,
        names=names,
        source=provider["pricing_urls"][-1 if ours == "vertex" else 0],  # Google's has both pages
        checked=checked,
        known_from=_known_from(names, starts, checked),
        periods=tuple(found),
    )


def _known_from(names: Sequence[str], starts: Sequence[date], checked: date) -> date:
    """The first day that the set's undated price is evidence for.

    The set dates every change, so a price without a date has held since its newest name was
    released, if that was within the set's history.  Where no name tells, the set shows it on the
    day it was checked, and one that changed later on the eve of that.
    """
    released = [day for name in names for day in _released(name)]
    eve = min([checked, *(start - timedelta(days=1) for start in starts)])
    return min(max(*released, HISTORY) if released else eve, eve)


def _released(name: str) -> Iterator[date]:
    for year, month, day in RELEASED.findall(name):
        try:
            yield date(int(year), int(month), int(day))
        except ValueError:
            continue


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
