"""The spans of a client's call at the gateway: one for the call, below it one for each attempt."""

import hashlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exporters.otel.spans import Otel
from exporters.otel.target import HTTP, Target
from exporters.otel.trace import CALL_PARENT
from exporters.record import Batch, Record
from pricing import TariffBook
from proxy.exchange import (
    Begun,
    Ended,
    Exchange,
    GatewayNote,
    Operation,
    Outcome,
    Reading,
    ResponseHead,
)
from proxy.gateway.options import CandidateOptions, GatewayOptions, RouteOptions
from proxy.metering.attempts import ends_call
from proxy.metering.records import Metering
from proxy.settings.config import Config, OtlpOptions, Provider
from support.otlp_receiver import HttpServer, Receiver, plain

CALL = "01a20a03-ca4c-75aa-bcf1-65aff492103d"
CALL_US = 0x01A20A03CA4C * 1000
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def attempt(
    number: int,
    outcome: Outcome,
    status: int = 0,
    *,
    error: str = "",
    traceparent: str = CALLER,
    incoming: str = "parent",
    retry_ambiguous: bool = False,
) -> Record:
    """The record of an attempt that took a second."""
    note = GatewayNote(request_id=CALL, attempt=number, route="r", candidate=f"acme/m{number}")
    begun = Begun(
        call_id=f"01a20a03-ca4c-75aa-bcf1-{number:012d}",
        wall_ns=(CALL_US + number * 1_000_000) * 1000,
        method="POST",
        target="/v1/chat/completions",
        provider="acme",
        upstream="https://api.acme.example",
        headers=(("traceparent", traceparent),),
        gateway=note,
    )
    is_read = outcome in (Outcome.OK, Outcome.HTTP_ERROR, Outcome.STREAM_ERROR)
    exchange = Exchange(
        begun=begun,
        head=ResponseHead(status=status) if status else None,
        ended=Ended(outcome=outcome, error="" if is_read else error),
        reading=Reading(
            endpoint="openai.chat",
            operation=Operation.CHAT,
            complete=outcome is Outcome.OK,
            billable=False,
            error_type=error if is_read else "",
        ),
        first_byte_ns=None,
        duration_ns=10**9,
        source=f"w:{number}",
    )
    one = CandidateOptions(provider="acme", model="m")
    route = RouteOptions(name="r", candidates=(one,), retry_ambiguous=retry_ambiguous)
    config = Config(
        data=Path("unused"),
        providers={"acme": Provider(name="acme", base_url="https://api.acme.example")},
        gateway=GatewayOptions(routes={"r": route}),
        otlp=replace(OtlpOptions(), incoming=incoming),
    )
    (record,) = Metering(config, TariffBook.parse({}), lambda *_: set()).records(exchange)
    return record


@pytest.mark.parametrize(
    ("outcome", "status", "error", "last"),
    [
        (Outcome.OK, 200, "", True),
        (Outcome.HTTP_ERROR, 400, "invalid_request_error", True),
        (Outcome.HTTP_ERROR, 504, "", True),
        (Outcome.HTTP_ERROR, 503, "", False),
        (Outcome.HTTP_ERROR, 429, "", False),
        (Outcome.HTTP_ERROR, 401, "", False),
        (Outcome.UNREACHABLE, 0, "ConnectionRefusedError", False),
        (Outcome.UPSTREAM_CUT, 0, "FailedOver", False),
        (Outcome.UPSTREAM_CUT, 200, "ServerDisconnected", True),
        (Outcome.TIMED_OUT, 0, "DeadlineExceeded", True),
        (Outcome.CLIENT_GONE, 0, "ClientDisconnected", True),
        (Outcome.INTERRUPTED, 200, "ShuttingDown", True),
        (Outcome.STREAM_ERROR, 200, "overloaded_error", False),
    ],
)
def test_which_attempt_is_the_last(outcome: Outcome, status: int, error: str, last: bool) -> None:
    """That after which nothing can follow; where something could, nobody knows."""
    found = attempt(1, outcome, status, error=error)
    assert (CALL_PARENT in found.attributes) is last


def test_what_may_follow_is_the_routes() -> None:
    """An answer that never came is the end, unless the route repeats such calls; the sixth is."""
    cut = attempt(1, Outcome.UPSTREAM_CUT, error="ServerDisconnected")
    assert ends_call(cut, retry_ambiguous=False)
    assert not ends_call(cut, retry_ambiguous=True)
    assert CALL_PARENT not in attempt(1, Outcome.UPSTREAM_CUT, retry_ambiguous=True).attributes
    assert CALL_PARENT in attempt(6, Outcome.HTTP_ERROR, 503).attributes


@pytest.mark.parametrize("incoming", ["parent", "link", "ignore"])
async def test_one_span_above_its_attempts(incoming: str) -> None:
    """In the caller's trace or one of its own, from when the call came to its last attempt's end;
    usage and cost stay with the attempts."""
    first = attempt(1, Outcome.HTTP_ERROR, 503, incoming=incoming)
    last = attempt(2, Outcome.OK, 200, incoming=incoming)
    last = msgspec.structs.replace(last, cost_usd=Decimal(1), input_tokens_total=9)
    async with HttpServer(Receiver()) as server:
        target = Target(
            endpoint=f"{server.endpoint}/v1/traces", protocol=HTTP, headers={}, timeout_s=5
        )
        otel = Otel(target)
        await otel.export(Batch("w:1:0-1", (first,)))
        await otel.export(Batch("w:1:1-2", (last,)))
        await otel.close()
        one, two, call = server.receiver.spans
    assert one.parent_span_id == two.parent_span_id == call.span_id
    assert one.span_id != two.span_id
    assert one.trace_id == two.trace_id == call.trace_id
    of_caller = incoming == "parent"
    assert call.parent_span_id.hex() == ("b7ad6b7169203331" if of_caller else "")
    assert (call.trace_id.hex() == CALLER[3:35]) is of_caller
    assert len(call.links) == (incoming == "link")
    assert (call.name, call.kind) == ("gateway r", Span.SPAN_KIND_SERVER)
    assert call.start_time_unix_nano == CALL_US * 1000
    assert call.end_time_unix_nano == two.end_time_unix_nano
    assert call.status.code == Status.STATUS_CODE_UNSET
    tried = [plain(each.attributes) for each in (one, two)]
    assert [each["taximeter.candidate"] for each in tried] == ["acme/m1", "acme/m2"]
    assert {each["taximeter.request_id"] for each in tried} == {CALL}
    assert plain(call.attributes) == {
        "taximeter.request_id": CALL,
        "taximeter.route": "r",
        "taximeter.candidate": "acme/m2",
        "taximeter.attempts": 2,
    }


def test_no_caller_no_parent() -> None:
    """Without a caller's trace, the call begins one, which its id alone decides."""
    found = attempt(2, Outcome.OK, 200, traceparent="nonsense")
    digest = hashlib.sha256(CALL.encode()).hexdigest()
    assert (found.trace_id, found.parent_span_id) == (digest[:32], digest[32:48])
    assert found.attributes[CALL_PARENT] == ""
