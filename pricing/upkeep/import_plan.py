"""Plans the import of a public price set into the user's tariff files: what changes, and how.

Pure: texts and values in, texts and values out.  A file that this makes ends in `-imported.toml`
and is only ever appended to; prices in files of other names came by hand, and are kept.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase

from pricing.book import TariffBook
from pricing.upkeep import bedrock, price_sets
from pricing.upkeep.listing import LeftOut, Listing, SetAside
from pricing.upkeep.tariff_file import IMPORTED, blocks, text
from pricing.upkeep.updates import Updates, by_provider, updates

HEAD = """\
# {provider}: prices that `taximeter tariffs import` took from public price sets, and appends to.
# Put prices of your own into a file of another name: imports leave those alone.

provider = {name}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which models of a set to take."""

    providers: Collection[str]  # ours: of the book, and of the configuration
    only: Sequence[str] = ()  # patterns of provider/model; none: all
    override: bool = False  # also where the price came by hand or from another set

    def takes(self, provider: str, name: str) -> bool:
        """Whether a model is wanted."""
        full = f"{provider}/{name}"
        return provider in self.providers and (
            not self.only or any(fnmatchcase(full, pattern) for pattern in self.only)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an import would do."""

    set_name: str
    found: Updates
    left_out: Sequence[LeftOut]  # models that are wanted and not understood
    set_aside: Sequence[SetAside]  # prices that no tariff takes
    elsewhere: Mapping[str, int]  # models of providers that are not wanted
    files: Mapping[str, str]  # the texts to write, by file name


def plan(
    document: object,
    *,
    book: TariffBook,
    files: Mapping[str, str],
    wanted: Wanted,
    day: date,
    origin: str,
    surcharge: bedrock.Surcharge,
) -> Plan:
    """What importing a decoded document changes in `book`.

    `files` are the texts of the directory that it would be written to, `origin` is where the
    document was read.  Raises ValueError for a document that is not a price set.
    """
    name = price_sets.name_of(document)
    contents = price_sets.read(document, day, f"{name} {day} {origin}", wanted.providers)
    left_out = list(contents.left_out)
    listings = bedrock.grouped(contents.listings, surcharge, day, left_out)
    elsewhere: Counter[str] = Counter()
    cited = (replace(each, source=each.source or origin) for each in listings)
    found = updates(book, _wanted(cited, wanted, elsewhere), day, override=wanted.override)
    return Plan(
        set_name=name,
        found=found,
        left_out=[
            *(each for each in left_out if wanted.takes(each.provider, each.model)),
            *found.left_out,
        ],
        set_aside=[each for each in contents.set_aside if wanted.takes(each.provider, each.model)],
        elsewhere=elsewhere,
        files=_texts(files, found.listings),
    )


def _wanted(
    listings: Iterable[Listing], wanted: Wanted, elsewhere: Counter[str]
) -> Iterator[Listing]:
    for listing in listings:
        if listing.provider not in wanted.providers:
            elsewhere[listing.provider] += 1
            continue
        names = tuple(name for name in listing.names if wanted.takes(listing.provider, name))
        if names:
            yield replace(listing, names=names)


def _texts(files: Mapping[str, str], listings: Sequence[Listing]) -> dict[str, str]:
    """The files that change, whole, each with its new tariffs at the end."""
    changed = {}
    for provider, found in by_provider(listings).items():
        name = f"{provider}{IMPORTED}"
        before = files.get(name) or HEAD.format(provider=provider, name=text(provider))
        more = "\n".join(block for each in found for block in blocks(each))
        changed[name] = f"{before.rstrip()}\n\n{more}"
    return changed
