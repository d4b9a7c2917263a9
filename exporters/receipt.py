"""The receipt of a row, which leaves out what follows exactly from the rest of the row; and whole.

Most of a receipt is the same in all rows of a model and compresses to nothing.  Instants,
quantities and amounts differ in every row, and the row has them already.  So form 2 leaves out,
each where it is exactly what follows:

- `at` of a subcall: the row's `ts`; `completed_at` of its terms: `ts` + `duration_us`
- `usage` of a subcall that is alone: the row's `usage`
- `quantity` of a line: what its subcall used of its meter
- `usd` of a line: quantity * rate * factors / per; `usd` of all: the sum of the lines
- `floor_usd`, of an unknown cost: the sum of the lines, if it is not 0

What does not follow stays.  Rates, factors, rules and sources always stay: a receipt is read and
priced again without the tariff files of its time.  A receipt without `form` is whole.  Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from exporters.record import EPOCH, JsonText, Record, nine_places
from pricing.charge import ChargeLine, plain, total
from pricing.tariff import EXACT
from pricing.usage import Quantity, Subcall, TermValue

FORM = 2
COMPLETED_AT = "completed_at"
PRICES_MAX = 4_096  # whose lines are remembered
_PREFIX = f'{{"form":{FORM},'  # of the stored text

Document = dict[str, Any]
_Price = tuple[int, str, str, Decimal, Decimal, tuple[tuple[str, Decimal], ...], str, str]

_multiply = EXACT.multiply
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Facts(NamedTuple):
    """What a row says that its receipt need not repeat; `usage` is by meter."""

    at: datetime
    completed_at: datetime
    usage: Mapping[str, Quantity]


def facts(ts_us: int, duration_us: int, usage: Mapping[str, Quantity]) -> Facts:
    """Those of a row."""
    at = EPOCH + timedelta(microseconds=ts_us)
    return Facts(at, at + timedelta(microseconds=duration_us), usage)


def facts_of(row: Mapping[str, Any]) -> Facts:
    """Those of a row of `calls` as the store answers: `ts_us` or `ts`, and the others."""
    ts_us = row.get("ts_us")
    if ts_us is None:
        ts = row["ts"]
        at = ts if isinstance(ts, datetime) else datetime.fromisoformat(ts)
        ts_us = (at.replace(tzinfo=at.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1)
    usage = {meter: Decimal(quantity) for meter, quantity in row["usage"].items()}
    return facts(int(ts_us), int(row["duration_us"]), usage)


# -- shorter ---------------------------------------------------------------------------------------


def short_subcalls(subcalls: Sequence[Subcall], given: Facts) -> list[Document]:
    """The subcalls of a receipt."""
    alone = len(subcalls) == 1
    return [_short_subcall(subcall, given, alone=alone) for subcall in subcalls]


def _short_subcall(subcall: Subcall, given: Facts, *, alone: bool) -> Document:
    document: Document = {"provider": subcall.provider, "model": subcall.model}
    if subcall.at != given.at:
        document["at"] = subcall.at
    document["origin"] = subcall.usage.origin
    used = {meter.value: quantity for meter, quantity in subcall.usage.quantities.items()}
    if not (alone and used == given.usage and all(map(_fits, used.values()))):
        document["usage"] = {name: plain(quantity) for name, quantity in used.items()}
    document["terms"] = terms = {name: _term(value) for name, value in subcall.terms.items()}
    completed_at = terms.setdefault(COMPLETED_AT, None)  # null: it has none, which does not follow
    if completed_at == given.completed_at:
        del terms[COMPLETED_AT]
    return document


def _fits(quantity: Quantity) -> bool:
    """Whether the row will have all of it."""
    return isinstance(quantity, int) or quantity == nine_places(quantity)


def _term(value: TermValue) -> TermValue | None:
    return plain(value) if isinstance(value, Decimal) else value


def short_lines(lines: Iterable[ChargeLine], subcalls: Sequence[Subcall]) -> list[Document]:
    """The lines of a receipt with these subcalls."""
    return [_short_line(line, subcalls[line.subcall : line.subcall + 1]) for line in lines]


def _short_line(line: ChargeLine, subcall: Sequence[Subcall]) -> Document:
    factors = line.factors
    meter = line.meter.value
    priced = _priced(
        (line.subcall, line.model, meter, line.rate, line.per, factors, line.rule, line.source)
    )
    own: Document = {}
    if not subcall or subcall[0].usage.quantities.get(line.meter) != line.quantity:
        own["quantity"] = plain(line.quantity)
    amount = _multiply(line.rate, line.quantity)
    for _, factor in factors:
        amount = _multiply(amount, factor)
    if amount != _multiply(line.usd, line.per) or len(priced["factors"]) < len(factors):
        own["usd"] = plain(line.usd)
    return priced | own if own else priced


@lru_cache(PRICES_MAX)
def _priced(price: _Price) -> Document:
    """What the lines of a price have in common.  It is shared, so it must not be changed."""
    subcall, model, meter, rate, per, factors, rule, source = price
    return {
        **{"subcall": subcall, "model": model, "meter": meter, "rate": plain(rate)},
        **{"per": plain(per), "factors": {name: plain(value) for name, value in factors}},
        **{"rule": rule, "source": source},
    }


# -- whole again -----------------------------------------------------------------------------------


def whole(text: JsonText, given: Callable[[], Facts]) -> Document:
    """The whole receipt that is stored so.  Raises ValueError for one that cannot be read."""
    try:
        document = _decode(text or "{}")
        form = document.get("form", 1)
        if form == 1:
            return document
        if form != FORM:
            raise ValueError(f"a newer version wrote the receipt, in form {form!r}")
        return _whole(document, given())
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"the receipt is damaged: {error!r}") from error


def whole_of(row: Mapping[str, Any]) -> Document:
    """The whole receipt of a row of `calls` as the store answers.  Raises as `whole` does."""
    return whole(str(row["receipt"]), lambda: facts_of(row))


def whole_of_record(record: Record) -> Document:
    """The same of a record."""
    return whole(record.receipt, lambda: facts(record.ts_us, record.duration_us, record.usage))


def whole_text(row: Mapping[str, Any]) -> JsonText:
    """The same of a row as text; one that is whole, or that cannot be read, stays as it is."""
    text = str(row["receipt"])
    if not text.startswith(_PREFIX):
        return text
    try:
        return msgspec.json.encode(whole_of(row)).decode()
    except ValueError:
        return text


def _whole(document: Document, given: Facts) -> Document:
    known = {
        "at": msgspec.to_builtins(given.at),
        "usage": {name: plain(nine_places(Decimal(q))) for name, q in given.usage.items()},
    }
    completed_at = msgspec.to_builtins(given.completed_at)
    subcalls = [_whole_subcall(one, known, completed_at) for one in document["subcalls"]]
    usages = [subcall["usage"] for subcall in subcalls]
    found = {"usd": None, **document, "subcalls": subcalls} | _whole_lines(document, usages)
    if found["usd"] is None and Decimal(floor := _sum(found["lines"])):
        found["floor_usd"] = floor
    if "list" in document:
        found["list"] = document["list"] | _whole_lines(document["list"], usages)
    del found["form"]
    return found


def _whole_subcall(subcall: Document, known: Document, completed_at: str) -> Document:
    found = known | subcall
    found["terms"] = {COMPLETED_AT: completed_at} | subcall["terms"]
    if found["terms"][COMPLETED_AT] is None:
        del found["terms"][COMPLETED_AT]
    return {name: found[name] for name in ("provider", "model", "at", "origin", "usage", "terms")}


def _whole_lines(charge: Document, usages: Sequence[Document]) -> Document:
    """`lines` of a charge with quantities and amounts, and `usd`."""
    lines = [_whole_line(line, usages) for line in charge["lines"]]
    return {"usd": charge["usd"] if "usd" in charge else _sum(lines), "lines": lines}


def _whole_line(line: Document, usages: Sequence[Document]) -> Document:
    quantity = line.get("quantity")
    if quantity is None:
        quantity = usages[line["subcall"]][line["meter"]]
    usd = line.get("usd")
    return {
        **{"subcall": line["subcall"], "model": line["model"], "meter": line["meter"]},
        **{"quantity": quantity, "rate": line["rate"], "per": line["per"]},
        "factors": line["factors"],
        "usd": plain(amount(quantity, line)) if usd is None else usd,
        **{"rule": line["rule"], "source": line["source"]},
    }


def _sum(lines: Iterable[Document]) -> str:
    return plain(total([Decimal(line["usd"]) for line in lines]))


def amount(quantity: str, line: Mapping[str, Any]) -> Decimal:
    """quantity * rate * factors / per of a line that leaves it out.

    Raises ArithmeticError if that has no exact decimal: such an amount is never left out.
    """
    found = _multiply(Decimal(line["rate"]), Decimal(quantity))
    for factor in line["factors"].values():
        found = _multiply(found, Decimal(factor))
    return EXACT.divide(found, Decimal(line["per"]))
