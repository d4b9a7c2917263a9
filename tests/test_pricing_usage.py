"""What is counted, in which unit, and on which side of the model."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pricing import Meter, Origin, Subcall, Usage
from pricing.terms import TERMS, Term, service_tier, valid
from pricing.usage import (
    INPUT_METERS,
    METER_ORDER,
    NO_TERMS,
    OUTPUT_METERS,
    TOKEN_METERS,
    UNITS,
    TermValue,
    Unit,
)

NEITHER_READ_NOR_MADE = {Meter.CITATION_TOKENS, Meter.RESERVED_TOKENS, Meter.TRAINING_TOKENS}


def test_token_meters_are_read_made_or_named() -> None:
    """Tokens are input, output, or three kinds that are neither; nothing is both."""
    assert INPUT_METERS.isdisjoint(OUTPUT_METERS)
    assert TOKEN_METERS == INPUT_METERS | OUTPUT_METERS | NEITHER_READ_NOR_MADE
    assert {Meter.INPUT, Meter.INPUT_AUDIO, Meter.CACHE_READ, Meter.CACHE_WRITE_1H} < INPUT_METERS
    assert {Meter.OUTPUT, Meter.OUTPUT_REASONING, Meter.OUTPUT_IMAGE} < OUTPUT_METERS


def test_units() -> None:
    """Tokens count in tokens, time in its unit, and everything else in things."""
    assert {meter for meter, unit in UNITS.items() if unit is Unit.TOKEN} == TOKEN_METERS
    assert UNITS[Meter.AUDIO_SECONDS] is Unit.SECOND
    assert UNITS[Meter.CONTAINER_MINUTES] is Unit.MINUTE
    assert UNITS[Meter.CALLS_WEB_SEARCH] is UNITS[Meter.IMAGES] is Unit.THING
    assert set(UNITS) == set(Meter)


def test_the_order_of_lines_is_that_of_the_meters() -> None:
    """Input first, output after it, fees after both."""
    order = sorted([Meter.REQUESTS, Meter.OUTPUT, Meter.INPUT], key=METER_ORDER.__getitem__)
    assert order == [Meter.INPUT, Meter.OUTPUT, Meter.REQUESTS]
    assert len(set(METER_ORDER.values())) == len(Meter)


def test_sums_of_tokens() -> None:
    """What the model read, cached or not, and what it made; fees are in neither."""
    usage = Usage(
        {
            Meter.INPUT: 1,
            Meter.INPUT_AUDIO: 2,
            Meter.CACHE_READ: 4,
            Meter.CACHE_WRITE_5M: 8,
            Meter.OUTPUT: 16,
            Meter.OUTPUT_REASONING: 32,
            Meter.CALLS_WEB_SEARCH: 64,
            Meter.CITATION_TOKENS: 128,
        }
    )
    assert (usage.input_tokens, usage.output_tokens) == (15, 48)
    assert (Usage({}).input_tokens, Usage({}).output_tokens) == (0, 0)


def test_nothing_is_not_kept() -> None:
    """A zero quantity is no quantity, so that equal usage is equal; less than one is kept."""
    usage = Usage({Meter.INPUT: 0, Meter.AUDIO_SECONDS: Decimal("0.5"), Meter.OUTPUT: 1})
    assert usage.quantities == {Meter.AUDIO_SECONDS: Decimal("0.5"), Meter.OUTPUT: 1}
    assert usage == Usage({Meter.AUDIO_SECONDS: Decimal("0.5"), Meter.OUTPUT: 1})
    assert Usage().quantities == {}
    assert Usage().origin is Origin.REPORTED


def test_the_quantities_cannot_change() -> None:
    """Neither through the usage nor through the mapping it was made of."""
    given = {Meter.INPUT: 1}
    usage = Usage(given)
    given[Meter.INPUT] = 2
    assert usage.quantities == {Meter.INPUT: 1}
    with pytest.raises(TypeError):
        usage.quantities[Meter.INPUT] = 3  # type: ignore[index]


def test_a_negative_quantity_is_refused_by_its_name() -> None:
    """The message says which meter, for a dialect subtracted what was not there."""
    with pytest.raises(ValueError, match="cache_read: quantity is -1, expected 0 or more"):
        Usage({Meter.INPUT: 1, Meter.CACHE_READ: -1})


def test_a_subcall_has_no_terms_unless_they_are_given() -> None:
    """And those that it has then are the shared empty ones."""
    at = datetime(2026, 11, 20, tzinfo=UTC)
    assert Subcall(provider="acme", model="m", at=at, usage=Usage()).terms is NO_TERMS


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("term", "value", "expected"),
    [
        (Term.REGION, "eu", True),
        (Term.REGION, 1, False),
        (Term.PROMPT_TOKENS, 1, True),
        (Term.PROMPT_TOKENS, True, False),
        (Term.PROMPT_TOKENS, Decimal(1), False),
        (Term.WITH_AUDIO, True, True),
        (Term.WITH_AUDIO, 1, False),
        (Term.COMPLETED_AT, NOON, True),
        (Term.COMPLETED_AT, NOON.replace(tzinfo=None), False),
        (Term.COMPLETED_AT, "2026-11-20T12:00:00Z", False),
        (Term.REGION, NOON, False),
    ],
)
def test_a_term_takes_values_of_its_type(term: Term, value: TermValue, expected: bool) -> None:
    """True is no number, and an instant without a zone no instant."""
    assert valid(term, value) is expected


def test_what_the_provider_says_it_served_is_strict() -> None:
    """A value of such a term is never ignored; of the others, only where a price goes by them."""
    assert {term for term in Term if term.strict} == {
        Term.SERVICE_TIER,
        Term.PROCESSING,
        Term.SPEED,
        Term.INFERENCE_GEO,
    }
    assert all(TERMS[term.value] is term for term in Term)


@pytest.mark.parametrize(
    ("spelling", "tier"),
    [("ON_DEMAND_FLEX", "flex"), ("Default", "standard"), ("flex", "flex"), ("Turbo9", "Turbo9")],
)
def test_spellings_of_served_tiers(spelling: str, tier: str) -> None:
    """Known ones in any case; one that is not known is kept as it is."""
    assert service_tier(spelling) == tier
