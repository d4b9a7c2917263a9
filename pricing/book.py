"""All tariffs: the shipped ones, and private ones laid over them.

A name is found exactly, or by the longest pattern that matches all of it.  Nothing is matched by
similarity: a wrong price looks right, while a missing one is noticed.  No other module in `pricing`
opens files, and this one opens only tariffs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from pricing.condition import Calendar
from pricing.sheet.checks import by_start, check_periods, check_reach, check_rules
from pricing.sheet.entry import Problem, TariffError
from pricing.sheet.reader import Currency, Sheet, decode, read, read_calendars
from pricing.steps import WITHIN_CALL
from pricing.tariff import Factor, Rule, Tariff

SHIPPED = Path(__file__).with_name("tariffs")
NAMES_MAX = 4_096  # model names remembered; callers choose them, so there must be a limit

Layer = Mapping[str, str]  # text of each file by its name


class TariffBook:
    """Finds the tariff of a call.  Immutable, except for what it remembers."""

    def __init__(
        self,
        layers: Sequence[Sequence[Sheet]],
        version: str,
        shipped: "TariffBook | None" = None,
    ) -> None:
        self.version = version  # hash of the contents of all files
        self.shipped = shipped or self  # the list prices: nothing is laid over them
        self._layers = [_Layer(sheets) for sheets in reversed(layers)]  # later layers first
        sheets = [sheet for layer in self._layers for sheet in layer.sheets]
        self._prefers_reported: dict[str, bool] = {}
        for sheet in sheets:
            if sheet.prefer_reported is not None:
                self._prefers_reported.setdefault(sheet.provider, sheet.prefer_reported)
        self.plans = tuple(plan for sheet in sheets for plan in sheet.plans)  # private ones first
        self._currencies = _currencies(sheets)
        self._found: dict[tuple[str, str], list[_Periods]] = {}

    @classmethod
    def load(cls, *directories: Path) -> "TariffBook":
        """The shipped tariffs, overlaid with those of `directories`; later ones win.

        Raises TariffError, which lists all problems with file and line, and OSError if a directory
        cannot be read.
        """
        return cls.parse(*(_texts(directory) for directory in (SHIPPED, *directories)))

    @classmethod
    def parse(cls, *layers: Layer) -> "TariffBook":
        """A book of these texts alone.  Raises TariffError, as `load` does."""
        problems: list[Problem] = []
        documents = []
        calendars: dict[str, Calendar] = {}
        for layer in layers:
            documents.append({file: decode(file, text) for file, text in layer.items()})
            for file, (document, wrong) in documents[-1].items():
                found, more = read_calendars(file, layer[file], document)
                calendars |= found
                problems += [*wrong, *more]
        sheets = [
            [read(file, layer[file], document, calendars) for file, (document, _) in each.items()]
            for layer, each in zip(layers, documents, strict=True)
        ]
        for layer_sheets in sheets:
            problems += _check(layer_sheets)
        problems += _check_currencies([sheet for layer_sheets in sheets for sheet in layer_sheets])
        if problems:
            raise TariffError(problems)
        if not any(sheets[1:]):
            return cls(sheets, _version(layers))
        return cls(sheets, _version(layers), cls(sheets[:1], _version(layers[:1])))

    @property
    def tariffs(self) -> tuple[Tariff, ...]:
        """Every period of every model as the files state it; private ones first."""
        return tuple(t for layer in self._layers for sheet in layer.sheets for t in sheet.tariffs)

    @property
    def counters(self) -> frozenset[str]:
        """The counters that prices by volume need, such as `gemini/day.grounding`."""
        return frozenset(
            f"{sheet.provider}/{rule.ladder.counter}"
            for layer in self._layers
            for sheet in layer.sheets
            for rule in (*sheet.rules, *(rule for t in sheet.tariffs for rule in t.rules))
            if rule.ladder is not None and rule.ladder.counter != WITHIN_CALL
        )

    def find(self, provider: str, model: str, at: datetime) -> Tariff | None:
        """The tariff of `model` at the instant `at`; None if no price is known.

        It includes what the provider charges on all models: fees, discounts.
        """
        key = provider, model
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= NAMES_MAX:
                self._found.clear()
            found = self._found[key] = self._all_periods(provider, model)
        for periods in found:
            tariff = periods.at(at)
            if tariff is not None:
                return tariff
        return None

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
        return self._prefers_reported.get(provider, False)

    def usd(self, currency: str, at: datetime) -> Decimal | None:
        """US dollars for one unit of `currency` at an instant; None if no rate is known."""
        periods = self._currencies.get(currency, [])
        index = bisect_right(periods, at, key=lambda rate: rate.start)
        return periods[index - 1].usd if index else None

    def _all_periods(self, provider: str, model: str) -> list["_Periods"]:
        rules: list[Rule] = []
        factors: list[Factor] = []
        for layer in self._layers:
            shared = [sheet for sheet in layer.sheets if sheet.provider == provider]
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
        self._tariffs = tariffs
        self._starts = [by_start(tariff) for tariff in tariffs]

    def at(self, at: datetime) -> Tariff | None:
        index = bisect_right(self._starts, at)
        if not index:
            return None
        tariff = self._tariffs[index - 1]
        return tariff if tariff.end is None or at < tariff.end else None


class _Layer:
    """The tariffs of one directory by provider and name."""

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        self.sheets = sheets
        self._exact: dict[tuple[str, str], list[Tariff]] = {}
        self._patterns: dict[str, dict[str, list[Tariff]]] = {}
        for tariff in sorted((t for sheet in sheets for t in sheet.tariffs), key=by_start):
            for name in tariff.names:
                if set(name) & set("*?["):
                    patterns = self._patterns.setdefault(tariff.provider, {})
                    patterns.setdefault(name, []).append(tariff)
                else:
                    self._exact.setdefault((tariff.provider, name), []).append(tariff)

    def named(self, provider: str, model: str) -> list[Tariff]:
        """The periods of the exact name, else of the longest pattern, the first in the alphabet."""
        exact = self._exact.get((provider, model))
        if exact is not None:
            return exact
        patterns = self._patterns.get(provider, {})
        fitting = [pattern for pattern in patterns if fnmatchcase(model, pattern)]
        return patterns[min(fitting, key=lambda p: (-len(p), p))] if fitting else []


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


def _check(sheets: Sequence[Sheet]) -> Iterable[Problem]:
    for sheet in sheets:
        yield from sheet.problems
        for tariff in sheet.tariffs:
            yield from check_rules(tariff)
        yield from check_reach(sheet.rules)
    yield from check_periods(tariff for sheet in sheets for tariff in sheet.tariffs)


def _check_currencies(sheets: Sequence[Sheet]) -> Iterable[Problem]:
    known = {"USD", *(rate.code for sheet in sheets for rate in sheet.currencies)}
    for sheet in sheets:
        for rule in [*sheet.rules, *(rule for t in sheet.tariffs for rule in t.rules)]:
            if rule.currency not in known:
                line = int(rule.id.rpartition(":")[2])
                yield Problem(sheet.file, line, f"no [[currencies]] entry for {rule.currency}")


def _texts(directory: Path) -> Layer:
    label = "" if directory == SHIPPED else f"{directory}/"
    return {
        f"{label}{path.name}": path.read_text(encoding="utf-8")
        for path in sorted(directory.glob("*.toml"))
    }


def _version(layers: Sequence[Layer]) -> str:
    """Twelve hexadecimal digits that change with any byte of any file."""
    digest = sha256()
    for number, layer in enumerate(layers):
        for text in layer.values():
            digest.update(f"{number}:{len(text)}:".encode() + text.encode())
    return digest.hexdigest()[:12]
