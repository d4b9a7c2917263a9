"""Names what prices a model that has no price: the command, and similar names that have one.

None of the similar names prices anything.  Once a price is added, `taximeter reprice` restates the
calls that went before.
"""

import logging
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from exporters.clickhouse.query import Filter, bounds
from exporters.record import Record
from pricing import TariffBook
from pricing.cause import parse
from pricing.near_names import near_names
from pricing.reason import Reason

log = logging.getLogger(__name__)

HINTS_MAX = 20  # models named at a time, those with the most calls first
LOGGED_MAX = 100  # models named in the log of one process; callers choose the names
REPRICE = "taximeter reprice --since TIME"
# Reasons that name a model without a price.
NAMING = (Reason.UNKNOWN_MODEL, Reason.SERVED_MODEL_UNKNOWN, Reason.NO_PRICE_AT_THE_TIME)


class Asking(Protocol):
    """The part of `exporters.clickhouse.store.Store` that is needed."""

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, object]]: ...


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """A model without a price, and what to do.  `near` are similar names that have one."""

    provider: str
    model: str
    calls: int
    command: str
    near: tuple[str, ...] = ()

    def __str__(self) -> str:
        like = f" (similar: {', '.join(self.near)})" if self.near else ""
        return f"{self.provider}/{self.model} has no price{like}.  To add it: {self.command}"


def hint(book: TariffBook, provider: str, model: str, calls: int = 1) -> Hint:
    """What to do about a model without a price."""
    near = tuple(near_names(book, provider, model))
    return Hint(
        provider=provider, model=model, calls=calls, command=command(provider, model), near=near
    )


def command(provider: str, model: str) -> str:
    """The command that adds a price; the figures are for the reader to fill in."""
    name = shlex.quote(f"{provider}/{model}")
    return f"taximeter tariffs add {name} --input USD --output USD"


async def unpriced(
    store: Asking,
    book: TariffBook,
    since: datetime | None,
    until: datetime | None = None,
    filters: Sequence[Filter] = (),
) -> list[Hint]:
    """The models without a price in a period, of calls that pass `filters`.

    Raises TransientError if the store fails.
    """
    parameters: dict[str, object] = {"most": HINTS_MAX}
    conditions = bounds(since, until, parameters)
    conditions += [one.sql(parameters) for one in filters]
    named = " OR ".join(f"startsWith(reason, '{reason.text}:')" for reason in NAMING)
    conditions.append(f"({named})")
    rows = await store.ask(
        "SELECT t.provider AS provider, reason, count() AS calls FROM priced_calls AS t"
        f" ARRAY JOIN t.reasons AS reason WHERE {' AND '.join(conditions)}"
        " GROUP BY provider, reason ORDER BY calls DESC, provider, reason LIMIT {most:UInt32}",
        parameters,
    )
    calls: dict[tuple[str, str], int] = {}
    for row in rows:
        key = str(row["provider"]), parse(str(row["reason"])).detail
        number = row["calls"]
        calls[key] = calls.get(key, 0) + (number if isinstance(number, int) else 0)
    return [hint(book, *key, number) for key, number in calls.items()]


class Unpriced:
    """Logs each model without a price once, with what to do about it."""

    def __init__(self, book: TariffBook) -> None:
        self._book = book
        self._logged: set[tuple[str, str]] = set()

    def observe(self, record: Record) -> None:
        """Take a new record."""
        for cause in map(parse, record.reasons):
            key = record.provider, cause.detail
            new = cause.reason in NAMING and cause.detail and key not in self._logged
            if new and len(self._logged) < LOGGED_MAX:
                self._logged.add(key)
                log.info("%s; then: %s", hint(self._book, *key), REPRICE)
