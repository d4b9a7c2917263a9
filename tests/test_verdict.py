"""How Taximeter is, in one colour: nothing that is wrong, lost or silent looks healthy."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.health import verdict
from proxy.health.verdict import Asked, Health, Looking, Part

WELL: Part = {"ok": True}
FAILED: Part = {"ok": False, "error": "connection refused"}
SILENT: Part = {"ok": False, "silent_s": 2.5}
GONE: Part = {"ok": False, "silent_s": verdict.DOWN_S + 1}


@pytest.mark.parametrize(
    ("part", "severities", "ok", "health"),
    [
        (WELL, [], True, Health.GREEN),
        (WELL, ["warning"], True, Health.AMBER),
        (WELL, ["warning", "critical"], False, Health.RED),
        (SILENT, [], True, Health.AMBER),
        (SILENT, ["critical"], False, Health.RED),
        (FAILED, [], False, Health.RED),
        (GONE, [], False, Health.RED),
    ],
)
def test_one_colour(part: Part, severities: list[str], ok: bool, health: Health) -> None:
    """The worst of what is known."""
    assert verdict.verdict({"store": part, "meter": WELL}, severities) == (ok, health)


@given(
    st.lists(st.sampled_from([WELL, FAILED, SILENT, GONE])),
    st.lists(st.sampled_from(["warning", "critical"])),
)
def test_green_needs_that_all_is_well(parts: list[Part], severities: list[str]) -> None:
    """And only what is red is not ok."""
    named = {str(at): part for at, part in enumerate(parts)}
    ok, health = verdict.verdict(named, severities)
    well = all(part["ok"] for part in parts)
    assert (health is Health.GREEN) == (well and not severities)
    assert ok == (health is not Health.RED)


async def test_a_store_that_hangs_is_amber_and_then_green_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the last answer and its time; it is asked once, however many want to know."""
    monkeypatch.setattr(verdict, "ANSWER_S", 0.05)
    answers, asked = asyncio.Event(), 0
    answers.set()

    async def store() -> Part:
        nonlocal asked
        asked += 1
        await answers.wait()
        return {"ok": True, "calls": asked}

    looking = Looking(store, lambda: {"meter": WELL}, lambda: [])
    before = await looking.look()
    assert (before["ok"], before["health"]) == (True, "green")
    answers.clear()
    for _ in range(3):
        found = await looking.look()
        assert (found["ok"], found["health"]) == (True, "amber")
        assert found["as_of"] == before["as_of"]
        parts = found["parts"]
        assert isinstance(parts, Mapping)
        assert parts["store"]["calls"] == 1  # as it was
        assert parts["store"]["error"].startswith("no answer for ")
    assert asked == 2
    answers.set()
    await asyncio.sleep(0)
    assert (await looking.look())["health"] == "green"
    assert (await looking.look())["health"] == "green"


async def test_whoever_asks_while_a_question_is_open_gets_its_answer() -> None:
    """No question is asked twice at the same time."""
    asked = 0

    async def ask() -> Part:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return {"ok": True}

    one = Asked(ask)
    parts = await asyncio.gather(*(one.part() for _ in range(5)))
    assert asked == 1
    assert all(part["ok"] for part in parts)


def test_a_batch_under_way_for_too_long_is_a_receiver_that_hangs() -> None:
    """An exporter has no error until its timeout, a minute later."""
    assert verdict.sending({"ok": True, "sending_s": 0.4})["ok"]
    hanging = verdict.sending({"ok": True, "sending_s": 4.0})
    assert hanging["error"] == "no answer for 4 s"
    assert verdict.verdict({"otlp": hanging}, ()) == (True, Health.AMBER)
    assert verdict.sending(FAILED) == FAILED
