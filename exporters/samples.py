"""Samples: how a meter is, and what a budget holds, at one instant; rows of tables of their names.

The field names are the columns of `schema/013_samples.sql`.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec


class NodeSample(msgspec.Struct, frozen=True, kw_only=True):
    """One meter and the relays whose calls it meters."""

    ts: datetime
    node: str
    uptime_s: float
    health: str  # green | amber | red, without a look at the store
    alerts: Sequence[str]  # that fire
    calls_begun: int
    calls_ended: int
    calls_lost: int
    frames_dropped: int
    metered: int
    open_calls: int  # in flight, or not metered yet
    failed: int
    waiting: int  # rows that are not in the store
    lag_s: float  # the age of the oldest of them
    delivered: int
    set_aside: int
    retries: int
    journal_bytes: int  # of the fullest journal
    journal_bytes_max: int
    loop_lag_p99_us: int | None  # since the last sample; None: nobody woke up
    memory_bytes: int  # of the meter's process
    cpu_s: float


class BudgetSample(msgspec.Struct, frozen=True, kw_only=True):
    """One budget for one key.  Amounts in its unit; None: unknown, or no limit."""

    ts: datetime
    node: str
    budget: str
    key: str  # `user=ann, team=search`
    unit: str
    state: str
    action: str
    window_start: datetime
    window_end: datetime | None
    limit_amount: Decimal | None
    spent: Decimal | None
    counted: Decimal | None
    reserved: Decimal | None
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None
    unknown_calls: int
    refused_calls: int
    alerts: Sequence[str]  # thresholds whose alerts fire


TABLES: dict[type[msgspec.Struct], str] = {
    NodeSample: "node_samples",
    BudgetSample: "budget_samples",
}
