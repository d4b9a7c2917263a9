"""Imported and own prices say where and when they were read; a book is compared with the sets."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pricing import Meter, TariffBook
from pricing.upkeep import comparison
from pricing.upkeep.own_price import OwnPrice, appended
from pricing.upkeep.review import reviewed
from support.price_sets import DAY, ORIGIN, SETS, planned

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", SETS)
def test_an_import_writes_where_and_when_a_price_was_read(name: str) -> None:
    """The written file loads; each tariff names its set, its page, and the day it was taken."""
    provider, document = SETS[name]
    found = planned(document, provider=provider)
    tariff = TariffBook.parse(found.files).find(provider, "big", AT)
    assert tariff is not None
    assert tariff.via == f"{name} {DAY} {ORIGIN}"
    assert tariff.checked == tariff.known_from == DAY
    assert tariff.source.startswith("https://")
    assert tariff.start is None


def test_one_of_ones_own_is_dated() -> None:
    """From a day on, or known from today; a day to come is announced and confirmed."""
    first = OwnPrice(provider="acme", model="m", prices={Meter.INPUT: Decimal(2)}, source="x")
    text = appended("", first, DAY)
    text = appended(text, replace(first, start=date(2026, 12, 24)), DAY)
    book = TariffBook.parse({"acme-added.toml": text})
    now, later = book.tariffs
    assert (now.start, now.known_from, now.checked) == (None, DAY, DAY)
    assert later.start == datetime(2026, 12, 24, tzinfo=UTC)
    assert f"announced = {DAY}\nconfirmed = {DAY}" in text


@pytest.mark.parametrize(
    ("prices", "named"),
    [
        ({}, "no price is given"),
        ({Meter.IMAGES: Decimal(1)}, "images does not count tokens"),
        ({Meter.INPUT: Decimal("NaN")}, "input: NaN is not a price"),
        ({Meter.INPUT: Decimal(-1)}, "input: -1 is not a price"),
    ],
)
def test_one_of_ones_own_must_be_a_price(prices: dict[Meter, Decimal], named: str) -> None:
    """Nothing, another unit and no number are refused where they are made."""
    with pytest.raises(ValueError, match=named):
        OwnPrice(provider="acme", model="m", prices=prices, source="x")


# -- holding sets against a book -------------------------------------------------------------------

BOOK = TariffBook.parse(
    {
        "acme.toml": """
provider = "mistral"
source = "https://page.example"
checked = 2026-11-20
[[tariff]]
names = ["big", "big@*"]
usd_per_mtok = { input = 2, output = 8 }
[[tariff]]
names = ["sound"]
usd_per_hour = { audio_seconds = 0.36 }
"""
    }
)


def test_a_difference_is_shown_with_its_rule_and_source(tmp_path: Path) -> None:
    """Read from the files of both sets: as cells of a table, and as a line for the review."""
    genai_file, litellm_file = tmp_path / "data.json", tmp_path / "prices.json"
    models = [
        {"id": "big", "match": {"equals": "big"}, "prices": {"input_mtok": "3"}},
        {"id": "sound", "match": {"equals": "sound"}, "prices": {"audio_hours": "0.4"}},
    ]
    genai_file.write_text(
        json.dumps([{"id": "mistral", "pricing_urls": ["https://x.example"], "models": models}])
    )
    entry = {"litellm_provider": "mistral", "input_cost_per_token": 2e-06}
    litellm_file.write_text(json.dumps({"mistral/big": entry}))
    sets = comparison.load(genai_file, litellm_file, {})
    found = comparison.differences(BOOK, sets, AT)
    big, sound = found.values()
    assert big.row() == {
        "provider": "mistral",
        "model": "big",
        "meter": "input",
        "when": "",
        "ours": "2",
        "where": "acme.toml:5",
        "genai": "3",
        "litellm": "2",
    }
    assert (sound.meter, sound.ours, sound.sets) == ("audio_seconds", "0.36", {"genai": "0.4"})
    line = big.line("contract")
    assert line.startswith('  { provider = "mistral", model = "big", meter = "input", ours = "2"')
    assert 'why = "contract", source = "https://page.example"' in line
    assert comparison.names(BOOK) == {"mistral": {"big", "sound"}}
    assert comparison.load(None, None, {}) == {}


def test_a_reviewed_difference_must_say_why(tmp_path: Path) -> None:
    """A key without a sentence is a mistake of the file, named with its model."""
    file = tmp_path / "review.toml"
    file.write_text(
        '[why]\nours = "It is."\n[[differences]]\nprovider = "x"\nmodel = "big"\nmeter = "input"\n'
        'ours = "1"\nsource = "x"\nwhy = "theirs"\n'
    )
    with pytest.raises(ValueError, match=r"review\.toml: big: no sentence"):
        reviewed(file)
    file.write_text(file.read_text().replace("theirs", "ours"))
    (known,) = reviewed(file)
    assert (known.why, known.said("genai")) == ("It is.", "")
    assert known.row()["model"] == "big"
