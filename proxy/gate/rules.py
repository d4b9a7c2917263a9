"""The budgets that are in force, in a file beside the shared memory: the meter writes, relays read.

A new file has a new generation, which the shared memory names once the spend of all its budgets is
published.  So a change comes into force without a restart, and never before its spend is known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from pricing.budget import Budget
from proxy.journal.disk import write_atomically

# Budget → "provider/model" → the 99th percentile of what one call counts, in the budget's unit.
Usually = Mapping[str, Decimal]
Typical = Mapping[str, Usually]
NOTHING: Typical = MappingProxyType({})
NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """The budgets that enforce, by name."""

    budgets: Mapping[str, Budget]
    typical: Typical = field(default_factory=lambda: NOTHING)
    # "provider/model asked for" → the model that served it, where that is another.
    served: Mapping[str, str] = field(default_factory=lambda: NO_NAMES)
    generation: int = 0


class _File(msgspec.Struct, frozen=True):
    generation: int
    budgets: list[dict[str, Any]]
    typical: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=dict)
    served: dict[str, str] = msgspec.field(default_factory=dict)


def enforcing(budgets: Iterable[Budget]) -> dict[str, Budget]:
    """Those of them that may say something about a call before it is made."""
    return {b.name: b for b in budgets if b.action != "alert" and b.limit is not None}


def write(path: Path, rules: Rules) -> None:
    """Replace the file.  Raises OSError."""
    budgets = [
        {one.name: _plain(getattr(budget, one.name)) for one in fields(budget)}
        for budget in rules.budgets.values()
    ]
    typical = {name: dict(models) for name, models in rules.typical.items()}
    file = _File(rules.generation, budgets, typical, dict(rules.served))
    write_atomically(path, msgspec.json.encode(file))


def read(path: Path) -> Rules:
    """What `write` wrote.  Raises OSError, or ValueError if the file is damaged."""
    found = msgspec.json.decode(path.read_bytes(), type=_File)
    budgets = [msgspec.convert(one, Budget, strict=False) for one in found.budgets]
    named = {budget.name: budget for budget in budgets}
    return Rules(named, found.typical, found.served, found.generation)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
