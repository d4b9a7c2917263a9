"""`taximeter tariffs check`: ages of prices, upcoming changes, and differing public price sets.

Files that do not load are reported before this runs; what it prints is for people to judge.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pricing import Tariff, TariffBook, published
from pricing.book import SHIPPED
from pricing.sheet.checks import by_start
from pricing.upkeep.review import reviewed
from proxy.commands import terminal
from proxy.commands.terminal import Column, Exit

SOON = timedelta(days=45)  # changes within this time are shown

PROVIDERS = (
    Column("provider", "provider"),
    Column("models", "models", number=True),
    Column("through_sets", "through sets", number=True),
    Column("without_history", "without history", number=True),
    Column("oldest", "oldest check"),
    Column("newest", "newest check"),
    Column("age_days", "age, days", number=True),
)
CHANGES = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("at", "at"),
    Column("what", "what"),
)
ANNOUNCED = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("from", "from"),
    Column("announced", "announced"),
    Column("note", "note"),
    Column("file", "file"),
)
DIFFERENCES = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("meter", "meter"),
    Column("when", "when"),
    Column("ours", "ours", number=True),
    Column("genai", "genai-prices", number=True),
    Column("litellm", "LiteLLM", number=True),
    Column("why", "why ours", shed=2),
    Column("source", "source", shed=1),
)
Cells = dict[str, str]  # by column key


def check(book: TariffBook, private: Path | None, now: datetime, *, as_json: bool) -> Exit:
    """Print the state of the book.  Always OK: loading has already reported any mistake."""
    providers = list(_providers(book, now))
    changes = list(_changes(book, now))
    announced = list(_announced([SHIPPED, *([private] if private else [])]))
    differences = [each.row() for each in reviewed()]
    models = sum(int(row["models"]) for row in providers)
    summary = {
        "tariffs": len(book.tariffs),
        "models": models,
        "providers": len(providers),
        "version": book.version,
    }
    if as_json:
        details = {"changes": changes, "announced": announced, "differences": differences}
        terminal.emit({**summary, "by_provider": providers, **details})
        return Exit.OK
    terminal.show(PROVIDERS, providers)
    terminal.say(f"\nChanges within {SOON.days} days: {len(changes)}.")
    if changes:
        terminal.show(CHANGES, changes)
    terminal.say(f"\nAnnounced prices that are not confirmed, so not applied: {len(announced)}.")
    if announced:
        terminal.show(ANNOUNCED, announced)
    terminal.say(f"\nPrices that differ from a public price set: {len(differences)}.")
    if differences:
        terminal.show(DIFFERENCES, differences)
    terminal.say(
        "\nPrices of {models} models from {providers} providers are in force ({tariffs} tariffs in"
        " all, version {version}).  No problems found.".format(**summary)
    )
    return Exit.OK


def _periods(book: TariffBook) -> dict[tuple[str, str], list[Tariff]]:
    """The tariffs of each model in order of time, by provider and the model's first name."""
    found: dict[tuple[str, str], list[Tariff]] = defaultdict(list)
    for tariff in book.tariffs:
        found[tariff.provider, tariff.names[0]].append(tariff)
    return {model: sorted(periods, key=by_start) for model, periods in sorted(found.items())}


def _providers(book: TariffBook, now: datetime) -> Iterator[Cells]:
    by_provider: dict[str, list[Tariff]] = defaultdict(list)
    single: dict[str, int] = defaultdict(int)
    for (provider, _), periods in _periods(book).items():
        tariff = published.in_force(periods, now)
        if tariff is not None:
            by_provider[provider].append(tariff)
            single[provider] += len(periods) == 1 and tariff.start is None
    for provider, tariffs in by_provider.items():
        days = sorted(tariff.checked for tariff in tariffs)
        yield {
            "provider": provider,
            "models": str(len(tariffs)),
            "through_sets": str(sum(bool(tariff.via) for tariff in tariffs)),
            "without_history": str(single[provider]),
            "oldest": days[0].isoformat(),
            "newest": days[-1].isoformat(),
            "age_days": str((now.date() - days[0]).days),
        }


def _changes(book: TariffBook, now: datetime) -> Iterator[Cells]:
    """Models whose price ends soon, and the price that follows."""
    for (provider, model), periods in _periods(book).items():
        tariff = published.in_force(periods, now)
        if tariff is None:
            continue
        after = next((later for later in periods if by_start(later) > now), None)
        at = tariff.end or (after.start if after else None)
        if at is not None and at <= now + SOON:
            what = published.step(tariff, after) if after else "no known price after that"
            yield {
                "provider": provider,
                "model": model,
                "at": f"{at:%Y-%m-%dT%H:%MZ}",
                "what": what,
            }


def _announced(directories: Sequence[Path]) -> Iterator[Cells]:
    """Announced prices, which the book leaves out until they are confirmed."""
    for file in (file for each in directories for file in sorted(each.glob("*.toml"))):
        text = file.read_text(encoding="utf-8")
        if "announced" not in text:
            continue
        document = tomllib.loads(text)
        for entry in document.get("tariff", ()):
            if "announced" in entry and "confirmed" not in entry:
                yield {
                    "provider": document["provider"],
                    "model": entry["names"][0],
                    "from": str(entry.get("from", "")),
                    "announced": str(entry["announced"]),
                    "note": entry.get("note", ""),
                    "file": file.name,
                }
