"""Exports of the clouds after their published schemas; the source per field, read 2026-11-29."""

import json
from collections.abc import Sequence

from support.bill_lines import Line, Texts, csv_of


def google(lines: Sequence[Line]) -> Texts:
    """https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage:
    `service.description`, `sku.description`, `usage_start_time`, `cost`, `currency`, `cost_type`,
    and `credits` with `amount` (negative) and `type`.
    """
    rows = []
    for one in lines:
        is_credit = one.kind in ("discount", "free")
        types = {"discount": "DISCOUNT", "free": "FREE_TIER"}
        words = "Provisioned Throughput" if one.kind == "plan" else f"Text {one.item.title()}"
        rows.append(
            {
                "service": {"description": "Vertex AI"},
                "sku": {"description": f"{_title(one.model)} {words} - Predictions"},
                "usage_start_time": f"{one.day} 00:00:00 UTC",
                "project": {"id": "p"},
                "cost": 0 if is_credit else float(one.usd),
                "currency": "USD",
                "cost_type": "tax" if one.kind == "tax" else "regular",
                "credits": [{"amount": float(one.usd), "type": types[one.kind]}]
                if is_credit
                else [],
            }
        )
    return ["\n".join(json.dumps(row) for row in rows)]


def bedrock(lines: Sequence[Line]) -> Texts:
    """https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html:
    `line_item_line_item_type`, `line_item_usage_start_date`, `line_item_product_code`,
    `line_item_usage_type`, `line_item_unblended_cost`, `line_item_currency_code`.
    """
    types = {
        "usage": "Usage",
        "discount": "EdpDiscount",
        "free": "Credit",
        "plan": "Fee",
        "tax": "Tax",
    }
    words = {"input": "input-tokens", "output": "output-tokens", "cache_read": "cache-read-input"}
    return [
        csv_of(
            {
                "line_item_line_item_type": types[one.kind],
                "line_item_usage_start_date": f"{one.day}T00:00:00Z",
                "line_item_product_code": "AmazonBedrock",
                "line_item_usage_type": f"USE1-{_title(one.model)}-{words[one.item]}",
                "line_item_unblended_cost": one.usd,
                "line_item_currency_code": "USD",
                "line_item_usage_account_id": "1",
                "line_item_line_item_description": "d",
            }
            for one in lines
        )
    ]


def azure(lines: Sequence[Line]) -> Texts:
    """https://learn.microsoft.com/azure/cost-management-billing/dataset-schema/cost-usage-details-ea:
    `Date` (MM/DD/YYYY), `MeterCategory`, `MeterSubCategory`, `MeterName`, `CostInBillingCurrency`,
    `BillingCurrencyCode`, `ChargeType`, `ResourceId`.
    """
    types = {"usage": "Usage", "plan": "Purchase", "tax": "Tax"}
    words = {"input": "Inp", "output": "Outp", "cache_read": "cchd Inp"}
    return [
        csv_of(
            {
                "Date": one.day.strftime("%m/%d/%Y"),
                "MeterCategory": "Cognitive Services",
                "MeterSubCategory": "Azure OpenAI",
                "MeterName": f"{_title(one.model)} {words[one.item]} glbl Tokens",
                "CostInBillingCurrency": one.usd,
                "BillingCurrencyCode": "USD",
                "ChargeType": types[one.kind],
                "ResourceId": "/r",
            }
            for one in lines
        )
    ]


def _title(model: str) -> str:
    """A model as clouds write it: `Gemini 2.5 Flash` for `gemini-2.5-flash`."""
    return " ".join(part.title() for part in model.split("-"))
