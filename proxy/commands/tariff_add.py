"""`taximeter tariffs add`: one model's price, by hand."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path

from pricing import Meter, Tariff, TariffError
from pricing.money import UNKNOWN
from pricing.upkeep.comparison import COUNTS, price_of
from pricing.upkeep.listing import STANDARD, figure, key, oddities
from pricing.upkeep.own_price import OwnPrice, appended
from pricing.usage import METER_ORDER, TOKEN_METERS
from proxy.commands import audited, tariff_files, terminal
from proxy.commands.terminal import Column, Exit
from proxy.console.audit_api import ChangeMade
from proxy.metering import own_tariffs
from proxy.settings.config import Config

FLAGS: Mapping[str, Meter] = {
    "input": Meter.INPUT,
    "output": Meter.OUTPUT,
    "reasoning": Meter.OUTPUT_REASONING,
    "cache_read": Meter.CACHE_READ,
    "cache_write": Meter.CACHE_WRITE,
}
COLUMNS = (
    Column("meter", "meter"),
    Column("before", "price now", number=True),
    Column("after", "new price", number=True),
)
Row = Mapping[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="PROVIDER/MODEL")
    for flag, meter in FLAGS.items():
        name = f"--{flag.replace('_', '-')}"
        parser.add_argument(name, metavar="USD", help=f"price per million tokens of {meter.value}")
    parser.add_argument(
        "--rate",
        action="append",
        default=[],
        metavar="METER=USD",
        help="price of another kind of token, such as input.audio=6; may be repeated",
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="DATE",
        help="first day of the price, in UTC (default: known from today on)",
    )
    parser.add_argument("--source", default="entered by hand", help="where the price was read")
    parser.add_argument("--to", type=Path, metavar="DIR", help=tariff_files.TO_HELP)
    parser.add_argument("--yes", action="store_true", help="write without asking for confirmation")


def main(arguments: argparse.Namespace, config: Config, today: date) -> Exit:
    """Run the action."""
    place = tariff_files.directory(arguments.to, config)
    if place is None:
        terminal.say(tariff_files.NO_DIRECTORY, sys.stderr)
        return Exit.MISTAKE
    before = own_tariffs.book_with(place, config, {})
    try:
        price = _own_price(arguments, tariff_files.providers(before, config))
    except ValueError as error:
        terminal.say(f"tariffs add: {error}", sys.stderr)
        return Exit.MISTAKE
    if price.start is None and before.knows(price.provider, price.model):
        price = replace(price, start=today)  # what it cost before stays
    rows = _rows(price, before.find(price.provider, price.model, _end_of(price.start or today)))
    files = {price.file: appended(own_tariffs.texts(place).get(price.file, ""), price, today)}
    try:
        own_tariffs.book_with(place, config, files)
    except TariffError as error:
        terminal.say(f"tariffs add: nothing was written:\n{error}", sys.stderr)
        return Exit.MISTAKE
    if not _accepted(price, rows, arguments, today):
        terminal.say("Nothing was written.  Use --yes to write without confirmation.", sys.stderr)
        return Exit.MISTAKE
    audited.note_tariffs(config, place, _change(arguments.name, rows))
    own_tariffs.write(place, files)
    if arguments.json:
        terminal.emit({"written": str(place / price.file), "prices": rows})
    terminal.say(f"Written to {place / price.file}.", sys.stderr)
    tariff_files.say_what_next(place, config)
    return Exit.OK


def _change(name: str, rows: Sequence[Row]) -> ChangeMade:
    """For the audit log: the prices by meter."""
    before = {row["meter"]: row["before"] for row in rows if row["before"]}
    after = {row["meter"]: row["after"] for row in rows}
    return ChangeMade("tariffs-add", name, before or None, after)


def _accepted(
    price: OwnPrice, rows: Sequence[Row], arguments: argparse.Namespace, today: date
) -> bool:
    """Show the price; ask if the model has one already, or if this one looks like a slip."""
    if not arguments.json:
        terminal.show(COLUMNS, rows)
    odd = oddities({STANDARD: {key(meter): usd for meter, usd in price.prices.items()}}, ())
    for each in odd:
        terminal.say(f"Check the unit, dollars per million tokens: {each}.", sys.stderr)
    if arguments.yes or not (odd or any(row["before"] for row in rows)):
        return True
    question = (
        f"Use these prices for {price.provider}/{price.model} from {price.start or today} on?"
    )
    return not arguments.json and tariff_files.confirmed(question)


def _own_price(arguments: argparse.Namespace, providers: Collection[str]) -> OwnPrice:
    """The price that the arguments state, for a model of one of `providers`.  Raises ValueError."""
    provider, slash, model = arguments.name.partition("/")
    if not (provider and slash and model):
        raise ValueError(f"{arguments.name!r}: name the provider too, as in openai/gpt-6.2-sol")
    if provider not in providers:
        known = ", ".join(sorted(providers))
        raise ValueError(f"unknown provider {provider!r}; known providers: {known}")
    given = {meter: getattr(arguments, flag) for flag, meter in FLAGS.items()}
    prices = {meter: _amount(value) for meter, value in given.items() if value is not None}
    for rate in arguments.rate:
        name, equals, value = rate.partition("=")
        if not equals or name not in TOKEN_METERS:
            known = ", ".join(sorted(meter.value for meter in TOKEN_METERS))
            raise ValueError(f"--rate {rate}: expected METER=USD, with one of {known}")
        prices[Meter(name)] = _amount(value)
    return OwnPrice(
        provider=provider,
        model=model,
        prices=prices,
        source=arguments.source,
        start=None if arguments.start is None else _day(arguments.start),
    )


def _amount(value: str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"--from {value}: expected a date, such as 2026-11-28") from None


def _rows(price: OwnPrice, now: Tariff | None) -> list[dict[str, str]]:
    """Each meter's price before and after: "" is none, and what is not given is unknown then."""
    at = _end_of(price.start or date.max)
    rows = []
    for meter in sorted(TOKEN_METERS, key=METER_ORDER.__getitem__):
        ours = price_of(now, meter, STANDARD, at) if now and now.names_meter(meter) else None
        before = "" if ours is None else f"{figure(ours.each * COUNTS['usd_per_mtok']):f}"
        if meter in price.prices:
            rows.append(
                {"meter": meter.value, "before": before, "after": f"{price.prices[meter]:f}"}
            )
        elif before:
            rows.append({"meter": meter.value, "before": before, "after": UNKNOWN})
    return rows


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59), UTC)
