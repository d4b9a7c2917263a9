"""genai-prices as an independent oracle: it asks what we ask, or the review file says why not."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest

from pricing import Meter, Status, Subcall, Usage, price
from pricing.upkeep.genai_prices import HUGGING_FACE, OURS
from pricing.upkeep.review import reviewed
from support.books import shipped
from support.sdks import genai_prices

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
THEIRS = {ours: theirs for theirs, ours in OURS.items()} | {"vertex": "google"}
# Not in the review file, since the set's price by the hour is no figure to hold against ours.
BY_THE_HOUR = {  # its record of them ends in the middle of 2025
    ("deepseek", "deepseek-chat"),
    ("deepseek", "deepseek-reasoner"),
}
NOISE = Decimal("1e-9")  # it keeps the binary floats of some providers' lists
WILD = frozenset("*?[")
MODELS_LEAST = 1_000  # that both know
SHORT, LONG = 1_000, 300_000  # prompt lengths on both sides of every tier that either has


class Case(NamedTuple):
    """One call in both ways of counting.  Theirs has the cache inside `input_tokens`."""

    meter: Meter
    ours: Mapping[Meter, int]
    theirs: "genai_prices.Usage"
    needs: str  # the price that their model must name, else they would use another


def cases() -> Iterator[Case]:
    """Calls that bring out one price each, with short and with long prompts."""
    usage = genai_prices.Usage
    for prompt in (SHORT, LONG):
        fresh = {Meter.INPUT: prompt}
        yield Case(Meter.INPUT, fresh, usage(input_tokens=prompt), "input_mtok")
        yield Case(
            Meter.OUTPUT,
            {**fresh, Meter.OUTPUT: 700},
            usage(input_tokens=prompt, output_tokens=700),
            "output_mtok",
        )
        yield Case(
            Meter.CACHE_READ,
            {**fresh, Meter.CACHE_READ: 600},
            usage(input_tokens=prompt + 600, cache_read_tokens=600),
            "cache_read_mtok",
        )
        yield Case(
            Meter.CACHE_WRITE,
            {**fresh, Meter.CACHE_WRITE: 500},
            usage(input_tokens=prompt + 500, cache_write_tokens=500),
            "cache_write_mtok",
        )


def oracle_of(provider: str, name: str) -> tuple[str, str]:
    """(their provider, their model name)."""
    if provider == "huggingface":
        model, _, host = name.rpartition(":")
        return f"{HUGGING_FACE}{host}", model
    return THEIRS.get(provider, provider), name


def their_price(provider: str, name: str, case: Case) -> Decimal | None:
    """What the oracle asks; None if it does not know the model or has no such price for it."""
    try:
        found = genai_prices.calc_price(
            case.theirs, model_ref=name, provider_id=provider, genai_request_timestamp=AT
        )
    except (LookupError, ValueError):
        return None
    if found.model not in found.provider.models:
        return None  # borrowed from another provider, as Azure's from OpenAI
    fee = getattr(found.model_price, "requests_kcount", None)
    return (
        None if fee or getattr(found.model_price, case.needs, None) is None else found.total_price
    )


def our_price(provider: str, name: str, case: Case) -> Decimal | None:
    """What the book asks; None if it does not know all of it."""
    subcall = Subcall(
        provider=provider,
        model=name,
        at=AT,
        usage=Usage(case.ours),
        terms={"region": "global"},
    )
    charge = price([subcall], shipped())
    return charge.usd if charge.status is Status.EXACT else None


def explained() -> set[tuple[str, str]]:
    """(provider, model) of the reviewed differences with genai-prices."""
    return {(each.provider, each.model) for each in reviewed() if each.genai not in ("", each.ours)}


def names() -> set[tuple[str, str]]:
    """(provider, name) of every exact name in the book."""
    return {
        (tariff.provider, name)
        for tariff in shipped().tariffs
        for name in tariff.names
        if not WILD & set(name)
    }


@pytest.mark.slow
def test_the_oracle_agrees_or_we_say_why() -> None:
    """Every standard call that both can price costs the same, or the review file says why not."""
    known = explained() | BY_THE_HOUR
    compared: set[tuple[str, str]] = set()
    wrong = []
    for provider, name in sorted(names()):
        tariff = shipped().find(provider, name, AT)
        if tariff is None or {(provider, name), (provider, tariff.names[0])} & known:
            continue
        for case in cases():
            theirs = their_price(*oracle_of(provider, name), case)
            ours = our_price(provider, name, case)
            if theirs is None or ours is None:
                continue
            compared.add((provider, name))
            if abs(theirs - ours) > NOISE * theirs:
                tokens = sum(case.ours.values())
                wrong.append((provider, name, case.meter.value, tokens, ours, theirs))
    assert not wrong
    assert len(compared) > MODELS_LEAST
