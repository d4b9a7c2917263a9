"""From an exchange to its rows: what is known, what is a lower bound, and what is nobody's bill."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from exporters.receipt import whole_of_record
from pricing import Meter, Origin, TariffBook, Usage
from pricing.cause import about
from pricing.charge import Charge, plain
from pricing.reason import Reason
from proxy.exchange import (
    Begun,
    CountRequest,
    Ended,
    Exchange,
    Operation,
    Outcome,
    Part,
    Reading,
    ResponseHead,
    Timing,
)
from proxy.metering.charges import subcalls_of
from proxy.metering.records import Metering
from proxy.settings.config import Config, Provider

TARIFF = """
provider = "acme"
source = "https://acme.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["m"]
usd_per_mtok = { input = 2, cache_read = 1, output = 10 }
"""
BEGUN = Begun(
    call_id="01a20a03-ca4c-75aa-bcf1-65aff492103d",
    wall_ns=1_795_000_000_123_456_789,
    method="POST",
    target="/v1/chat/completions",
    provider="acme",
    upstream="https://api.acme.example:8443",
    headers=(
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("X-Stainless-Retry-Count", "2"),
    ),
    tags={"team": "search", "user-id": "u1", "ticket": "T-1"},
    key_id="k_1",
)
USAGE = Usage({Meter.INPUT: 1000, Meter.CACHE_READ: 500, Meter.OUTPUT: 100})
READING = Reading(
    endpoint="openai.chat",
    operation=Operation.CHAT,
    request_model="m",
    response_model="m",
    complete=True,
    parts=(Part(usage=USAGE),),
    timing=Timing(first_token_ns=5_000_000),
    attributes={"provider_ms": 12, "request.temperature": 0.5},
)
"""A chat call that the provider answered with usage: 0.002 + 0.0005 + 0.001 USD."""
REFUSED = replace(READING, billable=False, parts=(), reasons=(Reason.HTTP_ERROR,))


@pytest.fixture(scope="module")
def book() -> TariffBook:
    return TariffBook.parse({"acme.toml": TARIFF})


def exchange(
    reading: Reading, outcome: Outcome = Outcome.OK, status: int = 200, *, sent: bool = True
) -> Exchange:
    return Exchange(
        begun=BEGUN,
        head=ResponseHead(status=status) if status else None,
        ended=Ended(outcome=outcome, sent=sent, request_bytes=10, response_bytes=20, overhead_us=7),
        reading=reading,
        first_byte_ns=4_000_000,
        duration_ns=9_000_000,
        source="w:1",
    )


def metering(book: TariffBook, claimed: Sequence[str] = ()) -> Metering:
    def claim(provider: str, items: Sequence[str], source: str) -> set[str]:
        return set(items) - set(claimed)

    config = Config(
        data=Path(),
        node="n1",
        key_names={"k_1": "build server"},
        providers={"acme": Provider(name="acme", base_url=BEGUN.upstream, region="eu")},
    )
    return Metering(config, book, claim)


def test_a_whole_call_becomes_an_exact_row(book: TariffBook) -> None:
    """Who, what, how long and how much, each in its column."""
    [row] = metering(book).records(exchange(READING))
    assert (row.team, row.user_id, row.tags) == ("search", "u1", {"ticket": "T-1"})
    assert (row.key_id, row.node, row.region) == ("build server", "n1", "eu")
    assert (row.upstream, row.attempt) == ("api.acme.example:8443", 3)
    assert (row.trace_id, row.parent_span_id) == (
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
    )
    assert row.ts_us == 1_795_000_000_123_456
    assert (row.input_tokens_total, row.output_tokens_total) == (1500, 100)
    assert (row.cost_usd, row.cost_status, row.reasons) == (Decimal("0.0035"), "exact", ())
    assert (row.cost_input_usd, row.cost_cache_read_usd) == (Decimal("0.002"), Decimal("0.0005"))
    assert (row.first_byte_us, row.first_token_us, row.duration_us) == (4000, 5000, 9000)
    assert (row.provider_us, row.overhead_us) == (12_000, 7)
    receipt = whole_of_record(row)
    assert sum(Decimal(line["usd"]) for line in receipt["lines"]) == row.cost_usd
    assert receipt["subcalls"][0]["usage"] == {
        "input": "1000",
        "cache_read": "500",
        "output": "100",
    }


def test_an_unknown_model_has_no_price(book: TariffBook) -> None:
    """No tariff: the cost is unknown, with the reason, and the tokens are known all the same."""
    reading = replace(READING, request_model="x", response_model="x")
    [row] = metering(book).records(exchange(reading))
    assert (row.cost_usd, row.cost_status, row.input_tokens_total) == (None, "unpriced", 1500)
    assert row.reasons == ("unknown_model:x",)


def test_the_model_asked_for_stands_in_for_an_unknown_one_served(book: TariffBook) -> None:
    """Where only the model asked for has a tariff, its price is an estimate that says so."""
    [row] = metering(book).records(exchange(replace(READING, response_model="m-2099")))
    assert (row.cost_usd, row.cost_status) == (Decimal("0.0035"), "estimated")
    assert "served_model_unknown:m-2099" in row.reasons


@pytest.mark.parametrize(
    ("reading", "outcome", "status", "expected"),
    [
        (REFUSED, Outcome.OK, 404, "http_error"),
        (replace(READING, parts=()), Outcome.UNREACHABLE, 0, "unreachable"),
        (replace(READING, parts=()), Outcome.REFUSED, 0, "refused"),
        (replace(READING, parts=()), Outcome.TIMED_OUT, 0, "timed_out"),
        (replace(READING, parts=()), Outcome.CLIENT_GONE, 0, "client_gone"),
    ],
)
def test_what_nobody_bills_costs_nothing(
    book: TariffBook, reading: Reading, outcome: Outcome, status: int, expected: str
) -> None:
    """A refused call and one that reached nobody cost zero, and that is known."""
    [row] = metering(book).records(exchange(reading, outcome, status, sent=status > 0))
    assert (row.outcome, row.cost_usd, row.cost_status) == (expected, Decimal(0), "not_billed")
    assert row.input_tokens_total is None


@pytest.mark.parametrize(
    "outcome",
    [Outcome.UPSTREAM_CUT, Outcome.UNREACHABLE, Outcome.TIMED_OUT, Outcome.INTERRUPTED],
)
def test_a_request_that_went_out_is_not_free(book: TariffBook, outcome: Outcome) -> None:
    """Without a response the cost is unknown, and the receipt has what the request would cost."""
    request = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}
    reasons = (Reason.NO_USAGE, Reason.NO_RESPONSE)
    count = CountRequest(request=request, output_known=False)
    reading = replace(READING, parts=(), count=count, reasons=reasons, complete=False)
    [row] = metering(book).records(exchange(reading, outcome, 0))
    assert (row.cost_usd, row.cost_input_usd, row.cost_status) == (None, None, "unpriced")
    assert (row.request_model, row.request_bytes) == ("m", 10)
    assert row.input_tokens_total
    receipt = whole_of_record(row)
    assert receipt["usd"] is None
    assert Decimal(receipt["floor_usd"]) == row.input_tokens_total * Decimal(2) / 10**6


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_GONE, Outcome.INTERRUPTED])
def test_a_caller_that_leaves_after_the_final_event_ended_nothing(
    book: TariffBook, outcome: Outcome
) -> None:
    """The stream was complete: the call is ok and its price exact."""
    [row] = metering(book).records(exchange(READING, outcome))
    assert (row.outcome, row.cost_status, row.error_type) == ("ok", "exact", "")


def test_a_broken_stream_is_a_lower_bound(book: TariffBook) -> None:
    """What was stated before the break is an estimate of what will be billed."""
    reading = replace(READING, complete=False)
    [row] = metering(book).records(exchange(reading, Outcome.CLIENT_GONE))
    assert (row.outcome, row.cost_status) == ("client_gone", "estimated")
    assert "cut_short" in row.reasons


def test_a_broken_stream_counts_the_output_that_was_seen(book: TariffBook) -> None:
    """Of the output stated early and the text that came, the greater is taken."""
    text = "one two three four five six seven eight nine ten"
    reading = replace(
        READING,
        complete=False,
        reasons=(Reason.USAGE_NOT_FINAL,),
        parts=(Part(usage=Usage({Meter.INPUT: 1000, Meter.OUTPUT: 1})),),
        count=CountRequest(request={}, output=text),
    )
    [row] = metering(book).records(exchange(reading, Outcome.UPSTREAM_CUT))
    assert row.input_tokens_total == 1000
    assert row.output_tokens_total is not None
    assert 8 <= row.output_tokens_total <= 14
    assert (row.usage_origin, row.cost_status) == ("estimated", "estimated")


def test_missing_usage_is_counted_from_the_text(book: TariffBook) -> None:
    """A stream without usage has counted tokens, marked as such."""
    request = {"model": "m", "messages": [{"role": "user", "content": "hello there"}]}
    count = CountRequest(request=request, output="hi")
    reading = replace(READING, parts=(), count=count, reasons=(Reason.NO_USAGE,))
    [row] = metering(book).records(exchange(reading))
    assert row.usage_origin in ("counted", "estimated")
    assert (row.input_tokens_total or 0) > 2
    assert row.cost_status == "estimated"


def test_no_usage_at_all_is_unknown_not_zero(book: TariffBook) -> None:
    """Nothing to read and nothing to count: tokens and cost are unknown."""
    [row] = metering(book).records(exchange(replace(READING, parts=())))
    assert (row.cost_usd, row.cost_status) == (None, "unpriced")
    assert (row.input_tokens_total, row.output_tokens_total) == (None, None)
    assert "no_usage" in row.reasons


def test_each_batch_item_is_a_row_and_charged_once(book: TariffBook) -> None:
    """Items seen before have no row; ids do not depend on which download showed them."""
    items = tuple(Part(usage=USAGE, model="m", item=f"batch_1/{n}") for n in range(3))
    reading = replace(READING, parts=items, request_model="", response_model="")
    first = metering(book).records(exchange(reading))
    assert [row.cost_status for row in first] == ["exact"] * 3 + ["not_billed"]
    assert [row.tags.get("batch_item") for row in first[:3]] == [i.item for i in items]
    assert first[-1].source == "w:1"
    assert "billed_by_item" in first[-1].reasons
    later = metering(book, claimed=["batch_1/0", "batch_1/1"]).records(exchange(reading))
    assert [row.call_id for row in later[:-1]] == [first[2].call_id]


def test_a_doubtful_item_of_a_batch_is_not_exact(book: TariffBook) -> None:
    """A doubt about the usage of one item is in its row and in no other item's."""
    doubt = (about(Reason.USAGE_SUM_MISMATCH, "total:3!=4"),)
    items = (
        Part(usage=USAGE, model="m", item="batch_1/0", reasons=doubt),
        Part(usage=USAGE, model="m", item="batch_1/1"),
    )
    rows = metering(book).records(exchange(replace(READING, parts=items, reasons=doubt)))
    assert [row.cost_status for row in rows] == ["estimated", "exact", "not_billed"]
    assert [row.reasons for row in rows[:2]] == [("usage_sum_mismatch:total:3!=4",), ()]


def test_a_batch_that_lost_an_item_is_not_free(book: TariffBook) -> None:
    """What was billed and is in no row leaves the download with an unknown cost."""
    item = Part(usage=USAGE, model="m", item="batch_1/0")
    reading = replace(READING, parts=(item,), reasons=(Reason.ITEM_WITHOUT_USAGE,))
    shown, own = metering(book).records(exchange(reading))
    assert (shown.cost_status, own.cost_status, own.cost_usd) == ("exact", "unpriced", None)
    assert own.reasons == ("item_without_usage", "billed_by_item", "no_usage")


def test_a_doubt_of_an_item_is_not_a_lost_item(book: TariffBook) -> None:
    """An item's own row says what it lacks, also where the download has dropped the detail."""
    doubt = about(Reason.BILLED_UNIT_UNKNOWN, "classifications")
    item = Part(usage=USAGE, model="m", item="batch_1/0", reasons=(doubt,))
    reading = replace(READING, parts=(item,), reasons=(Reason.BILLED_UNIT_UNKNOWN,))
    rows = metering(book).records(exchange(reading))
    assert [row.cost_status for row in rows] == ["partial", "not_billed"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.CONTAINER_SESSION_ELSEWHERE, "exact"),
        (Reason.SERVICE_TIER_NOT_STATED, "estimated"),
        (Reason.RESPONSE_WITHOUT_USAGE, "partial"),
        (Reason.TRANSCRIPTION_WITHOUT_USAGE, "partial"),
        (Reason.BYTES_DROPPED, "partial"),
        (Reason.REQUEST_BODY_TOO_LARGE, "estimated"),
        (Reason.UNKNOWN_ENDPOINT, "partial"),
    ],
)
def test_a_doubt_of_the_reading_lowers_the_status(
    book: TariffBook, reason: Reason, status: str
) -> None:
    """The charge of a call is never surer than what was read of it."""
    [row] = metering(book).records(exchange(replace(READING, reasons=(reason,))))
    assert (row.cost_usd, row.cost_status, row.reasons) == (
        Decimal("0.0035"),
        status,
        (str(reason),),
    )


def test_a_fault_of_ours_still_gives_a_row(
    book: TariffBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks in metering, the call has its row, without a price and with the reason."""

    def broken(*_: object, **__: object) -> Charge:
        raise RuntimeError("a bug")

    monkeypatch.setattr("proxy.metering.charges.price", broken)
    [row] = metering(book).records(exchange(READING))
    assert (row.call_id, row.cost_usd, row.outcome) == (BEGUN.call_id, None, "ok")
    assert "metering_failed" in row.reasons


@pytest.mark.parametrize(
    ("number", "text"),
    [(Decimal("1.500"), "1.5"), (Decimal("0E-9"), "0"), (Decimal("1E+3"), "1000"), (7, "7")],
)
def test_numbers_are_plain_text(number: Decimal | int, text: str) -> None:
    """No exponents and no trailing zeros in what people read."""
    assert plain(number) == text


def test_origin_of_many_parts_is_the_worst(book: TariffBook) -> None:
    """One guess makes the whole a guess."""
    guess = Part(usage=Usage({Meter.OUTPUT: 1}, Origin.ESTIMATED))
    reading = replace(READING, parts=(*READING.parts, guess))
    [row] = metering(book).records(exchange(reading))
    assert (row.usage_origin, row.output_tokens_total) == ("estimated", 101)


def test_a_background_response_is_charged_by_the_first_call_that_shows_it(
    book: TariffBook,
) -> None:
    """Its own row bears the charge; a later retrieval shows no tokens and costs nothing."""
    part = Part(usage=USAGE, item="resp_1")
    reading = replace(READING, response_id="resp_1", parts=(part,))
    [first] = metering(book).records(exchange(reading))
    assert (first.cost_status, first.input_tokens_total) == ("exact", 1500)
    [again] = metering(book, claimed=["resp_1"]).records(exchange(reading))
    assert (again.cost_usd, again.cost_status) == (Decimal(0), "not_billed")
    assert again.input_tokens_total is None
    assert "fetched_again" in again.reasons


@pytest.mark.parametrize(
    ("upstream", "target", "region"),
    [
        ("https://eu.api.openai.com", "/v1/chat/completions", "eu"),
        ("https://eu.api.openai.com.evil.example", "/v1/chat/completions", None),
        (
            "https://us-east5-aiplatform.googleapis.com",
            "/v1/projects/p/locations/us-east5/publishers/anthropic/models/m:rawPredict",
            "us-east5",
        ),
    ],
)
def test_the_region_is_read_from_where_the_call_went(
    upstream: str, target: str, region: str | None
) -> None:
    """OpenAI's regional hosts and Vertex's paths name a region that prices depend on."""
    begun = msgspec.structs.replace(BEGUN, upstream=upstream, target=target)
    [subcall] = subcalls_of(replace(exchange(READING), begun=begun), READING.parts, None)
    assert subcall.terms.get("region") == region
