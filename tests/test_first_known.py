"""Every tariff states the first day on which its prices are known.

How a file states it is in `test_pricing_evidence`.
"""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pricing import Charge, Meter, Subcall, TariffBook, Usage, price
from pricing.book import SHIPPED
from support.books import shipped

SHIPPED_BOOK = TariffBook.load()


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


def test_not_known_before_is_not_unpriced_before() -> None:
    """`known_from` hides no price: an earlier call finds the tariff, and may estimate by it."""
    (tariff,) = book("known_from = 2026-11-01").tariffs
    found = book("known_from = 2026-11-01").find("acme", "big", datetime(2026, 1, 1, tzinfo=UTC))
    assert found is not None
    assert found.id == tariff.id
    assert found.first_known == date(2026, 11, 1)


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
        first = tariff.first_known
        assert first is not None, tariff.id
        assert announced or first <= tariff.checked, tariff.id
        assert tariff.end is None or first < tariff.end.date(), tariff.id


def test_no_price_is_known_before_its_model_was_released() -> None:
    """A date in a name is when the model was released: it has no price before."""
    early = []
    for tariff in shipped().tariffs:
        for name in tariff.names:
            released = _released(name)
            first = tariff.first_known
            if released and first and first < released and len(tariff.names) == 1:
                early.append((tariff.id, first))
    assert not early


def _released(name: str) -> date | None:
    """The day in a name that ends with one, such as `gpt-4.1-2025-04-14`."""
    try:
        return date.fromisoformat(name[-10:])
    except ValueError:
        return None


def charge(book: TariffBook, at: str, provider: str = "acme", model: str = "big") -> Charge:
    """A thousand input tokens at an instant."""
    usage = Usage({Meter.INPUT: 1_000})
    when = datetime.fromisoformat(at)
    return price([Subcall(provider=provider, model=model, at=when, usage=usage)], book)


@pytest.mark.parametrize(
    ("keys", "at", "reasons"),
    [
        ("known_from = 2026-11-01", "2026-10-31T23:59:59.999999+00:00", ["2026-11-01"]),
        ("known_from = 2026-11-01", "2026-11-01T00:00:00+00:00", []),
        ("known_from = 2026-11-01", "2026-11-01T01:00:00+02:00", ["2026-11-01"]),
        ("known_from = 2026-11-01", "2027-11-01T00:00:00+00:00", []),
        ("from = 2026-11-01T08:00:00Z", "2026-11-01T08:00:00+00:00", []),
        (
            "from = 2026-02-01T00:00:00Z\nknown_from = 2026-03-05",
            "2026-03-04T12:00:00+00:00",
            ["2026-03-05"],
        ),
        ("", "2020-01-01T00:00:00+00:00", []),
    ],
)
def test_a_call_before_the_first_known_day_is_an_estimate(
    keys: str, at: str, reasons: list[str]
) -> None:
    """Until the day (UTC) the sum is whole and a guess; after it the price holds, without end.

    A tariff without dates is its author's statement for any time.
    """
    found = charge(book(keys), at)
    assert found.usd == Decimal("0.001")
    assert found.status.value == ("estimated" if reasons else "exact")
    assert [*map(str, found.reasons)] == [f"before_price_known:{day}" for day in reasons]


def test_a_price_of_ones_own_needs_no_date() -> None:
    """Laid over a shipped price, it is exact for a day that no source of the shipped one shows."""
    model, early = "claude-opus-4-8", "2026-05-01T12:00:00+00:00"
    assert charge(SHIPPED_BOOK, early, "anthropic", model).status.value == "estimated"
    files = {path.name: path.read_text() for path in SHIPPED.glob("*.toml")}
    own = """
provider = "anthropic"
source = "our contract"
checked = 2026-11-20
[[tariff]]
names = ["claude-opus-4-8"]
usd_per_mtok = { input = 3 }
"""
    found = charge(TariffBook.parse(files, {"own.toml": own}), early, "anthropic", model)
    assert (found.usd, found.status.value) == (Decimal("0.003"), "exact")


@pytest.mark.parametrize(
    ("provider", "model", "at", "usd", "status"),
    [
        # Opus 5 was released on 24 July 2026.
        ("anthropic", "claude-opus-5", "2026-07-23T23:59:59+00:00", "0.005", "estimated"),
        ("anthropic", "claude-opus-5", "2026-07-24T00:00:00+00:00", "0.005", "exact"),
        # Luna was cut to a fifth on 30 July 2026; its first price is known from the 9th.
        ("openai", "gpt-5.6-luna", "2026-07-08T12:00:00+00:00", "0.001", "estimated"),
        ("openai", "gpt-5.6-luna", "2026-07-29T12:00:00+00:00", "0.001", "exact"),
        ("openai", "gpt-5.6-luna", "2026-11-20T12:00:00+00:00", "0.0002", "exact"),
        # A price holds after it was checked.
        ("openai", "gpt-4o-mini", "2024-07-18T00:00:00+00:00", "0.00015", "exact"),
        ("openai", "gpt-4o-mini", "2028-01-01T00:00:00+00:00", "0.00015", "exact"),
        ("openai", "gpt-4o-mini", "2024-07-17T00:00:00+00:00", "0.00015", "estimated"),
    ],
)
def test_shipped_prices_around_their_first_day(
    provider: str, model: str, at: str, usd: str, status: str
) -> None:
    """An estimate before it, exact from it on, by the price of the day."""
    found = charge(SHIPPED_BOOK, at, provider, model)
    assert (found.usd, found.status.value) == (Decimal(usd), status)
