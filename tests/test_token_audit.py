"""Reported tokens beside our own count: which calls are counted, and when a ratio is an alert."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, Batch, Record
from pricing import TariffBook
from proxy.exchange import Begun, Ended, Exchange, Outcome, Reading, ResponseHead
from proxy.health.watch import AUDIT, Watch
from proxy.metering.records import Metering
from proxy.metering.token_audits import CALLS_MIN, EVIDENCE_MAX, WINDOW, Audits, comparisons
from proxy.reading.reading import CallReader
from proxy.sampling import sampled
from proxy.settings.config import AlertOptions, Config, MeteringOptions, Provider
from proxy.tokens.audit import BAND_UNKNOWN, BYTES_MAX, audit, band

if TYPE_CHECKING:
    from conftest import RecordMaker

PROVIDER = Provider(name="openai", base_url="https://api.openai.com")
ALL = MeteringOptions(audit_sample=1.0)
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}
SAID = "Hello! How can I help?"
TARIFF = """
provider = "openai"
source = "https://provider.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["gpt-4o"]
usd_per_mtok = { input = 2, output = 10 }
"""


def answer(**usage: object) -> dict[str, object]:
    message = {"role": "assistant", "content": SAID}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    stated = {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17} | usage
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [choice],
        "usage": stated,
    }


def begun(call_id: str = "01a22511-8920-7e7a-b840-ce318baf233f") -> Begun:
    return Begun(
        call_id=call_id,
        wall_ns=1_795_000_000_000_000_000,
        method="POST",
        target="/v1/chat/completions",
        provider="openai",
        upstream=PROVIDER.base_url,
    )


def read(
    request: Mapping[str, object] = HELLO,
    response: object = None,
    limits: MeteringOptions = ALL,
) -> Reading:
    reader = CallReader(begun(), PROVIDER, limits)
    reader.request(json.dumps(request).encode(), 0)
    kind = ("content-type", "application/json")
    reader.head(ResponseHead(status=200, headers=(kind,)), 0)
    reader.response(json.dumps(response or answer()).encode(), 0)
    return reader.close()


def test_a_sampled_call_is_counted_whole() -> None:
    """Request and answer, by the published method: for OpenAI's text, what is billed."""
    assert audit(read(), "openai") == (9, 8)


def test_a_call_that_is_not_sampled_costs_nothing() -> None:
    """No text is kept for it, and the sample is the same whenever a call is read."""
    assert read(limits=MeteringOptions(audit_sample=0.0)).audit is None
    ids = [str(UUID(int=number * 0x9E3779B97F4A7C15 % 2**128)) for number in range(4_000)]
    chosen = [sampled(each, 0.05) for each in ids]
    assert chosen == [sampled(each, 0.05) for each in ids]
    assert 100 < sum(chosen) < 320
    assert all(sampled(each, 1.0) for each in ids)


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.test/cat.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


@pytest.mark.parametrize(
    "request_",
    [
        HELLO | {"messages": [{"role": "user", "content": [IMAGE]}]},
        HELLO | {"messages": [{"role": "user", "content": [AUDIO]}]},
        HELLO | {"tools": [TOOL]},
        HELLO | {"web_search_options": {}, "previous_response_id": "resp_1"},
        HELLO | {"response_format": {"type": "json_schema", "json_schema": {"schema": {"a": 1}}}},
        HELLO | {"messages": [{"role": "user", "content": "x " * BYTES_MAX}]},
    ],
    ids=["image", "audio", "tools", "stored", "schema", "large"],
)
def test_what_a_count_cannot_cover_is_left_out(request_: Mapping[str, object]) -> None:
    """Pictures, sound, tools, schemas, state at the provider, and text that would take long."""
    assert audit(read(request_), "openai") is None


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 5}}, (9, None)),
        ({"prompt_tokens_details": {"cached_tokens": 4}}, (9, 8)),
        ({"prompt_tokens_details": {"audio_tokens": 4}}, None),
    ],
)
def test_what_is_billed_decides_too(
    usage: Mapping[str, object], counted: tuple[int, int | None] | None
) -> None:
    """Hidden reasoning leaves out the output, cached text is text, sound leaves out the call."""
    assert audit(read(response=answer(**usage)), "openai") == counted


def test_it_never_changes_a_price() -> None:
    """The row of a sampled call has the counts beside what was reported, and the same price."""
    book = TariffBook.parse({"openai.toml": TARIFF})
    config = Config(data=Path(), providers={"openai": PROVIDER}, metering=ALL)
    metering = Metering(config, book, lambda _provider, items, _source: set(items))
    rows: list[Record] = []
    for reading in (read(), replace(read(), audit=None)):
        exchange = Exchange(
            begun=begun(),
            head=ResponseHead(status=200),
            ended=Ended(outcome=Outcome.OK),
            reading=reading,
            first_byte_ns=1,
            duration_ns=2,
            source="w:1",
        )
        rows += metering.records(exchange)
    audited, plain = rows
    assert (audited.counted_input_tokens, audited.counted_output_tokens) == (9, 8)
    assert (plain.counted_input_tokens, plain.counted_output_tokens) == (None, None)
    unset = {"counted_input_tokens": None, "counted_output_tokens": None}
    assert msgspec.structs.replace(audited, **unset) == plain
    assert audited.cost_usd == Decimal("0.000098")


@pytest.mark.parametrize(
    ("model", "share"),
    [("gpt-4o", 0.03), ("claude-sonnet-5", 0.15), ("nobody-knows", BAND_UNKNOWN)],
)
def test_a_band_is_as_wide_as_the_count_is_rough(model: str, share: float) -> None:
    """Published formats have narrow bands, stand-ins wider ones, unknown ones the widest."""
    assert band(model) == share


def sampled_records(make_records: "RecordMaker", ratios: list[float]) -> list[Record]:
    return [
        msgspec.structs.replace(
            made,
            provider="openai",
            response_model="gpt-4o",
            input_tokens_total=round(100 * ratio),
            counted_input_tokens=100,
        )
        for made, ratio in zip(make_records(len(ratios)), ratios, strict=True)
    ]


def test_reported_tokens_beyond_the_band_are_an_alert(make_records: "RecordMaker") -> None:
    """Once there are enough calls, with the calls that differ most; it ends when they fit again."""
    audits = Audits()
    rows = sampled_records(make_records, [1.0, *[1.5] * CALLS_MIN])
    for row in rows[:-2]:
        audits.observe(row)
    assert audits.status()["beyond"] == []
    for row in rows[-2:]:
        audits.observe(row)
    now = datetime(2026, 11, 29, tzinfo=UTC)
    watch = Watch(AlertOptions(quiet_s=10))
    [alert] = watch.look({"meter": {"audit": audits.status()}}, now, 1.0)
    assert alert.name == AUDIT
    assert "openai reports 1.48 times the input tokens that we count for gpt-4o" in alert.summary
    named = [row.call_id for row in rows if row.call_id in alert.action]
    assert len(named) == EVIDENCE_MAX
    assert rows[0].call_id not in named
    for row in sampled_records(make_records, [1.0] * WINDOW):
        audits.observe(row)
    [over] = watch.look({"meter": {"audit": audits.status()}}, now + timedelta(60), 60.0)
    assert over.ended_at is not None


def test_the_ratio_is_a_metric(make_records: "RecordMaker") -> None:
    """By provider, model and kind, beside the error that is expected."""
    audits = Audits()
    for row in sampled_records(make_records, [1.02, 1.0] * CALLS_MIN):
        audits.observe(row)
    ratio, error = audits.families()
    labels = (
        ("taximeter.provider", "openai"),
        ("taximeter.model", "gpt-4o"),
        ("taximeter.kind", "input"),
    )
    assert list(ratio.points) == [(labels, 1.01)]
    assert list(error.points) == [(labels, 0.03)]


async def test_the_store_has_the_ratios_of_a_period(
    store_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """By provider, model and kind, over sampled calls alone, with those that differ most."""
    rows = sampled_records(make_records, [1.0, 2.0, 1.0, 1.0])
    rows[3] = msgspec.structs.replace(rows[3], counted_input_tokens=None)
    exporter = ClickHouse(store_dsn, database=database)
    store = Store(store_dsn, database=database)
    try:
        await exporter.export(Batch("s:0-3", tuple(rows)))
        [found] = await comparisons(store, None)
        assert (found.kind, found.calls, found.reported, found.counted) == ("input", 3, 400, 300)
        assert (found.ratio, found.within) == (1.3333, True)
        assert found.evidence[0] == rows[1].call_id
        assert await comparisons(store, EPOCH, EPOCH + timedelta(1)) == []
    finally:
        await store.close()
        await exporter.close()
