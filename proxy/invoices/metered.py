"""What we metered, as values: one for each hour, model and key.  Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from proxy.invoices.statement import ITEMS

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """Sums of the calls of an hour.  Amounts are of calls whose cost is known."""

    hour: datetime
    model: str
    key: str = ""
    calls: int = 0
    usd: Decimal = ZERO
    by_item: Mapping[str, Decimal] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    unpriced: int = 0  # calls without a known cost
    unpriced_tokens: Mapping[str, int] = field(default_factory=dict)
    crossing: Mapping[str, Decimal] = field(default_factory=dict)  # ended on another day (UTC)
    planned: int = 0  # calls that a plan pays for
    plan_usd: Decimal = ZERO  # what those would cost at list price
    tiers: frozenset[str] = frozenset()


def metered_rows(rows: Iterable[Mapping[str, Any]]) -> list[Metered]:
    """From the rows of `exporters.clickhouse.invoice_sql.metered`."""
    return [
        Metered(
            hour=datetime.fromtimestamp(int(row["hour"]), UTC),
            model=str(row["model"]),
            key=str(row["key"]),
            calls=int(row["calls"]),
            usd=Decimal(row["usd"]),
            by_item={item: Decimal(row[f"usd_{item}"]) for item in ITEMS},
            tokens={item: int(row[f"tokens_{item}"]) for item in ITEMS},
            unpriced=int(row["unpriced"]),
            unpriced_tokens={item: int(row[f"unpriced_{item}"]) for item in ITEMS},
            crossing={item: Decimal(row[f"crossing_{item}"]) for item in ITEMS},
            planned=int(row["planned"]),
            plan_usd=Decimal(row["plan_usd"]),
            tiers=frozenset(map(str, row["tiers"])),
        )
        for row in rows
    ]
