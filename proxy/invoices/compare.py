"""Compares a statement with what was metered, and names each difference.  Pure.

The steps go from what is stated to what is inferred: kinds of lines, days, usage that only one side
has, then prices.  A step takes no more than there is evidence for, so what remains is unexplained
rather than explained away.  The target is at most 0.1 % of each day's bill.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from proxy.invoices.causes import Cause
from proxy.invoices.cells import Cell, Grid, by_day
from proxy.invoices.metered import ZERO, Metered
from proxy.invoices.names import matched
from proxy.invoices.prices import explain_prices
from proxy.invoices.statement import Billed, Kind, Statement

TARGET = Decimal("0.001")  # of the bill of a day may be unexplained
SHIFTS = sorted(range(-14, 15), key=abs)  # hours; zones go from UTC-12 to UTC+14
SHIFT_GAIN = Decimal("0.1")  # of the distance may be left if days are shifted
PLACES_MAX = 12  # decimal places of an amount that is not noise of binary fractions


@dataclass(frozen=True, slots=True)
class Comparison:
    """The cells in order, hours by which the bill's days are later, and what was not compared."""

    cells: tuple[Cell, ...]
    shift_h: int = 0
    not_compared: tuple[Billed, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def days(self) -> Mapping[date, list[Cell]]:
        """The cells of each day."""
        return by_day(self.cells)

    def total(self) -> "Sums":
        """All cells."""
        return Sums.of(self.cells)


@dataclass(frozen=True, slots=True)
class Sums:
    """What cells add up to; `unexplained` is the sum of their distances, so none offset another."""

    metered_usd: Decimal
    billed_usd: Decimal
    parts: Mapping[Cause, Decimal]
    left_usd: Decimal
    unexplained_usd: Decimal
    unpriced: int = 0

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> "Sums":
        cells = list(cells)
        parts = {
            cause: sum((one.parts[cause] for one in cells if cause in one.parts), ZERO)
            for cause in Cause
        }
        return cls(
            sum((one.metered_usd for one in cells), ZERO),
            sum((one.billed_usd for one in cells), ZERO),
            {cause: usd for cause, usd in parts.items() if usd},
            sum((one.left for one in cells), ZERO),
            sum((abs(one.left) for one in cells), ZERO),
            max((one.unpriced for one in cells), default=0),
        )

    @property
    def share(self) -> Decimal | None:
        """The unexplained part of the bill; None if there is no bill to divide by."""
        size = abs(self.billed_usd) or abs(self.metered_usd)
        return self.unexplained_usd / size if size else None

    @property
    def explained(self) -> bool:
        """Whether the target is met."""
        return (self.share or ZERO) <= TARGET


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says about names: theirs → our models, and our keys → theirs."""

    models: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


def compare(
    rows: Sequence[Metered], statement: Statement, first: date, last: date, told: Told
) -> Comparison:
    """The comparison of the days from `first` to `last`.

    `rows` have the hours of a day more on either side, as a bill may have other days than ours.
    """
    statement = statement.within(first, last)
    asked = last  # a bill of the running month ends before it
    last = max((one.day for one in statement.billed), default=last)
    usage = [one for one in statement.billed if one.kind is not Kind.OTHER]
    theirs = [one.model for one in usage] + [one.model for one in statement.used]
    names = matched(theirs, (one.model for one in rows), told.models)
    shift = _shift(rows, usage, first, last)
    grid, plain = (Grid(statement, names, told.keys) for _ in range(2))
    grid.add(_within(rows, first, last, shift), timedelta(hours=shift))
    plain.add(_within(rows, first, last, 0), timedelta())
    for place in {*grid.cells, *plain.cells}:
        _shifted(grid, plain, place)
    cells = list(grid.cells.values())
    rounding = _precision(usage)
    _elsewhere(cells)
    _unpriced(cells)
    _plans(cells)
    _midnight(cells)
    for cell in cells:
        _round(cell, rounding)
    explain_prices(cells, rounding)
    left_out = tuple(one for one in statement.billed if one.kind is Kind.OTHER)
    return Comparison(
        tuple(one for day in by_day(cells).values() for one in day),
        shift,
        left_out,
        tuple(_notes(cells, statement, (last, asked))),
    )


def _within(rows: Sequence[Metered], first: date, last: date, shift: int) -> list[Metered]:
    by = timedelta(hours=shift)
    return [one for one in rows if first <= (one.hour - by).date() <= last]


def _shift(rows: Sequence[Metered], usage: Sequence[Billed], first: date, last: date) -> int:
    """By how many hours the bill's days begin later than ours, if that explains its days.

    Compared are the shapes of the days, so that a discount does not hide it.
    """
    billed: dict[date, Decimal] = {}
    for line in usage:
        if line.kind is Kind.USAGE:
            billed[line.day] = billed.get(line.day, ZERO) + line.usd
    if len(billed) < 2:
        return 0
    distances = {}
    for shift in SHIFTS:
        ours: dict[date, Decimal] = {}
        for row in _within(rows, first, last, shift):
            day = (row.hour - timedelta(hours=shift)).date()
            ours[day] = ours.get(day, ZERO) + row.usd
        total = sum(ours.values(), ZERO)
        if not total:
            return 0
        scale = sum(billed.values(), ZERO) / total
        days = billed.keys() | ours.keys()
        apart = (abs(billed.get(one, ZERO) - scale * ours.get(one, ZERO)) for one in days)
        distances[shift] = sum(apart, ZERO)
    best = min(SHIFTS, key=lambda one: distances[one])
    matters = distances[0] > TARGET * abs(sum(billed.values(), ZERO))
    return best if matters and distances[best] <= SHIFT_GAIN * distances[0] else 0


def _shifted(grid: Grid, plain: Grid, place: tuple[date, str, str, str]) -> None:
    """Show our own day, and name what the other day makes of it."""
    ours = plain.cells.get(place)
    cell = grid.cells.get(place)
    if cell is None:
        assert ours is not None
        cell = grid.cells[place] = Cell(
            day=ours.day, model=ours.model, key=ours.key, item=ours.item
        )
    before = ours.metered_usd if ours else ZERO
    moved = cell.metered_usd - before
    cell.metered_usd = before
    cell.explain(Cause.ZONE, moved)


def _elsewhere(cells: Sequence[Cell]) -> None:
    """What only the provider has seen: whole models of a day, and tokens beyond ours."""
    there = {(one.day, one.model, one.key) for one in cells if one.calls}
    unbilled = {one.day for one in cells if one.calls and one.model and not one.lines}
    for cell in cells:
        if cell.lines and (cell.day, cell.model, cell.key) not in there:
            if not (cell.unmatched and cell.day in unbilled):  # else it may be one of ours
                cell.explain(Cause.ELSEWHERE, cell.left)
        elif cell.used and cell.used > cell.tokens and cell.left > 0:
            rate = cell.billed_usd / cell.used
            cell.explain(Cause.ELSEWHERE, min(cell.left, rate * (cell.used - cell.tokens)))


def _unpriced(cells: Sequence[Cell]) -> None:
    """Calls of ours without a price: by the provider's own rate, or all that is left."""
    for cell in cells:
        if cell.left <= 0 or not cell.unpriced:
            continue
        if cell.used and cell.unpriced_tokens:
            rate = cell.billed_usd / cell.used
            cell.explain(Cause.UNPRICED, min(cell.left, rate * cell.unpriced_tokens))
        elif cell.unpriced_tokens or not cell.tokens:
            cell.explain(Cause.UNPRICED, cell.left)


def _plans(cells: Sequence[Cell]) -> None:
    """Calls that a plan should have paid for and the bill has: at most their list price.

    And the other way round: calls that we charged, and that a commitment on the bill paid for.
    """
    committed = any(Cause.PLAN in one.parts for one in cells)
    for cell in cells:
        if committed and cell.left < 0 and not cell.lines and not cell.used:
            cell.explain(Cause.PLAN, cell.left)
    room: dict[tuple[date, str, str], Decimal] = {}
    for cell in cells:
        at = (cell.day, cell.model, cell.key)
        room[at] = max(room.get(at, ZERO), cell.plan_usd)
    for cell in cells:
        at = (cell.day, cell.model, cell.key)
        usd = min(max(cell.left, ZERO), room[at])
        cell.explain(Cause.PLAN, usd)
        room[at] -= usd


def _midnight(cells: Sequence[Cell]) -> None:
    """Calls over midnight: on our side where they began, on theirs maybe where they ended."""
    lanes: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in sorted(cells, key=lambda one: one.day):
        lanes.setdefault((cell.model, cell.key, cell.item), []).append(cell)
    for lane in lanes.values():
        for one, after in pairwise(lane):
            if after.day - one.day == timedelta(days=1) and one.left < 0 < after.left:
                usd = min(-one.left, after.left, one.crossing)
                one.explain(Cause.ZONE, -usd)
                after.explain(Cause.ZONE, usd)


def _precision(usage: Sequence[Billed]) -> Decimal:
    """Half of the last place to which the statement writes its amounts."""
    finest = -2
    for line in usage:
        exponent = round(line.usd, PLACES_MAX).normalize().as_tuple().exponent
        finest = min(finest, exponent if isinstance(exponent, int) else finest)
    return Decimal("0.5").scaleb(finest)


def _round(cell: Cell, rounding: Decimal) -> None:
    if abs(cell.left) <= rounding * max(1, cell.lines):
        cell.explain(Cause.ROUNDING, cell.left)


def _notes(cells: Sequence[Cell], statement: Statement, ends: tuple[date, date]) -> Iterable[str]:
    last, asked = ends
    if last < asked:
        yield f"the bill has nothing after {last}; later days were not compared"
    if not statement.used:
        yield "the statement has no usage, so tokens were not compared; give its usage as well"
    names = sorted({one.model for one in cells if one.unmatched and one.left})
    if names:
        shown = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
        yield f"these models of the bill match none of ours by name: {shown}"
