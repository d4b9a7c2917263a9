"""The readers of the public price sets, what is made of them, and what is held against the book."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from pricing.upkeep import comparison, genai_prices, litellm_prices
from pricing.upkeep.bedrock import Surcharge
from pricing.upkeep.listing import STANDARD, Listing, PriceSet, figure, key, oddities
from pricing.upkeep.merged_sets import merged
from pricing.upkeep.review import Reviewed, reviewed
from pricing.upkeep.seed import appended
from pricing.upkeep.tariff_file import file_text
from pricing.upkeep.updates import updates
from pricing.usage import TermValue
from proxy.commands import tariff_check
from proxy.commands.cli import main

SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "prices"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEWEST = date(2026, 11, 20)
GENAI = """[{
  "id": "mistral",
  "pricing_urls": ["https://mistral.example/pricing"],
  "models": [
    {"id": "big", "price_comments": "Checked 2026-10-14.",
     "match": {"or_": [{"equals": "big"}, {"starts_with": "big-pre"},
                       {"regex": "^big-\\\\d{4}-\\\\d{2}-\\\\d{2}$"}]},
     "prices": [
       {"prices": {"input_mtok": "1", "output_mtok": "4"}},
       {"constraint": {"type": "StartDateConstraint", "start_date": "2026-06-01"},
        "prices": {"input_mtok": {"base": "2", "tiers": [{"start": 200000, "price": "4"}]},
                   "cache_read_mtok": "0.2", "output_mtok": "8"}}],
     "price_variants": [
       {"when": {"processing": "batch"}, "prices": {"input_mtok": "1", "output_mtok": "4"}}]},
    {"id": "hourly", "match": {"equals": "hourly"}, "prices": [
       {"constraint": {"type": "TimeOfDateConstraint"}, "prices": {"input_mtok": "1"}}]},
    {"id": "nothing", "match": {"equals": "nothing"}}
  ]}]"""
LITELLM = """{
  "mistral/big": {"litellm_provider": "mistral", "mode": "chat",
    "source": "https://docs.mistral.ai/pricing", "input_cost_per_token": 2e-06,
    "output_cost_per_token": 8e-06, "input_cost_per_audio_token": 3.0000000000000001e-06},
  "mistral/small": {"litellm_provider": "mistral", "mode": "chat",
    "source": "https://docs.mistral.ai/pricing", "input_cost_per_token": 9.999999999999999e-08,
    "output_cost_per_token": 3e-07, "cache_read_input_token_cost": 0,
    "input_cost_per_token_flex": 5e-08},
  "mistral/rumour": {"litellm_provider": "mistral", "mode": "chat",
    "source": "https://blog.example", "input_cost_per_token": 1e-06},
  "mistral/embed": {"litellm_provider": "mistral", "mode": "embedding",
    "source": "https://docs.mistral.ai/pricing", "input_cost_per_token": 1e-04}
}"""
VIA = "genai-prices 9"
EMPTY = TariffBook.parse({})
NO_SURCHARGE = Surcharge(Decimal(1), ())


def genai(known: genai_prices.Known | None = None) -> list[Listing]:
    return list(genai_prices.read(json.loads(GENAI), NEWEST, known or {}, VIA).listings)


def litellm() -> list[Listing]:
    return list(litellm_prices.read(json.loads(LITELLM, parse_float=Decimal), NEWEST).listings)


def seeded(book: TariffBook = EMPTY) -> TariffBook:
    """The book that both sets make, written as a file and read again."""
    sets = (PriceSet(genai(), ()), PriceSet(litellm(), ()))
    found, _ = merged(book, *sets, NEWEST, surcharge=NO_SURCHARGE)
    return TariffBook.parse({"mistral-listed.toml": file_text("mistral", found)} if found else {})


def usd(
    usage: Mapping[Meter, int], model: str = "big", at: datetime = NOW, **terms: TermValue
) -> tuple[Decimal | None, Status]:
    subcall = Subcall(provider="mistral", model=model, at=at, usage=Usage(usage), terms=terms)
    charge = price([subcall], seeded())
    return charge.usd, charge.status


# -- reading, and what is made of it ---------------------------------------------------------------


def test_binary_floats_become_the_figures_they_stand_for() -> None:
    """9.999999999999999e-08 a token is 0.1 a million."""
    assert figure(Decimal("9.999999999999999e-08") * 1_000_000) == Decimal("0.1")
    assert figure(Decimal("20.0")) == 20
    assert f"{figure(Decimal('1E+2')):f}" == "100"


def test_history_is_kept() -> None:
    """Each dated price is a period of its own."""
    usage = {Meter.INPUT: 1_000_000}
    assert usd(usage, at=datetime(2026, 5, 31, 23, tzinfo=UTC)) == (Decimal(1), Status.EXACT)
    assert usd({Meter.INPUT: 100_000}, at=datetime(2026, 6, 1, tzinfo=UTC))[0] == Decimal("0.2")


def test_tiers_and_batches_are_kept() -> None:
    """A long prompt costs its tier, a batch its variant; what a variant leaves out stays."""
    assert usd({Meter.INPUT: 200_000})[0] == Decimal("0.4")
    assert usd({Meter.INPUT: 200_001})[0] == Decimal("0.800004")
    assert usd({Meter.INPUT: 1_000, Meter.CACHE_READ: 1_000}, processing="batch")[0] == Decimal(
        "0.0012"
    )


def test_a_missing_cache_price_stays_missing() -> None:
    """Neither 0 nor the input price stands in for it; a listed 0 is no price."""
    found, status = usd({Meter.INPUT: 1_000_000, Meter.CACHE_READ: 1_000_000}, "small")
    assert (found, status) == (Decimal("0.1"), Status.PARTIAL)


def test_what_a_tier_does_not_name_is_not_taken_from_the_standard() -> None:
    """A flex price for input alone leaves the output without one."""
    found, status = usd({Meter.INPUT: 1_000, Meter.OUTPUT: 1_000}, "small", service_tier="flex")
    assert (found, status) == (Decimal("0.00005"), Status.PARTIAL)


def test_what_one_set_adds_is_taken_where_both_agree() -> None:
    """LiteLLM's price of audio joins the model that it prices alike."""
    assert usd({Meter.INPUT_AUDIO: 100_000})[0] == Decimal("0.3")
    assert usd({Meter.INPUT_AUDIO: 200_001}) == (None, Status.PARTIAL)  # in long prompts: unknown


@pytest.mark.parametrize("model", ["rumour", "embed", "big-preview", "hourly", "nothing"])
def test_no_price_without_grounds(model: str) -> None:
    """Not from a blog, nor a slip of a unit, a mere beginning of a name, an hour, or nothing."""
    assert seeded().find("mistral", model, NOW) is None


def test_snapshots_are_found_by_their_date_only() -> None:
    """A pattern of digits becomes an anchored one."""
    assert seeded().find("mistral", "big-2026-03-01", NOW)
    assert seeded().find("mistral", "big-mini", NOW) is None


def test_checked_prices_are_left_alone() -> None:
    """A name that the book prices otherwise is not seeded, nor are the model's other names."""
    checked = TariffBook.parse(
        {
            "mistral.toml": """
provider = "mistral"
source = "https://mistral.example/pricing"
checked = 2026-11-20
[[tariff]]
names = ["big"]
usd_per_mtok = { input = 7, output = 8 }
"""
        }
    )
    assert not seeded(checked).knows("mistral", "big")
    assert not seeded(checked).knows("mistral", "big-2026-03-01")


def test_seeding_again_appends() -> None:
    """A second seed of the same sets changes nothing, and a dearer model is a period more."""
    files = {"mistral-listed.toml": file_text("mistral", genai())}
    same = updates(TariffBook.parse(files), genai(), NEWEST)
    assert not appended(files, same)
    later = NEWEST + timedelta(days=10)
    document = json.loads(GENAI.replace('"base": "2"', '"base": "3"'))
    dearer = genai_prices.read(document, later, {}, VIA).listings
    changed = appended(files, updates(TariffBook.parse(files), dearer, later))
    text = changed["mistral-listed.toml"]
    assert text.startswith(files["mistral-listed.toml"])
    usage = Usage({Meter.INPUT: 1_000})
    for at, expected in ((NOW, "0.002"), (NOW + timedelta(days=10), "0.003")):
        subcall = Subcall(provider="mistral", model="big", at=at, usage=usage)
        assert price([subcall], TariffBook.parse(changed)).usd == Decimal(expected)


def test_oddities_are_told() -> None:
    """Slips of a unit, dear caches and dear batches are no prices."""
    dear = {STANDARD: {key(Meter.INPUT): Decimal(100)}}
    assert oddities(dear, ["x-embed"])
    assert not oddities(dear, ["x"])
    cached = {STANDARD: {key(Meter.INPUT): Decimal(1), key(Meter.CACHE_READ): Decimal(2)}}
    assert oddities(cached, ["x"])
    batch = {**dear, (("processing", "batch"),): {key(Meter.INPUT): Decimal(101)}}
    assert oddities(batch, ["x"])


# -- holding sets against the book -----------------------------------------------------------------


def test_differences_name_both_figures() -> None:
    """A price that one set gives otherwise is told with what the other says."""
    listings = {"genai": genai({"mistral": ["big"]}), "litellm": litellm()}
    text = file_text("mistral", [each for each in genai() if "big" in each.names])
    book = TariffBook.parse({"mistral.toml": text.replace("input = 2,", "input = 3,")})
    found = comparison.differences(book, listings, NOW)
    difference = found["mistral", "big", "input", ""]
    assert (difference.ours, difference.sets) == ("3", {"genai": "2", "litellm": "2"})
    new, gone = comparison.unreviewed(found, [], listings)
    assert difference in new
    assert not gone


def test_a_judged_difference_is_silent_until_a_figure_moves() -> None:
    """Only what nobody has judged is shown, and what is settled."""
    listings = {"genai": genai({"mistral": ["big"]})}
    text = file_text("mistral", [each for each in genai() if "big" in each.names])
    book = TariffBook.parse({"mistral.toml": text.replace("input = 2,", "input = 3,")})
    found = {
        place: each
        for place, each in comparison.differences(book, listings, NOW).items()
        if place[2:] == ("input", "")
    }
    judged = Reviewed(
        provider="mistral",
        model="big",
        meter="input",
        ours="3",
        genai="2",
        why="a reason",
        source="https://mistral.example/pricing",
    )
    assert comparison.unreviewed(found, [judged], listings) == ([], [])
    assert comparison.unreviewed({}, [judged], listings) == ([], [judged])
    moved = Reviewed(**{**judged.row(), "genai": "1"})
    assert len(comparison.unreviewed(found, [moved], listings)[0]) == 1


def test_reviewed_differences_are_of_the_present_book() -> None:
    """Each stands for a price that the book has, gives a reason, and differs from some set."""
    places = [each.key for each in reviewed()]
    assert len(places) == len(set(places))
    book = TariffBook.load()
    for each in reviewed():
        assert book.find(each.provider, each.model, NOW), each
        assert each.why.endswith("."), each
        assert {each.genai, each.litellm} - {"", each.ours}, each


@pytest.mark.slow
def test_the_shared_set_says_nothing_that_nobody_judged() -> None:
    """Every price that genai-prices gives otherwise is in the review file, with the reason."""
    path = SHARED / "genai-prices-0.2.3.json"
    if not path.exists():
        pytest.skip(f"{path} is absent: it lies beside the checkout where the shared data is kept")
    book = TariffBook.load()
    sets = comparison.load(path, None, comparison.names(book))
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    new, _ = comparison.unreviewed(comparison.differences(book, sets, at), reviewed(), sets)
    assert not new


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A newer copy of a set is held against the shipped book; nothing is written."""
    file = tmp_path / "prices.json"
    file.write_text('{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 9e-06}}')
    assert main(["tariffs", "compare", "--litellm", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert ("openai", "gpt-4o", "2.5", "9") in [
        (each["provider"], each["model"], each["ours"], each["litellm"]) for each in told["new"]
    ]


# -- `taximeter tariffs check` ---------------------------------------------------------------------


def test_check_shows_what_a_person_must_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Ages, changes to come, announcements that are not applied, and who disagrees."""
    assert tariff_check.check(TariffBook.load(), None, NOW, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["providers"] >= 20
    assert told["models"] >= 600
    assert {"provider", "models", "without_history", "oldest", "age_days"} <= set(
        told["by_provider"][0]
    )
    assert any(each["note"].startswith("cancelled") for each in told["announced"])
    assert any("2026-12-01" in each["at"] for each in told["changes"])
    assert len(told["differences"]) == len(reviewed())


def test_check_is_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with the sum and the version of the book."""
    book = TariffBook.load()
    assert tariff_check.check(book, None, NOW, as_json=False) == 0
    told = capsys.readouterr().out
    assert told.startswith("provider")
    assert f"version {book.version}).  No problems found.\n" in told
