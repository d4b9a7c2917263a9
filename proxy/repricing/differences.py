"""What repricing changes, summed by model, day and team.  Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from exporters.clickhouse.corrections import Correction
from exporters.record import EXACT
from pricing.charge import plain

GROUPS_MAX = 1_000  # per kind; callers choose the names of models and teams
OTHERS = "(others)"
GROUPED_BY = ("model", "day", "team")


@dataclass(slots=True)
class Sums:
    """Calls and their cost before and after; an unknown cost is in neither sum."""

    calls: int = 0
    changed: int = 0
    newly_priced: int = 0
    no_longer_priced: int = 0
    old_usd: Decimal = Decimal(0)
    new_usd: Decimal = Decimal(0)

    def add(self, old: Decimal | None, new: Decimal | None, *, changed: bool) -> None:
        self.calls += 1
        self.changed += changed
        self.newly_priced += old is None and new is not None
        self.no_longer_priced += old is not None and new is None
        self.old_usd = EXACT.add(self.old_usd, old or Decimal(0))
        self.new_usd = EXACT.add(self.new_usd, new or Decimal(0))

    def document(self) -> dict[str, object]:
        """As JSON; money is exact decimal text."""
        return {
            "calls": self.calls,
            "changed": self.changed,
            "newly_priced": self.newly_priced,
            "no_longer_priced": self.no_longer_priced,
            "old_usd": plain(self.old_usd),
            "new_usd": plain(self.new_usd),
            "difference_usd": plain(EXACT.subtract(self.new_usd, self.old_usd)),
        }


@dataclass(slots=True)
class Differences:
    """The sums of all calls, and of each group."""

    total: Sums = field(default_factory=Sums)
    by: dict[str, dict[str, Sums]] = field(
        default_factory=lambda: {kind: dict[str, Sums]() for kind in GROUPED_BY}
    )
    reasons: Counter[str] = field(default_factory=Counter)  # of the new prices, with their calls

    def add(self, row: Mapping[str, Any], correction: Correction | None) -> None:
        """Add a call, and its correction if its price changes."""
        stored = row["cost_usd"]
        old = None if stored is None else Decimal(stored)
        new = correction.cost_usd if correction else old
        at = datetime.fromtimestamp(row["ts_us"] / 1e6, UTC)
        names = {
            "model": row["response_model"] or row["request_model"],
            "day": f"{at:%Y-%m-%d}",
            "team": row["team"],
        }
        for sums in (self.total, *(self._group(kind, name) for kind, name in names.items())):
            sums.add(old, new, changed=correction is not None)
        for text in correction.reasons if correction else ():
            known = text in self.reasons or len(self.reasons) < GROUPS_MAX
            self.reasons[text if known else OTHERS] += 1

    def _group(self, kind: str, name: str) -> Sums:
        groups = self.by[kind]
        if name not in groups and len(groups) >= GROUPS_MAX:
            name = OTHERS
        return groups.setdefault(name, Sums())

    def document(self) -> dict[str, object]:
        """As JSON: the total, and each group with a change."""
        return self.total.document() | {
            "reasons": dict(self.reasons.most_common()),
            "by": {
                kind: [
                    {kind: name} | sums.document()
                    for name, sums in sorted(groups.items(), key=_order)
                    if sums.changed
                ]
                for kind, groups in self.by.items()
            },
        }


def _order(group: tuple[str, Sums]) -> tuple[Decimal, str]:
    """The largest change comes first."""
    name, sums = group
    return -abs(sums.new_usd - sums.old_usd), name
