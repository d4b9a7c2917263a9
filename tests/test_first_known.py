"""Every tariff states the first day on which its prices are known."""

from datetime import UTC, date, datetime

import pytest

from pricing import TariffBook, TariffError
from pricing.tariff import Tariff
from support.books import shipped

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def book(keys: str) -> TariffBook:
    """A book of one tariff with some more keys."""
    return TariffBook.parse(
        {
            "acme.toml": f"""
provider = "acme"
source = "https://acme.example/pricing"
checked = 2026-11-20
[[tariff]]
names = ["big"]
usd_per_mtok = {{ input = 1 }}
{keys}
"""
        }
    )


def only(keys: str) -> Tariff:
    (tariff,) = book(keys).tariffs
    return tariff


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", date(2026, 11, 20)),
        ("known_from = 2026-03-05", date(2026, 3, 5)),
        ("from = 2026-02-01T08:00:00Z", date(2026, 2, 1)),
        ("from = 2026-02-01T00:00:00Z\nknown_from = 2026-03-05", date(2026, 3, 5)),
    ],
)
def test_the_first_known_day(keys: str, expected: date) -> None:
    """It is `known_from`, else the day of `from`, else the day the price was read."""
    assert only(keys).first_known == expected


def test_not_known_before_is_not_unpriced_before() -> None:
    """`known_from` hides no price: an earlier call finds the tariff, and may estimate by it."""
    tariff = only("known_from = 2026-11-01")
    found = book("known_from = 2026-11-01").find("acme", "big", datetime(2026, 1, 1, tzinfo=UTC))
    assert found is not None
    assert found.id == tariff.id
    assert found.first_known > date(2026, 1, 1)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            "from = 2026-03-01T00:00:00Z\nknown_from = 2026-02-01",
            "known_from must not be earlier than from",
        ),
        ("known_from = 2026-11-21", "known_from must not be later than checked"),
        ('known_from = "2026-11-01"', "known_from"),
        ("known_from = 2026-11-01T00:00:00Z", "known_from"),
    ],
)
def test_a_first_day_that_cannot_be_is_refused(keys: str, problem: str) -> None:
    """A price cannot be known before it began, or without having been read."""
    with pytest.raises(TariffError, match=problem):
        book(keys)


def test_every_shipped_tariff_states_its_first_day() -> None:
    """None falls back on the day somebody happened to look."""
    silent = [
        tariff.id
        for tariff in shipped().tariffs
        if tariff.known_from is None and tariff.start is None
    ]
    assert not silent


def test_no_shipped_price_is_known_before_it_was_published() -> None:
    """The first day is no later than the day of reading; changes follow one another."""
    for tariff in shipped().tariffs:
        announced = tariff.start is not None and tariff.start.date() > tariff.checked
        assert announced or tariff.first_known <= tariff.checked, tariff.id
        assert tariff.end is None or tariff.first_known < tariff.end.date(), tariff.id


def test_no_price_is_known_before_its_model_was_released() -> None:
    """A date in a name is when the model was released: it has no price before."""
    early = []
    for tariff in shipped().tariffs:
        for name in tariff.names:
            released = _released(name)
            if released and tariff.first_known < released and len(tariff.names) == 1:
                early.append((tariff.id, tariff.first_known))
    assert not early


def _released(name: str) -> date | None:
    """The day in a name that ends with one, such as `gpt-4.1-2025-04-14`."""
    try:
        return date.fromisoformat(name[-10:])
    except ValueError:
        return None
