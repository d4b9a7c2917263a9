"""Fixed costs are spread over calls: all of what accrued, once, beside what is billed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.query import Filter, Query
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, Batch, Record
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.invoices.amortised import FixedCost, accrued, rounded, spread
from proxy.invoices.fixed import amortised
from proxy.settings.bills import FixedCostOptions

START = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
GPU = FixedCostOptions(
    name="gpu", usd=Decimal("2.4"), per="hour", quantity=Decimal(2), calls={"provider": "vllm"}
)
SEATS = FixedCostOptions(name="seats", usd=Decimal(300), per="month", spread="calls")


def record(number: int, hour: int, provider: str, team: str, tokens: int) -> Record:
    """A call within an hour of November."""
    at = START + timedelta(hours=hour, minutes=7)
    return Record(
        ts_us=(at - EPOCH) // timedelta(microseconds=1) + number,
        call_id=str(UUID(int=number + 1)),
        source=f"w:{number}",
        provider=provider,
        team=team,
        outcome="ok",
        cost_status="exact",
        cost_usd=Decimal(0),
        input_tokens_total=tokens,
        output_tokens_total=0,
        duration_us=tokens * 10,
    )


RECORDS = (
    record(0, 5, "vllm", "search", 300),
    record(1, 5, "vllm", "ads", 100),
    record(2, 6, "vllm", "ads", 7),
    record(3, 6, "openai", "search", 10_000),
    record(4, 30, "openai", "ads", 10),
)


@pytest.fixture
async def store(chdb_dsn: str, database: str) -> AsyncIterator[Store]:
    """A store with the records."""
    exporter = ClickHouse(chdb_dsn, database=database)
    await exporter.export(Batch("s:0-9", RECORDS))
    await exporter.close()
    made = Store(chdb_dsn, database=database)
    yield made
    await made.close()


async def test_costs_are_shared_by_their_calls(store: Store) -> None:
    """By tokens in each hour, by calls in the month; hours without calls are idle."""
    query = Query(since=START, until=DECEMBER, by=("team",), now=DECEMBER)
    found = await amortised(store, {"gpu": GPU, "seats": SEATS}, query)
    by_team = {row["team"]: Decimal(row["amortised_usd"]) for row in found["rows"]}
    assert by_team == {
        "search": Decimal("3.6") + Decimal(300) * 2 / 5,
        "ads": Decimal("1.2") + Decimal("4.8") + Decimal(300) * 3 / 5,
    }
    gpu, seats = found["costs"]
    assert Decimal(gpu["accrued_usd"]) == Decimal("4.8") * 720
    assert Decimal(gpu["spread_usd"]) == Decimal("9.6")
    assert Decimal(gpu["idle_usd"]) == Decimal("4.8") * 718
    assert Decimal(seats["idle_usd"]) == 0
    assert Decimal(found["total"]["amortised_usd"]) == Decimal("309.6")

    # A part of the month bears its calls' part; a filter asks for less, not for another share.
    first = replace(query, until=START + timedelta(days=1), filters=(Filter("team", ("ads",)),))
    found = await amortised(store, {"seats": SEATS}, first)
    assert [Decimal(row["amortised_usd"]) for row in found["rows"]] == [Decimal(120)]

    # By day, in a zone whose days begin within an hour: 05:07 UTC is 10:37 in Kolkata.
    daily = replace(query, by=(), bucket="day", zone="Asia/Kolkata")
    found = await amortised(store, {"gpu": GPU, "seats": SEATS}, daily)
    days = {row["day"]: Decimal(row["amortised_usd"]) for row in found["rows"]}
    assert days == {"2026-11-01": Decimal("249.6"), "2026-11-02": Decimal(60)}


@pytest.mark.thorough
@given(
    usd=st.decimals("0.01", "100000", places=2),
    weights=st.lists(st.tuples(st.integers(0, 719), st.integers(0, 5), st.integers(0, 10**9))),
    per=st.sampled_from(("hour", "day", "month", "year")),
)
def test_shares_and_idle_are_what_accrued(
    usd: Decimal, weights: list[tuple[int, int, int]], per: str
) -> None:
    """To the last fraction, whatever calls there are."""
    windows = accrued(FixedCost(name="c", usd=usd, per=per), START, DECEMBER, DECEMBER)
    at = [(START + timedelta(hours=hour), weight) for hour, _, weight in weights]
    shares = [(START + timedelta(hours=h), (group,), Decimal(w)) for h, group, w in weights]
    found = spread(windows, ((one, Decimal(weight)) for one, weight in at), shares)
    assert found.spread + found.idle == found.accrued
    months = {"hour": Fraction(720), "day": Fraction(30), "month": Fraction(1)}
    in_year = Fraction(304 + 30, 365)  # what the year has accrued by December
    assert found.accrued == Fraction(usd) * months.get(per, in_year)
    assert abs(sum(map(rounded, found.by_group.values())) - rounded(found.spread)) < Decimal(
        "1e-16"
    )


def test_a_cost_has_days() -> None:
    """Half a month of a contract costs half, and what is not over has accrued in part."""
    half = FixedCost(
        name="c", usd=Decimal(300), per="month", first=date(2026, 11, 16), end=date(2027, 1, 1)
    )
    (one,) = accrued(half, START, DECEMBER, DECEMBER)
    assert one.usd == 150
    (one,) = accrued(half, START, DECEMBER, datetime(2026, 11, 19, tzinfo=UTC))
    assert one.usd == 30
    assert accrued(half, START, datetime(2026, 11, 2, tzinfo=UTC), START) == []


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, with their keys."""
    (tmp_path / "state").mkdir()
    config = tmp_path / "taximeter.toml"
    config.write_text(
        '[fixed_costs.gpu]\nusd = 0\nper = "our"\nspread = "tokes"\nsince = "x"\n'
        'calls = { tea = "a" }\n[invoices.opnai]\nbase_url = "http://example.com"\n',
        encoding="utf-8",
    )
    given_config = ("--config", str(config), "--data", str(tmp_path))
    assert main(["report", "--amortised", *given_config]) == Exit.MISTAKE
    said = capsys.readouterr().err
    for text in (
        *("gpu.usd: expected more", "did you mean hour", "did you mean tokens"),
        *("gpu.since: expected a day", "gpu.calls: unknown parameter 'tea'"),
        *("invoices.opnai: unknown provider", "in clear"),
    ):
        assert text in said, text
    assert main(["report", "--amortised", "--data", str(tmp_path)]) == Exit.MISTAKE
    assert "there are no fixed costs; add [fixed_costs.NAME]" in capsys.readouterr().err
