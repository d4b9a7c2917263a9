"""What repricing changes, summed by model, day and team.  Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from exporters.clickhouse.corrections import Correction
from exporters.record import EXACT
from pricing.charge import Status, plain
from pricing.money import status_of_sum

GROUPS_MAX = 1_000  # per kind; callers choose the names of models and teams
OTHERS = "(others)"
GROUPED_BY = ("model", "day", "team")

Price = tuple[Decimal | None, str]  # a cost and its status


@dataclass(slots=True)
class Total:
    """The cost of calls at one time, and how far to trust it."""

    usd: Decimal = Decimal(0)
    calls: int = 0
    unknown: int = 0  # calls whose cost is not in the sum
    partial: int = 0
    inexact: int = 0  # those of `partial` included

    def add(self, usd: Decimal | None, status: str) -> None:
        self.usd = EXACT.add(self.usd, usd or Decimal(0))
        self.calls += 1
        self.unknown += usd is None
        self.partial += status == Status.PARTIAL and usd is not None
        self.inexact += status in (Status.PARTIAL, Status.ESTIMATED) and usd is not None

    @property
    def known(self) -> Decimal | None:
        """The sum; None if the cost of no call is known."""
        return None if self.calls and self.unknown == self.calls else self.usd

    @property
    def status(self) -> Status:
        counts = {"unknown": self.unknown, "partial": self.partial, "inexact": self.inexact}
        return status_of_sum(self.known, **counts)


@dataclass(slots=True)
class Sums:
    """Calls and their cost before and after."""

    calls: int = 0
    changed: int = 0
    newly_priced: int = 0
    no_longer_priced: int = 0
    old: Total = field(default_factory=Total)
    new: Total = field(default_factory=Total)

    def add(self, old: Price, new: Price, *, changed: bool) -> None:
        self.calls += 1
        self.changed += changed
        self.newly_priced += old[0] is None and new[0] is not None
        self.no_longer_priced += old[0] is not None and new[0] is None
        self.old.add(*old)
        self.new.add(*new)

    @property
    def difference(self) -> Decimal | None:
        """None if the cost is unknown before or after; an unknown one is not 0."""
        if self.old.known is None or self.new.known is None:
            return None
        return EXACT.subtract(self.new.known, self.old.known)

    def document(self) -> dict[str, object]:
        """As JSON; money is exact decimal text, None if it is unknown."""
        exact = self.old.status == self.new.status == Status.EXACT
        difference = self.difference
        doubt = Status.UNPRICED if difference is None else Status.ESTIMATED
        return {
            "calls": self.calls,
            "changed": self.changed,
            "newly_priced": self.newly_priced,
            "no_longer_priced": self.no_longer_priced,
            **_document("old", self.old),
            **_document("new", self.new),
            "difference_usd": None if difference is None else plain(difference),
            "difference_status": (Status.EXACT if exact else doubt).value,
        }


def _document(name: str, total: Total) -> dict[str, object]:
    return {
        f"{name}_usd": None if total.known is None else plain(total.known),
        f"{name}_status": total.status.value,
        f"{name}_unknown": total.unknown,
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
        text = row["cost_usd"]
        old: Price = (None if text is None else Decimal(text), row["cost_status"])
        new = (correction.cost_usd, correction.cost_status) if correction else old
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
    return -abs(EXACT.subtract(sums.new.usd, sums.old.usd)), name
