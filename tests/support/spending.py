"""A store in memory that answers as the real one does, rows of budgets, and their targets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from exporters.clickhouse.corrections import Correction
from exporters.clickhouse.spend import Bound, SpendQuestion
from exporters.record import EPOCH, Batch, Record, TransientError
from pricing.budget import Budget
from pricing.window import bucket
from proxy.budgets import sums
from proxy.budgets.spending import Spending
from proxy.budgets.sums import Entry, Sums

WRITER = "meter-1"


class FakeStore:
    """Rows and corrections; `ask` answers the question that was asked last by `question`."""

    def __init__(self, now: datetime | None = None) -> None:
        self.entries: list[Entry] = []
        self.now = now or NOW
        self.away = False
        self.spending: Spending | None = None

    def take(self, rows: Iterable[Record | Correction]) -> None:
        for row in rows:
            entry = sums.of_record(row) if isinstance(row, Record) else sums.of_correction(row)
            if entry is not None:
                self.entries.append(entry)

    async def ask(self, sql: str, bound: Bound) -> Sequence[tuple[Any, ...]]:
        """As `ClickHouse.ask`: the budget is found by its SQL."""
        if self.away or self.spending is None:
            raise TransientError("the store is away")
        for count in self.spending.counts.values():
            window = count.window(self.now)
            rolling = count.budget.windows.rolling is not None
            question = SpendQuestion(
                scope=count.budget.scope,
                since=window.start,
                until=window.end,
                step="bucket" if rolling else "",
            )
            if question.sql() == (sql, bound):
                return self._rows(count.budget, question)
        raise AssertionError(sql)

    def _rows(self, budget: Budget, question: SpendQuestion) -> list[tuple[Any, ...]]:
        found: defaultdict[tuple[Any, ...], Sums] = defaultdict(Sums)
        for entry in self.entries:
            key = budget.matches(entry.facts)
            early = entry.at < question.since
            if key is None or early or (question.until and entry.at >= question.until):
                continue
            at = (bucket(entry.at) - EPOCH).total_seconds() if question.step else 0
            found[*(value for _, value in key), *entry.kind, int(at)] = found[
                (*(value for _, value in key), *entry.kind, int(at))
            ].plus(entry.sums)
        return [(*group, *total) for group, total in found.items()]


NOW = datetime(2026, 11, 20, 12, 7, tzinfo=UTC)


def record(number: int, usd: object = "0.5", at: datetime = NOW, **more: Any) -> Record:
    """Call `number` of one relay; without a price if `usd` is None."""
    fields: dict[str, Any] = {
        "ts_us": int((at - EPOCH).total_seconds() * 1e6),
        "call_id": f"00000000-0000-0000-0000-{number:012}",
        "source": f"relay-1:{number}",
        "provider": "openai",
        "operation": "chat",
        "request_model": "m",
        "outcome": "ok",
        "input_tokens_total": 10,
        "output_tokens_total": 5,
        "cost_usd": None if usd is None else Decimal(str(usd)),
        "cost_status": "unpriced" if usd is None else "exact",
    }
    return Record(**{**fields, **more})


def corrected(record: Record, usd: object, revision: int = 1) -> Correction:
    """A new price of a stored call."""
    new = None if usd is None else Decimal(str(usd))
    parts = ("input", "output", "cache_read", "cache_write", "other")
    nothing: Mapping[str, Any] = {
        f"{old}cost_{part}_usd": None for old in ("", "old_") for part in parts
    }
    named = {
        name: getattr(record, name)
        for name in (
            *("call_id", "source", "project", "environment", "team", "feature", "key_id"),
            *("provider", "operation", "request_model", "response_model", "outcome", "client"),
            *("user_id", "tags", "input_tokens_total", "output_tokens_total"),
        )
    }
    return Correction(
        ts=record.ts_us,
        revision=revision,
        at=record.ts_us,
        reason="test",
        old_cost_usd=record.cost_usd,
        old_cost_status=record.cost_status,
        old_counts={},
        cost_usd=new,
        cost_status="unpriced" if new is None else "exact",
        reasons=(),
        tariff="t",
        receipt="{}",
        counts={},
        **named,
        **nothing,
    )


def batch(records: Sequence[Record], writer: str = WRITER) -> Batch[Record]:
    """As the delivery of this meter sends it."""
    return Batch(f"{writer}:1:0-{len(records)}", tuple(records))
