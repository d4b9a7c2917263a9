"""Suggests priced names near an unpriced one, for a person to choose from; none of them prices it.

A served model of an unknown date or suffix is named after one that the book knows.  Likeness finds
a suggestion and never a price: see `pricing.book`.
"""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache

from pricing.book import TariffBook

SUGGESTED_MAX = 5
ALIKE = 0.85  # share of two names that must agree for a suggestion; 1 is the same name
NAME_MAX = 200  # letters compared; a caller chooses the name, and comparing takes their square
WILD = re.compile(r"[*?\[]")
# What marks a snapshot or a route of a model: a date, a version of a cloud, a variant after `:`.
SUFFIX = re.compile(
    r"[-@:._](20\d\d-?[01]\d-?[0-3]\d|\d{4,6}|v\d+(:\d+)?|latest|preview|exp|free)$"
)


def near_names(book: TariffBook, provider: str, model: str, most: int = SUGGESTED_MAX) -> list[str]:
    """The most similar `provider/name`s that have a price; those of `provider` come first.

    A name that has a price itself is its own and only suggestion.
    """
    if book.knows(provider, model):
        return [f"{provider}/{model}"]
    wanted = model[:NAME_MAX].lower()
    found: dict[str, tuple[bool, float, str]] = {}
    for other, name in _names(book):
        alike = _likeness(wanted, name.lower())
        if alike >= ALIKE:
            full = f"{other}/{name}"
            found[full] = (other != provider, -alike, full)
    return sorted(found, key=found.__getitem__)[:most]


def _names(book: TariffBook) -> Iterable[tuple[str, str]]:
    """Each provider and exact name."""
    return dict.fromkeys(
        (tariff.provider, name)
        for tariff in book.tariffs
        for name in tariff.names
        if not WILD.search(name)
    )


def _likeness(wanted: str, name: str) -> float:
    """1 for the same model by another date or suffix, else the share of letters that agree."""
    if _stem(wanted) == _stem(name):
        return 1.0
    matcher = SequenceMatcher(None, wanted, name, autojunk=False)
    if matcher.real_quick_ratio() < ALIKE or matcher.quick_ratio() < ALIKE:
        return 0.0
    return matcher.ratio()


@lru_cache(maxsize=8_192)  # the names of a book, and of callers who choose theirs
def _stem(name: str) -> str:
    """A name without what marks its snapshot, its route or its maker."""
    stem = name.rpartition("/")[2]
    while (shorter := SUFFIX.sub("", stem)) != stem:
        stem = shorter
    return stem
