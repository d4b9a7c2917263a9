"""Damaged calls through every parser; and what such runs found, as facts of their own."""

import gzip
from collections.abc import Callable
from random import Random

import brotli  # type: ignore[import-untyped]  # ships no types
import msgspec
import pytest

from evaluation.standin.answers import words
from exporters.otel import semconv
from exporters.record import Record
from pricing.cause import texts
from pricing.reason import Reason
from proxy.exchange import Reading
from proxy.reading.inflate import Inflate
from proxy.settings.config import MeteringOptions
from proxy.tokens import images
from trials.fuzz import __main__ as fuzz
from trials.fuzz import calls, checks, damage, rows, unknown
from trials.fuzz.calls import RecordedCall

MUTATIONS = 500
SEED = 20_261_123
CHAT = RecordedCall(
    name="chat", target="/v1/chat/completions", provider="openai", response=b'{"choices":[]}'
)


def inflated(
    encoding: str, data: bytes, step: int, bytes_max: int = 1 << 20
) -> tuple[bytes, Reason | None]:
    """What comes out of `data`, fed `step` bytes at a time, and what stopped it."""
    inflate = Inflate(encoding, bytes_max)
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(out for piece in pieces for out in inflate.feed(piece)), inflate.reason


@pytest.mark.thorough
def test_damaged_calls_harm_nothing() -> None:
    """They raise nothing, take no time, are read alike at any cut, and make rows that fit."""
    done = fuzz.run(SEED, range(MUTATIONS))
    assert done.count == MUTATIONS
    assert done.findings == ()
    assert done.slowest_s < checks.CPU_S_MAX


@pytest.mark.thorough
def test_undamaged_calls_are_read() -> None:
    """What is damaged is worth it: each dialect's answer states its usage, or says why not."""
    silent = []
    for call in calls.every():
        reading = checks.read(call, MeteringOptions(), lambda data: [data])
        if not (reading.parts or reading.reasons or reading.count):
            silent.append(call.name)
        rows.check(call, reading)
    assert silent == []


def test_a_number_makes_the_same_damage_again() -> None:
    """A finding can be replayed from its seed and number."""
    assert checks.case(3, 7) == checks.case(3, 7) != checks.case(3, 8)


@pytest.mark.parametrize("change", [damage._body, damage._values, damage._encoding, damage._splice])
def test_damage_changes_something(change: Callable[..., RecordedCall]) -> None:
    """Of ten attempts of each kind some leave a call that differs."""
    changed = [change(CHAT, calls.every(), Random(seed)) for seed in range(10)]
    assert any(call != CHAT for call in changed)


def test_a_reader_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run reports an error with its place, and the number to replay it by."""

    def broken(
        call: RecordedCall, limits: MeteringOptions, cut: Callable[[bytes], list[bytes]]
    ) -> Reading:
        raise KeyError("usage")

    monkeypatch.setattr(checks, "read", broken)
    (found,) = fuzz.run(SEED, [5]).findings
    assert (found.number, found.message) == (5, "KeyError: 'usage'")
    assert found.kind.startswith("KeyError at test_fuzz.py:")


def test_a_reader_that_depends_on_cuts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readings that differ are a finding that names the field."""
    read, seen = checks.read, []

    def broken(
        call: RecordedCall, limits: MeteringOptions, cut: Callable[[bytes], list[bytes]]
    ) -> Reading:
        seen.append(call)
        return read(CHAT if len(seen) % 2 else calls.every()[0], limits, lambda data: [data])

    monkeypatch.setattr(checks, "read", broken)
    (found,) = fuzz.run(SEED, [1]).findings
    assert found.message.startswith("Disagreement: request_model: '' / 'gpt-5.4'")


def test_a_reader_that_hangs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes too long is stopped in the middle, even where it survives every error."""
    monkeypatch.setattr(checks, "CPU_S_MAX", 0.05)

    def hangs() -> None:
        while True:
            try:
                list(range(1_000))
            except Exception:  # noqa: BLE001 - as the code under test might
                continue

    with pytest.raises(checks.TooSlow, match=r"more than 0\.05 s"), checks.cpu_limited():
        hangs()


def test_a_row_that_does_not_fit_is_found() -> None:
    """A number too large for its column is a finding."""
    row = Record(ts_us=0, call_id="c", provider="p", outcome="ok", cost_status="exact")
    rows._fits(row)
    with pytest.raises(rows.Unfit, match="http_status does not fit"):
        rows._fits(msgspec.structs.replace(row, http_status=1 << 16))


@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
def test_the_limit_of_decoded_bytes_is_exact(encoding: str) -> None:
    """Up to the limit all is given, however the body came; the byte after it is said to be lost."""
    data = b"0123456789" * 100
    encode = {"": bytes, "gzip": gzip.compress, "br": brotli.compress}[encoding]
    for step in (1, 7, 1 << 20):
        assert inflated(encoding, encode(data), step, 999) == (
            data[:999],
            Reason.DECODED_BODY_TOO_LARGE,
        )
        assert inflated(encoding, encode(data), step, 1_000) == (data, None)


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
def test_padding_after_gzip_stays_padding(step: int) -> None:
    """A byte in it that looks like the start of another member does not make the body corrupt."""
    body = gzip.compress(b"one") + gzip.compress(b"two") + b"\x00\x00\x1f\x00\x1f\x8b\x00"
    assert inflated("gzip", body, step) == (b"onetwo", None)


def test_a_cut_brotli_body_gives_all_that_came() -> None:
    """The decoder holds some of its output back; a stream that ends in the middle needs it."""
    text = " ".join(words(Random(1), 9_000)).encode()
    body = brotli.compress(text)[:-9]
    whole, byte_by_byte = (inflated("br", body, step) for step in (1 << 20, 1))
    assert whole == byte_by_byte
    assert len(text) - 100 < len(whole[0]) < len(text)


def test_bytes_after_brotli_are_said_to_be_there() -> None:
    """Brotli has no padding: what follows the end is a corrupt body, in one piece or in two."""
    body = brotli.compress(b"one")
    assert inflated("br", body + b"more", 1) == (b"one", Reason.CONTENT_ENCODING_CORRUPT)
    assert inflated("br", body + b"more", 1 << 20)[1] is Reason.CONTENT_ENCODING_CORRUPT


@pytest.mark.parametrize("value", [b"[]", b"{}", b'"7"', b"true", b"1e400", b"1" + b"0" * 30])
@pytest.mark.parametrize(
    ("provider", "target", "body"),
    [
        ("ollama", "/api/chat", b'{"model":"m","options":{"temperature":%s}}'),
        ("bedrock", "/model/m/converse", b'{"inferenceConfig":{"temperature":%s}}'),
        ("gemini", "/v1/models/m:generateContent", b'{"generationConfig":{"temperature":%s}}'),
        ("anthropic", "/v1/messages", b'{"model":"m","temperature":%s}'),
        ("openai", "/v1/chat/completions", b'{"model":"m","temperature":%s}'),
    ],
)
def test_an_odd_parameter_costs_nothing(
    provider: str, target: str, body: bytes, value: bytes
) -> None:
    """A parameter of the wrong type or size is left out; the call is read all the same."""
    call = RecordedCall(
        name="odd", target=target, provider=provider, request=body % value, response=b"{}"
    )
    reading = checks.read(call, MeteringOptions(), lambda data: [data])
    assert not isinstance(reading.attributes.get("request.temperature"), int | float)
    assert "no_usage" in texts(reading.reasons)


def test_a_whole_parameter_stays_whole() -> None:
    """Ollama's seed is a whole number, and a span shows it under the convention's own name."""
    call = RecordedCall(
        name="seed",
        target="/api/chat",
        provider="ollama",
        request=b'{"model":"m","options":{"seed":42,"num_predict":9,"temperature":0.5}}',
        response=b"{}",
    )
    noted = checks.read(call, MeteringOptions(), lambda data: [data]).attributes
    assert noted == {"request.seed": 42, "request.max_tokens": 9, "request.temperature": 0.5}
    row = Record(
        ts_us=0,
        call_id="c",
        provider="ollama",
        outcome="ok",
        cost_status="unpriced",
        attributes={name: str(value) for name, value in noted.items()},
    )
    assert semconv.attributes(row)["gen_ai.request.seed"] == 42


@pytest.mark.parametrize("data", ["data:image/png;base64,\ufffd", "\u00e9\u00e9", "%%%", ""])
def test_an_image_that_is_no_base64_has_no_size(data: str) -> None:
    """It costs nobody the row: its tokens are not known, those of the rest are counted."""
    assert images.from_base64(data) == images.Image()


def test_no_recorded_body_is_exact_with_something_unknown_in_it() -> None:
    """A quantity, a modality, a kind of item or a server tool that no reader knows is noticed."""
    numbers = range(len(unknown.exact()) * len(unknown.KINDS))
    found = [unknown.finding(number, SEED) for number in numbers]
    assert [wrong for wrong in found if wrong] == []
    assert found.count("") < 0.8 * len(found)  # the others have no place for it
