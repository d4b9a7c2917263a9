"""`taximeter tariffs list` and `show`: prices, their periods and their sources."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from pricing import Tariff, TariffBook, published
from pricing.money import UNKNOWN
from pricing.near_names import near_names
from proxy.commands import terminal
from proxy.commands.terminal import Column, Exit

LIST = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("since", "since"),
    Column("until", "until"),
    Column("first_known", "known from", shed=1),
    Column("checked", "checked", shed=2),
    Column("source", "source", shed=3),
)
PRICES = (
    Column("meter", "meter"),
    Column("price", "price", number=True),
    Column("per", "per", number=True),
    Column("when", "when"),
    Column("rule", "where", shed=1),
)


def list_tariffs(book: TariffBook, provider: str, *, as_json: bool) -> Exit:
    """Print all tariffs, or those of one provider."""
    tariffs = book.tariffs_of(provider) if provider else book.tariffs
    if not tariffs:
        return _nothing(f"No tariffs for {provider or 'any provider'}.", book)
    if as_json:
        terminal.emit([published.head(tariff) for tariff in tariffs])
    else:
        terminal.show(LIST, [published.head(tariff) for tariff in tariffs])
    return Exit.OK


def show_model(book: TariffBook, wanted: str, *, as_json: bool) -> Exit:
    """Print the tariffs of `MODEL` or `PROVIDER/MODEL` in force now, with all their rules."""
    now = datetime.now(UTC)
    found = list(_in_force(book, wanted, now))
    if not found:
        return _unknown(wanted, book)
    if as_json:
        terminal.emit(
            [published.head(tariff) | {"rules": list(_rules(tariff))} for tariff in found]
        )
        return Exit.OK
    for tariff in found:
        head = published.head(tariff)
        terminal.wrapped(f"{tariff.id}: {', '.join(tariff.names)}")
        since = f"since {head['since']}, " if head["since"] else ""
        known = f"known from {head['first_known']}, " if head["first_known"] else ""
        terminal.say(f"  {since}{known}checked on {head['checked']}")
        terminal.say(f"  {head['source']}")
        terminal.show(PRICES, _rules(tariff))
        for factor in tariff.factors:
            when = f" when {published.conditions(factor.when)}" if factor.when else ""
            terminal.say(f"  {factor.name}: x{factor.factor}{when}")
        terminal.say("")
    return Exit.OK


def _unknown(wanted: str, book: TariffBook) -> Exit:
    """No price: similar names, none of which prices the model, and how to add a price."""
    provider, slash, model = wanted.partition("/")
    if not slash or provider not in book.providers:
        provider, model = "PROVIDER", wanted
    near = near_names(book, provider, model)
    if not near:
        return _nothing(f"No tariff for {wanted}.", book)
    terminal.say(f"No tariff for {wanted}.  Similar names that have one:")
    for name in near:
        terminal.say(f"  {name}")
    terminal.say(
        "None of these prices it.  To add its price:\n"
        f"  taximeter tariffs add {provider}/{model} --input USD --output USD"
    )
    return Exit.UNPRICED


def _in_force(book: TariffBook, wanted: str, now: datetime) -> Iterator[Tariff]:
    """The tariffs of `[PROVIDER/]MODEL`: several if several providers sell the model."""
    for provider in sorted(book.providers):
        named = wanted.removeprefix(f"{provider}/")
        if named != wanted or "/" not in wanted or book.knows(provider, wanted):
            tariff = book.find(provider, named, now)
            if tariff is not None:
                yield tariff


def _rules(tariff: Tariff) -> Iterator[dict[str, str]]:
    for rate in published.rates(tariff):
        prices = [f"{price} {rate['currency']}" for price in rate["prices"]]
        found = {
            "meter": rate["meter"],
            "price": " / ".join(prices) or UNKNOWN,
            "when": rate["when"],
            "rule": rate["rule"],
        }
        yield found if rate["per"] is None else found | {"per": f"{Decimal(rate['per']):,f}"}


def _nothing(text: str, book: TariffBook) -> Exit:
    providers = sorted(book.providers)
    terminal.say(f"{text}  Providers with tariffs: {', '.join(providers) or 'none'}.")
    return Exit.UNPRICED
