"""From quantities to a charge: what is billed, what is minimal, and what is too much."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from pricing import Charge, Meter, Origin, Quantity, Status, Subcall, TariffBook, Usage, price
from pricing.charge import line_document, plain, total
from pricing.charge_line import QUANTITY_MAX, too_large
from support.pricing_calls import (
    AT,
    FACTORS,
    HEAD,
    MODEL,
    PLAIN,
    TOKENS,
    book,
    call,
    call_of,
    charge,
)

REPORTED = 'prefer = "reported"\n'


@pytest.mark.parametrize(
    ("quantity", "refused"),
    [
        (0, False),
        (10**18 - 1, False),
        (10**18, False),
        (10**18 + 1, True),
        (Decimal("0." + "1" * 29), False),
        (Decimal("0." + "1" * 30), False),
        (Decimal("0." + "1" * 31), True),
    ],
)
def test_what_no_call_can_have_used(quantity: Quantity, refused: bool) -> None:
    """More than 10^18, or a number of more than thirty digits, is a body that is wrong."""
    assert too_large(quantity) is refused
    assert QUANTITY_MAX == 10**18


@pytest.mark.parametrize(
    ("used", "billed"), [("0.5", 10), ("9.5", 10), ("10", 10), ("11", 20), ("20", 20), ("21", 30)]
)
def test_least_quantity_and_whole_blocks(used: str, billed: int) -> None:
    """At least the minimum, and begun blocks count whole."""
    tariff = MODEL + "minimum = 8\nround_up = 10\nusd_per_second = { audio_seconds = 1 }"
    found = charge(tariff, {Meter.AUDIO_SECONDS: Decimal(used)})
    assert found.usd == found.lines[0].quantity == billed


MINIMUM = MODEL + "minimum_usd = 0.03\nusd_per_mtok = { input = 1, output = 1 }"


@pytest.mark.parametrize(
    ("tokens", "usd", "lines"),
    [(1, "0.03", 2), (29_999, "0.03", 2), (30_000, "0.03", 1), (40_000, "0.04", 1)],
)
def test_least_charge_of_a_request(tokens: int, usd: str, lines: int) -> None:
    """A line of its own brings a request up to it; one that costs as much has none."""
    found = charge(MINIMUM, {Meter.INPUT: tokens})
    assert (found.usd, len(found.lines)) == (Decimal(usd), lines)
    if lines == 2:
        last = found.lines[-1]
        assert (last.meter, last.quantity) == (Meter.REQUESTS, 1)
        assert (last.rate, last.per) == (last.usd, Decimal(1))
        assert last.usd == Decimal("0.03") - found.lines[0].usd
        assert last.rule == "acme.toml:6 minimum_usd"


def test_least_charge_is_of_each_subcall() -> None:
    """What one subcall costs does not count for another."""
    found = price([call({Meter.INPUT: 40_000}), call({Meter.INPUT: 10_000})], book(MINIMUM))
    assert found.usd == Decimal("0.07")
    assert [line.subcall for line in found.lines] == [0, 1, 1]


FEE = PLAIN + "usd_each = { requests = 1 }\n"


def test_a_call_is_one_request_unless_usage_says_how_many() -> None:
    """The first subcall carries the fee; a usage that counts requests is believed."""
    assert price([call({}), call({})], book(FEE)).usd == 1
    stated = price([call({}), call({Meter.REQUESTS: 3})], book(FEE))
    assert (stated.usd, [line.subcall for line in stated.lines]) == (Decimal(3), [1])
    assert charge(PLAIN, {}).lines == ()


def test_a_fee_that_nobody_named_is_free() -> None:
    """Counted requests and functions cost nothing where the tariff is silent about them."""
    found = charge(PLAIN, {Meter.REQUESTS: 2, Meter.CALLS_FUNCTION: 1})
    assert (found.usd, found.status, found.lines) == (Decimal(0), Status.EXACT, ())


def test_lines_are_in_the_order_of_meters() -> None:
    """Whatever the order in which usage was counted."""
    found = charge(PLAIN, {Meter.OUTPUT: 1, Meter.CACHE_READ: 1, Meter.INPUT: 1})
    assert [line.meter for line in found.lines] == [Meter.INPUT, Meter.CACHE_READ, Meter.OUTPUT]


def test_each_reason_is_said_once() -> None:
    """Two subcalls of one unknown model are one reason."""
    found = price([call_of(TOKENS, model="x"), call_of(TOKENS, model="x")], book(PLAIN))
    assert tuple(map(str, found.reasons)) == ("unknown_model:x",)
    assert (found.tariff, found.lines) == ("", ())


def test_a_subcall_without_usage_leaves_a_lower_bound() -> None:
    """What the other subcalls cost is known, the sum is not."""
    found = price([call(TOKENS), call_of({}, origin=Origin.NONE)], book(PLAIN))
    assert (found.usd, found.status) == (Decimal("0.045"), Status.PARTIAL)
    assert tuple(map(str, found.reasons)) == ("no_usage",)


def test_a_term_that_is_not_known_leaves_the_fees() -> None:
    """It may be a factor on every token, but on no fee."""
    tariff = PLAIN + 'usd_per_thousand = { "calls.web_search" = 10 }'
    found = charge(tariff, {**TOKENS, Meter.CALLS_WEB_SEARCH: 1}, speed="warp")
    assert (found.usd, found.status) == (Decimal("0.01"), Status.PARTIAL)


def test_an_empty_term_is_no_term() -> None:
    """Nobody stated it."""
    assert charge(PLAIN, TOKENS, speed="", inference_geo="").status is Status.EXACT


TIER = PLAIN + (
    "rates = [{ when = { prompt_tokens = { gt = 10_000 }, output_tokens = { gt = 10 } }, "
    "usd_per_mtok = { input = 6, cache_read = 0.6, output = 30 } }]"
)


def test_stated_lengths_stand_before_counted_ones() -> None:
    """A term says how long prompt and answer were; else the usage does."""
    usage = {Meter.INPUT: 10_001, Meter.OUTPUT: 11}
    assert charge(TIER, usage).lines[0].rate == 6
    assert charge(TIER, usage, prompt_tokens=10_000).lines[0].rate == 3
    assert charge(TIER, usage, output_tokens=10).lines[0].rate == 3
    assert charge(TIER, usage, prompt_tokens=1, max_request_prompt_tokens=10_001).lines[0].rate == 6


def test_a_sum_over_requests_is_a_doubt_only_where_a_tier_might_hold() -> None:
    """The longest prompt, where it is stated, settles it."""
    usage = {Meter.INPUT: 10_001, Meter.OUTPUT: 11}
    doubtful = charge(TIER, usage, summed_requests=True)
    assert (doubtful.status, doubtful.lines[0].rate) == (Status.ESTIMATED, Decimal(3))
    settled = charge(TIER, usage, summed_requests=True, max_request_prompt_tokens=10_001)
    assert (settled.status, settled.lines[0].rate) == (Status.EXACT, Decimal(6))
    single = charge(TIER, usage, summed_requests=False)
    assert (single.status, single.lines[0].rate) == (Status.EXACT, Decimal(6))


@pytest.mark.parametrize(
    ("bound", "rate", "status"),
    [("gt = 0", 3, Status.ESTIMATED), ("ge = 0", 6, Status.EXACT), ("ge = 1", 3, Status.ESTIMATED)],
)
def test_the_shortest_prompt_meets_only_what_every_prompt_does(
    bound: str, rate: int, status: Status
) -> None:
    """A tier that each length is in is no doubt; one that begins with the first token is."""
    tariff = TIER.replace("gt = 10_000", bound)
    found = charge(tariff, {Meter.INPUT: 5, Meter.OUTPUT: 11}, summed_requests=True)
    assert (found.lines[0].rate, found.status) == (Decimal(rate), status)


@pytest.mark.parametrize("tier", ["alpha", "batch2", "zeta"])
def test_only_batch_is_a_batch(tier: str) -> None:
    """A served tier that nobody knows is not taken for one."""
    found = charge(FACTORS + PLAIN, TOKENS, service_tier=tier)
    assert tuple(map(str, found.reasons)) == (f"unknown_term:service_tier={tier}",)


BY_COMPLETION = (
    '\n[[tariff]]\nnames = ["m"]\nby_completion = true\nuntil = 2026-12-01T00:00:00Z\n'
    "usd_per_mtok = { input = 1 }\n"
    '[[tariff]]\nnames = ["m"]\nfrom = 2026-12-01T00:00:00Z\nannounced = 2026-11-01\n'
    "confirmed = 2026-11-20\nusd_per_mtok = { input = 2 }\n"
)
LATE = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
LATER = datetime(2026, 12, 1, 0, 1, tzinfo=UTC)


def test_the_end_of_a_call_may_be_in_another_period() -> None:
    """By completion, the period of the end counts; without a known end, that of the start."""
    usage = {Meter.INPUT: 1_000_000}
    prices = book(BY_COMPLETION)
    ended = price([call_of(usage, at=LATE, terms={"completed_at": LATER})], prices)
    assert ended.usd == 2
    assert price([call_of(usage, at=LATE)], prices).usd == 1
    by_start = book(BY_COMPLETION.replace("by_completion = true\n", ""))
    assert price([call_of(usage, at=LATE, terms={"completed_at": LATER})], by_start).usd == 1


def reported(text: str, usd: str, *subcalls: Subcall) -> Charge:
    prices = TariffBook.parse({"acme.toml": HEAD + text})
    return price(subcalls, prices, reported_usd=Decimal(usd))


def test_a_preferred_cost_has_no_line_where_it_is_ours() -> None:
    """The figures agree: the lines explain all of it, and no doubt is left."""
    found = reported(REPORTED + PLAIN, "0.045", call(TOKENS))
    assert (found.usd, len(found.lines), found.drift_usd) == (Decimal("0.045"), 2, Decimal(0))


def test_a_preferred_cost_settles_what_we_lack() -> None:
    """Whatever has no price is in the provider's figure; less than ours is a negative line."""
    usage = {**TOKENS, Meter.OUTPUT_AUDIO: 5}
    found = reported(REPORTED + PLAIN, "0.04", call(usage))
    assert (found.usd, found.status, found.reasons) == (Decimal("0.04"), Status.EXACT, ())
    assert found.lines[-1].usd == Decimal("-0.005")
    assert (found.lines[-1].source, found.lines[-1].subcall) == ("cost reported by acme", 0)


def test_the_first_subcall_says_whose_cost_was_reported() -> None:
    """Its provider is the one that was called."""
    other = HEAD.replace("acme", "other") + PLAIN
    prices = TariffBook.parse({"a.toml": HEAD + REPORTED + PLAIN, "b.toml": other})
    parts = [call(TOKENS), replace(call(TOKENS), provider="other")]
    cost = Decimal("0.1")
    assert price(parts, prices, reported_usd=cost).usd == cost
    assert price(parts[::-1], prices, reported_usd=cost).usd == Decimal("0.09")


def test_a_cost_without_any_usage() -> None:
    """Nothing was priced: a stated cost of an unknown provider is an estimate."""
    found = price([], book(PLAIN), reported_usd=Decimal("0.5"))
    assert (found.usd, found.status) == (Decimal("0.5"), Status.ESTIMATED)
    assert tuple(map(str, found.reasons)) == ("no_usage", "reported_cost_only")


@pytest.mark.parametrize("odd", ["-0.01", "NaN", "Infinity"])
def test_an_odd_reported_cost_is_named_and_not_used(odd: str) -> None:
    """It neither is the charge nor stands beside it."""
    found = reported(REPORTED + PLAIN, odd, call(TOKENS))
    assert (found.usd, found.reported_usd) == (Decimal("0.045"), None)
    assert tuple(map(str, found.reasons)) == (f"odd_reported_cost:{odd}",)


def test_nothing_used_is_nothing_to_pay() -> None:
    """A known tariff and a usage of nothing: 0, exactly; something without a price: unknown."""
    assert (charge(PLAIN, {}).usd, charge(PLAIN, {}).status) == (Decimal(0), Status.EXACT)
    estimated = price([call_of({}, origin=Origin.COUNTED)], book(PLAIN))
    assert (estimated.usd, estimated.status) == (Decimal(0), Status.ESTIMATED)
    assert charge(PLAIN, {Meter.OUTPUT_AUDIO: 1}).usd is None


def test_drift() -> None:
    """Nothing to compare without a figure of either; the reported line is not ours."""
    base = charge(PLAIN, TOKENS)
    assert base.drift_usd is None
    only = price([call_of(TOKENS, model="x")], book(PLAIN), reported_usd=Decimal(1))
    assert only.drift_usd is None
    assert [line.usd for line in only.lines] == [1]
    unpriced = Charge(usd=None, status=Status.UNPRICED, reported_usd=Decimal(1), lines=base.lines)
    assert unpriced.drift_usd is None


def test_two_tariffs_of_a_call_and_the_book_are_named() -> None:
    """Each tariff once, and the version of the book that they are of."""
    prices = book(PLAIN)
    found = price([call(TOKENS), call(TOKENS)], prices)
    assert found.tariff == f"acme/m#{prices.version}"


WITHIN = MODEL + (
    'volume = { counter = "call", mode = "marginal", steps = [0, 1_000_000] }\n'
    "usd_per_mtok = { input = [1, 2] }"
)
TWICE = [call({Meter.INPUT: 1_000_000}), call({Meter.INPUT: 1_000_000})]


@pytest.mark.parametrize("counter", ["month.tokens", "account.tokens"])
def test_a_counter_is_of_the_provider(counter: str) -> None:
    """The subcalls of a call share it."""
    shared = book(WITHIN.replace('"call"', f'"{counter}"'))
    assert price(TWICE, shared, counters={f"acme/{counter}": 0}).usd == 3


def test_a_ladder_within_the_call_is_of_the_subcall() -> None:
    """Each subcall begins its own."""
    assert price(TWICE, book(WITHIN)).usd == 2


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (100, "100"),
        (Decimal("0.00"), "0"),
        (Decimal("100"), "100"),
        (Decimal("1E+2"), "100"),
        (Decimal("1.50"), "1.5"),
        (Decimal("10.00"), "10"),
        (Decimal("1E-7"), "0.0000001"),
    ],
)
def test_plain_numbers(number: Decimal | int, text: str) -> None:
    """Exact decimal text without exponent, and without zeros that say nothing."""
    assert plain(number) == text


def test_a_line_as_a_document() -> None:
    """All of it, in text that loses no digit."""
    line = charge(PLAIN, {Meter.INPUT: 10_000}).lines[0]
    assert line_document(line) == {
        "subcall": 0,
        "model": "m",
        "meter": "input",
        "quantity": "10000",
        "rate": "3",
        "per": "1000000",
        "factors": {},
        "usd": "0.03",
        "rule": "acme.toml:6",
        "source": "https://acme.example/pricing",
    }


def test_sums_are_exact() -> None:
    """Of nothing, 0; of very large and very small, every digit."""
    assert total([]) == 0
    assert total([Decimal("1E+20"), Decimal("1E-20")]) == Decimal(
        "100000000000000000000.00000000000000000001"
    )


@pytest.mark.parametrize("code", ["CNY", "ZAR"])
def test_prices_in_another_currency_are_exact_where_they_can_be(code: str) -> None:
    """A line is quantity times price times rate of exchange over the quantity it is for."""
    money = (
        f'[[currencies]]\ncode = "{code}"\nfrom = 2026-01-01T00:00:00Z\nusd = 0.14\n'
        'source = "https://bank.example"\nchecked = 2026-01-01\n'
    )
    batch = '[[factors]]\nname = "half"\nfactor = 0.5\n'
    found = price(
        [call({Meter.INPUT: 3})],
        book(money + batch + MODEL + f"{code.lower()}_per_mtok = {{ input = 8 }}"),
    )
    line = found.lines[0]
    assert line.usd == Decimal(3) * 8 * Decimal("0.5") * Decimal("0.14") / 1_000_000
    assert line.factors == (("half", Decimal("0.5")), (f"fx:{code}", Decimal("0.14")))


def test_a_rule_says_where_its_price_was_read() -> None:
    """Its own source where it has one, else that of its tariff."""
    own = (
        MODEL
        + 'usd_per_mtok = { input = 1 }\nrates = [{ source = "https://other.example", '
        + "usd_per_mtok = { output = 2 } }]"
    )
    lines = charge(own, {Meter.INPUT: 1, Meter.OUTPUT: 1}).lines
    assert [line.source for line in lines] == [
        "https://acme.example/pricing",
        "https://other.example",
    ]


def test_time_of_the_charge_is_the_start() -> None:
    """Without more, the instant of the subcall selects the period."""
    dated = MODEL + "from = 2026-06-01T00:00:00Z\nusd_per_mtok = { input = 1 }"
    at_start = Subcall(provider="acme", model="m", at=AT, usage=Usage({Meter.INPUT: 1_000_000}))
    assert price([at_start], book(dated)).usd == 1
