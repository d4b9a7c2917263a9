"""Recorded responses of all providers read as their `expected` says, however they come.

Whole, byte by byte, and in four encodings.  The recordings lie beside the checkout and are not part
of the project; see the README there for what the keys mean.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from msgspec.structs import replace

from pricing.cause import texts
from pricing.usage import Meter
from proxy.exchange import Begun, Operation, Part, Reading, ResponseHead
from proxy.reading.reading import CallReader
from proxy.settings.config import MeteringOptions, Provider

FOLDER = Path(__file__).parents[1].parent / "shared" / "data" / "responses"
PROVIDERS = {"google": "gemini", "google_vertex": "vertex", "dashscope": "qwen"}
DIALECTS = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex": "gemini",
    "bedrock": "bedrock",
    "cohere": "cohere",
    "ollama": "ollama",
}
ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}
# The smaller parts of the input that `expected` names.
INPUTS = {
    "cache_read": "cache_read",
    "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "audio_in": ("input.audio", "cache_read.audio"),
    "image_in": ("input.image", "cache_read.image"),
    "video_in": ("input.video", "cache_read.video"),
    "reasoning": "output.reasoning",
    "audio_out": "output.audio",
    "image_out": "output.image",
    "tool_use_prompt": "input.tool_use",
    "web_search": "calls.web_search",
    "web_fetch": "calls.web_fetch",
    "search_units": "search_units",
}

Case = dict[str, object]


def cases() -> list[Case]:
    manifest = FOLDER / "manifest.jsonl"
    lines = manifest.read_text().splitlines() if manifest.is_file() else []
    return [json.loads(line) for line in lines]


CASES = cases()
pytestmark = pytest.mark.skipif(not CASES, reason="the recorded responses are not beside us")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["file"]))


def read(
    case: Case, *, encoding: str = "", step: int = 1 << 30, data: bytes | None = None
) -> Reading:
    method, _, target = str(case["endpoint"]).partition(" ")
    name = str(case["provider"])
    name = PROVIDERS.get(name, name)
    begun = Begun(
        call_id="call",
        wall_ns=0,
        method=method.upper(),
        target=target,
        provider=name,
        upstream="https://provider.example",
        headers=(("content-type", "application/json"),),
        websocket=case["status"] == 101,
    )
    provider = Provider(name=name, base_url="", dialect=DIALECTS.get(name, "openai"))
    reader = CallReader(begun, provider, MeteringOptions())
    request = case["request"] or {}
    assert isinstance(request, dict)
    model = case["request_model"]
    reader.request(json.dumps({**request, **({"model": model} if model else {})}).encode(), 0)
    headers = case["headers"]
    assert isinstance(headers, dict)
    pairs = [(k, v) for k, v in headers.items() if k not in ("content-encoding",)]
    if encoding:
        pairs.append(("content-encoding", encoding))
    reader.head(ResponseHead(status=int(str(case["status"])), headers=tuple(pairs)), 0)
    data = (FOLDER / str(case["file"])).read_bytes() if data is None else data
    if begun.websocket:
        for line in (FOLDER / str(case["file"])).read_bytes().splitlines():
            frame = json.loads(line)
            up = frame["direction"] == "sent"
            reader.message(up, b"\x01" + json.dumps(frame["data"]).encode(), 0)
        return joined(reader)
    if encoding:
        data = ENCODINGS[encoding](data)
    for start in range(0, len(data), step):
        reader.response(data[start : start + step], 0)
    return reader.close()


def joined(reader: CallReader) -> Reading:
    """The parts of all responses of a socket, as one reading."""
    whole = reader.close()
    answers = [answer.reading for answer in reader.take_ended()]
    parts = tuple(part for reading in answers for part in reading.parts)
    reasons = tuple(cause for reading in answers for cause in reading.reasons)
    return replace(whole, parts=parts, reasons=(*whole.reasons, *reasons))


def total(parts: tuple[Part, ...], *meters: str) -> int:
    return sum(
        int(part.usage.quantities.get(Meter(meter), 0)) for part in parts for meter in meters
    )


def main_parts(reading: Reading, expected: Case) -> tuple[Part, ...]:
    """The parts that `expected` speaks of: the top level, without compaction and advisor."""
    if "iterations" not in expected:
        return reading.parts
    iterations = expected["iterations"]
    assert isinstance(iterations, list)
    assert len(reading.parts) == 1 + sum(i["type"] not in ("message",) for i in iterations)
    return reading.parts[:1]


def check(reading: Reading, case: Case) -> None:
    expected = case["expected"]
    assert isinstance(expected, dict)
    assert not any(reason.startswith("reading_failed") for reason in texts(reading.reasons))
    if expected.get("usage_missing"):
        assert not any(part.usage.input_tokens for part in reading.parts)
        assert reading.parts or reading.reasons
        assert not expected.get("error") or (not reading.billable and reading.error_type)
        return
    if "lines" in expected:
        check_lines(reading, expected["lines"])
        return
    if "usage_frames" in expected:
        frame = expected["usage_frames"][-1]
        made = frame["responseTokenCount"] + frame.get("thoughtsTokenCount", 0)
        assert reading.parts[-1].usage.input_tokens == frame["promptTokenCount"]
        assert reading.parts[-1].usage.output_tokens == made
        return
    if reading.operation is Operation.FETCH_RESPONSE:  # repeats the usage of the first answer
        assert not reading.billable
        return
    if "cache_stored_tokens" in expected:
        return
    parts = main_parts(reading, expected)
    check_parts(parts, expected)
    assert "usage_sum_mismatch" not in " ".join(texts(reading.reasons))
    if "cost_reported" in expected:
        assert reading.reported_usd == Decimal(str(expected["cost_reported"]))
    if isinstance(expected.get("service_tier"), str):
        assert reading.service_tier == expected["service_tier"]


def check_parts(parts: tuple[Part, ...], expected: Case) -> None:
    inputs = sum(part.usage.input_tokens for part in parts)
    outputs = sum(part.usage.output_tokens for part in parts)
    assert inputs == expected.get("billed_input", expected.get("input_tokens"))
    assert outputs == expected.get("billed_output", expected.get("output_tokens", 0))
    if "billed_input" in expected:
        return
    for key, meters in INPUTS.items():
        if expected.get(key) is not None:
            names = (meters,) if isinstance(meters, str) else meters
            assert total(parts, *names) == expected[key], key
    if "cache_write" in expected:
        writes = [meter for meter in Meter if meter.value.startswith("cache_write")]
        assert total(parts, *writes) == expected["cache_write"]
    if "input_uncached" in expected:
        cached = [meter for meter in Meter if meter.value.startswith("cache_")]
        assert inputs - total(parts, *cached) == expected["input_uncached"]


def check_lines(reading: Reading, lines: list[Case]) -> None:
    assert [part.item.rpartition("/")[2] for part in reading.parts] == [
        line["custom_id"] for line in lines
    ]
    for part, line in zip(reading.parts, lines, strict=True):
        check_parts((part,), line)
        assert part.terms["processing"] == "batch"


@each_case
def test_whole(case: Case) -> None:
    """A response in one piece reads as expected."""
    check(read(case), case)


@each_case
def test_byte_by_byte(case: Case) -> None:
    """One that comes a byte at a time reads the same."""
    assert read(case, step=1) == read(case)


@pytest.mark.parametrize("encoding", ENCODINGS)
@each_case
def test_encoded(case: Case, encoding: str) -> None:
    """One that comes compressed, in odd pieces, reads the same."""
    assert read(case, encoding=encoding, step=37) == read(case)


@each_case
def test_mutated(case: Case) -> None:
    """One whose bytes are damaged is read without a fault of ours, whatever the dialect."""
    chance = random.Random(str(case["file"]))
    data = (FOLDER / str(case["file"])).read_bytes()
    for _ in range(6):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 5)):
            at = chance.randrange(len(damaged) + 1)
            end = at + chance.randrange(40)
            damaged[at:end] = chance.choice((b"", b"null", b"[]", b"-1", b'{"a":', damaged[:at]))
        reading = read(case, data=bytes(damaged))
        assert not [
            reason for reason in texts(reading.reasons) if reason.startswith("reading_failed")
        ]
