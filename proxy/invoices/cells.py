"""Brings a statement and our rows into the same cells: day, model, key and item.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from proxy.invoices.causes import Cause
from proxy.invoices.metered import ZERO, Metered
from proxy.invoices.statement import ITEMS, OTHER, WHOLE, Billed, Kind, Statement, Used

Place = tuple[date, str, str, str]  # day, model, key, item


@dataclass(slots=True, kw_only=True)
class Cell:
    """One line of the comparison.  `parts` are what is explained of billed less metered."""

    day: date
    model: str
    key: str
    item: str
    metered_usd: Decimal = ZERO
    billed_usd: Decimal = ZERO
    parts: dict[Cause, Decimal] = field(default_factory=dict)
    factor: Decimal | None = None  # by which the bill's price is ours, if that explains it
    lines: int = 0
    calls: int = 0
    unpriced: int = 0
    tokens: int = 0
    unpriced_tokens: int = 0
    used: int | None = None  # tokens by the provider's count
    crossing: Decimal = ZERO
    plan_usd: Decimal = ZERO
    tiers: frozenset[str] = frozenset()
    used_tiers: frozenset[str] = frozenset()
    unmatched: bool = False  # the bill's model is none of ours by name
    text: str = ""

    @property
    def left(self) -> Decimal:
        """What is not explained."""
        return self.billed_usd - self.metered_usd - sum(self.parts.values(), ZERO)

    def explain(self, cause: Cause, usd: Decimal) -> None:
        """Name a part of the difference."""
        if usd:
            self.parts[cause] = self.parts.get(cause, ZERO) + usd


class Grid:
    """The cells.  `names` maps their models to ours, `keys` our keys to theirs."""

    def __init__(
        self, statement: Statement, names: Mapping[str, str], keys: Mapping[str, str]
    ) -> None:
        self._names, self._keys = names, keys
        self.cells: dict[Place, Cell] = {}
        usage = [one for one in statement.billed if one.kind in _COMPARED]
        # Without a split by item or by model on their side, ours is put together as well.
        self._split = {(one.day, self._model(one.model)) for one in usage if one.item != WHOLE}
        self._whole = {(one.day, self._model(one.model)) for one in usage if one.item == WHOLE}
        self._models = any(one.model for one in usage)
        self._tools = any(not one.model and one.item == OTHER for one in usage)
        for line in statement.billed:
            self._bill(line)
        for count in statement.used:
            self._count(count)

    def add(self, rows: Iterable[Metered], shift: timedelta) -> None:
        """Add what we metered; a day of theirs begins `shift` later than one of ours."""
        for row in rows:
            day = (row.hour - shift).date()
            model, key = row.model if self._models else "", self._keys.get(row.key, "")
            if (day, model) in self._whole or (day, model) not in self._split:
                self._meter(self._at(day, model, key, WHOLE), row, WHOLE)
                continue
            for item in ITEMS:
                if row.by_item.get(item) or row.tokens.get(item):
                    of = "" if item == OTHER and self._tools else model
                    self._meter(self._at(day, of, key, item), row, item)

    def _at(self, day: date, model: str, key: str, item: str) -> Cell:
        place = (day, model, key, item)
        if place not in self.cells:
            self.cells[place] = Cell(day=day, model=model, key=key, item=item)
        return self.cells[place]

    def _model(self, theirs: str) -> str:
        return self._names.get(theirs, theirs)

    def _key(self, theirs: str) -> str:
        return theirs if self._keys and theirs in self._keys.values() else ""

    def _bill(self, line: Billed) -> None:
        if line.kind is Kind.OTHER:
            return
        model = self._model(line.model)
        item = WHOLE if (line.day, model) in self._whole else line.item
        cell = self._at(line.day, model, self._key(line.key), item)
        cell.billed_usd += line.usd
        cell.lines += 1
        cell.text = cell.text or line.text
        cell.unmatched |= bool(line.model) and line.model not in self._names
        if line.kind is not Kind.USAGE:
            cell.explain(_KINDS[line.kind], line.usd)

    def _count(self, count: Used) -> None:
        model, key = self._model(count.model), self._key(count.key)
        whole = (count.day, model) not in self._split
        tokens = {WHOLE: sum(count.tokens.values())} if whole else count.tokens
        for item, number in tokens.items():
            if number or (count.day, model, key, item) in self.cells:
                cell = self._at(count.day, model, key, item)
                cell.used = (cell.used or 0) + number
                cell.used_tiers |= {count.tier} - {""}

    @staticmethod
    def _meter(cell: Cell, row: Metered, item: str) -> None:
        whole = item == WHOLE
        cell.metered_usd += row.usd if whole else row.by_item.get(item, ZERO)
        cell.tokens += _sum(row.tokens, item)
        cell.unpriced_tokens += _sum(row.unpriced_tokens, item)
        cell.crossing += _usd(row.crossing, item)
        cell.calls += row.calls
        cell.unpriced += row.unpriced
        cell.plan_usd += row.plan_usd
        cell.tiers |= row.tiers


_COMPARED = (Kind.USAGE, Kind.DISCOUNT, Kind.FREE)
_KINDS = {Kind.DISCOUNT: Cause.PRICE, Kind.FREE: Cause.FREE, Kind.PLAN: Cause.PLAN}


def _sum(tokens: Mapping[str, int], item: str) -> int:
    return sum(tokens.values()) if item == WHOLE else tokens.get(item, 0)


def _usd(amounts: Mapping[str, Decimal], item: str) -> Decimal:
    return sum(amounts.values(), ZERO) if item == WHOLE else amounts.get(item, ZERO)


def by_day(cells: Sequence[Cell]) -> dict[date, list[Cell]]:
    """The cells of each day, in order."""
    found: dict[date, list[Cell]] = {}
    for cell in sorted(cells, key=lambda one: (one.day, one.model, one.key, one.item)):
        found.setdefault(cell.day, []).append(cell)
    return found
