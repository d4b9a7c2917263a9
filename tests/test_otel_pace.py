"""Spans to receivers that take their time, and what a span has of its caller's context."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporters.otel.pace import GROW_AFTER, SPANS_MAX, Pace
from exporters.otel.semconv import PROFILES, SCHEMAS, Profile
from exporters.otel.spans import Otel
from exporters.otel.target import GRPC, HTTP, Target
from exporters.record import Batch, Record, decode, encode
from proxy.delivery.delivery import Delivery
from proxy.exchange import Kind
from proxy.journal.journal import Journal
from proxy.settings.config import JournalOptions
from proxy.settings.places import Places
from support.otlp_receiver import GrpcServer, HttpServer, Receiver, plain

RECORD = Record(
    ts_us=1_760_000_000_000_000,
    call_id="0199c6a1-0000-7000-8000-000000000001",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    provider="openai",
    outcome="ok",
    cost_status="exact",
)
IDS = [f"{number:016x}" for number in range(1, 301)]


async def sent(*records: Record, profile: Profile = "compat") -> Receiver:
    """What a receiver gets."""
    async with HttpServer(Receiver()) as server:
        otel = Otel(Target(endpoint=f"{server.endpoint}/v1/traces"), profile=profile)
        await otel.export(Batch("w:1:0-1", records))
        await otel.close()
    return server.receiver


@pytest.mark.parametrize("protocol", [HTTP, GRPC])
async def test_every_span_takes_its_time(protocol: str, tmp_path: Path) -> None:
    """A receiver that is too slow for a whole batch gets smaller ones until it has taken all."""
    journal = Journal(tmp_path / "records", "meter", JournalOptions(fsync="never"))
    for name in IDS:
        journal.append(1, Kind.RECORD, encode(replace(RECORD, span_id=name)))
    journal.flush()
    places = Places(tmp_path)
    places.state.mkdir()

    async def synced() -> None:
        pass

    async with (HttpServer if protocol == HTTP else GrpcServer)(Receiver(span_s=0.002)) as server:
        path = "/v1/traces" if protocol == HTTP else ""
        otel = Otel(Target(endpoint=server.endpoint + path, protocol=protocol, timeout_s=0.2))
        delivery = Delivery(
            otel, places.records, places, decode, synced=synced, rows_max=5_000, age_max_s=0.01
        )
        assert await asyncio.wait_for(delivery.step(), 60) == len(IDS)
        await otel.close()
    assert {span.span_id.hex() for span in server.receiver.spans} == {*IDS}
    assert delivery.cursor.set_aside == 0
    assert delivery.retries > 0
    journal.close()


def test_pace() -> None:
    """Half of what timed out, down to one; some more after each few successes, up to the limit."""
    pace = Pace()
    pace.halve(300)
    assert pace.size == 150
    for _ in range(GROW_AFTER):
        pace.grow()
    assert pace.size == 187
    pace.halve(1)
    assert pace.size == 1
    for _ in range(200):
        pace.grow()
    assert pace.size == SPANS_MAX


@pytest.mark.parametrize("profile", PROFILES)
async def test_schema(profile: Profile) -> None:
    """Resource and scope name the version of the conventions that the profile follows."""
    receiver = await sent(RECORD, profile=profile)
    (resource,) = receiver.requests[0].resource_spans
    assert resource.schema_url == resource.scope_spans[0].schema_url == SCHEMAS[profile]


async def test_state_of_the_caller() -> None:
    """A child has its caller's tracestate, and shows its caller's baggage."""
    state = "rojo=00f067aa0ba902b7,congo@v=t61"
    context = {"trace.state": state, "baggage.tenant": "acme"}
    child = replace(RECORD, parent_span_id="00f067aa0ba902b7", attributes=context)
    (span,) = (await sent(child)).spans
    assert span.trace_state == state
    assert plain(span.attributes)["taximeter.baggage.tenant"] == "acme"
