"""Explains differences of price: free pools, and factors that hold day after day.  Pure.

One day's factor proves nothing, as any difference is some factor.  So a factor counts if several
days or models agree on it.  Where the provider counted the same usage, what is left is its price,
whatever the factor.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from proxy.invoices.causes import Cause
from proxy.invoices.cells import Cell
from proxy.invoices.metered import ZERO

ALIKE = Decimal("0.0005")  # relative distance of two factors that are one
CELLS_MIN = 3  # days and models that agree on a factor


@dataclass(frozen=True, slots=True)
class Found:
    """A factor between our price and the bill's, and the cells that agree on it."""

    factor: Decimal
    models: tuple[str, ...]
    items: tuple[str, ...]
    first: date
    last: date
    always: bool  # in every cell of these models and items of the period


def explain_prices(cells: Sequence[Cell], rounding: Decimal) -> None:
    """Name what is left where usage agrees and the price does not."""
    for cell in cells:
        if cell.left < 0 and cell.billed_usd == 0 and (cell.lines or cell.used) and _same(cell):
            cell.explain(Cause.FREE, cell.left)
    open_cells = [one for one in cells if one.left and _base(one) > 0]
    for group in _groups(open_cells):
        factor = _exact([_factor(one) for one in group], group, rounding)
        for cell in group:
            cell.factor = factor
            cell.explain(Cause.PRICE, _clipped(cell, (factor - 1) * _base(cell), rounding))
    for cell in open_cells:
        if cell.left and cell.used is not None and _same(cell):
            cell.explain(Cause.PRICE, cell.left)


def factors(cells: Iterable[Cell]) -> list[Found]:
    """The factors that explain something, by model and item."""
    cells = [one for one in cells if one.metered_usd > 0]
    by_lane: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        by_lane.setdefault((cell.model, cell.item), []).append(cell)
    found = []
    for (model, item), lane in sorted(by_lane.items()):
        priced = [one for one in lane if one.factor is not None]
        if not priced:
            continue
        factor = priced[0].factor
        assert factor is not None
        same = all(one.factor == factor for one in lane)
        days = [one.day for one in priced]
        found.append(Found(factor, (model,), (item,), min(days), max(days), same))
    return found


def _groups(cells: Sequence[Cell]) -> Iterable[list[Cell]]:
    """Cells that agree on a factor, enough of them to mean something; the largest groups first."""
    ordered = sorted(cells, key=_factor)
    groups: list[list[Cell]] = []
    for cell in ordered:
        last = groups[-1] if groups else None
        if last and abs(_factor(cell) - _factor(last[0])) <= ALIKE * _factor(last[0]):
            last.append(cell)
        else:
            groups.append([cell])
    return sorted((one for one in groups if _apart(one) >= CELLS_MIN), key=len, reverse=True)


def _apart(cells: Sequence[Cell]) -> int:
    """How many days and models agree: the items of one day's calls are no two witnesses."""
    return len({(one.day, one.model) for one in cells})


def _factor(cell: Cell) -> Decimal:
    return (_base(cell) + cell.left) / _base(cell)


def _base(cell: Cell) -> Decimal:
    """Our cost of what the bill's day has of our calls."""
    return cell.metered_usd + cell.parts.get(Cause.ZONE, ZERO)


def _exact(values: Sequence[Decimal], group: Sequence[Cell], rounding: Decimal) -> Decimal:
    """The factor with the fewest digits that explains all cells to within their rounding."""
    middle = sorted(values)[len(values) // 2]
    for places in range(2, 7):
        factor = round(middle, places)
        if all(
            abs((factor - 1) * _base(one) - one.left) <= rounding * max(1, one.lines)
            for one in group
        ):
            return factor
    return round(middle, 6)


def _clipped(cell: Cell, usd: Decimal, rounding: Decimal) -> Decimal:
    """All that is left, if the factor leaves nothing but rounding."""
    near = abs(usd - cell.left) <= rounding * max(1, cell.lines)
    return cell.left if near else usd


def _same(cell: Cell) -> bool:
    """Whether the provider counted what we counted, or does not say what it counted."""
    return cell.used is None or abs(cell.used - cell.tokens) <= cell.tokens // 1000
