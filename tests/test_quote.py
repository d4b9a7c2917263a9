"""What a workload costs: every model's own price, and what has none never looks cheap."""

import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import Meter, Subcall, TariffBook, Usage, price, quote
from pricing.cause import texts
from pricing.retired import retired_from
from pricing.upkeep import retiring
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


def test_names_that_have_no_price_suggest_those_that_have() -> None:
    """None of them is taken for the one that was meant."""
    shipped = TariffBook.load()
    with pytest.raises(
        ValueError, match=r"known for openai/gpt-5.4-mni; did you mean openai/gpt-5"
    ):
        quote.models(shipped, ["openai/gpt-5.4-mni"], [], AT)
    with pytest.raises(ValueError, match=r"known for claude-sonet-5-5; did you mean anthropic/cl"):
        quote.models(shipped, ["claude-sonet-5-5"], [], AT)
    with pytest.raises(ValueError, match="known for zzz; see `taximeter tariffs list`"):
        quote.models(shipped, ["zzz"], [], AT)


def test_an_instant_before_a_models_prices_is_refused(book: TariffBook) -> None:
    """Today's price of a model says nothing about the time before it was first seen."""
    with pytest.raises(ValueError, match="later has no price at 2026-11-20T00:00Z; its prices are"):
        quote.models(book, ["acme/later"], [], AT)
    assert quote.models(book, ["acme/later"], [], AT + timedelta(days=1)) == [("acme", "later")]
    shipped = TariffBook.load()
    with pytest.raises(ValueError, match=r"gpt-5\.4-mini has no price at 2020-"):
        quote.models(shipped, ["openai/gpt-5.4-mini"], [], AT.replace(year=2020))
    assert quote.models(shipped, [], ["openai"], AT.replace(year=2020)) == []


def test_retired_models_are_left_out_unless_asked_for() -> None:
    """From the day on which their provider switches them off; by name they are always there."""
    shipped, day = TariffBook.load(), retired_from("openai", "gpt-4")
    assert day == date(2026, 10, 23)
    model, at = ("openai", "gpt-4"), datetime(2026, 10, 22, tzinfo=UTC)
    assert model in quote.models(shipped, [], ["openai"], at)
    assert model not in quote.models(shipped, [], ["openai"], at + timedelta(days=1))
    assert model in quote.models(shipped, [], ["openai"], AT, retired=True)
    assert quote.models(shipped, ["openai/gpt-4"], [], AT) == [model]


def test_retirements_are_read_from_a_public_set(tmp_path: Path) -> None:
    """Only of models that have a price, by the names of our providers."""
    models = {
        "sample_spec": {"deprecation_date": "when"},
        "gpt-4": {"litellm_provider": "openai", "deprecation_date": "2026-10-23"},
        "gpt-5.4-mini": {"litellm_provider": "openai"},
        "unheard-of": {"litellm_provider": "openai", "deprecation_date": "2026-10-23"},
        "azure/gpt-4": {"litellm_provider": "azure", "deprecation_date": "2026-09-01"},
        "odd": 1,
    }
    found = retiring.retiring(models, TariffBook.load())
    assert found["openai"] == {"gpt-4": date(2026, 10, 23)}
    assert set(found) <= {"openai", "azure"}
    assert tomllib.loads(retiring.text(found, "a set")) == found


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
    assert main([*asked[:-2], "--input", "10k", "--at", "2026-11-20"]) == Exit.OK
    assert "10,000" not in capsys.readouterr().err
    assert main([*asked, "--use", "nothing=1"]) == Exit.MISTAKE
    assert "write METER=NUMBER" in capsys.readouterr().err
