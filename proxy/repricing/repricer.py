"""Prices stored calls again, as live metering would.  Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from exporters.clickhouse.corrections import COSTS, GROUPS, LIST, PRICE, SAVED, SCOPES, Correction
from exporters.receipt import facts_of, whole_of
from exporters.record import EPOCH
from pricing import Counters, Meter, Origin, Subcall, TariffBook, Usage
from pricing.cause import parse
from pricing.plan import NO_ACCESS, Access
from pricing.reason import Reason
from pricing.terms import TERMS
from pricing.usage import TermValue
from proxy.metering.payers import priced
from proxy.metering.receipts import Basis
from proxy.metering.rows import price_fields
from proxy.metering.volumes import CounterSums, window

REASON = "reprice"
NEVER = "not_billed"  # whatever the tariffs say
BY_RULE = (Reason.PLAN, Reason.LOCAL)  # except calls that a rule says nobody bills
_FIGURES = ("cost_status", "counts", *LIST, *SAVED)
COMPARED = (*COSTS, "reasons", *_FIGURES)  # not the version of the tariffs

StoredCall = Mapping[str, Any]  # of `exporters.clickhouse.corrections.page`, as JSON has it


class _Subcall(msgspec.Struct):
    provider: str
    model: str
    at: datetime
    origin: Origin
    usage: dict[str, str]
    terms: dict[str, str | int | float | bool]


class _Basis(msgspec.Struct):
    reasons: tuple[str, ...] = ()
    reported_usd: str | None = None
    cut_short: bool = False
    counters: dict[str, str] = {}
    access: Access = NO_ACCESS


class _Receipt(msgspec.Struct):
    subcalls: tuple[_Subcall, ...] = ()
    basis: _Basis | None = None


class Ledger:
    """What was used of each counter before each stored call; calls must come in order of time.

    A call keeps the counters in its receipt, corrected by what repricing earlier calls changed.  So
    the same tariffs give the same price, in whatever order calls ended.
    """

    def __init__(self, names: Iterable[str], before: CounterSums) -> None:
        self._names = frozenset(names)
        self._stored = before  # what the store says was added up to here
        self._change = CounterSums()  # what the new prices add to that

    def before(self, providers: Iterable[str], at: datetime, noted: Counters) -> Counters:
        """The counters of these providers at a call."""
        wanted = set(providers)
        found = {}
        for name in self._names:
            start = window(name, at)
            if name.partition("/")[0] in wanted and start is not None:
                used = noted.get(name, self._stored.get((name, start), 0))
                found[name] = Decimal(used) + self._change.get((name, start), 0)
        return found

    def passed(self, at: datetime, old: Counters, new: Counters) -> None:
        """A call had added `old`, and adds `new`."""
        for name in old.keys() | new.keys():
            was, adds = Decimal(old.get(name, 0)), Decimal(new.get(name, 0))
            self._stored.add(name, at, was)
            self._change.add(name, at, adds - was)


@dataclass(slots=True)
class Repricer:
    """Prices calls by one book, at one instant."""

    book: TariffBook
    ledger: Ledger
    at_us: int
    kept: int = 0  # calls whose price no tariff decides, or whose receipt has no basis for it
    unreadable: int = 0

    def again(self, row: StoredCall) -> Correction | None:
        """The correction of a row; None if its price is the same or cannot be computed."""
        at = EPOCH + timedelta(microseconds=row["ts_us"])
        old = {name: Decimal(text) for name, text in row["counts"].items()}
        try:
            fields = self._priced(row, at)
        except (ValueError, ArithmeticError, msgspec.MsgspecError):
            self.unreadable += 1
            fields = None
        self.ledger.passed(at, old, fields["counts"] if fields else old)
        if fields is None or all(fields[name] == _stored(row, name) for name in COMPARED):
            return None
        replaced = (*COSTS, *_FIGURES)
        values: dict[str, Any] = {
            **{name: row[name] for name in ("call_id", "source", *GROUPS, *SCOPES)},
            **{f"old_{name}": _stored(row, name) for name in replaced},
            **fields,
        }
        revision = row["revision"] + 1
        return Correction(
            ts=row["ts_us"], revision=revision, at=self.at_us, reason=REASON, **values
        )

    def _priced(self, row: StoredCall, at: datetime) -> dict[str, Any] | None:
        """The new price fields of a row; None if no tariff decides its price."""
        if row["cost_status"] == NEVER and not _by_rule(row):
            self.kept += 1
            return None if row["list_status"] else _with_list(row)
        found = stored_basis(row)
        if found is None:
            self.kept += 1
            return None
        subcalls, basis = found
        counters = self.ledger.before({s.provider for s in subcalls}, at, basis.counters)
        basis = replace(basis, counters=counters)
        found_price = priced(subcalls, basis, self.book)
        return price_fields(found_price, subcalls, basis, facts_of(row))


def stored_basis(row: StoredCall) -> tuple[tuple[Subcall, ...], Basis] | None:
    """What a row was priced from: its receipt, and its models; None if no tariff priced it.

    Raises ValueError, ArithmeticError and msgspec.MsgspecError for a receipt that is unreadable.
    """
    receipt = msgspec.convert(whole_of(row), _Receipt)
    if not receipt.subcalls or receipt.basis is None:
        return None
    stored = receipt.basis
    return tuple(map(_subcall, receipt.subcalls)), Basis(
        asked=row["request_model"],
        served=row["response_model"],
        reasons=tuple(map(parse, stored.reasons)),
        reported_usd=None if stored.reported_usd is None else Decimal(stored.reported_usd),
        cut_short=stored.cut_short,
        counters={name: Decimal(text) for name, text in stored.counters.items()},
        access=stored.access,
    )


def _by_rule(row: StoredCall) -> bool:
    """Whether a rule for plans or local models decided, which other tariffs may decide anew."""
    return any(parse(text).reason in BY_RULE for text in row["reasons"])


def _with_list(row: StoredCall) -> dict[str, Any]:
    """The price fields of a call that nobody bills, from before rows had a list price."""
    fields = {name: _stored(row, name) for name in PRICE}
    return fields | {"list_usd": Decimal(0), "list_status": NEVER}


def _stored(row: StoredCall, name: str) -> object:
    """A field of the row in the form of `price_fields`."""
    value = row[name]
    if name in COSTS or name in SAVED or name == "list_usd":
        return None if value is None else Decimal(value)
    if name == "counts":
        return {counter: Decimal(text) for counter, text in value.items()}
    return tuple(value) if name == "reasons" else value


def _subcall(stored: _Subcall) -> Subcall:
    return Subcall(
        provider=stored.provider,
        model=stored.model,
        at=stored.at,
        usage=Usage(
            {Meter(meter): _quantity(text) for meter, text in stored.usage.items()}, stored.origin
        ),
        terms={name: _term(name, value) for name, value in stored.terms.items()},
    )


def _quantity(text: str) -> int | Decimal:
    return Decimal(text) if "." in text else int(text)


def _term(name: str, value: str | int | float | bool) -> TermValue:
    """The value with its type, which JSON lost."""
    term = TERMS.get(name)
    if isinstance(value, str) and term is not None and term.kind is datetime:
        return datetime.fromisoformat(value)
    return Decimal(str(value)) if isinstance(value, float) else value
