"""Bills of each provider after their published schemas, made from lines; the source per field.

Read 2026-11-29.  A `Line` is what a test plants; a writer says it in the provider's form.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from support import cloud_bills
from support.bill_lines import Line, Texts, csv_of


def _days(lines: Sequence[Line]) -> list[date]:
    return sorted({one.day for one in lines})


def _epoch(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


Maker = Callable[[Sequence[Line]], list[dict[str, object]]]


def _buckets(
    lines: Sequence[Line], ends: Callable[[date], dict[str, object]], make: Maker
) -> list[dict[str, object]]:
    """A bucket for each day, with the results that `make` has for its lines."""
    return [
        ends(day) | {"results": make([one for one in lines if one.day == day])}
        for day in _days(lines)
    ]


def _by_model(lines: Sequence[Line]) -> Iterator[tuple[str, dict[str, int]]]:
    """Each model with its tokens by item."""
    for model in sorted({one.model for one in lines}):
        yield model, {one.item: one.tokens for one in lines if one.model == model}


def openai(lines: Sequence[Line]) -> Texts:
    """https://platform.openai.com/docs/api-reference/usage: `page` of `bucket`s of results.

    costs_object: `amount.value` (number), `amount.currency` (lower case), `line_item` (if grouped),
    `project_id`.  completions_object: `input_tokens` (cached ones included), `input_cached_tokens`,
    `output_tokens`, `num_model_requests`, `model`, `batch`, `service_tier` (if grouped).
    """

    def ends(day: date) -> dict[str, object]:
        after = _epoch(day + timedelta(days=1))
        return {"object": "bucket", "start_time": _epoch(day), "end_time": after}

    data = (_buckets(lines, ends, _openai_costs), _buckets(lines, ends, _openai_usage))
    page = {"object": "page", "has_more": False, "next_page": None}
    return [json.dumps(page | {"data": one}) for one in data]


_OPENAI_ITEMS = {"input": "input", "output": "output", "cache_read": "cached input"}


def _openai_costs(lines: Sequence[Line]) -> list[dict[str, object]]:
    return [
        {
            "object": "organization.costs.result",
            "amount": {"value": float(one.usd), "currency": "usd"},
            "line_item": f"{one.model}, {_OPENAI_ITEMS[one.item]}",
            "project_id": None,
        }
        for one in lines
    ]


def _openai_usage(lines: Sequence[Line]) -> list[dict[str, object]]:
    return [
        {
            "object": "organization.usage.completions.result",
            "input_tokens": tokens.get("input", 0) + tokens.get("cache_read", 0),
            "input_cached_tokens": tokens.get("cache_read", 0),
            "output_tokens": tokens.get("output", 0),
            **{"num_model_requests": 1, "model": model, "batch": False, "service_tier": None},
        }
        for model, tokens in _by_model(lines)
    ]


def openai_csv(lines: Sequence[Line]) -> Texts:
    """The dashboard's downloads: the same names, flat, with `amount_value`, `amount_currency`."""
    return [
        csv_of(
            {
                "start_time": _epoch(one.day),
                "amount_value": one.usd,
                "amount_currency": "usd",
                "line_item": f"{one.model}, {_OPENAI_ITEMS[one.item]}",
                "project_id": "",
            }
            for one in lines
        )
    ]


def anthropic(lines: Sequence[Line]) -> Texts:
    """https://docs.claude.com/en/api/admin-api/usage-cost/get-cost-report and
    …/get-messages-usage-report: buckets of `starting_at`, `ending_at`, `results`.

    Costs: `amount` (cents, decimal text), `currency`, `cost_type`, `token_type`, `description`,
    `model`, `service_tier`, `workspace_id`, `context_window`.  Usage: `uncached_input_tokens`,
    `cache_read_input_tokens`, `cache_creation` of two lifetimes, `output_tokens`.
    """

    def ends(day: date) -> dict[str, object]:
        after = f"{day + timedelta(days=1)}T00:00:00Z"
        return {"starting_at": f"{day}T00:00:00Z", "ending_at": after}

    data = (_buckets(lines, ends, _anthropic_costs), _buckets(lines, ends, _anthropic_usage))
    return [json.dumps({"data": one, "has_more": False, "next_page": None}) for one in data]


_ANTHROPIC_ITEMS = {
    "input": "uncached_input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation.ephemeral_5m_input_tokens",
}


def _anthropic_costs(lines: Sequence[Line]) -> list[dict[str, object]]:
    return [
        {
            **{"amount": str(one.usd * 100), "currency": "USD", "cost_type": "tokens"},
            "token_type": _ANTHROPIC_ITEMS[one.item],
            "description": f"{one.model} Usage - {one.item}",
            **{"model": one.model, "service_tier": "standard", "workspace_id": None},
            "context_window": "0-200k",
        }
        for one in lines
    ]


def _anthropic_usage(lines: Sequence[Line]) -> list[dict[str, object]]:
    return [
        {
            "uncached_input_tokens": tokens.get("input", 0),
            "cache_read_input_tokens": tokens.get("cache_read", 0),
            "cache_creation": {
                "ephemeral_5m_input_tokens": tokens.get("cache_write", 0),
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": tokens.get("output", 0),
            "server_tool_use": {"web_search_requests": 0},
            **{"model": model, "service_tier": "standard"},
            **{"workspace_id": None, "api_key_id": None},
        }
        for model, tokens in _by_model(lines)
    ]


def openrouter(lines: Sequence[Line]) -> Texts:
    """https://openrouter.ai/docs/api-reference/analytics/get-activity: one item for each day,
    model and endpoint, with `usage` (credits = USD), `prompt_tokens`, `completion_tokens`.
    """
    data = []
    for day in _days(lines):
        for model in sorted({one.model for one in lines if one.day == day}):
            ours = [one for one in lines if (one.day, one.model) == (day, model)]
            total = sum((one.usd for one in ours), Decimal(0))
            output = sum(one.tokens for one in ours if one.item == "output")
            data.append(
                {
                    "date": str(day),
                    "model": model,
                    "model_permaslug": model,
                    "endpoint_id": "e",
                    "provider_name": "p",
                    "usage": float(total),
                    "byok_usage_inference": 0,
                    "requests": 1,
                    "prompt_tokens": sum(one.tokens for one in ours) - output,
                    "completion_tokens": output,
                    "reasoning_tokens": 0,
                }
            )
    return [json.dumps({"data": data})]


WRITERS: Mapping[str, Callable[[Sequence[Line]], Texts]] = {
    "openai": openai,
    "anthropic": anthropic,
    "openrouter": openrouter,
    "vertex": cloud_bills.google,
    "bedrock": cloud_bills.bedrock,
    "azure": cloud_bills.azure,
}
