"""Worlds for decisions: calls of candidates whose cost, latency and success are known exactly."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from numpy.random import Generator

from evaluation.decisions.prices import Prices, quantities
from evaluation.reports.rows import Result, Run, Stored
from exporters.clickhouse.observed import COLUMNS
from exporters.record import Record, rounded
from pricing import TariffBook, Usage

BOOK = Prices(TariffBook.load())

SPREAD = 0.5  # standard deviation of the logarithm of costs and times
SESSION = 0.3  # of what the calls of a session share
HOUR = 0.2  # of what the calls of an hour share, in times
HOURS = 240
BEGAN_US = (time.time_ns() // 3_600_000_000_000 - HOURS - 24) * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """A candidate: its median cost and seconds, and how often it succeeds."""

    model: str
    usd: float
    seconds: float
    success: float

    @property
    def cost_per_call(self) -> float:
        """The mean of costs."""
        return self.usd * math.exp((SPREAD**2 + SESSION**2) / 2)

    @property
    def cost_per_success(self) -> float:
        """Costs do not depend on success."""
        return self.cost_per_call / self.success

    @property
    def p95_total(self) -> float:
        """The quantile of times over all hours there could be."""
        return self.seconds * math.exp(1.6448536 * math.hypot(SPREAD, HOUR))


CHEAP = Known("cheap", 0.001, 1.0, 0.90)
GOOD = Known("good", 0.010, 2.0, 0.97)
POOR = Known("poor", 0.012, 2.5, 0.80)


def calls(
    chance: Generator, known: Sequence[Known] = (CHEAP, GOOD, POOR), count: int = 1200
) -> Iterator[Record]:
    """Calls in sessions of about four, each session with one candidate."""
    shared = chance.normal(0, SESSION, count)
    hours = chance.normal(0, HOUR, HOURS)
    for number in range(count):
        session = number // 4
        one = known[session % len(known)]
        hour = int(chance.integers(HOURS))
        usd = one.usd * math.exp(shared[session] + chance.normal(0, SPREAD))
        seconds = one.seconds * math.exp(hours[hour] + chance.normal(0, SPREAD))
        ok = chance.random() < one.success
        yield Record(
            ts_us=BEGAN_US + hour * 3_600_000_000 + int(chance.integers(3_600_000_000)),
            call_id=str(UUID(int=number + 1)),
            session_id=f"session-{session}",
            provider="openai",
            request_model=one.model,
            response_model=one.model,
            operation="chat",
            stream=True,
            http_status=200 if ok else 500,
            outcome="ok" if ok else "http_error",
            finish_reason="stop" if ok else "",
            usage={"input": Decimal(900), "output": Decimal(100)},
            usage_origin="reported",
            input_tokens_total=900,
            output_tokens_total=100,
            cost_usd=rounded(Decimal(usd)),
            cost_status="exact",
            duration_us=int(seconds * 1e6),
            first_token_us=int(seconds * 2.5e5),
        )


def observed(records: Sequence[Record]) -> tuple[list[dict[str, Any]], list[list[object]]]:
    """Sums by candidate, and rows: what the store would answer, without it."""
    rows, mine = [], dict[tuple[str, str], list[Record]]()
    for record in records:
        mine.setdefault((record.provider, record.response_model), []).append(record)
        found = {name: getattr(record, name, None) for name in COLUMNS}
        found |= {"model": record.response_model, "cluster": record.session_id or record.call_id}
        found |= {"is_eval": 0, "in_session": bool(record.session_id)}
        said = record.tags.get("success", "")  # a caller's word, where there is no feedback
        found |= {"judged": int(bool(said)), "success": int(said == "true" or _well(record, said))}
        found["effort"] = record.attributes.get("request.reasoning.level", "")
        rows.append([found[name] for name in COLUMNS])
    return [_sums(model, each) for (_, model), each in mine.items()], rows


def _well(record: Record, said: str) -> bool:
    """Whether a call that nobody judged succeeded."""
    return not said and record.outcome == "ok" and record.finish_reason != "length"


def _sums(model: str, records: Sequence[Record]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "provider": records[0].provider,
        "model": model,
        "calls": len(records),
        "errors": sum(each.outcome != "ok" for each in records),
        "cost_usd": str(sum((each.cost_usd or Decimal(0) for each in records), Decimal(0))),
        "cost_status": "exact",
        "unpriced_calls": sum(each.cost_usd is None for each in records),
        "partial_calls": sum(each.cost_status == "partial" for each in records),
        "inexact_calls": 0,
    }
    for name, column in (("duration", "duration_us"), ("first_token", "first_token_us")):
        values = [getattr(each, column) for each in records if getattr(each, column) is not None]
        for level in (50, 95):
            value = int(np.quantile(values, level / 100)) if values else None
            found[f"{name}_p{level}_us"] = value
    return found


def call(number: int, model: str, usage: Mapping[str, int], **fields: Any) -> Record:
    """One chat call of `provider/model` that used this much, at the price of its tariff."""
    provider, _, name = model.partition("/")
    counted = quantities(usage)
    at_us = fields.pop("ts_us", BEGAN_US + number % 10_000 * 60_000_000)
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    cost = None if "cost_usd" in fields else BOOK.usd(provider, name, counted, at)
    totals = Usage(counted)
    made: dict[str, Any] = {
        "session_id": f"s{number}",
        "operation": "chat",
        "stream": True,
        "http_status": 200,
        "outcome": "ok",
        "finish_reason": "stop",
        "duration_us": 1_000_000,
        "cost_usd": None if cost is None else rounded(Decimal(str(cost))),
        "cost_status": "exact",
        "request_bytes": 4 * totals.input_tokens + number,
        "reasoning_tokens": usage.get("output.reasoning", 0),
    }
    return Record(
        ts_us=at_us,
        call_id=str(UUID(int=10**9 + number)),
        provider=provider,
        request_model=name,
        response_model=name,
        usage={meter: Decimal(count) for meter, count in usage.items()},
        usage_origin="reported",
        input_tokens_total=totals.input_tokens,
        output_tokens_total=totals.output_tokens,
        cache_read_tokens=usage.get("cache_read", 0),
        **made | fields,
    )


def run_of(
    right: Mapping[str, float],
    costs: Mapping[str, float],
    cases: int,
    *,
    seed: int = 1,
    noise: float = 0.0,
) -> Stored:
    """Models that are right so often on the same cases, at such costs; `noise` is of each cost."""
    chance = np.random.default_rng(seed)
    hard = chance.random(cases)
    run = Run(
        run_id="R", ts="", state="finished", suite="s", suite_version="1", models=[*right],
        samples=1, judge="", cases=cases, hidden_cases=0,
    )  # fmt: skip
    results = [
        Result(
            model=model, case_id=str(case), sample=1, case_version="1", cluster="", task="t",
            hidden=False, weight=1.0, status="pass" if hard[case] < rate else "fail",
            reason="", checks="[]", contaminated=False, attempts=1, error_type="",
            cost_usd=_usd(costs[model] * (1 + hard[case]) * math.exp(chance.normal(0, noise))),
            judge_usd=None, duration_us=1,
        )
        for model, rate in right.items()
        for case in range(cases)
    ]  # fmt: skip
    return Stored(run=run, results=results, calls=[])


def _usd(cost: float) -> Decimal:
    return Decimal(cost).quantize(Decimal("1e-15"))
