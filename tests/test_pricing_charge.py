"""Every way of charging by quantity, each as the smallest tariff that has it."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import pytest

from pricing import Meter, Quantity, Status, price
from pricing.cause import texts
from pricing.usage import TermValue
from support.pricing_calls import MODEL, PLAIN, TOKENS, book, call, charge, counted

# name, tariff, usage, terms, expected USD
SIMPLE: list[tuple[str, str, Mapping[Meter, Quantity], Mapping[str, TermValue], str]] = [
    ("tokens", PLAIN, TOKENS, {}, "0.045"),
    ("cache read", PLAIN, {Meter.INPUT: 1_000, Meter.CACHE_READ: 9_000}, {}, "0.0057"),
    (
        "cache writes by lifetime",
        MODEL + "usd_per_mtok = { cache_write_5m = 3.75, cache_write_1h = 6 }",
        {Meter.CACHE_WRITE_5M: 1_000_000, Meter.CACHE_WRITE_1H: 1_000_000},
        {},
        "9.75",
    ),
    (
        "storage by the token and hour",
        MODEL + 'usd_per_mtok_hour = { "storage.token_hours" = 4.5 }',
        {Meter.STORAGE_TOKEN_HOURS: 500_000},
        {},
        "2.25",
    ),
    (
        "storage by the gigabyte and day",
        MODEL + 'usd_per_gb_day = { "storage.gb_days" = 0.1 }',
        {Meter.STORAGE_GB_DAYS: Decimal("2.5")},
        {},
        "0.25",
    ),
    (
        "modalities inside and outside the cache",
        MODEL
        + 'usd_per_mtok = { input = 5, cache_read = 1, "input.image" = 8, "cache_read.image" = 2 }',
        {
            Meter.INPUT: 100,
            Meter.CACHE_READ: 100,
            Meter.INPUT_IMAGE: 100,
            Meter.CACHE_READ_IMAGE: 100,
        },
        {},
        "0.0016",
    ),
    ("reasoning is output", PLAIN, {Meter.OUTPUT_REASONING: 1_000}, {}, "0.015"),
    (
        "a fee for each request",
        PLAIN + "usd_each = { requests = 0.005 }",
        TOKENS,
        {},
        "0.05",
    ),
    (
        "tool fees",
        PLAIN
        + 'usd_per_thousand = { "calls.web_search" = 10, "calls.function" = 1, '
        + '"calls.structured_output" = 2 }',
        {Meter.CALLS_WEB_SEARCH: 3, Meter.CALLS_FUNCTION: 2, Meter.CALLS_STRUCTURED_OUTPUT: 1},
        {},
        "0.034",
    ),
    ("function calls nobody charges", PLAIN, {**TOKENS, Meter.CALLS_FUNCTION: 4}, {}, "0.045"),
    (
        "by the second",
        MODEL + "usd_per_second = { video_seconds = 0.4 }",
        {Meter.VIDEO_SECONDS: 8},
        {},
        "3.2",
    ),
    (
        "by the character",
        MODEL + "usd_per_mchar = { characters = 15 }",
        {Meter.CHARACTERS: 1_234},
        {},
        "0.01851",
    ),
    (
        "priced at nothing on purpose",
        MODEL + "usd_per_mtok = { input = 0 }",
        {Meter.INPUT: 9},
        {},
        "0",
    ),
    (
        "a least quantity",
        MODEL + "minimum = 10\nusd_per_minute = { audio_seconds = 0.6 }",
        {Meter.AUDIO_SECONDS: 3},
        {},
        "0.1",
    ),
    (
        "whole blocks of tokens",
        MODEL + "round_up = 1_000\nusd_per_mtok = { input = 3 }",
        {Meter.INPUT: 1_001},
        {},
        "0.006",
    ),
    (
        "whole blocks of time",
        MODEL + "round_up = 15\nusd_per_minute = { audio_seconds = 0.024 }",
        {Meter.AUDIO_SECONDS: Decimal("31.2")},
        {},
        "0.018",
    ),
    (
        "a least charge",
        MODEL + "minimum_usd = 0.001\nusd_per_mtok = { input = 2.5 }",
        {Meter.INPUT: 3},
        {},
        "0.001",
    ),
    (
        "a tiny price stays exact",
        MODEL + "usd_per_mtok = { input = 0.123456789 }",
        {Meter.INPUT: 123_456_789},
        {},
        "15.241578750190521",
    ),
]


@pytest.mark.parametrize(
    ("tariffs", "usage", "terms", "usd"), [case[1:] for case in SIMPLE], ids=[c[0] for c in SIMPLE]
)
def test_mechanism(
    tariffs: str, usage: Mapping[Meter, Quantity], terms: Mapping[str, TermValue], usd: str
) -> None:
    """Each mechanism charges what its tariff says, to the last digit."""
    found = charge(tariffs, usage, **terms)
    assert (found.usd, found.status, found.reasons) == (Decimal(usd), Status.EXACT, ())


SURCHARGE = (
    MODEL
    + "usd_per_mtok = { input = 1.50, output = 0 }\nusd_each = { requests = 0 }\n"
    + "rates = [{ when = { output_tokens = { gt = 4_000 } }, usd_each = { requests = 0.20 } }]\n"
)


@pytest.mark.parametrize(
    ("output", "usd"), [(0, "1.5"), (3_999, "1.5"), (4_000, "1.5"), (4_001, "1.7"), (9_000, "1.7")]
)
def test_output_length_surcharge(output: int, usd: str) -> None:
    """The surcharge is due once a request when the output exceeds 4,000 tokens, not at 4,000."""
    found = charge(SURCHARGE, {Meter.INPUT: 1_000_000, Meter.OUTPUT: output})
    assert found.usd == Decimal(usd)


def test_surcharge_counts_reasoning() -> None:
    """Reasoning is output, also for the length of it."""
    usage = {Meter.OUTPUT: 600, Meter.OUTPUT_REASONING: 3_900}
    assert charge(SURCHARGE, usage).usd == Decimal("0.20")


def test_one_request_a_call() -> None:
    """A call of several subcalls is one request."""
    parts = [call({Meter.INPUT: 1_000_000, Meter.OUTPUT: 5_000}), call({Meter.OUTPUT: 5_000})]
    assert price(parts, book(SURCHARGE)).usd == Decimal("1.7")


TIERED = (
    MODEL
    + "usd_per_mtok = { input = 2, cache_read = 0.2, output = 10 }\n"
    + "rates = [{ when = { prompt_tokens = { OP = 200_000 } }, "
    + "usd_per_mtok = { input = 4, cache_read = 0.4, output = 15 } }]\n"
)


@pytest.mark.parametrize(
    ("op", "prompt", "usd"),
    [
        ("gt", 199_999, "0.399998"),
        ("gt", 200_000, "0.4"),
        ("gt", 200_001, "0.800004"),
        ("ge", 199_999, "0.399998"),
        ("ge", 200_000, "0.8"),
    ],
)
def test_whole_call_tier(op: str, prompt: int, usd: str) -> None:
    """A tier prices the whole call; whether the line itself belongs to it is explicit."""
    assert charge(TIERED.replace("OP", op), {Meter.INPUT: prompt}).usd == Decimal(usd)


def test_tier_counts_the_cache() -> None:
    """Cached tokens are part of the prompt that a tier looks at, and output moves with it."""
    usage = {Meter.INPUT: 50_000, Meter.CACHE_READ: 160_000, Meter.OUTPUT: 1_000}
    assert charge(TIERED.replace("OP", "gt"), usage).usd == Decimal("0.279")


def test_tier_never_looks_at_a_sum() -> None:
    """A server-side tool loop is tiered by its longest prompt, or by none if that is not known."""
    usage = {Meter.INPUT: 400_000}
    tariff = TIERED.replace("OP", "gt")
    known = charge(tariff, usage, max_request_prompt_tokens=60_000)
    assert (known.usd, known.status) == (Decimal("0.8"), Status.EXACT)
    long = charge(tariff, usage, max_request_prompt_tokens=210_000)
    assert (long.usd, long.status) == (Decimal("1.6"), Status.EXACT)
    unknown = charge(tariff, usage, summed_requests=True)
    assert (unknown.usd, unknown.status) == (Decimal("0.8"), Status.ESTIMATED)
    assert texts(unknown.reasons) == ("unknown_prompt_length",)
    short = charge(tariff, {Meter.INPUT: 4_000}, summed_requests=True)
    assert short.status is Status.EXACT


def test_price_by_output_length() -> None:
    """Output may be dearer as a whole, or only beyond a length."""
    whole = (
        MODEL
        + "usd_per_mtok = { output = 1.2 }\n"
        + "rates = [{ when = { output_tokens = { gt = 4_000 } }, usd_per_mtok = { output = 2.4 } }]"
    )
    assert charge(whole, {Meter.OUTPUT: 5_000}).usd == Decimal("0.012")
    marginal = MODEL + (
        'volume = { counter = "call", mode = "marginal", steps = [0, 4_000] }\n'
        "usd_per_mtok = { output = [1.2, 2.4] }"
    )
    assert charge(marginal, {Meter.OUTPUT: 5_000}).usd == Decimal("0.0072")
    assert charge(marginal, {Meter.OUTPUT: 3_000, Meter.OUTPUT_REASONING: 2_000}).usd == Decimal(
        "0.0072"
    )


LADDER = MODEL + (
    'volume = { counter = "month.tokens", mode = "MODE", steps = [0, 1_000, 10_000] }\n'
    "usd_per_mtok = { input = [2, 1.5, 1] }"
)


@pytest.mark.parametrize(
    ("before", "quantity", "usd"),
    [
        (0, 1_000, "0.002"),
        (999, 1, "0.000002"),
        (1_000, 1, "0.0000015"),
        (900, 200, "0.00035"),
        (900, 20_000, "0.0246"),
        (10_000, 1_000, "0.001"),
    ],
)
def test_marginal_volume(before: int, quantity: int, usd: str) -> None:
    """A marginal ladder splits the call over the steps that it crosses."""
    tariff = LADDER.replace("MODE", "marginal")
    found = counted(tariff, {Meter.INPUT: quantity}, {"acme/month.tokens": before})
    assert (found.usd, found.counts) == (Decimal(usd), {"acme/month.tokens": quantity})


@pytest.mark.parametrize(("before", "usd"), [(0, "0.0002"), (900, "0.0002"), (901, "0.00015")])
def test_whole_call_volume(before: int, usd: str) -> None:
    """A whole-call ladder takes the step that the total reaches with this call."""
    tariff = LADDER.replace("MODE", "whole_call")
    found = counted(tariff, {Meter.INPUT: 100}, {"acme/month.tokens": before})
    assert found.usd == Decimal(usd)


def test_ladder_runs_through_a_call() -> None:
    """Subcalls and meters of one call climb the same ladder."""
    found = price(
        [call({Meter.INPUT: 100}), call({Meter.INPUT: 100})],
        book(LADDER.replace("MODE", "marginal")),
        counters={"acme/month.tokens": 900},
    )
    assert found.usd == Decimal("0.00035")
    assert found.counts == {"acme/month.tokens": 200}


def test_free_allowance() -> None:
    """What is free until a counter is used up costs nothing, then the price."""
    tariff = MODEL + (
        'volume = { counter = "day.grounding", mode = "marginal", steps = [0, 1_500] }\n'
        'usd_per_thousand = { "grounding.prompts" = [0, 35] }'
    )
    usage = {Meter.GROUNDING_PROMPTS: 2}
    assert counted(tariff, usage, {"acme/day.grounding": 0}).usd == 0
    assert counted(tariff, usage, {"acme/day.grounding": 1_499}).usd == Decimal("0.035")
    unknown = charge(tariff, usage)
    assert (unknown.usd, unknown.status) == (None, Status.PARTIAL)
    assert texts(unknown.reasons) == ("unknown_counter:acme/day.grounding",)


def test_hours_need_not_terminate() -> None:
    """A third of a cent is kept to forty digits, not rounded to what a float or a row can hold."""
    found = charge(MODEL + "usd_per_hour = { audio_seconds = 1 }", {Meter.AUDIO_SECONDS: 1})
    assert found.usd is not None
    assert abs(Fraction(found.usd) - Fraction(1, 3_600)) < Fraction(1, 10**42)
