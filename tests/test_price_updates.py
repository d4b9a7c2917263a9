"""What a price set changes in a book: appended by date, never over a price that came by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from pricing.charge import Charge
from pricing.upkeep.import_plan import Plan
from pricing.upkeep.updates import Change
from pricing.usage import TermValue
from support.price_sets import DAY, ORIGIN, SETS, costs, litellm, planned

IMPORTED = "openai-imported.toml"
HAND = {
    "mine.toml": """
provider = "openai"
source = "our contract"
checked = 2026-06-01
[[tariff]]
names = ["big"]
known_from = 2026-06-01
usd_per_mtok = { input = 1, output = 4 }
"""
}


def charge(
    files: Mapping[str, str], usage: Mapping[Meter, int], day: date = DAY, **terms: TermValue
) -> Charge:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    subcall = Subcall(provider="openai", model="big", at=at, usage=Usage(usage), terms=terms)
    return price([subcall], TariffBook.parse(files))


def kinds(found: Plan) -> dict[Change, int]:
    return {kind: number for kind, number in found.found.models.items() if number}


# -- what is taken ---------------------------------------------------------------------------------


def test_a_new_model_is_written_with_its_origin() -> None:
    """The file says which set, when and where, and since when the price is known."""
    found = planned(litellm(big=costs()), {})
    assert kinds(found) == {Change.NEW: 1}
    (tariff,) = TariffBook.parse(found.files).tariffs
    assert tariff.via == f"litellm 2026-11-28 {ORIGIN}"
    assert tariff.source == ORIGIN
    assert tariff.checked == tariff.first_known == DAY
    assert charge(found.files, {Meter.INPUT: 1_000_000}).usd == 2


def test_the_page_that_a_set_cites_is_the_source() -> None:
    """A person can look the price up there; the set is only how it came."""
    found = planned(litellm(big=costs(source="https://developers.openai.com/pricing")), {})
    (tariff,) = TariffBook.parse(found.files).tariffs
    assert tariff.source == "https://developers.openai.com/pricing"


def test_a_second_import_changes_nothing() -> None:
    """What stands there already is the same, and no file is touched."""
    document = litellm(big=costs(), small=costs("1e-7", "4e-7"))
    first = planned(document, {})
    again = planned(document, first.files)
    assert not again.files
    assert not again.found.differences
    assert again.found.same == 2


def test_a_changed_price_is_a_period_of_its_own() -> None:
    """Calls before the day it was seen keep their price; the file only grows."""
    first = planned(litellm(big=costs()), {})
    later = DAY + timedelta(days=30)
    second = planned(litellm(big=costs("3e-6")), first.files, later)
    assert kinds(second) == {Change.CHANGED: 1}
    (difference,) = second.found.differences
    assert (difference.meter, difference.ours, difference.theirs) == ("input", "2", "3")
    assert second.files[IMPORTED].startswith(first.files[IMPORTED].rstrip())
    usage = {Meter.INPUT: 1_000_000}
    assert charge(second.files, usage, later - timedelta(days=1)).usd == 2
    assert charge(second.files, usage, later).usd == 3


def test_a_change_on_the_day_of_the_last_one_waits() -> None:
    """Two periods cannot begin at one instant: the price that began today is kept and shown."""
    first = planned(litellm(big=costs()), {})
    second = planned(litellm(big=costs("3e-6")), first.files, DAY + timedelta(days=1))
    files = dict(second.files)
    third = planned(litellm(big=costs("4e-6")), files, DAY + timedelta(days=1))
    assert kinds(third) == {Change.KEPT: 1}
    assert not third.files
    fourth = planned(litellm(big=costs("4e-6")), files, DAY + timedelta(days=2))
    assert kinds(fourth) == {Change.CHANGED: 1}


def test_a_price_for_something_more_is_added() -> None:
    """A set learns of a cache price: the calls before that day stay unpriced by it."""
    first = planned(litellm(big=costs()), {})
    later = DAY + timedelta(days=1)
    document = litellm(big=costs(cache_read_input_token_cost=Decimal("2e-7")))
    second = planned(document, first.files, later)
    assert kinds(second) == {Change.ADDED: 1}
    usage = {Meter.CACHE_READ: 1_000_000}
    assert charge(second.files, usage).status is Status.PARTIAL
    assert charge(second.files, usage, later).usd == Decimal("0.2")


# -- what is kept ----------------------------------------------------------------------------------


def test_a_price_by_hand_is_kept_and_shown() -> None:
    """The set's figure is named beside it, and not written."""
    found = planned(litellm(big=costs()), HAND)
    assert kinds(found) == {Change.KEPT: 1}
    assert not found.files
    pairs = {(each.meter, each.ours, each.theirs) for each in found.found.differences}
    assert pairs == {("input", "1", "2"), ("output", "4", "8")}


def test_a_price_by_hand_gives_way_only_when_told() -> None:
    """Even then it stays for the calls before."""
    found = planned(litellm(big=costs()), HAND, override=True)
    assert kinds(found) == {Change.CHANGED: 1}
    files = {**HAND, **found.files}
    usage = {Meter.INPUT: 1_000_000}
    assert charge(files, usage, DAY - timedelta(days=1)).usd == 1
    assert charge(files, usage).usd == 2


def test_another_set_does_not_replace_the_first() -> None:
    """Two sets that disagree do not take turns: the price of the one that came first is kept."""
    first = planned(litellm(big=costs()), {})
    cost = {"input": 3, "output": 8}
    document = {"openai": {"models": {"big": {"id": "big", "cost": cost}}}}
    second = planned(document, first.files, DAY + timedelta(days=1))
    assert second.set_name == "models.dev"
    assert kinds(second) == {Change.KEPT: 1}
    assert not second.files


def test_only_wanted_models_are_looked_at() -> None:
    """`--only` takes some of a provider's, and other providers' are counted."""
    document = litellm(big=costs(), small=costs()) | {
        "xai/grok": {"litellm_provider": "xai", **costs()}
    }
    found = planned(document, {}, only=("openai/sm*",))
    assert [each.names for each in found.found.listings] == [("small",)]
    assert found.elsewhere == {"xai": 1}


# -- what is refused -------------------------------------------------------------------------------


def test_a_refused_field_is_named_and_writes_nothing() -> None:
    """The model stays unpriced, whatever else the set says of it."""
    found = planned(litellm(big=costs(moon_multiplier=Decimal("1.5")), small=costs()), {})
    assert [(each.model, each.why) for each in found.left_out] == [
        ("big", "the field moon_multiplier is not understood")
    ]
    assert '"big"' not in found.files[IMPORTED]
    assert charge(found.files, {Meter.INPUT: 1}).status is Status.UNPRICED


def test_an_unknown_price_is_never_written_as_zero() -> None:
    """A listed 0 stands for "not sold" or "not known": what used it is unpriced."""
    found = planned(litellm(big=costs(cache_read_input_token_cost=0), free=costs("0", "0")), {})
    assert [each.model for each in found.left_out] == ["free"]
    made = charge(found.files, {Meter.INPUT: 1_000_000, Meter.CACHE_READ: 1_000_000})
    assert made.status is Status.PARTIAL
    assert made.usd == 2


@pytest.mark.parametrize("document", [{}, [], {"a": 1}, 3])
def test_a_document_that_is_no_set_is_refused(document: object) -> None:
    """Nothing is taken for a set by its name or by hope."""
    with pytest.raises(ValueError, match="not one of the price sets"):
        planned(document, {})


# -- the same price from each set ------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
@given(fresh=st.integers(0, 10**6), cached=st.integers(0, 10**6), made=st.integers(0, 10**6))
@settings(max_examples=30)
def test_what_is_written_prices_as_the_set_says(
    name: str, fresh: int, cached: int, made: int
) -> None:
    """Each of the four sets, written, read again and priced: exact, long prompts at their price."""
    provider, document = SETS[name]
    files = planned(document, provider=provider).files
    usage = {Meter.INPUT: fresh, Meter.CACHE_READ: cached, Meter.OUTPUT: made}
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    subcall = Subcall(provider=provider, model="big", at=at, usage=Usage(usage))
    found = price([subcall], TariffBook.parse(files))
    expected = fresh * Decimal(4 if fresh + cached > 200_000 else 2) + made * Decimal(8)
    longer = name == "models.dev" and fresh + cached > 200_000
    expected += cached * Decimal("0.4" if longer else "0.2")
    assert found.usd == expected / 1_000_000


@given(
    digits=st.integers(1, 10**6),
    exponent=st.integers(-9, -6),
    more=st.integers(0, 10**6),
    tokens=st.integers(1, 10**9),
)
def test_figures_survive_being_written(digits: int, exponent: int, more: int, tokens: int) -> None:
    """No digit of a price is lost between a set and the book, or one that is left out says so."""
    each = Decimal(digits).scaleb(exponent - 6)
    document = litellm(big=costs(str(each), str(each + Decimal(more).scaleb(exponent - 6))))
    found = planned(document, {})
    if found.left_out:
        assert found.left_out[0].why.startswith("a price beyond")
        return
    assert charge(found.files, {Meter.INPUT: tokens}).usd == each * tokens


def test_a_tier_is_priced_by_its_own_figures() -> None:
    """A flex call costs the flex price, and a long one of it has none: the set names none."""
    found = planned(SETS["litellm"][1], {})
    usage = {Meter.INPUT: 100_000, Meter.OUTPUT: 100_000}
    assert charge(found.files, usage, service_tier="flex").usd == Decimal("0.5")
    assert charge(found.files, usage, service_tier="standard").usd == 1
    long = charge(found.files, {Meter.INPUT: 300_000}, service_tier="flex")
    assert long.status is not Status.EXACT
    assert not long.usd
