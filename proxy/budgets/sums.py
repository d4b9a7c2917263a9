"""What budgets add up, exactly, and which facts of a call their scopes look at.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

from exporters.clickhouse.corrections import Correction
from exporters.record import EPOCH, EXACT, Record, rounded
from pricing.budget import TAG
from proxy.clients import name_of

NOT_BILLED = "not_billed"
NOTHING = Decimal(0)


class Kind(NamedTuple):
    """By what the price of a call without a known one is estimated."""

    provider: str
    operation: str


class Sums(NamedTuple):
    """What some calls of one kind add up to: the columns of `spend_15m`, in their order."""

    calls: int = 0
    tokens: int = 0
    uncounted_calls: int = 0  # their tokens are unknown
    cost_usd: Decimal = NOTHING
    unknown_calls: int = 0  # their cost is unknown, and not in cost_usd
    unknown_input_tokens: int = 0  # of these
    unknown_output_tokens: int = 0
    unmeasured_calls: int = 0  # of these: their tokens are unknown, too

    def plus(self, other: "Sums") -> "Sums":
        return Sums(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.uncounted_calls + other.uncounted_calls,
            EXACT.add(self.cost_usd, other.cost_usd),
            self.unknown_calls + other.unknown_calls,
            self.unknown_input_tokens + other.unknown_input_tokens,
            self.unknown_output_tokens + other.unknown_output_tokens,
            self.unmeasured_calls + other.unmeasured_calls,
        )

    def minus(self, other: "Sums") -> "Sums":
        return self.plus(Sums(*(-value for value in other)))  # type: ignore[arg-type]  # in order


ZERO = Sums()


class Entry(NamedTuple):
    """What one row adds, when, and for whom."""

    at: datetime
    kind: Kind
    sums: Sums
    facts: Mapping[str, str]


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, to the last digit."""
    return reduce(EXACT.add, amounts, NOTHING)


def of_record(record: Record) -> Entry | None:
    """What a new row adds; None: it is no call, or was refused."""
    if record.is_socket or record.is_refusal:
        return None
    sums = _sums(
        record.cost_usd, record.cost_status, record.input_tokens_total, record.output_tokens_total
    )
    return Entry(_at(record.ts_us), Kind(record.provider, record.operation), sums, facts(record))


def of_correction(one: Correction) -> Entry:
    """What a new price changes."""
    tokens = one.input_tokens_total, one.output_tokens_total
    new = _sums(one.cost_usd, one.cost_status, *tokens)
    old = _sums(one.old_cost_usd, one.old_cost_status, *tokens)
    return Entry(_at(one.ts), Kind(one.provider, one.operation), new.minus(old), facts(one))


def of_row(row: Sequence[Any]) -> tuple[Kind, datetime, Sums]:
    """What a row of an answer to `SpendQuestion` has after its keys."""
    provider, operation, at, *sums = row
    start = EPOCH + timedelta(seconds=int(at))
    return Kind(provider, operation), start, Sums(*sums)


def facts(call: Record | Correction) -> dict[str, str]:
    """What `Budget.matches` looks at.  A client is its name, whatever its version."""
    environment: str = call.environment
    found = {
        "project": call.project,
        "team": call.team,
        "feature": call.feature,
        "user": call.user_id,
        "key": call.key_id,
        "client": name_of(call.client),
        "provider": call.provider,
        "model": call.response_model or call.request_model,
        "environment": environment,
    }
    return found | {TAG + name: value for name, value in call.tags.items()}


def _sums(
    usd: Decimal | None, status: str, input_tokens: int | None, output_tokens: int | None
) -> Sums:
    tokens_in, tokens_out = input_tokens or 0, output_tokens or 0
    unknown = usd is None
    return Sums(
        calls=1,
        tokens=tokens_in + tokens_out,
        uncounted_calls=int(input_tokens is None and status != NOT_BILLED),
        cost_usd=rounded(usd) or NOTHING,
        unknown_calls=int(unknown),
        unknown_input_tokens=tokens_in if unknown else 0,
        unknown_output_tokens=tokens_out if unknown else 0,
        unmeasured_calls=int(unknown and input_tokens is None),
    )


def _at(ts_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=ts_us)
