"""Reads one tariff file, and reports all its problems at once.  Text in, values out.

docs/pricing.md describes the format.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase

from pricing.condition import Calendar, Schedule
from pricing.plan import Plan
from pricing.sheet import values
from pricing.sheet.entry import Problem, TariffEntry
from pricing.sheet.lines import Lines
from pricing.sheet.plans import read_plan
from pricing.tariff import Factor, Rule, Tariff
from pricing.terms import TERMS
from pricing.usage import TOKEN_METERS, Meter, TermValue

HEAD_KEYS = frozenset({"provider", "source", "checked", "via", "prefer", "same_price"})
PARTS = frozenset({"tariff", "rates", "factors", "plan", "schedules", "calendars", "currencies"})
RULE_KEYS = frozenset({"when", "unpriced", "volume", "minimum", "round_up", "source"})
FACTOR_KEYS = frozenset({"name", "factor", "when", "apply"})
TARIFF_KEYS = frozenset(
    {
        *("names", "from", "until", "known_from", "announced", "confirmed"),
        *("source", "checked", "via", "note"),
        *("rates", "factors", "same_price", "by_completion", "minimum_usd"),
        *("unpriced", "volume", "minimum", "round_up"),
    }
)
CURRENCY_KEYS = frozenset({"code", "from", "usd", "source", "checked"})
# Elsewhere a star would match other models: `gpt-5*` matches `gpt-5-mini`.
LOOSE_STAR = re.compile(r"[^:@/]\*|\*.")

Schedules = Mapping[str, Schedule]
SamePrice = Mapping[str, frozenset[TermValue]]  # values of terms that cost the same


@dataclass(frozen=True, slots=True)
class Currency:
    """US dollars for one unit of a currency, from an instant on."""

    code: str
    start: datetime
    usd: Decimal


@dataclass(slots=True)
class Sheet:
    """What a file states.  Prices that were announced and not confirmed are not in `tariffs`."""

    file: str
    provider: str = ""
    prefer_reported: bool | None = None  # None: the file does not say
    tariffs: list[Tariff] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)  # of all models of the provider
    factors: list[Factor] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    currencies: list[Currency] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def decode(file: str, text: str) -> tuple[Mapping[str, object], list[Problem]]:
    """The decoded file with exact decimals, or the problem that prevented decoding it."""
    try:
        return tomllib.loads(text, parse_float=Decimal), []
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        return {}, [Problem(file, int(at[1]) if at else 1, str(error))]


def read_calendars(
    file: str, text: str, document: Mapping[str, object]
) -> tuple[dict[str, Calendar], list[Problem]]:
    """The calendars of a file.  Those of all files are read first: any schedule may name any."""
    problems: list[Problem] = []
    found = {}
    for name, entry in _whole(file, text, document, problems).named("calendars"):
        try:
            found[name] = values.calendar(name, entry.table)
        except ValueError as error:
            entry.problem("", f"calendar {name}: {error}")
    return found, problems


def read(
    file: str, text: str, document: Mapping[str, object], calendars: Mapping[str, Calendar]
) -> Sheet:
    """The sheet of a decoded file.  Never raises: `problems` lists what is wrong."""
    sheet = Sheet(file)
    whole = _whole(file, text, document, sheet.problems)
    whole.only(HEAD_KEYS | PARTS)
    schedules: dict[str, Schedule] = {}
    for name, entry in whole.named("schedules"):
        try:
            schedules[name] = values.schedule(name, entry.table, calendars)
        except ValueError as error:
            entry.problem("", f"schedule {name}: {error}")
    if document.keys() & {"tariff", "rates", "factors", "plan", "prefer"}:
        sheet.provider = whole.need("provider", values.text, "")
    if "prefer" in document:
        sheet.prefer_reported = whole.get("prefer", _prefer, None)
    sheet.tariffs = [
        tariff
        for entry in whole.top("tariff")
        if (tariff := _tariff(entry, whole, sheet.provider, schedules)) is not None
    ]
    for entry in whole.top("rates"):
        sheet.rules += _rule(entry, schedules, RULE_KEYS | {"models"})
    for entry in whole.top("factors"):
        sheet.factors += _factor(entry, schedules, FACTOR_KEYS | {"models"})
    for entry in whole.top("plan"):
        sheet.plans += read_plan(entry, sheet.provider)
    for entry in whole.top("currencies"):
        sheet.currencies += _currency(entry)
    return sheet


def _whole(
    file: str, text: str, document: Mapping[str, object], problems: list[Problem]
) -> TariffEntry:
    return TariffEntry(document, file, Lines(text), (1, len(text.splitlines()) or 1), problems)


def _tariff(
    entry: TariffEntry, head: TariffEntry, provider: str, schedules: Schedules
) -> Tariff | None:
    """A model's prices in one period; None if they are wrong or not confirmed."""
    before = entry.problem_count
    entry.only(TARIFF_KEYS | _price_keys(entry))
    misspelt = entry.problem_count > before  # an unknown key may have been meant as the price
    source = entry.get("source", values.text, None) or head.get("source", values.text, None)
    checked = entry.get("checked", values.day, None) or head.get("checked", values.day, None)
    if source is None or checked is None:
        entry.problem("", "source or checked is missing; state both here or at the top of the file")
    rules = [rule for part in entry.inner("rates") for rule in _rule(part, schedules, RULE_KEYS)]
    if _price_keys(entry) or "unpriced" in entry.table:
        rules += _rule(entry, {}, TARIFF_KEYS)
    elif entry.table.get("rates", []) == [] and not misspelt:
        entry.problem("", "this tariff states no price")
    nothing: SamePrice = {}
    same_price = dict(head.get("same_price", _same_price, nothing))
    same_price |= entry.get("same_price", _same_price, nothing)
    found = Tariff(
        provider=provider,
        names=entry.need("names", _names, ("?",)),
        start=entry.get("from", values.instant, None),
        end=entry.get("until", values.instant, None),
        source=source or "",
        checked=checked or date.min,
        known_from=entry.get("known_from", values.day, None),
        via=entry.get("via", values.text, "") or head.get("via", values.text, ""),
        rules=tuple(rules),
        factors=tuple(
            factor
            for part in entry.inner("factors")
            for factor in _factor(part, schedules, FACTOR_KEYS)
        ),
        same_price=same_price,
        by_completion=entry.get("by_completion", values.truth, False),
        minimum_usd=entry.get("minimum_usd", values.number, None),
        line=entry.line,
        file=entry.file,
    )
    applies = _applies(entry, found)
    return found if applies and entry.problem_count == before else None


def _applies(entry: TariffEntry, tariff: Tariff) -> bool:
    """False for a price that was announced and not confirmed: it may still be cancelled."""
    announced = entry.get("announced", values.day, None)
    confirmed = entry.get("confirmed", values.day, None)
    if tariff.start and tariff.end and tariff.start >= tariff.end:
        entry.problem("until", "until must be later than from")
    if tariff.start and tariff.start.date() > tariff.checked and announced is None:
        entry.problem("from", "from is later than checked; state the date it was announced")
    if tariff.known_from is not None:
        if tariff.start and tariff.known_from < tariff.start.date():
            entry.problem("known_from", "known_from must not be earlier than from")
        if tariff.known_from > tariff.checked and announced is None:
            entry.problem("known_from", "known_from must not be later than checked")
    return announced is None or confirmed is not None


def _rule(entry: TariffEntry, schedules: Schedules, allowed: frozenset[str]) -> list[Rule]:
    """The rule of a table, or nothing if it is wrong."""
    before = entry.problem_count
    keys = sorted(_price_keys(entry))
    entry.only(allowed | set(keys))
    prices: dict[Meter, tuple[Decimal, ...]] = {}
    per: dict[Meter, Decimal] = {}
    for key in keys:
        found = entry.get(key, _prices_of(key), {})
        prices |= {meter: figures for meter, (figures, _) in found.items()}
        per |= {meter: count for meter, (_, count) in found.items()}
    if len({key[:3] for key in keys}) > 1:
        entry.problem(keys[0], "a rule may only use one currency")
    if len(keys) != 1 and entry.table.keys() & {"minimum", "round_up", "volume"}:
        entry.problem("", "a rule with minimum, round_up or volume must use exactly one unit")
    ladder = entry.get("volume", values.ladder, None)
    expected = 1 if ladder is None else len(ladder.steps)
    for meter, figures in prices.items():
        if len(figures) != expected:
            wanted = "one price" if ladder is None else f"{expected} prices, one for each step"
            message = f"{meter.value}: expected {wanted}, found {len(figures)}"
            entry.problem(meter.value, message)
    unpriced = entry.get("unpriced", _meters, frozenset[Meter]())
    if not keys and not unpriced and entry.problem_count == before:
        entry.problem("", "this rule states no price")
    rule = Rule(
        id=f"{entry.file}:{entry.line}",
        source=entry.get("source", values.text, ""),
        when=entry.get("when", lambda value: values.when(value, schedules), frozenset()),
        prices=prices,
        per=per,
        unpriced=unpriced,
        currency=keys[0][:3].upper() if keys else "USD",
        ladder=ladder,
        minimum=entry.get("minimum", values.positive, None),
        round_up=entry.get("round_up", values.positive, None),
        models=entry.get("models", values.texts, ()),
    )
    return [rule] if entry.problem_count == before else []


def _factor(entry: TariffEntry, schedules: Schedules, allowed: frozenset[str]) -> list[Factor]:
    """The factor of a table, or nothing if it is wrong."""
    before = entry.problem_count
    entry.only(allowed)
    factor = Factor(
        name=entry.need("name", values.text, ""),
        factor=entry.need("factor", values.number, Decimal(1)),
        when=entry.get("when", lambda value: values.when(value, schedules), frozenset()),
        apply=entry.get("apply", _meters, TOKEN_METERS),
        models=entry.get("models", values.texts, ()),
    )
    return [factor] if entry.problem_count == before else []


def _currency(entry: TariffEntry) -> list[Currency]:
    before = entry.problem_count
    entry.only(CURRENCY_KEYS)
    entry.need("source", values.text, "")
    entry.need("checked", values.day, None)
    start = entry.need("from", values.instant, None)
    usd = entry.need("usd", values.positive, Decimal(1))
    code = entry.need("code", values.text, "")
    if start is None or entry.problem_count > before:
        return []
    return [Currency(code, start, usd)]


def _price_keys(entry: TariffEntry) -> frozenset[str]:
    return frozenset(key for key in entry.table if values.PRICE_KEY.fullmatch(key))


def _prices_of(key: str) -> Callable[[object], values.Prices]:
    return lambda value: values.prices(key, value)


def _prefer(value: object) -> bool:
    if value not in ("reported", "computed"):
        raise ValueError('expected "reported" or "computed"')
    return value == "reported"


def _names(value: object) -> tuple[str, ...]:
    names = values.texts(value)
    for name in names:
        if LOOSE_STAR.search(name):
            raise ValueError(f"{name!r}: a * must stand alone, or at the end after :, @ or /")
    return names


def _meters(value: object) -> frozenset[Meter]:
    found: set[Meter] = set()
    for pattern in values.texts(value):
        named = {meter for meter in Meter if fnmatchcase(meter.value, pattern)}
        if not named:
            raise ValueError(f"unknown meter {pattern!r}")
        found |= named
    return frozenset(found)


def _same_price(value: object) -> SamePrice:
    found: dict[str, frozenset[TermValue]] = {}
    for name, listed in values.table(value).items():
        if name not in TERMS:
            raise ValueError(f"unknown term {name!r}")
        found[name] = values.term_values(TERMS[name], listed)
    return found
