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
    Kind,
    Operation,
    Outcome,
    Reading,
    ResponseHead,
)
from proxy.gateway.options import CandidateOptions, GatewayOptions, RouteOptions
from proxy.metering.attempts import ends_call
from proxy.metering.records import Metering
from proxy.settings.config import Config, OtlpOptions, Provider
from support.gateway_bench import CUT, Script, answer, asking, door, error, options
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
    candidate: str = "acme/m{}",
    traceparent: str = CALLER,
    incoming: str = "parent",
    retry_ambiguous: bool = False,
) -> Record:
    """The record of an attempt that took a second."""
    note = GatewayNote(
        request_id=CALL, attempt=number, route="r", candidate=candidate.format(number)
    )
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
        ended=Ended(
            outcome=outcome, error="" if is_read else error, sent=outcome is not Outcome.REFUSED
        ),
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


def given_up(attempts: int, error: str = "gateway_limited") -> Record:
    """What the meter makes of a client's call that the relay gave up."""
    return attempt(attempts, Outcome.REFUSED, error=error, candidate="")


@pytest.mark.parametrize("attempts", [0, 2])
async def test_a_call_that_was_given_up_has_one_span(attempts: int) -> None:
    """Above those of its attempts, if there were any; it is no call, and costs nothing."""
    tried = [attempt(n + 1, Outcome.HTTP_ERROR, 429) for n in range(attempts)]
    last = given_up(attempts)
    assert (last.is_refusal, last.is_given_up, list(last.reasons)) == (True, True, ["given_up"])
    assert not any(one.is_refusal for one in tried)
    async with HttpServer(Receiver()) as server:
        target = Target(
            endpoint=f"{server.endpoint}/v1/traces", protocol=HTTP, headers={}, timeout_s=5
        )
        otel = Otel(target)
        await otel.export(Batch("w:1:0-1", (*tried, last)))
        await otel.close()
        *children, call = server.receiver.spans
    assert len(children) == attempts
    assert {one.parent_span_id for one in children} <= {call.span_id}
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (CALLER[3:35], CALLER[36:52])
    assert (call.name, call.kind) == ("gateway r", Span.SPAN_KIND_SERVER)
    assert call.start_time_unix_nano == CALL_US * 1000
    assert call.status.code == Status.STATUS_CODE_ERROR
    assert plain(call.attributes) == {
        "taximeter.request_id": CALL,
        "taximeter.route": "r",
        "taximeter.attempts": attempts,
        "error.type": "gateway_limited",
    }


ENDED = int(Kind.ENDED)
LIMITED = answer(429, error("rate_limit_exceeded"), b"Retry-After: 60\r\n")
DOWN = answer(503, error("overloaded_error"))


@pytest.mark.parametrize(
    ("answers", "calls", "ends"),
    [
        ([LIMITED], 2, ["gateway_limited"] * 2),  # the second finds all pools closed
        ([DOWN], 1, ["gateway_passed_on"]),
        ([CUT], 1, []),  # it may have been billed, so nothing follows, as its record shows
        ([answer(400, error("invalid_request_error"))], 1, []),
        ([answer(200, {"choices": [{"message": {"content": "Bonjour"}}]})], 1, []),
    ],
)
async def test_the_relay_notes_what_it_gave_up(
    tmp_path: Path, answers: list[bytes], calls: int, ends: list[str]
) -> None:
    """Once for a client's call, unless its last attempt's record shows that nothing followed."""
    made = options(tmp_path, "a", "b", deadline_s=0.5)
    async with door(tmp_path, Script({"a": answers, "b": answers}), made) as b:
        for n in range(calls):
            await b.send(asking(headers=b"x-taximeter-session: %d\r\n" % n))
        notes = [begun.gateway for begun in b.journal.begun]
        frames = [one for one in b.journal.events if isinstance(one, tuple)]
    ended = [msgspec.json.decode(data, type=Ended) for _, kind, data in frames if kind == ENDED]
    found = [one.error for one in ended if one.outcome is Outcome.REFUSED]
    assert found == ends
    given = [note for note in notes if note and not note.candidate]
    tried = [note for note in notes if note and note.candidate]
    assert len(given) == len(ends)
    for note in given:
        attempts = [one.attempt for one in tried if one.request_id == note.request_id]
        assert note.attempt == max(attempts, default=0)
