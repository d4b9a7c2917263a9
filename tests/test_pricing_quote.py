"""A workload, quoted: what it uses, which models are meant, and the order of the answers."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing import Meter, Status, Subcall, TariffBook, Usage, price, quote

AT = datetime(2026, 11, 20, tzinfo=UTC)
HEAD = 'source = "https://acme.example/prices"\nchecked = 2026-11-22\n'
ACME = """
provider = "acme"
[[tariff]]
names = ["dear-????", "dear", "dear-2"]
usd_per_mtok = { input = 10, cache_read = 1, output = 30 }
[[tariff]]
names = ["only-????"]
usd_per_mtok = { input = 10, output = 30 }
[[tariff]]
names = ["free"]
usd_per_mtok = { input = 0, cache_read = 0, output = 0 }
[[tariff]]
names = ["half"]
usd_per_mtok = { input = 0.5, cache_read = 0.5, output = 0.5 }
[[tariff]]
names = ["both"]
usd_per_mtok = { input = 1, cache_read = 1, output = 1 }
[[tariff]]
names = ["flexible"]
usd_per_mtok = { input = 2, output = 2 }
rates = [{ when = { service_tier = "flex" }, usd_per_mtok = { input = 1, output = 1 } }]
[[tariff]]
names = ["within"]
volume = { counter = "call", mode = "marginal", steps = [0, 10] }
usd_per_mtok = { input = [1, 2] }
[[tariff]]
names = ["later"]
from = 2026-11-21T00:00:00Z
usd_per_mtok = { input = 1, output = 1 }
"""
OTHER = """
provider = "other"
[[tariff]]
names = ["both", "vendor/model", "free"]
usd_per_mtok = { input = 1, cache_read = 1, output = 1 }
[[tariff]]
names = ["dear-2"]
usd_per_mtok = { input = 1, cache_read = 1, output = 1 }
"""
BOOK = TariffBook.parse({"acme.toml": HEAD + ACME, "other.toml": HEAD + OTHER})


def work(tokens: tuple[int, int] = (1_000_000, 0), calls: int = 1) -> quote.Workload:
    return quote.workload(tokens, Decimal(0), (), calls, AT)


def test_a_workload_is_split_by_its_cached_share() -> None:
    """What is read from a cache is a part of the input; `uses` add to what is there."""
    found = quote.workload((1_001, 7), Decimal("0.5"), ["output=3", "calls.web_search=2"], 9, AT)
    assert found.quantities == {
        Meter.INPUT: 501,
        Meter.CACHE_READ: 500,
        Meter.OUTPUT: 10,
        Meter.CALLS_WEB_SEARCH: 2,
    }
    assert (found.calls, found.at, found.tiers) == (9, AT, ("standard",))


@pytest.mark.parametrize("cached", ["-0.01", "1.01"])
def test_a_share_is_from_nothing_to_all(cached: str) -> None:
    """Both ends are shares."""
    assert quote.workload((10, 0), Decimal(0), (), 1, AT).quantities[Meter.CACHE_READ] == 0
    assert quote.workload((10, 0), Decimal(1), (), 1, AT).quantities[Meter.CACHE_READ] == 10
    with pytest.raises(ValueError, match="--cached"):
        quote.workload((10, 0), Decimal(cached), (), 1, AT)


@pytest.mark.parametrize(("tokens", "calls"), [((10, 1), 0), ((-1, 1), 1), ((1, -1), 1)])
def test_a_workload_has_calls_and_no_negative_tokens(tokens: tuple[int, int], calls: int) -> None:
    """One call without tokens is a workload, though."""
    assert quote.workload((0, 0), Decimal(0), (), 1, AT).calls == 1
    with pytest.raises(ValueError, match="must be 1 or more"):
        quote.workload(tokens, Decimal(0), (), calls, AT)


@pytest.mark.parametrize("use", ["nothing=1", "pages", "pages=", "pages=-1", "pages=1.5", "=1"])
def test_a_use_is_a_meter_and_a_whole_number(use: str) -> None:
    """Both must be right."""
    with pytest.raises(ValueError, match="METER=NUMBER"):
        quote.workload((1, 1), Decimal(0), [use], 1, AT)


def test_which_models_are_meant() -> None:
    """A bare name is every provider's that sells it, one with a provider that one's alone."""
    assert quote.models(BOOK, ["both"], [], AT) == [("acme", "both"), ("other", "both")]
    assert quote.models(BOOK, ["other/both"], [], AT) == [("other", "both")]
    assert quote.models(BOOK, ["other/vendor/model"], [], AT) == [("other", "vendor/model")]
    with pytest.raises(ValueError, match="no price is known for vendor/model"):
        quote.models(BOOK, ["vendor/model"], [], AT)
    with pytest.raises(ValueError, match="no price is known for unheard"):
        quote.models(BOOK, ["both", "unheard"], [], AT)
    with pytest.raises(ValueError, match="nobody has no tariffs; providers that do: acme, other"):
        quote.models(BOOK, [], ["nobody"], AT)


def test_all_models_that_a_provider_sells() -> None:
    """By the first name that is no pattern, if it has one and is in force; each once."""
    assert quote.models(BOOK, ["acme/free"], ["acme", "other"], AT) == [
        ("acme", "free"),
        ("acme", "dear"),
        ("acme", "half"),
        ("acme", "both"),
        ("acme", "flexible"),
        ("acme", "within"),
        ("other", "both"),
        ("other", "dear-2"),
    ]


def quoted(*models: str, work: quote.Workload) -> list[tuple[str, str, Decimal | None]]:
    found = quote.quotes(BOOK, [("acme", model) for model in models], work)
    return [(each.model, each.tier, each.usd) for each in found]


def test_free_is_the_cheapest() -> None:
    """A price of 0 is a price, and comes before half a dollar, however many calls there are."""
    assert [model for model, _, _ in quoted("half", "free", work=work())] == ["free", "half"]
    assert quoted("dear", "half", "free", work=work(calls=3)) == [
        ("free", "standard", Decimal(0)),
        ("half", "standard", Decimal("1.5")),
        ("dear", "standard", Decimal(30)),
    ]


def test_unknown_comes_after_all_that_is_known() -> None:
    """First whole quotes, then lower bounds, then those of which nothing is known."""
    asked = quote.workload((1_000_000, 0), Decimal("0.5"), (), 1, AT)
    assert quoted("unheard", "flexible", "dear", work=asked) == [
        ("dear", "standard", Decimal("5.5")),
        ("flexible", "standard", Decimal(1)),
        ("unheard", "standard", None),
    ]


def test_equal_prices_go_by_the_alphabet() -> None:
    """Of providers, then models, then tiers."""
    found = quote.quotes(BOOK, [("other", "both"), ("acme", "both")], work())
    assert [each.provider for each in found] == ["acme", "other"]


def test_an_estimate_is_whole() -> None:
    """A quote lacks something only where a price is missing."""
    [found] = quote.quotes(BOOK, [("acme", "dear")], work())
    assert found.whole
    for status, whole in [
        (Status.ESTIMATED, True),
        (Status.PARTIAL, False),
        (Status.UNPRICED, False),
    ]:
        first = msgspec.structs.replace(found.first, status=status)
        assert replace(found, first=first).whole is whole


def test_a_tier_is_a_term() -> None:
    """The tier that a provider serves has its own price."""
    asked = replace(work(), tiers=("standard", "flex"))
    assert quoted("flexible", work=asked) == [
        ("flexible", "flex", Decimal(1)),
        ("flexible", "standard", Decimal(2)),
    ]


@pytest.mark.parametrize("tier", ["alpha", "batch", "turbo"])
def test_a_tier_without_a_price_has_no_quote(tier: str) -> None:
    """No tier is taken for another, nor for the standard one."""
    assert quoted("flexible", work=replace(work(), tiers=(tier,))) == [("flexible", tier, None)]


def test_a_batch_has_the_price_of_batches() -> None:
    """And no tier near it in the alphabet has."""
    half = '[[factors]]\nname = "b"\nfactor = 0.5\nwhen = { processing = "batch" }\n'
    book = TariffBook.parse(
        {"acme.toml": HEAD + ACME.replace("[[tariff]]", half + "[[tariff]]", 1)}
    )
    asked = replace(work(), tiers=("batch", "alpha"))
    found = quote.quotes(book, [("acme", "dear")], asked)
    assert [(each.tier, each.usd) for each in found] == [("batch", 5), ("alpha", None)]


def test_steps_within_a_call_begin_anew_with_each() -> None:
    """They need no counter, and many calls cost as many times one."""
    [one] = quoted("within", work=work((20, 0)))
    [many] = quoted("within", work=work((20, 0), calls=5))
    assert one[2] == Decimal("0.00003")
    assert many[2] == 5 * one[2]


STEPPED = """
provider = "acme"
[[tariff]]
names = ["m"]
usd_per_mtok = { output = 1 }
[[tariff.rates]]
volume = { counter = "month.tokens", mode = "MODE", steps = [0, 100, 250] }
usd_per_mtok = { input = [9, 4, 2] }
[[tariff.rates]]
volume = { counter = "day.pages", mode = "MODE", steps = [0, 7] }
usd_each = { pages = [0, 3] }
"""


@pytest.mark.parametrize("mode", ["marginal", "whole_call"])
def test_steps_are_climbed_as_if_call_by_call(mode: str) -> None:
    """The sum is that of the calls one after the other, whatever each of them uses."""
    book = TariffBook.parse({"acme.toml": HEAD + STEPPED.replace("MODE", mode)})

    @given(calls=st.integers(1, 12), tokens=st.integers(0, 120), pages=st.integers(0, 4))
    def agrees(calls: int, tokens: int, pages: int) -> None:
        quantities = {Meter.INPUT: tokens, Meter.OUTPUT: 10, Meter.PAGES: pages}
        asked = quote.Workload(quantities=quantities, calls=calls, at=AT)
        [found] = quote.quotes(book, [("acme", "m")], asked)
        used = {"acme/month.tokens": Decimal(0), "acme/day.pages": Decimal(0)}
        total = Decimal(0)
        for _ in range(calls):
            call = Subcall(provider="acme", model="m", at=AT, usage=Usage(quantities))
            charge = price([call], book, counters=used)
            used = {name: at + charge.counts.get(name, 0) for name, at in used.items()}
            total += charge.usd or 0
        assert found.usd == total

    agrees()


@pytest.mark.parametrize(("tokens", "usd"), [(100, "0.0009"), (101, "0.000904")])
def test_the_first_call_begins_at_nothing(tokens: int, usd: str) -> None:
    """Its charge, which stands for the quote, is that of a month in which nothing was used."""
    book = TariffBook.parse({"acme.toml": HEAD + STEPPED.replace("MODE", "marginal")})
    [found] = quote.quotes(book, [("acme", "m")], work((tokens, 0)))
    assert (found.first.usd, found.usd) == (Decimal(usd), Decimal(usd))


def test_the_call_that_meets_a_step_is_found_to_the_last_digit() -> None:
    """The last of many calls ends 10^-19 s after the step, and pays the next price for that."""
    book = TariffBook.parse(
        {
            "acme.toml": HEAD
            + 'provider = "acme"\n[[tariff]]\nnames = ["m"]\nminimum = 9.9999999990000000001\n'
            + 'volume = { counter = "c", mode = "marginal", steps = [0, 100_000_000_000] }\n'
            + "usd_per_second = { audio_seconds = [1, 2] }\n"
        }
    )
    asked = quote.Workload(quantities={Meter.AUDIO_SECONDS: 1}, calls=10**10 + 1, at=AT)
    [found] = quote.quotes(book, [("acme", "m")], asked)
    assert found.usd == Decimal("100000000000.0000000000000000002")
