"""All tariffs: the shipped ones, and private ones laid over them.

A name is found exactly, or by the longest pattern that matches all of it.  Nothing is matched by
similarity: a wrong price looks right, while a missing one is noticed.  No other module in `pricing`
opens files, and this one opens only tariffs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from pricing.condition import Calendar
from pricing.plan import Plan
from pricing.sheet.checks import by_start
from pricing.sheet.entry import Problem, TariffError
from pricing.sheet.layer import Layer, Texts, digest
from pricing.sheet.reader import Currency, Sheet
from pricing.steps import WITHIN_CALL
from pricing.tariff import Factor, Rule, Tariff

SHIPPED = Path(__file__).with_name("tariffs")
CHECKED = SHIPPED / "checked.sha256"  # digest of the shipped files that a test has checked
NAMES_MAX = 4_096  # model names remembered; callers choose them, so there must be a limit


class TariffBook:
    """Finds the tariff of a call.  Immutable, except for what it remembers."""

    def __init__(
        self, layers: Sequence[Layer], version: str, shipped: "TariffBook | None" = None
    ) -> None:
        self.version = version  # hash of the contents of all files
        self.shipped = shipped or self  # the list prices: nothing is laid over them
        self._layers = list(reversed(layers))  # later layers first
        self._currencies = _currencies(sheet for layer in self._layers for sheet in layer.decoded)
        self._prefers_reported: dict[str, bool] = {}  # by provider; those are configured
        self._found: dict[tuple[str, str], list[_Periods]] = {}

    @classmethod
    def load(cls, *directories: Path) -> "TariffBook":
        """The shipped tariffs, overlaid with those of `directories`; later ones win.

        Raises TariffError, which lists all problems with file and line, and OSError if a directory
        cannot be read.
        """
        return cls.parse(*(_texts(directory) for directory in (SHIPPED, *directories)))

    @classmethod
    def parse(cls, *layers: Texts) -> "TariffBook":
        """A book of these texts alone.  Raises TariffError, as `load` does."""
        on_record = _on_record()
        read = [Layer(texts, checked=digest([texts]) == on_record) for texts in layers]
        calendars: dict[str, Calendar] = {}
        for layer in read:
            calendars |= layer.calendars
        for layer in read:
            layer.read(calendars)
        problems = [problem for layer in read for problem in layer.problems]
        problems += _check_currencies([sheet for layer in read for sheet in layer.decoded])
        if problems:
            raise TariffError(problems)
        if not any(layers[1:]):
            return cls(read, digest(layers)[:12])
        return cls(read, digest(layers)[:12], cls(read[:1], digest(layers[:1])[:12]))

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """The flat plans; private ones first."""
        sheets = (sheet for layer in self._layers for sheet in layer.with_plans())
        return tuple(plan for sheet in sheets for plan in sheet.plans)

    @cached_property
    def plan_headers(self) -> frozenset[str]:
        """The response headers that the rules of the plans ask about."""
        return frozenset(name for plan in self.plans for name in plan.headers)

    @property
    def tariffs(self) -> tuple[Tariff, ...]:
        """Every period of every model as the files state it; private ones first."""
        return tuple(t for layer in self._layers for sheet in layer.sheets for t in sheet.tariffs)

    def tariffs_of(self, provider: str) -> tuple[Tariff, ...]:
        """Those of `tariffs` that are of one provider; no other is decoded for it."""
        return tuple(t for layer in self._layers for s in layer.of(provider) for t in s.tariffs)

    @property
    def providers(self) -> frozenset[str]:
        """Those with a price of any model."""
        return frozenset[str]().union(*(layer.providers for layer in self._layers))

    @property
    def counters(self) -> frozenset[str]:
        """The counters that prices by volume need, such as `gemini/day.grounding`."""
        return frozenset(
            f"{sheet.provider}/{rule.ladder.counter}"
            for layer in self._layers
            for sheet in layer.with_volume()
            for rule in (*sheet.rules, *(rule for t in sheet.tariffs for rule in t.rules))
            if rule.ladder is not None and rule.ladder.counter != WITHIN_CALL
        )

    def find(self, provider: str, model: str, at: datetime) -> Tariff | None:
        """The tariff of `model` at the instant `at`; None if no price is known.

        It includes what the provider charges on all models: fees, discounts.
        """
        for periods in self._periods(provider, model):
            tariff = periods.at(at)
            if tariff is not None:
                return tariff
        return None

    def history(self, provider: str, model: str) -> list[list[Tariff]]:
        """What `find` chooses from: each layer's periods in order of time; private ones first."""
        return [periods.tariffs for periods in self._periods(provider, model)]

    def is_own(self, tariff: Tariff) -> bool:
        """Whether a tariff of this book is laid over the shipped ones."""
        return any(layer.has(tariff.file) for layer in self._layers[:-1])

    def names_own(self, provider: str, model: str) -> bool:
        """Whether a tariff laid over the shipped ones names `model`."""
        return self.shipped is not self and any(
            layer.named(provider, model) for layer in self._layers[:-1]
        )

    def knows(self, provider: str, model: str) -> bool:
        """Whether `model` has a price at any time."""
        return any(layer.named(provider, model) for layer in self._layers)

    def prefers_reported(self, provider: str) -> bool:
        """Whether the cost that this provider reports is the charge."""
        known = self._prefers_reported.get(provider)
        if known is None:
            sheets = (sheet for layer in self._layers for sheet in layer.of(provider))
            stated = (s.prefer_reported for s in sheets if s.prefer_reported is not None)
            known = self._prefers_reported[provider] = next(stated, False)
        return known

    def usd(self, currency: str, at: datetime) -> Decimal | None:
        """US dollars for one unit of `currency` at an instant; None if no rate is known."""
        periods = self._currencies.get(currency, [])
        index = bisect_right(periods, at, key=lambda rate: rate.start)
        return periods[index - 1].usd if index else None

    def _periods(self, provider: str, model: str) -> list["_Periods"]:
        key = provider, model
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= NAMES_MAX:
                self._found.clear()
            found = self._found[key] = self._all_periods(provider, model)
        return found

    def _all_periods(self, provider: str, model: str) -> list["_Periods"]:
        rules: list[Rule] = []
        factors: list[Factor] = []
        for layer in self._layers:
            shared = layer.of(provider)
            overlaid = {factor.name for factor in factors}
            rules += [r for sheet in shared for r in sheet.rules if _is_for(r, model)]
            factors += [
                factor
                for sheet in shared
                for factor in sheet.factors
                if factor.name not in overlaid and _is_for(factor, model)
            ]
        return [
            _Periods([_with_shared(tariff, rules, factors) for tariff in tariffs])
            for layer in self._layers
            if (tariffs := layer.named(provider, model))
        ]


class _Periods:
    """The periods of one name in one layer, in order."""

    def __init__(self, tariffs: list[Tariff]) -> None:
        self.tariffs = tariffs
        self._starts = [by_start(tariff) for tariff in tariffs]

    def at(self, at: datetime) -> Tariff | None:
        index = bisect_right(self._starts, at)
        if not index:
            return None
        tariff = self.tariffs[index - 1]
        return tariff if tariff.end is None or at < tariff.end else None


def _with_shared(tariff: Tariff, rules: Sequence[Rule], factors: Sequence[Factor]) -> Tariff:
    """The tariff with what the provider charges on all models; conditional prices first."""
    own = {factor.name for factor in tariff.factors}
    return replace(
        tariff,
        rules=tuple(sorted([*tariff.rules, *rules], key=lambda rule: not rule.when)),
        factors=(*tariff.factors, *(factor for factor in factors if factor.name not in own)),
    )


def _is_for(shared: Rule | Factor, model: str) -> bool:
    return not shared.models or any(fnmatchcase(model, pattern) for pattern in shared.models)


def _currencies(sheets: Iterable[Sheet]) -> dict[str, list[Currency]]:
    """Exchange rates by code in order of time; of two for one instant, the later layer's."""
    found: dict[str, dict[datetime, Currency]] = {}
    for sheet in sheets:
        for rate in sheet.currencies:
            found.setdefault(rate.code, {}).setdefault(rate.start, rate)
    return {code: sorted(rates.values(), key=lambda r: r.start) for code, rates in found.items()}


def _check_currencies(sheets: Sequence[Sheet]) -> Iterable[Problem]:
    known = {"USD", *(rate.code for sheet in sheets for rate in sheet.currencies)}
    for sheet in sheets:
        for rule in [*sheet.rules, *(rule for t in sheet.tariffs for rule in t.rules)]:
            if rule.currency not in known:
                line = int(rule.id.rpartition(":")[2])
                yield Problem(sheet.file, line, f"no [[currencies]] entry for {rule.currency}")


def _texts(directory: Path) -> Texts:
    label = "" if directory == SHIPPED else f"{directory}/"
    return {
        f"{label}{path.name}": path.read_text(encoding="utf-8")
        for path in sorted(directory.glob("*.toml"))
    }


def checked_digest() -> str:
    """What `CHECKED` must hold.  Raises TariffError, as every file is decoded and checked."""
    texts = _texts(SHIPPED)
    TariffBook.parse({**texts, "": ""})  # no texts whose check is on record
    return digest([texts])


def _on_record() -> str:
    """The digest of the shipped files that were checked; "" if none is recorded."""
    try:
        return CHECKED.read_text(encoding="ascii").strip()
    except OSError:
        return ""
