"""`taximeter tariffs add`: one model's price, exact, by date, into a file of the user's own."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from pricing.charge import Charge
from pricing.upkeep.own_price import OwnPrice, appended
from proxy.commands.cli import main
from proxy.commands.terminal import Exit

DAY = date(2026, 11, 28)
FILE = "openai-added.toml"
BIG = OwnPrice(
    provider="openai",
    model="big",
    prices={Meter.INPUT: Decimal(2), Meter.OUTPUT: Decimal(10)},
    source="entered by hand",
)


def charge(text: str, usage: dict[Meter, int], day: date = DAY, model: str = "big") -> Charge:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    subcall = Subcall(provider="openai", model=model, at=at, usage=Usage(usage))
    return price([subcall], TariffBook.parse({FILE: text}))


def run(name: str, to: Path, *more: str) -> int:
    return main(["tariffs", "add", name, "--to", str(to), *more])


# -- the text --------------------------------------------------------------------------------------


def test_what_is_not_given_stays_unknown() -> None:
    """A price of nothing is not a price of zero."""
    text = appended("", BIG, DAY)
    assert charge(text, {Meter.INPUT: 1_000_000, Meter.OUTPUT: 100_000}).usd == 3
    assert charge(text, {Meter.CACHE_READ: 1}).status is not Status.EXACT
    assert not charge(text, {Meter.CACHE_READ: 1}).usd


def test_the_price_is_known_from_the_day_it_was_added() -> None:
    """Nobody said what it cost before; `from` says so, and a first day in the future is a plan."""
    (tariff,) = TariffBook.parse({FILE: appended("", BIG, DAY)}).tariffs
    assert tariff.first_known == DAY
    assert tariff.start is None
    early = replace(BIG, start=date(2026, 3, 5))
    (tariff,) = TariffBook.parse({FILE: appended("", early, DAY)}).tariffs
    assert tariff.first_known == date(2026, 3, 5)
    later = replace(BIG, start=date(2027, 1, 1))
    text = appended("", later, DAY)
    assert charge(text, {Meter.INPUT: 1}).status is Status.UNPRICED
    assert charge(text, {Meter.INPUT: 1_000_000}, date(2027, 1, 1)).usd == 2


def test_a_second_price_follows_the_first() -> None:
    """The file grows, and keeps every letter that was in it."""
    first = appended("", BIG, DAY) + "# a note of mine\n"
    dearer = replace(BIG, prices={Meter.INPUT: Decimal(3)}, start=date(2026, 12, 24))
    second = appended(first, dearer, date(2026, 12, 24))
    assert second.startswith(first)
    usage = {Meter.INPUT: 1_000_000}
    assert charge(second, usage, date(2026, 12, 23)).usd == 2
    assert charge(second, usage, date(2026, 12, 24)).usd == 3


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="*?[]"), max_size=30).filter(
        str.strip
    ),
    amount=st.decimals(0, 1_000, places=9),
    tokens=st.integers(1, 10**9),
)
def test_any_name_and_figure_survive_being_written(name: str, amount: Decimal, tokens: int) -> None:
    """What is loaded is what was given: no digit is lost, and no quote ends a name early."""
    asked = replace(BIG, model=name, prices={Meter.INPUT: amount})
    found = charge(appended("", asked, DAY), {Meter.INPUT: tokens}, model=name)
    assert found.usd == amount * tokens / 1_000_000


@pytest.mark.parametrize(
    ("prices", "why"),
    [
        ({}, "no price"),
        ({Meter.INPUT: Decimal(-1)}, "-1 is not a price"),
        ({Meter.INPUT: Decimal("NaN")}, "NaN is not a price"),
        ({Meter.INPUT: Decimal("Infinity")}, "Infinity is not a price"),
        ({Meter.REQUESTS: Decimal(1)}, "requests does not count tokens"),
    ],
)
def test_what_is_no_price_is_refused(prices: dict[Meter, Decimal], why: str) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match=why):
        replace(BIG, prices=prices)


# -- the command -----------------------------------------------------------------------------------


def test_a_model_is_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All flags, exact figures, the file named, and what to do next."""
    to = tmp_path / "tariffs"
    flags = ["--input", "2", "--output", "10", "--cache-read", "0.2", "--rate", "input.audio=6"]
    assert run("openai/acme-9", to, *flags, "--source", "https://acme.example") == Exit.OK
    said = capsys.readouterr()
    assert f"Written to {to / FILE}." in said.err
    assert "taximeter reprice --since 30d --dry-run" in said.err
    assert f'Set tariffs = "{to}" under [metering]' in said.err
    (tariff,) = TariffBook.parse({FILE: (to / FILE).read_text(encoding="utf-8")}).tariffs
    assert tariff.source == "https://acme.example"
    (rule,) = tariff.rules
    assert {meter.value: prices for meter, prices in rule.prices.items()} == {
        "input": (Decimal(2),),
        "input.audio": (Decimal(6),),
        "cache_read": (Decimal("0.2"),),
        "output": (Decimal(10),),
    }


def test_a_shipped_price_is_replaced_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The difference is shown, and what it cost before stays as it was."""
    to = tmp_path / "tariffs"
    assert run("openai/gpt-4o-mini", to, "--input", "1", "--output", "2") == Exit.MISTAKE
    said = capsys.readouterr()
    assert "0.15" in said.out
    assert "unknown" in said.out  # the cache price, which is not given
    assert "Nothing was written." in said.err
    assert not to.exists()
    given = ["--input", "1", "--output", "2", "--yes", "--json"]
    assert run("openai/gpt-4o-mini", to, *given) == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["written"] == str(to / FILE)
    assert document["prices"][0] == {"meter": "input", "before": "0.15", "after": "1"}
    (tariff,) = TariffBook.parse({FILE: (to / FILE).read_text(encoding="utf-8")}).tariffs
    assert tariff.start is not None


def test_two_prices_on_one_day_are_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of them would have to be wrong; the file that holds the first is named."""
    to = tmp_path / "tariffs"
    first = ["--input", "1", "--from", "2026-03-05", "--yes"]
    assert run("openai/acme-9", to, *first) == Exit.OK
    before = (to / FILE).read_text(encoding="utf-8")
    assert run("openai/acme-9", to, *first) == Exit.MISTAKE
    assert "nothing was written" in capsys.readouterr().err
    assert (to / FILE).read_text(encoding="utf-8") == before


def test_a_price_by_the_token_is_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever copies $0.000002 a token is off by a million."""
    to = tmp_path / "tariffs"
    assert run("openai/acme-9", to, "--input", "0.000002") == Exit.MISTAKE
    assert "Check the unit, dollars per million tokens" in capsys.readouterr().err
    assert not to.exists()
    assert run("openai/acme-9", to, "--input", "0.000002", "--yes") == Exit.OK


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["acme-9", "--input", "1"], "name the provider too"),
        (["openai/acme-9"], "no price is given"),
        (["openai/ ", "--input", "1"], "expected text, found ' '"),
        (["openai/acme-9", "--input", "much"], "'much' is not a number"),
        (["openai/acme-9", "--input=-1"], "is not a price"),
        (["openai/acme-9", "--rate", "smell=1"], "expected METER=USD"),
        (["openai/acme-9", "--rate", "requests=1"], "expected METER=USD"),
        (["openai/acme-9", "--input", "1", "--from", "tomorrow"], "expected a date, such as"),
        (["opnai/acme-9", "--input", "1"], "unknown provider 'opnai'"),
        (["../../acme-9", "--input", "1"], "unknown provider '..'"),
    ],
)
def test_mistakes_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    """Each is named."""
    to = tmp_path / "tariffs"
    assert main(["tariffs", "add", *arguments, "--to", str(to), "--yes"]) == Exit.MISTAKE
    assert why in capsys.readouterr().err
    assert not to.exists()


def test_without_a_directory_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped prices are not the user's to change."""
    assert main(["tariffs", "add", "openai/acme-9", "--input", "1"]) == Exit.MISTAKE
    assert "--to DIR" in capsys.readouterr().err
