"""What an answer asks its caller to wait is in the row, as the gateway reads it."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from test_metering import BEGUN, READING, REFUSED, TARIFF, exchange, metering

from exporters.record import Record
from pricing import TariffBook
from proxy.exchange import Begun, Exchange, Outcome, Reading, ResponseHead
from proxy.reading.reading import CallReader
from proxy.settings.config import Config, Provider

BOOK = TariffBook.parse({"acme.toml": TARIFF})
AT = datetime.fromtimestamp(BEGUN.wall_ns // 10**9, UTC)


def answered(headers: dict[str, str], status: int = 429, reading: Reading = REFUSED) -> Exchange:
    """A call with such an answer."""
    head = ResponseHead(status=status, headers=tuple(headers.items()))
    return replace(exchange(reading, status=status), head=head)


def row(call: Exchange) -> Record:
    [record] = metering(BOOK).records(call)
    return record


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after": "7", "Retry-After-Ms": "1500"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}, None),
        ({}, None),
    ],
)
def test_a_wait_is_what_the_answer_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    """In seconds or milliseconds; NULL if it does not ask, whatever it says of its limits."""
    assert row(answered(headers)).retry_after_s == seconds
    assert row(answered(headers, status=503)).retry_after_s == seconds


def test_a_date_counts_from_when_the_answer_came() -> None:
    """Not from now: a journal may be read a day later."""
    head = {"Retry-After": format_datetime(AT, usegmt=True)}
    assert row(answered(head)).retry_after_s == 0
    later = format_datetime(AT.replace(year=AT.year + 1), usegmt=True)
    waits = row(answered({"Retry-After": later})).retry_after_s
    assert waits == pytest.approx(365 * 86400, abs=2)


def test_without_an_answer_nobody_asks() -> None:
    """A provider that was not reached has asked for nothing."""
    assert row(exchange(READING, Outcome.UNREACHABLE, 0, sent=False)).retry_after_s is None


def read(body: object, status: int = 429) -> Reading:
    """The reading of an error of Gemini's."""
    provider = Provider(name="gemini", base_url="https://x", dialect="gemini")
    target = "/v1beta/models/gemini-2.5-flash:generateContent"
    begun = Begun(
        call_id="1", wall_ns=1, method="POST", target=target, provider="gemini", upstream="x"
    )
    reader = CallReader(begun, provider, Config(data=Path()).metering)
    head = (("content-type", "application/json"),)
    reader.head(ResponseHead(status=status, headers=head), 0)
    reader.response(json.dumps(body).encode(), 1)
    return reader.close()


def test_gemini_asks_in_the_body() -> None:
    """As RetryInfo; a header goes first."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    error = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}
    for body in (error, [error]):
        reading = read(body)
        assert reading.retry_after_s == 34.5
        assert row(answered({}, reading=reading)).retry_after_s == 34.5
        assert row(answered({"Retry-After": "3"}, reading=reading)).retry_after_s == 3


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda c: (
            st.lists(c)
            | st.dictionaries(st.sampled_from(["error", "details", "retryDelay", "message"]), c)
        ),
    )
)
def test_odd_errors_ask_for_nothing(body: object) -> None:
    """Whatever a body is, reading it raises nothing, and no wait is negative."""
    asked = read(body).retry_after_s
    assert asked is None or asked >= 0


@given(st.text(st.characters(codec="ascii")), st.text(st.characters(codec="ascii")))
def test_odd_headers_cost_no_price(after: str, ms: str) -> None:
    """A header that is no wait leaves the rest of the row as it is."""
    record = row(answered({"Retry-After": after, "Retry-After-Ms": ms}, 200, READING))
    assert record.cost_status == "exact"


def test_an_item_of_a_batch_does_not_ask() -> None:
    """The answer that showed it may."""
    part = replace(READING.parts[0], item="i", model="m")
    reading = replace(READING, parts=(part,))
    head = {"Retry-After": "9"}
    item, own = metering(BOOK).records(answered(head, 200, reading))
    assert (item.tags["batch_item"], item.retry_after_s, item.in_flight) == ("i", None, None)
    assert own.retry_after_s == 9
