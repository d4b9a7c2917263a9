"""The rows of FOCUS 1.3, the FinOps Open Cost and Usage Specification, from charge lines.  Pure.

Columns and rules: https://focus.finops.org/focus-specification/v1-3/ (dataset Cost and Usage, read
2026-11-29).  `ProviderName` and `PublisherName`, deprecated in 1.3, are there for readers of 1.2.
What we cannot know is null where the specification allows it, and docs/export.md lists where not.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from pricing.charge import plain
from pricing.tariff import ROUNDED
from pricing.usage import TOKEN_METERS, UNITS, Meter, Unit

Row = dict[str, Any]

TEXT, TIME, COST, NUMBER, COUNT = "text", "time", "cost", "number", "count"
# Column → its type.  In alphabetical order, as the specification lists them, and ours at the end.
COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("AllocatedMethodDetails", "AllocatedMethodId", "AllocatedResourceId"), TEXT),
    **dict.fromkeys(("AllocatedResourceName", "AllocatedTags", "AvailabilityZone"), TEXT),
    "BilledCost": COST,
    **dict.fromkeys(("BillingAccountId", "BillingAccountName", "BillingAccountType"), TEXT),
    "BillingCurrency": TEXT,
    **dict.fromkeys(("BillingPeriodEnd", "BillingPeriodStart"), TIME),
    **dict.fromkeys(("CapacityReservationId", "CapacityReservationStatus"), TEXT),
    **dict.fromkeys(("ChargeCategory", "ChargeClass", "ChargeDescription"), TEXT),
    "ChargeFrequency": TEXT,
    **dict.fromkeys(("ChargePeriodEnd", "ChargePeriodStart"), TIME),
    **dict.fromkeys(("CommitmentDiscountCategory", "CommitmentDiscountId"), TEXT),
    "CommitmentDiscountName": TEXT,
    "CommitmentDiscountQuantity": NUMBER,
    **dict.fromkeys(("CommitmentDiscountStatus", "CommitmentDiscountType"), TEXT),
    "CommitmentDiscountUnit": TEXT,
    "ConsumedQuantity": NUMBER,
    **dict.fromkeys(("ConsumedUnit", "ContractApplied"), TEXT),
    **dict.fromkeys(("ContractedCost", "ContractedUnitPrice", "EffectiveCost"), COST),
    **dict.fromkeys(("HostProviderName", "InvoiceId", "InvoiceIssuerName"), TEXT),
    **dict.fromkeys(("ListCost", "ListUnitPrice"), COST),
    **dict.fromkeys(("PricingCategory", "PricingCurrency"), TEXT),
    "PricingCurrencyContractedUnitPrice": COST,
    **dict.fromkeys(("PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice"), COST),
    "PricingQuantity": NUMBER,
    **dict.fromkeys(("PricingUnit", "ProviderName", "PublisherName"), TEXT),
    **dict.fromkeys(("RegionId", "RegionName", "ResourceId", "ResourceName"), TEXT),
    **dict.fromkeys(("ResourceType", "ServiceCategory", "ServiceName"), TEXT),
    **dict.fromkeys(("ServiceProviderName", "ServiceSubcategory", "SkuId", "SkuMeter"), TEXT),
    **dict.fromkeys(("SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName"), TEXT),
    **dict.fromkeys(("SubAccountType", "Tags"), TEXT),
    "x_CostStatus": TEXT,
    "x_Lines": COUNT,
    **dict.fromkeys(("x_Model", "x_ServiceTier"), TEXT),
    "x_Tokens": NUMBER,
}
# Who bills, as they call themselves; any other provider is its own name.
NAMES: Mapping[str, str] = {
    **{"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Google", "xai": "xAI"},
    **{"vertex": "Google Cloud", "bedrock": "AWS", "azure": "Microsoft", "cohere": "Cohere"},
    **{"mistral": "Mistral AI", "openrouter": "OpenRouter", "deepseek": "DeepSeek"},
    **{"groq": "Groq", "qwen": "Alibaba Cloud", "perplexity": "Perplexity"},
}
# Unit of a quantity → as the attribute Unit Format wants it: a plural in capitals.
_UNITS: Mapping[Unit, str] = {
    **{Unit.TOKEN: "Tokens", Unit.CHARACTER: "Characters", Unit.SECOND: "Seconds"},
    **{Unit.MINUTE: "Minutes", Unit.HOUR: "Hours"},
}
CURRENCY = "USD"
STANDARD = "standard"


def rows(lines: Iterable[Mapping[str, Any]], day: date) -> Iterator[Row]:
    """The rows of the lines of one day (UTC), from `exporters.clickhouse.focus_sql.charged`."""
    for line in lines:
        yield {name: None for name in COLUMNS} | _row(line, day)


def _row(line: Mapping[str, Any], day: date) -> Row:
    provider, model = str(line["provider"]), str(line["model"])
    name = NAMES.get(provider, provider)
    tier = str(line["service_tier"]) or STANDARD
    usd, quantity = Decimal(line["usd"]), Decimal(line["quantity"])
    meter, project = str(line["meter"]), str(line["project"]) or None
    tags = {key: line[key] for key in ("environment", "team", "feature") if line[key]}
    month = day.replace(day=1)
    return {
        **{"BilledCost": usd, "ContractedCost": usd, "EffectiveCost": usd},
        **{"BillingAccountId": provider, "BillingAccountName": name},
        **{"BillingAccountType": "Provider", "BillingCurrency": CURRENCY},
        "BillingPeriodStart": _instant(month),
        "BillingPeriodEnd": _instant((month + timedelta(days=31)).replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{model} {meter}, {tier}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": _instant(day),
        "ChargePeriodEnd": _instant(day + timedelta(days=1)),
        **dict.fromkeys(("HostProviderName", "InvoiceIssuerName", "ProviderName"), name),
        **dict.fromkeys(("PublisherName", "ServiceProviderName"), name),
        **{"PricingCurrency": CURRENCY, "PricingCurrencyEffectiveCost": usd},
        **{"RegionId": line["region"] or None, "RegionName": line["region"] or None},
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{name} API",
        "ServiceSubcategory": "Generative AI",
        **{"SubAccountId": project, "SubAccountName": project},
        "SubAccountType": "Project" if project else None,
        "Tags": _json(tags),
        "x_CostStatus": line["cost_status"],
        "x_Lines": int(line["lines"]),
        "x_Model": model,
        "x_ServiceTier": tier,
        "x_Tokens": quantity if meter in TOKEN_METERS else None,
        **_priced(line, usd, quantity, tier),
    }


def _priced(line: Mapping[str, Any], usd: Decimal, quantity: Decimal, tier: str) -> Row:
    """The columns of the price.  What a provider states as a sum has none: an adjustment."""
    meter = Meter(str(line["meter"]))
    if meter is Meter.REPORTED_USD:
        return {"ChargeCategory": "Adjustment", "ListCost": usd}
    rate, per = _unit_price(line["rate"], line["per"], line["factors"])
    amount = ROUNDED.divide(quantity, per)
    # At list price, the unit may be another one.
    listed = _unit_price(*line["list_rate"]) if line["list_rate"] else None
    list_each = (
        None if listed is None else ROUNDED.multiply(listed[0], ROUNDED.divide(per, listed[1]))
    )
    factors = json.loads(line["factors"])
    sku = f"{line['provider']}/{line['model']}/{meter.value}"
    terms = [tier, *factors, *([f"{plain(per)}"] if per != 1 else [])]
    unit = _UNITS.get(UNITS[meter], "Units")
    return {
        **{"ConsumedQuantity": quantity, "ConsumedUnit": unit},
        "PricingQuantity": amount,
        "PricingUnit": unit if per == 1 else f"{plain(per)} {unit}",
        "PricingCategory": "Standard",
        **dict.fromkeys(("ContractedUnitPrice", "PricingCurrencyContractedUnitPrice"), rate),
        **dict.fromkeys(("ListUnitPrice", "PricingCurrencyListUnitPrice"), list_each),
        "ListCost": None if list_each is None else ROUNDED.multiply(list_each, amount),
        "SkuId": sku,
        "SkuMeter": meter.value,
        "SkuPriceDetails": _json({"x_ServiceTier": tier, "x_Factors": factors}),
        "SkuPriceId": f"{sku}/{'+'.join(terms)}",
    }


def _unit_price(rate: str, per: str, factors: str) -> tuple[Decimal, Decimal]:
    """USD for `per` units, all factors applied; and `per`."""
    price = Decimal(rate)
    for factor in json.loads(factors).values():
        price = ROUNDED.multiply(price, Decimal(factor))
    return price, Decimal(per)


def cells(row: Row) -> dict[str, str | int | None]:
    """A row as text, numbers with all their digits and never as a power of ten."""
    return {
        name: plain(value) if isinstance(value, Decimal) else value for name, value in row.items()
    }


def structure() -> str:
    """The columns with their types in ClickHouse, for writing Parquet."""
    types = {
        TEXT: "Nullable(String)",
        TIME: "DateTime64(0, 'UTC')",
        COST: "Nullable(Decimal(38, 18))",
        NUMBER: "Nullable(Decimal(38, 15))",
        COUNT: "Nullable(UInt64)",
    }
    return ", ".join(f"{name} {types[kind]}" for name, kind in COLUMNS.items())


def _instant(day: date) -> str:
    return datetime.combine(day, time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Mapping[str, object]) -> str | None:
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if value else None
