"""Reads OpenRouter's activity, which is by day, model and endpoint, and its generations.  Pure.

Fields: https://openrouter.ai/docs/api-reference/analytics/get-activity and …/get-a-generation (read
2026-11-29).  `usage` is what OpenRouter charges; calls with a key of your own for the provider are
billed there, and are in `byok_usage_inference`, which is not added.
"""

from proxy.invoices.statement import (
    INPUT,
    OUTPUT,
    WHOLE,
    Billed,
    Row,
    Statement,
    StatementError,
    Used,
    day_of,
    decimal,
    documents,
    is_json,
    objects,
    table,
    whole,
)


def read(text: str) -> Statement:
    """Activity (JSON or CSV) or generations.  Raises StatementError."""
    rows: list[Row] = []
    for page in documents(text) if is_json(text) else [{"data": table(text)}]:
        data = page.get("data", page)
        rows += objects(data, "data") if isinstance(data, list) else [data]
    found = [_generation(row) if "total_cost" in row else _activity(row) for row in rows]
    return sum(found, Statement())


def _activity(row: Row) -> Statement:
    if "usage" not in row or "date" not in row:
        raise StatementError("neither activity nor generations of OpenRouter: no date and usage")
    day, model = day_of(row["date"]), str(row.get("model_permaslug") or row.get("model") or "")
    tokens = {
        INPUT: whole(row.get("prompt_tokens")),
        OUTPUT: whole(row.get("completion_tokens")),
    }
    return Statement(
        (Billed(day=day, usd=decimal(row["usage"]), model=model, item=WHOLE),),
        (Used(day=day, model=model, tokens=tokens, requests=whole(row.get("requests"))),),
    )


def _generation(row: Row) -> Statement:
    day, model = day_of(row.get("created_at")), str(row.get("model") or "")
    tokens = {
        INPUT: whole(row.get("native_tokens_prompt")),
        OUTPUT: whole(row.get("native_tokens_completion")),
    }
    return Statement(
        (Billed(day=day, usd=decimal(row["total_cost"]), model=model, item=WHOLE),),
        (Used(day=day, model=model, tokens=tokens, requests=1),),
    )
