"""Reads OpenAI's costs and usage: answers of the API, and the CSV of the dashboard.  Pure.

Fields: https://platform.openai.com/docs/api-reference/usage/costs_object and
…/usage/completions_object (read 2026-11-29).  The CSV has the same names with `amount_value` and
`amount_currency`.  Only costs add up to the invoice, as the reference says.
"""

from collections.abc import Iterator

from proxy.invoices.statement import (
    INPUT,
    OTHER,
    OUTPUT,
    READ,
    Billed,
    Row,
    Statement,
    StatementError,
    Used,
    day_of,
    documents,
    dollars,
    is_json,
    item_of,
    objects,
    pick,
    table,
    whole,
)

COSTS = "organization.costs.result"
USAGE = "organization.usage."


def read(text: str) -> Statement:
    """Costs or usage, whichever the text holds.  Raises StatementError."""
    if not is_json(text):
        return _sorted((row.get("start_time"), row) for row in table(text))
    return _sorted(
        (bucket.get("start_time"), result)
        for page in documents(text)
        for bucket in objects(page.get("data"), "data")
        for result in objects(bucket.get("results", bucket.get("result")), "results")
    )


def _sorted(rows: Iterator[tuple[object, Row]]) -> Statement:
    billed: list[Billed] = []
    used: list[Used] = []
    for start, row in rows:
        kind = str(row.get("object", ""))
        if kind == COSTS or "amount_value" in row:
            billed += _billed(start, row)
        elif kind.startswith(USAGE) or "num_model_requests" in row:
            used += _used(start, row)
        else:
            raise StatementError("neither costs nor usage of OpenAI: no amount, no requests")
    return Statement(tuple(billed), tuple(used))


def _billed(start: object, row: Row) -> Iterator[Billed]:
    """`line_item` is `MODEL, ITEM` for tokens, and a text alone for tools."""
    amount = row.get("amount")
    if isinstance(amount, dict):
        value, currency = amount.get("value"), amount.get("currency", "usd")
    else:
        value, currency = row.get("amount_value"), row.get("amount_currency") or "usd"
    if value in (None, ""):  # a day without costs
        return
    text = str(row.get("line_item") or "")
    model, comma, part = text.rpartition(", ")
    yield Billed(
        day=day_of(start),
        usd=dollars(value, currency),
        model=model,
        item=item_of(part) if comma else OTHER if text else "",
        key=str(row.get("project_id") or ""),
        text=text,
    )


def _used(start: object, row: Row) -> Iterator[Used]:
    """`input_tokens` include the cached ones."""
    if not row.get("num_model_requests"):
        return
    cached = whole(row.get("input_cached_tokens"))
    batch = str(row.get("batch") or "").lower() == "true"
    yield Used(
        day=day_of(start),
        model=pick(row, "model", default=""),
        tokens={
            INPUT: whole(row.get("input_tokens")) - cached,
            READ: cached,
            OUTPUT: whole(row.get("output_tokens")),
        },
        requests=whole(row["num_model_requests"]),
        key=str(row.get("project_id") or row.get("api_key_id") or ""),
        tier="batch" if batch else str(row.get("service_tier") or ""),
    )
