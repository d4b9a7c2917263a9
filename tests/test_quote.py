"""What a workload costs: every model's own price, and what has none never looks cheap."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import Meter, Subcall, TariffBook, Usage, price, quote
from pricing.cause import texts
from proxy.commands.cli import main
from proxy.commands.terminal import Exit

AT = datetime(2026, 11, 20, tzinfo=UTC)
TARIFFS = """
provider = "acme"
source = "https://acme.example/prices"
checked = 2026-11-22

[[factors]]
name = "batch"
factor = 0.5
when = { processing = "batch" }

[[tariff]]
names = ["large"]
usd_per_mtok = { input = 10, cache_read = 1, output = 30 }

[[tariff]]
names = ["searching", "searching-2"]
usd_per_mtok = { input = 20, cache_read = 2, output = 60 }
usd_per_thousand = { "calls.web_search" = 10 }

[[tariff]]
names = ["cheap-but-unknown"]
usd_per_mtok = { input = 0.1 }

[[tariff]]
names = ["ladder"]
volume = { counter = "month.tokens", mode = "marginal", steps = [0, 10_000, 25_000] }
usd_per_mtok = { input = [0, 100, 50], output = [7, 3, 1] }

[[tariff]]
names = ["later"]
from = 2026-11-21T00:00:00Z
usd_per_mtok = { input = 1, output = 1 }
"""


@pytest.fixture(scope="module")
def book() -> TariffBook:
    return TariffBook.parse({"acme.toml": TARIFFS})


def work(*uses: str, calls: int = 1) -> quote.Workload:
    return quote.workload((1000, 100), Decimal("0.8"), uses, calls, AT)


def test_cheapest_first(book: TariffBook) -> None:
    """200 fresh tokens, 800 cached, 100 out, three times, at each model's own prices."""
    found = quote.quotes(book, [("acme", "searching"), ("acme", "large")], work(calls=3))
    assert [(q.model, q.usd) for q in found] == [
        ("large", 3 * Decimal("0.0058")),
        ("searching", 3 * Decimal("0.0116")),
    ]


def test_what_has_no_price_comes_last(book: TariffBook) -> None:
    """A lower bound is told as one, and stands below every whole price however low it is."""
    pairs = [("acme", name) for name in ("cheap-but-unknown", "large", "searching")]
    found = quote.quotes(book, pairs, work("calls.web_search=1"))
    assert [(q.model, q.whole) for q in found] == [
        ("searching", True),
        ("cheap-but-unknown", False),
        ("large", False),
    ]
    assert texts(found[2].first.reasons) == ("missing_rate:calls.web_search",)


def test_tiers(book: TariffBook) -> None:
    """A batch costs half; a tier that the tariff does not know has no price at all."""
    tiers = quote.Workload(
        quantities={Meter.INPUT: 1_000_000}, calls=1, at=AT, tiers=("standard", "batch", "flex")
    )
    found = quote.quotes(book, [("acme", "large")], tiers)
    assert [(q.tier, q.usd) for q in found] == [("batch", 5), ("standard", 10), ("flex", None)]


def test_all_models_of_a_provider(book: TariffBook) -> None:
    """Each once, by its first name, if it is sold at that instant."""
    names = [model for _, model in quote.models(book, [], ["acme"], AT)]
    assert names == ["large", "searching", "cheap-but-unknown", "ladder"]
    assert quote.models(book, ["acme/large", "large"], [], AT) == [("acme", "large")]


@given(calls=st.integers(1, 60), tokens=st.tuples(st.integers(0, 2_000), st.integers(0, 900)))
@settings(max_examples=60)
def test_steps_by_volume_are_climbed(calls: int, tokens: tuple[int, int]) -> None:
    """The sum is that of the calls priced one after the other, steps split to the token."""
    book = TariffBook.parse({"acme.toml": TARIFFS})
    asked = quote.workload(tokens, Decimal(0), (), calls, AT)
    [found] = quote.quotes(book, [("acme", "ladder")], asked)
    used, total = Decimal(0), Decimal(0)
    for _ in range(calls):
        usage = Usage({Meter.INPUT: tokens[0], Meter.OUTPUT: tokens[1]})
        call = Subcall(provider="acme", model="ladder", at=AT, usage=usage)
        charge = price([call], book, counters={"acme/month.tokens": used})
        used += sum(Decimal(n) for n in charge.counts.values())
        total += charge.usd or 0
    assert found.usd == total


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists and tables, exact in JSON, with an exit code if nothing could be priced whole."""
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[metering]\ntariffs = "{tmp_path}/own"\n')
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "acme.toml").write_text(TARIFFS)
    common = ["--config", str(config), "--data", str(tmp_path / "data"), "--at", "2026-11-20"]
    asked = ["quote", "acme/large", "--cached", "80%", "--output", "100", *common]
    assert main([*asked, "--json"]) == Exit.OK
    [row] = json.loads(capsys.readouterr().out)
    assert (row["usd"], row["status"]) == ("0.0058", "exact")
    assert main([*asked, "--use", "pages=1"]) == Exit.UNPRICED
    assert "≥ $0.0058" in capsys.readouterr().out
    assert main([*asked, "--use", "nothing=1"]) == Exit.MISTAKE
    assert "write METER=NUMBER" in capsys.readouterr().err
