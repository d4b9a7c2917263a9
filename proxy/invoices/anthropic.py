"""Reads Anthropic's cost and usage reports: answers of the Admin API.  Pure.

Fields: https://docs.claude.com/en/api/admin-api/usage-cost/get-cost-report and
…/get-messages-usage-report (read 2026-11-29).  `amount` is in cents, as decimal text: "123.45" is
$1.2345.  Costs of the Priority Tier are not in the report.
"""

from collections.abc import Iterator

from proxy.invoices.statement import (
    INPUT,
    OTHER,
    OUTPUT,
    READ,
    WHOLE,
    WRITE,
    Billed,
    Row,
    Statement,
    StatementError,
    Used,
    day_of,
    documents,
    dollars,
    item_of,
    objects,
    whole,
)

CENTS = 100


def read(text: str) -> Statement:
    """The cost report or the usage report, whichever the text holds.  Raises StatementError."""
    billed: list[Billed] = []
    used: list[Used] = []
    for page in documents(text):
        for bucket in objects(page.get("data"), "data"):
            for row in objects(bucket.get("results"), "results"):
                start = bucket.get("starting_at")
                if "amount" in row:
                    billed.append(_billed(start, row))
                elif "output_tokens" in row:
                    used += _used(start, row)
                else:
                    raise StatementError("neither costs nor usage of Anthropic")
    return Statement(tuple(billed), tuple(used))


def _billed(start: object, row: Row) -> Billed:
    tokens = row.get("token_type")
    item = item_of(str(tokens)) if tokens else OTHER if row.get("description") else WHOLE
    return Billed(
        day=day_of(start),
        usd=dollars(row["amount"], row.get("currency", "USD")) / CENTS,
        model=str(row.get("model") or ""),
        item=item,
        key=str(row.get("workspace_id") or ""),
        text=str(row.get("description") or ""),
    )


def _used(start: object, row: Row) -> Iterator[Used]:
    written = row.get("cache_creation")
    yield Used(
        day=day_of(start),
        model=str(row.get("model") or ""),
        tokens={
            INPUT: whole(row.get("uncached_input_tokens")),
            READ: whole(row.get("cache_read_input_tokens")),
            WRITE: sum(map(whole, written.values())) if isinstance(written, dict) else 0,
            OUTPUT: whole(row.get("output_tokens")),
        },
        key=str(row.get("workspace_id") or row.get("api_key_id") or ""),
        tier=str(row.get("service_tier") or ""),
    )
