"""The bill in FOCUS's columns: by its rules, to the last digit, and what is absent is counted.

`violations` has the rules of the specification that concern usage
(https://focus.finops.org/focus-specification/v1-3/, read 2026-11-29).  `make focus` also has
focus-validator look, which knows those of 1.0.
"""

import csv
import io
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.connection import connect
from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.file_writer import write_parquet
from exporters.clickhouse.query import Filter
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, Batch, Record
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.exports.focus import COLUMNS, cells, rows, structure
from proxy.exports.focus_days import Day, read_day
from proxy.query.csv_rows import csv_text
from support.documents import ROOT

VALIDATOR = ROOT / ".venv-focus" / "bin" / "focus-validator"
# Rules of focus-validator 1.0.0 that want columns by the names that they had before FOCUS 1.0:
# InvoiceIssuer, Provider, Publisher, ResourceID, and ChargeType (now ChargeCategory).
ITS_MISTAKES = {
    *("InvoiceIssuer_Required", "Provider_Required", "Publisher_Required", "ResourceID_Required"),
    "SkuPriceId_Nullable",
}
DAY = date(2026, 11, 3)
AT_US = (datetime(2026, 11, 3, 9, tzinfo=UTC) - EPOCH) // (datetime.resolution)
MILLION = "1000000"
# Must not be null for a usage charge that is no correction, by the pages of the columns.
REQUIRED = (
    *("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeFrequency", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "HostProviderName"),
    *("InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
    *("ServiceProviderName", "ServiceSubcategory", "PricingCategory", "PricingQuantity"),
    *("PricingUnit", "ConsumedQuantity", "ConsumedUnit", "SkuId", "SkuMeter", "SkuPriceId"),
    *("ContractedUnitPrice", "ListUnitPrice", "ListCost"),
)


def line(
    meter: str, quantity: int, rate: str, per: str = MILLION, **factors: str
) -> dict[str, Any]:
    """A charge line as a receipt has it."""
    usd = Decimal(rate) * quantity / Decimal(per)
    for factor in factors.values():
        usd *= Decimal(factor)
    return {
        **{"subcall": 0, "model": "gpt-5.4-mini", "meter": meter, "quantity": str(quantity)},
        **{"rate": rate, "per": per, "factors": factors, "usd": f"{usd:f}"},
        **{"rule": "openai.toml:1", "source": "https://openai.example"},
    }


def record(number: int, *lines: dict[str, Any], **changes: Any) -> Record:
    """A call with these lines."""
    receipt: dict[str, Any] = {"lines": lines} | changes.pop("receipt_parts", {})
    fields: dict[str, Any] = {
        **{"ts_us": AT_US + number, "call_id": str(UUID(int=number + 1)), "source": f"w:{number}"},
        **{"provider": "openai", "outcome": "ok", "project": "shop", "team": "search"},
        **{"cost_usd": sum((Decimal(one["usd"]) for one in lines), Decimal(0))},
        **{"cost_status": "exact", "receipt": json.dumps(receipt), "service_tier": "standard"},
    }
    return Record(**(fields | changes))


RECORDS = (
    record(0, line("input", 1000, "2.5"), line("output", 300, "10")),
    record(1, line("input", 500, "2.5"), line("calls.web_search", 3, "10", "1000")),
    record(2, line("input", 100, "2.5", batch="0.5"), service_tier="batch"),
    # A contract: billed at 2, listed at 2.5; and one without a list price.
    record(
        3,
        line("input", 1000, "2"),
        receipt_parts={"list": {"usd": "0.0025", "lines": [line("input", 1000, "2.5")]}},
    ),
    record(4, line("output", 10, "7"), receipt_parts={"list": {"usd": None, "lines": []}}),
    record(5, line("input", 50, "2.5"), cost_usd=None, cost_status="unpriced"),
    record(6, cost_status="not_billed"),
    record(7, line("input", 10, "2.5"), cost_status="partial", project=""),
    record(8, line("reported_usd", 1, "0.25", "1")),
)


def violations(row: Mapping[str, Any]) -> Iterator[str]:
    """The rules that a row breaks."""
    if list(row) != list(COLUMNS):
        yield "columns"
    usage = row["ChargeCategory"] == "Usage"
    for name in REQUIRED if usage else REQUIRED[:11]:
        if row[name] is None:
            yield f"{name} is null"
    if row["ChargeCategory"] not in ("Usage", "Purchase", "Tax", "Credit", "Adjustment"):
        yield "ChargeCategory"
    for cost, price in (("ContractedCost", "ContractedUnitPrice"), ("ListCost", "ListUnitPrice")):
        if row[price] is not None and row["PricingQuantity"] is not None:
            if abs(row[cost] - row[price] * row["PricingQuantity"]) > Decimal("1e-15"):
                yield f"{cost} is not {price} times PricingQuantity"
            if row[price] < 0:
                yield f"{price} is negative"
    if (row["SkuId"] is None) != (row["SkuPriceId"] is None):
        yield "SkuPriceId without SkuId"
    if not row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]:
        yield "periods"
    if row["Tags"] is not None and not isinstance(json.loads(row["Tags"]), dict):
        yield "Tags"


@pytest.fixture
async def day(chdb_dsn: str, database: str) -> AsyncIterator[Day]:
    """The records, read as a day."""
    exporter = ClickHouse(chdb_dsn, database=database)
    await exporter.export(Batch("s:0-99", RECORDS))
    await exporter.close()
    store = Store(chdb_dsn, database=database)
    yield await read_day(store, DAY, ())
    other = await read_day(store, DAY, (Filter("project", ("",)),))
    assert [one["cost_status"] for one in other.lines] == ["partial"]
    await store.close()


async def test_rows_follow_the_rules(day: Day, chdb_dsn: str, tmp_path: Path) -> None:
    """Every rule but one: a list price that nobody knows is null, not a guess."""
    found = list(rows(day.lines, DAY))
    broken = {rule for row in found for rule in violations(row)}
    assert broken == {"ListUnitPrice is null", "ListCost is null"}
    assert sum(row["ListCost"] is None for row in found) == 1

    # The sum is that of the calls whose cost is known; the others are counted.
    known = sum((one.cost_usd for one in RECORDS if one.cost_usd is not None), Decimal(0))
    assert sum(row["BilledCost"] for row in found) == known
    assert (day.absent["unknown"], day.absent["not_billed"], day.absent["partial"]) == (1, 1, 1)

    standard = [
        row
        for row in found
        if row["SkuPriceId"] == "openai/gpt-5.4-mini/input/standard+1000000"
        and row["SubAccountId"] == "shop"
    ]
    at_list, by_contract = sorted(standard, key=lambda row: -row["ContractedUnitPrice"])
    assert at_list["ConsumedQuantity"] == 1500
    assert at_list["PricingUnit"] == "1000000 Tokens"
    assert by_contract["BilledCost"] == Decimal("0.002")
    assert by_contract["ListCost"] == Decimal("0.0025")
    assert {row["x_ServiceTier"] for row in found} == {"standard", "batch"}
    assert {row["ChargeCategory"] for row in found} == {"Usage", "Adjustment"}

    # CSV and Parquet have the same.
    table = list(csv.DictReader(io.StringIO(csv_text(map(cells, found), list(COLUMNS)))))
    assert [Decimal(row["BilledCost"]) for row in table] == [row["BilledCost"] for row in found]
    lines, to = tmp_path / "rows.jsonl", tmp_path / "focus.parquet"
    lines.write_text("\n".join(json.dumps(cells(row)) for row in found), encoding="utf-8")
    directory = parse_dsn(chdb_dsn).directory
    assert directory is not None
    write_parquet(lines, structure(), to, directory)
    client = connect(parse_dsn(chdb_dsn))
    read = client.query(
        f"SELECT sum(BilledCost), count(), any(ChargePeriodStart) FROM file('{to}', Parquet)"
    ).result_rows
    names = client.query(f"DESCRIBE file('{to}', Parquet)").result_rows
    client.close()
    assert read[0][:2] == (known, len(found))
    assert [row[0] for row in names] == list(COLUMNS)


def test_the_validator_finds_nothing_else(day: Day, tmp_path: Path) -> None:
    """focus-validator, in an environment of its own, as its numpy is older than ours."""
    if not VALIDATOR.exists():
        pytest.skip("focus-validator is not installed: `make focus` does it")
    file = tmp_path / "focus.csv"
    made = map(cells, rows(day.lines, DAY))
    listed = [row for row in made if row["ListCost"] is not None]  # one has no list price
    file.write_text(csv_text(listed, list(COLUMNS)), encoding="utf-8")
    (packages,) = (VALIDATOR.parents[1] / "lib").glob("python*/site-packages")
    done = subprocess.run(
        [VALIDATOR, "--data-file", file, "--validate-version", "1.0"],
        cwd=packages,  # it reads its list of currencies by a relative path
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(re.findall(r"^(\w+) failed:", done.stdout, re.M)) == ITS_MISTAKES, done


@given(
    quantity=st.integers(1, 10**12),
    rate=st.decimals("0", "1000", places=6),
    factor=st.decimals("0.01", "6", places=4),
    listed=st.decimals("0", "1000", places=6),
    per=st.sampled_from(("1", "1000", "3600", MILLION)),
    list_per=st.sampled_from(("1000", MILLION)),
)
def test_any_price_times_its_quantity_is_the_cost(
    *, quantity: int, rate: Decimal, factor: Decimal, listed: Decimal, per: str, list_per: str
) -> None:
    """Also where the list price is per another unit."""
    made = line("input", quantity, f"{rate:f}", per, own=f"{factor:f}")
    given_line = {
        **{"provider": "openai", "region": "eu", "service_tier": "", "project": ""},
        **{"environment": "", "team": "", "feature": "", "cost_status": "exact", "lines": 1},
        **{key: made[key] for key in ("model", "meter", "quantity", "rate", "per", "usd")},
        **{"factors": json.dumps(made["factors"]), "list_rate": [f"{listed:f}", list_per, "{}"]},
    }
    (row,) = rows([given_line], DAY)
    assert list(violations(row)) == []
    assert abs(row["ListCost"] - listed * quantity / Decimal(list_per)) < Decimal("1e-15")


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An ending that is none, no period; without a store there is a header."""
    (tmp_path / "state").mkdir()
    data = ("--data", str(tmp_path))
    month = ("export", "focus", "--month", "2026-11", *data)
    assert main(["export", "focus", *data]) == Exit.MISTAKE
    assert "give --month" in capsys.readouterr().err
    assert main([*month, "--output", "focus.xls"]) == Exit.MISTAKE
    assert "end it with .csv or .parquet, or give a directory" in capsys.readouterr().err
    assert main(list(month)) == Exit.OK
    assert capsys.readouterr().out.startswith("AllocatedMethodDetails,AllocatedMethodId,")
