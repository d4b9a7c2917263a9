"""Reads the exports of the clouds: Google's billing export, AWS's CUR and Azure's costs.  Pure.

Columns (read 2026-11-29): Google
https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/standard-usage, as CSV with
dots or underscores, or as lines of JSON; AWS
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-line-item.html, and the older
names with a slash; Azure
https://learn.microsoft.com/azure/cost-management-billing/dataset-schema/cost-usage-details-ea and
…-mca.  Lines of other services are left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from proxy.invoices.statement import (
    OTHER,
    WHOLE,
    Billed,
    Kind,
    Row,
    Statement,
    StatementError,
    day_of,
    decimal,
    documents,
    dollars,
    is_json,
    item_of,
    pick,
    table,
)

_GOOGLE = re.compile(r"vertex|gemini|generative language", re.IGNORECASE)
_BEDROCK = re.compile(r"bedrock|claude|llama|nova|titan|mistral|cohere", re.IGNORECASE)
_AZURE = re.compile(r"cognitive|openai|foundry|ai services", re.IGNORECASE)
# AWS: lineItem/LineItemType → what it is; usage has the others.
# https://docs.aws.amazon.com/cur/latest/userguide/Lineitem-columns.html#Lineitem-details-L
_AWS_KINDS: Mapping[str, Kind] = {
    "Usage": Kind.USAGE,
    "DiscountedUsage": Kind.USAGE,
    "SavingsPlanCoveredUsage": Kind.USAGE,
    **dict.fromkeys(
        ("EdpDiscount", "PrivateRateDiscount", "BundledDiscount", "Discount"), Kind.DISCOUNT
    ),
    "SavingsPlanNegation": Kind.DISCOUNT,
    "Credit": Kind.FREE,
    **dict.fromkeys(
        ("Fee", "RIFee", "SavingsPlanRecurringFee", "SavingsPlanUpfrontFee"), Kind.PLAN
    ),
    **dict.fromkeys(("Tax", "Refund"), Kind.OTHER),
}
# Google: credits.type.  https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables
_GOOGLE_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("PROMOTION", "FREE_TIER"), Kind.FREE),
    **dict.fromkeys(("COMMITTED_USAGE_DISCOUNT", "SUBSCRIPTION_BENEFIT"), Kind.PLAN),
}
_AZURE_KINDS: Mapping[str, Kind] = {
    "usage": Kind.USAGE,
    **dict.fromkeys(("purchase", "unusedreservation", "unusedsavingsplan"), Kind.PLAN),
    **dict.fromkeys(("tax", "refund", "roundingadjustment"), Kind.OTHER),
}


def google(text: str) -> Statement:
    """The billing export of Vertex AI and the Gemini API.  Raises StatementError."""
    rows = map(_flat, documents(text)) if is_json(text) else table(text)
    return Statement(tuple(line for row in rows for line in _google(row)))


def _google(row: Row) -> Iterator[Billed]:
    service = pick(row, "service.description", "service_description")
    sku = pick(row, "sku.description", "sku_description")
    if not _GOOGLE.search(f"{service} {sku}"):
        return
    cost = pick(row, "cost")
    currency = row.get("currency", "USD")
    kind = str(row.get("cost_type") or "regular").lower()
    line = Billed(
        day=day_of(pick(row, "usage_start_time")),
        usd=dollars(cost, currency),
        model=sku,
        item=item_of(sku),
        key=pick(row, "project.id", "project_id", default=""),
        kind=Kind.USAGE if kind == "regular" else Kind.OTHER,
        text=sku,
    )
    if line.kind is Kind.USAGE and re.search("provisioned throughput|commitment", sku, re.I):
        line = _like(line, line.usd, Kind.PLAN)
    yield line
    for amount, type in _credits(row):
        yield _like(line, amount, _GOOGLE_KINDS.get(type, Kind.DISCOUNT))


def _credits(row: Row) -> Iterator[tuple[Decimal, str]]:
    """Amount and type of the credits of a line: a list, its JSON, or columns of one."""
    given = row.get("credits")
    if isinstance(given, str) and given[:1] == "[":
        given = json.loads(given, parse_float=Decimal)
    if isinstance(given, list):
        for one in given:
            yield decimal(one.get("amount")), str(one.get("type") or "")
    elif amount := pick(row, "credits.amount", "credits_amount", default=""):
        yield decimal(amount), pick(row, "credits.type", "credits_type", default="")


def bedrock(text: str) -> Statement:
    """AWS's Cost and Usage Report, old and 2.0.  Raises StatementError."""
    return Statement(tuple(line for row in table(text) for line in _bedrock(row)))


def _bedrock(row: Row) -> Iterator[Billed]:
    service = pick(row, "line_item_product_code", "lineitem/productcode")
    usage = pick(row, "line_item_usage_type", "lineitem/usagetype")
    if not _BEDROCK.search(f"{service} {pick(row, 'product/productname', default='')}"):
        return
    type = pick(row, "line_item_line_item_type", "lineitem/lineitemtype")
    if type not in _AWS_KINDS:
        raise StatementError(f"unknown type of a line: {type[:40]!r}")
    cost = pick(row, "line_item_unblended_cost", "lineitem/unblendedcost")
    currency = pick(row, "line_item_currency_code", "lineitem/currencycode", default="USD")
    kind = _AWS_KINDS[type]
    yield Billed(
        day=day_of(pick(row, "line_item_usage_start_date", "lineitem/usagestartdate")),
        usd=dollars(cost, currency),
        model=usage,
        item=item_of(usage),
        key=pick(row, "line_item_usage_account_id", "lineitem/usageaccountid", default=""),
        kind=Kind.PLAN if kind is Kind.USAGE and "ProvisionedThroughput" in usage else kind,
        text=pick(
            row, "line_item_line_item_description", "lineitem/lineitemdescription", default=usage
        ),
    )


def azure(text: str) -> Statement:
    """Azure's cost and usage details of an EA or MCA account.  Raises StatementError."""
    return Statement(tuple(line for row in table(text) for line in _azure(row)))


def _azure(row: Row) -> Iterator[Billed]:
    category = pick(row, "metercategory")
    sub, meter = (pick(row, name, default="") for name in ("metersubcategory", "metername"))
    if not _AZURE.search(f"{category} {sub}"):
        return
    if "costinusd" in row:
        usd = decimal(row["costinusd"])
    else:
        currency = pick(row, "billingcurrency", "billingcurrencycode", default="")
        usd = dollars(pick(row, "costinbillingcurrency", "cost"), currency)
    type = pick(row, "chargetype", default="Usage").lower()
    if type not in _AZURE_KINDS:
        raise StatementError(f"unknown ChargeType: {type[:40]!r}")
    kind = _AZURE_KINDS[type]
    yield Billed(
        day=day_of(pick(row, "date", "usagedatetime")),
        usd=usd,
        model=meter,
        item=item_of(meter),
        key=pick(row, "resourceid", "instanceid", default=""),
        kind=Kind.PLAN if kind is Kind.USAGE and "provisioned" in meter.lower() else kind,
        text=" ".join(filter(None, (sub, meter))),
    )


def _like(line: Billed, usd: Decimal, kind: Kind) -> Billed:
    item = WHOLE if kind in (Kind.PLAN, Kind.OTHER) else line.item or OTHER
    return Billed(
        day=line.day,
        usd=usd,
        model=line.model,
        item=item,
        key=line.key,
        kind=kind,
        text=line.text,
    )


def _flat(row: Row) -> Row:
    """Nested objects as columns with dots, as BigQuery's CSV has them."""
    found: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    return found
