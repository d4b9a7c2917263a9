"""Checks what is said about bills and fixed costs.  No message quotes a key.  No I/O."""

from collections.abc import Iterator
from datetime import date

from exporters.clickhouse.weights_sql import WEIGHTS
from proxy.query.asked import Accepted, Mistake, asked
from proxy.settings.bills import FixedCostOptions, InvoiceOptions
from proxy.settings.config import Config
from proxy.settings.typed import nearest

PERIODS = ("hour", "day", "month", "year")


def invoice_mistakes(config: Config) -> Iterator[str]:
    """All mistakes in `[invoices]` and `[fixed_costs]`."""
    for bill in config.invoices.values():
        yield from _bill_mistakes(bill, config)
    for cost in config.fixed_costs.values():
        yield from _cost_mistakes(cost)


def _bill_mistakes(bill: InvoiceOptions, config: Config) -> Iterator[str]:
    key = f"invoices.{bill.name}"
    if bill.name not in config.providers:
        yield f"{key}: unknown provider{nearest(bill.name, config.providers)}"
    if bill.base_url and not bill.base_url.startswith(("https://", "http://127.0.0.1", "http://[")):
        yield f"{key}.base_url: expected https://, or the key would be sent in clear"


def _cost_mistakes(cost: FixedCostOptions) -> Iterator[str]:
    key = f"fixed_costs.{cost.name}"
    if cost.per not in PERIODS:
        yield f"{key}.per: unknown period {cost.per!r}{nearest(cost.per, PERIODS)}"
    if cost.spread not in WEIGHTS:
        yield f"{key}.spread: unknown weight {cost.spread!r}{nearest(cost.spread, WEIGHTS)}"
    for name in ("usd", "quantity"):
        if not getattr(cost, name) > 0:
            yield f"{key}.{name}: expected more than 0"
    days = {}
    for name in ("since", "until"):
        text = getattr(cost, name)
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            yield f"{key}.{name}: expected a day such as 2026-11-01, got {text!r}"
    first, end = days.get("since"), days.get("until")
    if first and end and end <= first:
        yield f"{key}.until: it is not after since"
    try:
        asked(cost.calls.items(), Accepted(filters=True))
    except Mistake as error:
        yield f"{key}.calls: {error}"
