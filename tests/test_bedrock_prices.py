"""A price set's Bedrock ids: which share the global price, and which cost the regional factor."""

from datetime import date
from decimal import Decimal

import pytest

from pricing import Meter
from pricing.book import SHIPPED
from pricing.upkeep.bedrock import FILE, Surcharge, grouped
from pricing.upkeep.listing import STANDARD, LeftOut, Listing, Period, key

DAY = date(2026, 11, 28)
CLAUDE = "anthropic.claude-opus-5"
SURCHARGE = Surcharge(Decimal("1.1"), ("anthropic.*", "??.anthropic.*"))


def listing(name: str, price: str, provider: str = "bedrock") -> Listing:
    rows = {STANDARD: {key(Meter.INPUT): Decimal(price)}}
    return Listing(
        via="litellm",
        provider=provider,
        names=(name,),
        source="https://aws.amazon.com/bedrock/pricing/",
        checked=DAY,
        known_from=DAY,
        periods=(Period(None, rows),),
    )


def group(*listings: Listing) -> tuple[list[Listing], list[LeftOut]]:
    left_out: list[LeftOut] = []
    return list(grouped(listings, SURCHARGE, DAY, left_out)), left_out


def test_profiles_join_the_model_whose_price_makes_theirs() -> None:
    """`us.` at 1.1 times the price and `global.` at the price are the same tariff."""
    found, left_out = group(
        listing(CLAUDE, "5"), listing(f"us.{CLAUDE}", "5.5"), listing(f"global.{CLAUDE}", "5")
    )
    assert [each.names for each in found] == [(CLAUDE, f"global.{CLAUDE}", f"us.{CLAUDE}")]
    assert not left_out


def test_a_profile_of_another_price_is_never_raised_twice() -> None:
    """Its price stands for its region already, and the factor would raise it once more."""
    found, left_out = group(listing(CLAUDE, "5"), listing(f"us.{CLAUDE}", "6"))
    assert [each.names for each in found] == [(CLAUDE,)]
    assert [each.model for each in left_out] == [f"us.{CLAUDE}"]
    assert left_out[0].why == "not the price of its model plus the surcharge"


def test_a_profile_without_the_surcharge_keeps_its_own_price() -> None:
    """A government region has a list of its own."""
    found, left_out = group(listing(CLAUDE, "5"), listing(f"us-gov.{CLAUDE}", "6"))
    assert [each.names for each in found] == [(CLAUDE,), (f"us-gov.{CLAUDE}",)]
    assert not left_out


def test_other_providers_have_no_profiles() -> None:
    """`us.` at the head of a name says nothing elsewhere."""
    found, _ = group(listing("big", "5", "openai"), listing("us.big", "5.5", "openai"))
    assert [each.names for each in found] == [("big",), ("us.big",)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", False),
        ("amazon.nova-pro-v1:0", False),
    ],
)
def test_the_shipped_factor_is_for_calls_of_one_region(name: str, expected: bool) -> None:
    """A bare id of a model that has a global profile is a call in one region."""
    surcharge = Surcharge.of((SHIPPED / FILE).read_text(encoding="utf-8"))
    assert surcharge.factor == Decimal("1.1")
    assert surcharge.applies(name) is expected
