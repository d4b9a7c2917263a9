"""Seeding appends what price sets say to the shipped tariffs, and overrides no checked price."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pricing import Meter, Subcall, TariffBook, Usage, price
from pricing.upkeep import seed
from pricing.upkeep.bedrock import Surcharge
from pricing.upkeep.listing import STANDARD, Listing, Period, Prices, PriceSet, key
from pricing.upkeep.merged_sets import merged
from pricing.usage import TermValue

DAY = date(2026, 11, 28)
AT = datetime(2026, 11, 29, tzinfo=UTC)
BEDROCK = """
provider = "bedrock"
source = "https://aws.amazon.com/bedrock/pricing"
checked = 2026-11-20
[[factors]]
name = "regional"
factor = 1.1
when = { region = { not = ["global"] } }
models = ["anthropic.*", "us.anthropic.*"]
"""
MISTRAL = """
provider = "mistral"
source = "https://mistral.example/pricing"
checked = 2026-11-20
[[tariff]]
names = ["checked"]
usd_per_mtok = { input = 7, output = 8 }
"""
GENAI: list[dict[str, Any]] = [
    {
        "id": "mistral",
        "pricing_urls": ["https://mistral.example/pricing"],
        "models": [
            {
                "id": "big",
                "match": {"equals": "big"},
                "price_comments": "Checked 2026-10-14.",
                "prices": {"input_mtok": "2", "output_mtok": "8"},
            },
            {
                "id": "checked",
                "match": {"equals": "checked"},
                "prices": {"input_mtok": "1", "output_mtok": "1"},
            },
            {
                "id": "slip",
                "match": {"equals": "slip"},
                "prices": {"input_mtok": "2000000", "output_mtok": "8000000"},
            },
            {"id": "none", "match": {"equals": "none"}},
        ],
    }
]
ENTRY = {"litellm_provider": "mistral", "mode": "chat", "source": "https://docs.mistral.ai/pricing"}
LITELLM: dict[str, dict[str, object]] = {
    "mistral/big": {
        **ENTRY,
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 8e-06,
        "cache_read_input_token_cost": 2e-07,
        "search_context_cost_per_query": {"search_context_size_low": 0.01},
    },
    "mistral/small": {**ENTRY, "input_cost_per_token": 1e-06, "output_cost_per_token": 3e-06},
    "mistral/odd": {**ENTRY, "input_cost_per_token": 1e-06, "moon_multiplier": 2},
    "vertex_ai/gemini-9": {
        "litellm_provider": "vertex_ai",
        "source": "https://cloud.google.com/vertex-ai/pricing",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 4e-06,
        "regional_endpoint_uplift_multiplier": 1.1,
    },
}


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A directory of tariffs that a person checked, and none that the sets made."""
    directory = tmp_path / "tariffs"
    directory.mkdir()
    (directory / "bedrock.toml").write_text(BEDROCK)
    (directory / "mistral.toml").write_text(MISTRAL)
    return directory


def run(directory: Path, litellm: object = LITELLM) -> TariffBook:
    """Seed from both sets; the book that the directory then holds."""
    sets = {"genai": GENAI, "litellm": litellm}
    arguments = ["--to", str(directory)]
    for name, document in sets.items():
        file = directory.parent / f"{name}.json"
        file.write_text(json.dumps(document))
        arguments += [f"--{name}", str(file)]
    assert seed.main(arguments) == 0
    return TariffBook.parse(seed.texts(directory))


def usd(
    book: TariffBook, model: str, meter: Meter, provider: str = "mistral", **terms: TermValue
) -> str:
    usage = Usage({meter: 1_000_000})
    charge = price([Subcall(provider=provider, model=model, at=AT, usage=usage, terms=terms)], book)
    assert charge.usd is not None
    return f"{charge.usd.normalize():f}"


def test_new_models_are_written_with_their_origin(shipped: Path) -> None:
    """The set and its version, the page it cites, and the day that it was checked."""
    book = run(shipped)
    assert usd(book, "big", Meter.INPUT) == "2"
    assert usd(book, "big", Meter.CACHE_READ) == "0.2"  # of the other set, which agrees
    assert usd(book, "small", Meter.OUTPUT) == "3"
    (big, small) = (book.find("mistral", name, AT) for name in ("big", "small"))
    assert big is not None
    assert small is not None
    assert big.via == f"{seed.GENAI}, {seed.LITELLM}"
    assert (big.source, big.checked) == ("https://mistral.example/pricing", date(2026, 10, 14))
    assert (small.via, small.source) == (seed.LITELLM, "https://docs.mistral.ai/pricing")
    assert small.checked == small.known_from == seed.TAKEN
    assert big.file == "mistral-listed.toml"


def test_a_surcharge_by_place_is_written(shipped: Path) -> None:
    """What a set says of an endpoint's place is a factor of the tariff."""
    book = run(shipped)
    assert usd(book, "gemini-9", Meter.INPUT, "vertex", region="global") == "1"
    assert usd(book, "gemini-9", Meter.INPUT, "vertex", region="us-east5") == "1.1"


def test_a_checked_file_is_never_touched(shipped: Path) -> None:
    """A price that a person checked stays, whatever the sets say, and so does the file."""
    book = run(shipped)
    assert usd(book, "checked", Meter.INPUT) == "7"
    assert (shipped / "mistral.toml").read_text() == MISTRAL
    assert (shipped / "bedrock.toml").read_text() == BEDROCK


def test_what_is_not_taken_is_named(shipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown fields, slips of a unit and fees of tools are reported, and nothing is written."""
    book = run(shipped)
    said = capsys.readouterr().out
    assert "left out: mistral slip: a price beyond $0.0005 to $1,000 a million tokens" in said
    assert "not read: 1: the field moon_multiplier is not understood" in said
    assert "set aside: 1: search_context_cost_per_query: a fee of a tool" in said
    assert "new: 3 models" in said
    for name in ("slip", "none", "odd"):
        assert not book.knows("mistral", name)


def test_a_second_run_appends_only_what_changed(shipped: Path) -> None:
    """The same sets change nothing; a dearer model is a period from the day they were taken."""
    run(shipped)
    before = seed.texts(shipped)
    run(shipped)
    assert seed.texts(shipped) == before
    dearer = {**LITELLM["mistral/small"], "input_cost_per_token": 2e-06}
    old = {name: text.replace("2026-11-28", "2026-11-01") for name, text in before.items()}
    for name, text in old.items():
        (shipped / name).write_text(text)
    book = run(shipped, {**LITELLM, "mistral/small": dearer})
    after = (shipped / "mistral-listed.toml").read_text()
    assert after.startswith(old["mistral-listed.toml"])
    assert "from = 2026-11-28T00:00:00Z" in after
    assert usd(book, "small", Meter.INPUT) == "2"


# -- what two sets make together -------------------------------------------------------------------


def prices(input: str, output: str = "8", **more: str) -> Prices:
    figures = {"input": input, "output": output, **more}
    return {key(Meter(meter)): Decimal(figure) for meter, figure in figures.items()}


def listing(name: str, found: Prices, provider: str = "mistral", via: str = "one") -> Listing:
    pages = {"mistral": "https://mistral.ai/pricing", "bedrock": "https://aws.amazon.com/pricing"}
    return Listing(
        via=via,
        provider=provider,
        names=(name,),
        source=pages[provider],
        checked=DAY,
        known_from=DAY,
        periods=(Period(None, {STANDARD: found}),),
    )


def joined(
    genai: Sequence[Listing] = (),
    litellm: Sequence[Listing] = (),
    alike: Sequence[Listing] = (),
    checked: str = "",
) -> tuple[dict[str, Listing], dict[str, str]]:
    """The listings that come of both by their first name, and why others do not."""
    book = TariffBook.parse({"mistral.toml": checked} if checked else {})
    surcharge = Surcharge(Decimal("1.1"), ("anthropic.*", "??.anthropic.*"))
    sets = (PriceSet(genai, ()), PriceSet(litellm, ()))
    found, left_out = merged(book, *sets, DAY, surcharge=surcharge, alike=alike)
    return {each.names[0]: each for each in found}, {each.model: each.why for each in left_out}


def test_where_the_sets_differ_the_one_that_cites_the_page_is_taken() -> None:
    """Nothing of the other one is mixed into its price."""
    found, _ = joined(
        [listing("big", prices("2"))],
        [listing("big", prices("3", cache_read="0.3"), via="two")],
    )
    assert found["big"].at(DAY).base == prices("2")
    assert found["big"].via == "one"


def test_what_the_other_set_adds_must_make_sense() -> None:
    """A cache dearer than its input is a slip, and is not joined to a price that is right."""
    found, _ = joined(
        [listing("big", prices("2"))],
        [listing("big", prices("2", cache_read="3"), via="two")],
    )
    assert found["big"].at(DAY).base == prices("2")


def test_a_second_opinion_that_differs_leaves_the_model_out() -> None:
    """A name on which the sets disagree has no price."""
    found, left_out = joined(
        litellm=[listing("big", prices("2")), listing("small", prices("1", "3"))],
        alike=[listing("big", prices("9")), listing("small", prices("1", "3"))],
    )
    assert list(found) == ["small"]
    assert left_out == {"big": "the sets disagree"}


@pytest.mark.parametrize(("regional", "taken"), [("2.2", True), ("2", False)])
def test_an_opinion_on_a_regional_name_includes_the_surcharge(regional: str, taken: bool) -> None:
    """Bedrock's price of a bare id is the global one; a call in one region costs the factor."""
    name = "anthropic.claude-opus-5"
    found, left_out = joined(
        litellm=[listing(name, prices("2"), "bedrock")],
        alike=[listing(name, {key(Meter.INPUT): Decimal(regional)}, "bedrock")],
    )
    assert (name in found) is taken
    assert left_out == ({} if taken else {name: "the sets disagree"})


def test_a_model_that_cites_no_page_of_its_provider_is_not_taken() -> None:
    """A blog is no price list."""
    blog = replace(listing("big", prices("2")), source="https://blog.example")
    assert joined(litellm=[blog]) == ({}, {})


def test_a_checked_price_that_ended_is_not_revived() -> None:
    """The person who ended it knew more than a set that still lists it."""
    ended = MISTRAL.replace("[[tariff]]", "[[tariff]]\nuntil = 2026-11-01T00:00:00Z")
    other = replace(listing("checked", prices("7")), names=("checked", "checked-latest"))
    assert joined([other], checked=ended) == ({}, {})
    found, _ = joined([other], checked=MISTRAL)
    assert found["checked-latest"].names == ("checked-latest",)
