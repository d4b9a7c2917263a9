"""How candidates did lately: measured from rows, published by the meter, read by relays."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.record import Record
from proxy.door.measured import Conditions
from proxy.exchange import Outcome
from proxy.gateway.decision import decide
from proxy.gateway.facts import Facts
from proxy.gateway.failures import What
from proxy.gateway.live import CALLS_MIN, STALE_S, Condition, Live
from proxy.gateway.measured import (
    ANY_SIZE,
    PLACES_MAX,
    SAMPLES_MAX,
    WINDOW_S,
    Measured,
    Published,
    Sample,
    size_class,
)
from proxy.metering import candidates
from proxy.metering.candidates import Candidates
from proxy.settings.places import Places
from support.gateway import candidate, route
from support.gateway_bench import Script, answer, asking, door, options

A, B = "openai/a", "openai/b"


def sample(at: float, total_s: float = 1.0, end: What = What.ANSWERED) -> Sample:
    return Sample(at=at, end=end, first_token_s=total_s / 10, total_s=total_s)


@given(st.lists(st.floats(0.001, 600), min_size=1, max_size=60))
def test_quantiles_are_of_the_calls(times: list[float]) -> None:
    """Half of the calls are at most as slow as the median, 95 % as the other."""
    measured = Measured()
    for seconds in times:
        measured.add(A, 500, sample(1.0, seconds))
    both = measured.published(2.0).figures
    assert {one.size for one in both} == {ANY_SIZE, 0}
    for one in both:
        assert one.calls == len(times)
        assert one.total_s is not None
        assert one.total_p95_s is not None
        assert sum(t <= one.total_s for t in times) * 2 >= len(times)
        assert sum(t <= one.total_p95_s for t in times) >= 0.95 * len(times)
        assert min(times) <= one.total_s <= one.total_p95_s <= max(times)


def test_only_what_a_candidate_did() -> None:
    """A caller's mistake, a limit and a key say nothing of it; the times are those of answers."""
    measured = Measured()
    for end in What:
        measured.add(A, None, sample(1.0, 1.0 if end is What.ANSWERED else 99.0, end))
    (one,) = measured.published(2.0).figures
    counted = {What.ANSWERED, What.NOT_SENT, What.FAILED, What.UNAVAILABLE, What.AMBIGUOUS}
    assert one.calls == len(counted | {What.CUT})
    assert one.error_share == pytest.approx(5 / 6)
    assert one.total_s == one.total_p95_s == 1.0


def test_the_last_five_minutes() -> None:
    """Older calls do not count, and what nobody called is forgotten."""
    measured = Measured()
    measured.add(A, 10, sample(0.0))
    measured.add(A, 10, sample(WINDOW_S - 1))
    measured.add(A, 10_000, sample(0.0))
    found = measured.published(WINDOW_S + 1).figures
    assert [(one.size, one.calls) for one in found] == [(ANY_SIZE, 1), (0, 1)]
    assert not measured.published(WINDOW_S * 3).figures


def test_it_does_not_grow() -> None:
    """Callers name models: there are limits to how many are kept, and to the calls of each."""
    measured = Measured()
    for n in range(SAMPLES_MAX + 5):
        measured.add(A, None, sample(1.0 + n / 1e6))
    assert measured.published(2.0).figures[0].calls == SAMPLES_MAX
    for n in range(PLACES_MAX + 5):
        measured.add(f"openai/{n}", None, sample(1.0))
    assert len(measured.published(2.0).figures) == PLACES_MAX


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_sizes_are_in_order(one: int, other: int) -> None:
    """A longer prompt is never of a smaller class."""
    assert (size_class(one) <= size_class(other)) or one > other


def record(label: str, seconds: float, outcome: Outcome = Outcome.OK, **more: object) -> Record:
    wall_us = int(time.time() * 1e6)
    return Record(
        call_id="c",
        cost_status="exact",
        provider="openai",
        ts_us=wall_us - int(seconds * 1e6),
        duration_us=int(seconds * 1e6),
        candidate=label,
        outcome=outcome,
        input_tokens_total=20 if outcome is Outcome.OK else None,
        **more,  # type: ignore[arg-type]
    )


async def publish(places: Places, *records: Record) -> None:
    """Have a meter observe these, and publish once."""
    places.state.mkdir(parents=True, exist_ok=True)
    meter = Candidates(places)
    for one in records:
        meter.observe(one)
    task = asyncio.create_task(meter.run())
    while not places.gateway_live.exists():
        await asyncio.sleep(0.01)
    task.cancel()


async def test_a_route_takes_the_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From rows to the decision: `latency` prefers whom the meter saw to be faster, as often as the
    better of two drawn at random is; `failing` ones come last, whatever the order."""
    monkeypatch.setattr(candidates, "PUBLISH_S", 0.01)
    slow = [record(A, 5.0) for _ in range(CALLS_MIN)]
    fast = [record(B, 1.0) for _ in range(CALLS_MIN)]
    chat = answer(200, {"choices": [{"message": {"content": "Bonjour"}}]})
    script = Script({"a": [chat], "b": [chat]})
    await publish(Places(tmp_path), *slow, *fast)
    async with door(tmp_path, script, options(tmp_path, "a", "b", order="latency")) as b:
        await b.send(asking())
        (note,) = [begun.gateway for begun in b.journal.begun]
    assert note is not None
    assert note.propensity == (1.0 if note.candidate == B else 0.0)
    assert (note.candidate, note.reason) == (B, "latency")


async def test_a_failing_one_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the route's order; callers who left are no failures of it."""
    monkeypatch.setattr(candidates, "PUBLISH_S", 0.01)
    failed = [record(A, 1.0, Outcome.HTTP_ERROR, http_status=503) for _ in range(CALLS_MIN)]
    left = [record(B, 1.0, Outcome.CLIENT_GONE) for _ in range(CALLS_MIN)]
    chat = answer(200, {"choices": [{"message": {"content": "Bonjour"}}]})
    script = Script({"a": [chat], "b": [chat]})
    await publish(Places(tmp_path), *failed, *left)
    async with door(tmp_path, script, options(tmp_path, "a", "b")) as b:
        await b.send(asking())
    assert script.models == ["b"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """No file, a broken one, and one that is read again once it is whole."""
    path = tmp_path / "live.json"
    clock = [100.0]
    seen = Conditions(path, lambda: clock[0], lambda: 1_000.0 + clock[0])
    seen.at(clock[0])
    assert seen.of([A], 1) == [Condition()]
    measured = Measured()
    for _ in range(CALLS_MIN):
        measured.add(A, 1, sample(1_100.0, 3.0))
    whole = msgspec.json.encode(measured.published(1_101.0))
    for broken in (b"", whole[:-5], b'{"at": "x"}', b"\xff"):
        path.write_bytes(broken)
        clock[0] += 2
        seen.at(clock[0])
        assert seen.of([A], 1) == [Condition()]
    path.write_bytes(whole)
    clock[0] += 2
    assert seen.at(clock[0]) == pytest.approx(1.0 + 100.0)
    assert seen.of([A, B], 1)[0].total_s == 3.0
    assert seen.of([A, B], None)[0].total_s == 3.0
    longer, other = seen.of([A, B], 10**6)
    assert (longer.calls, longer.total_s) == (CALLS_MIN, None)
    assert other == Condition()


def test_what_is_stale_says_nothing() -> None:
    """A meter that stopped: the listed order decides."""
    made = route(candidate("a"), candidate("b"), order="latency")
    known = (
        Condition(calls=CALLS_MIN, total_s=9.0, error_share=1.0),
        Condition(calls=CALLS_MIN, total_s=1.0),
    )
    facts = Facts(dialect="openai", operation="chat")
    for at, first in ((100.0, [1, 0]), (100.0 - STALE_S - 1, [0, 1])):
        found = decide(made, facts, Live(at=at, conditions=known), 100.0, "call:1")
        odds = sorted(found.order, key=lambda one: -one.probability)
        assert [one.candidate for one in odds] == first


def test_nothing_yet_is_a_document() -> None:
    """As the relay reads it."""
    empty = Measured().published(5.0)
    assert msgspec.json.decode(msgspec.json.encode(empty), type=Published) == empty
