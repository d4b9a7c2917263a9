"""The decision: filtered, ordered, split, explored and sticky, with probabilities that are true."""

from collections import Counter
from decimal import Decimal
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.decision import Decision, chance, decide, unit_of
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Candidate, Route, fits
from proxy.gateway.live import CALLS_MIN, STALE_S, Condition, Kept, Live, Rates
from proxy.gateway.options import ORDERS, ScoreWeights
from proxy.gateway.sessions import move_usd, should_move, stay_usd
from support.gateway import candidate, route

NOW = 1_000_000.0
FACTS = Facts(input_tokens=1000, max_tokens=200, session="s")
THREE = (candidate("a"), candidate("b"), candidate("c"))


def live(*conditions: Condition, kept: Kept | None = None, leader: int | None = None) -> Live:
    return Live(at=NOW, conditions=conditions, kept=kept, leader=leader)


def order(decision: Decision) -> list[int]:
    return [one.candidate for one in decision.order]


def shares(made: Route, conditions: Live, count: int = 2000) -> Counter[int]:
    """How often each was first, for so many units."""
    found = (decide(made, Facts(), conditions, NOW, f"u{n}") for n in range(count))
    return Counter(one.order[0].candidate for one in found)


@pytest.mark.parametrize(
    ("one", "facts", "why"),
    [
        (candidate(when="input_tokens < 10"), FACTS, "when"),
        (candidate(facts={"context_tokens": 1199}), FACTS, "context"),
        (candidate(facts={"context_tokens": 1200}), FACTS, ""),
        (candidate(facts={"tools": False}), Facts(tools=True), "tools"),
        (candidate(), Facts(tools=True, schema=True), ""),
        (candidate(facts={"schema": False}), Facts(schema=True), "schema"),
        (
            candidate(facts={"modalities": ("image",)}),
            Facts(modalities=frozenset({"text", "audio"})),
            "modality",
        ),
        (candidate(), Facts(dialect="anthropic"), "dialect: it speaks openai"),
    ],
)
def test_what_cannot_serve_is_out(one: Candidate, facts: Facts, why: str) -> None:
    """What is known to be missing excludes; what is not known does not."""
    decision = decide(route(one), facts, Live(), NOW, "u")
    assert [out.reason for out in decision.excluded] == ([why] if why else [])
    assert len(decision.order) == (not why)


def test_region_and_data_policy_must_be_known() -> None:
    """Here what nobody stated is no, since a call cannot be taken back."""
    kept = candidate("a", facts={"region": "eu", "data_policy": ("no-training", "zero-retention")})
    made = route(kept, candidate("b"), regions=("eu",), data_policy=("no-training",))
    decision = decide(made, FACTS, Live(), NOW, "u")
    assert order(decision) == [0]
    assert [one.reason for one in decision.excluded] == ["region"]
    elsewhere = route(kept, data_policy=("own-hardware",))
    assert decide(elsewhere, FACTS, Live(), NOW, "u").excluded[0].reason == "data_policy"


def test_none_can_serve() -> None:
    """Then there is no order, and each says why."""
    decision = decide(route(*THREE), Facts(dialect="gemini"), Live(), NOW, "u")
    assert decision.order == ()
    assert len(decision.excluded) == 3


def test_only_a_known_room_fits_what_was_too_long_elsewhere() -> None:
    """A prompt that one refused as too long is not tried where nobody knows."""
    assert not fits(candidate(), FACTS)
    assert fits(candidate(facts={"context_tokens": 1200}), FACTS)
    assert not fits(candidate(facts={"context_tokens": 1000}), FACTS)


def test_closed_limits_and_failing_candidates_come_last() -> None:
    """They are kept for failover, and are never the first while another is well."""
    failing = Condition(calls=CALLS_MIN, error_share=0.5)
    few = Condition(calls=CALLS_MIN - 1, error_share=1.0)
    conditions = live(Condition(closed_until=NOW + 1), failing, few)
    decision = decide(route(*THREE), FACTS, conditions, NOW, "u")
    assert [(one.candidate, one.reason) for one in decision.order] == [
        (2, "rules"),
        (0, "limit"),
        (1, "failing"),
    ]
    assert [one.probability for one in decision.order] == [1, 0, 0]
    everywhere = live(*[Condition(closed_until=NOW + 1)] * 3)
    assert order(decide(route(*THREE), FACTS, everywhere, NOW, "u")) == [0, 1, 2]


def test_the_cheapest_first() -> None:
    """A price that is not known comes last."""
    conditions = live(Condition(), Condition(usd=Decimal("0.2")), Condition(usd=Decimal("0.1")))
    assert order(decide(route(*THREE, order="price"), FACTS, conditions, NOW, "u")) == [2, 1, 0]


def test_weights_are_kept() -> None:
    """Within three standard deviations; a weight of 0 is only for failover."""
    heavy = (candidate("a", weight=3.0), candidate("b"), candidate("c", weight=0.0))
    made = route(*heavy, order="weights")
    assert [p.probability for p in decide(made, Facts(), Live(), NOW, "u").order[-1:]] == [0]
    found = shares(made, Live())
    assert abs(found[0] - 1500) < 3 * sqrt(2000 * 0.75 * 0.25)
    assert found[2] == 0


def test_the_better_of_two() -> None:
    """The slowest of three is never first, and the fastest is not always."""
    slow = [Condition(calls=100, total_s=s, first_token_s=10 - s) for s in (3.0, 1.0, 2.0)]
    made = route(*THREE, order="latency")
    decision = decide(made, Facts(), live(*slow), NOW, "u")
    odds = {one.candidate: one.probability for one in decision.order}
    assert odds == pytest.approx({1: 2 / 3, 2: 1 / 3, 0: 0.0})
    streamed = decide(made, Facts(stream=True), live(*slow), NOW, "u")
    assert max(streamed.order, key=lambda one: one.probability).candidate == 0


def test_a_leader_stays_until_another_is_clearly_better() -> None:
    """By a tenth, so that two that are alike do not take turns."""
    two = [Condition(calls=100, total_s=s) for s in (1.0, 0.95)]
    made = route(*THREE[:2], order="latency")
    assert order(decide(made, Facts(), live(*two), NOW, "u"))[0] == 1
    assert order(decide(made, Facts(), live(*two, leader=0), NOW, "u"))[0] == 0
    better = [Condition(calls=100, total_s=s) for s in (1.0, 0.85)]
    assert order(decide(made, Facts(), live(*better, leader=0), NOW, "u"))[0] == 1


def test_what_is_not_known_is_neither_best_nor_worst() -> None:
    """Too few calls are taken for the median, and stale state for none."""
    some = [
        Condition(calls=CALLS_MIN, total_s=1.0),
        Condition(calls=CALLS_MIN - 1, total_s=0.1),
        Condition(calls=CALLS_MIN, total_s=3.0),
    ]
    made = route(*THREE, order="latency")
    odds = {c.candidate: c.probability for c in decide(made, Facts(), live(*some), NOW, "u").order}
    assert odds[0] > odds[1] > odds[2]
    stale = Live(at=NOW - STALE_S - 1, conditions=tuple(reversed(some)))
    assert decide(made, Facts(), stale, NOW, "u") == decide(made, Facts(), Live(), NOW, "u")


def test_a_score_weighs_its_parts() -> None:
    """Who asks for quality alone gets it, and who asks for cost alone gets that."""
    two = (candidate("a", quality=0.9), candidate("b", quality=0.5))
    conditions = live(Condition(usd=Decimal(2)), Condition(usd=Decimal(1)))

    def first(**weights: float) -> int:
        score = ScoreWeights(
            **{**dict.fromkeys(("quality", "latency", "cost", "safety"), 0.0), **weights}
        )
        return order(decide(route(*two, order="score", score=score), FACTS, conditions, NOW, "u"))[
            0
        ]

    assert first(quality=1.0) == 0
    assert first(cost=1.0) == 1


def test_a_split_holds_for_100_000_sessions() -> None:
    """Within three standard deviations, and every session has the same arm after a restart."""
    count, share = 100_000, 0.1
    made = route(*THREE, shares={0: 1 - share, 2: share}, version="2026-11-28")
    arms = [
        chance("r", made.options.version, "split", unit_of(Facts(session=f"s{n}"), 0.5))
        >= 1 - share
        for n in range(count)
    ]
    assert abs(sum(arms) - count * share) < 3 * sqrt(count * share * (1 - share))
    for n in range(0, count, 1000):
        facts = Facts(session=f"s{n}")
        decision = decide(made, facts, Live(), NOW, unit_of(facts, 0.1))
        assert decision.assigned == (2 if arms[n] else 0) == decision.order[0].candidate
    assert chance("r", "v", "split", "session:s0") == 0.1503852136842765  # on every machine


def test_a_new_version_draws_anew() -> None:
    """Otherwise the sessions of the last canary would be those of the next."""
    old, new = (
        [chance("r", version, "split", f"session:{n}") < 0.5 for n in range(1000)]
        for version in ("1", "2")
    )
    same = sum(a == b for a, b in zip(old, new, strict=True))
    assert abs(same - 500) < 3 * sqrt(250)


def test_a_canary_that_was_rolled_back_comes_last() -> None:
    """Behind all others, even closed or shut off ones; its sessions stay assigned to it, and
    leave its cache.  What is known of it does not age."""
    made = route(*THREE, shares={0: 0.5, 1: 0.5}, version="1")
    out = Condition(rolled_back=True)
    shut = Condition(shut=True)
    on_it = Kept(candidate=1, until=NOW + 300)
    for others in (Condition(), shut, Condition(closed_until=NOW + 60)):
        state = live(others, out, others, kept=on_it)
        for at in (NOW, NOW + STALE_S + 1):
            arms = set()
            for n in range(20):
                facts = Facts(session=f"s{n}")
                found = decide(made, facts, state, at, unit_of(facts, 0.5))
                arms.add(found.assigned)
                assert order(found) == [0, 2, 1]
                assert found.order[-1].reason == "rolled_back"
                assert found.order[-1].probability == 0.0
                assert found.sticky == "broken"
            assert arms == {0, 1}
    alone = live(out, out, out)
    assert len(decide(made, Facts(), alone, NOW, "u").order) == 3


def test_one_that_is_shut_off_comes_after_the_others() -> None:
    """Unless all are; nobody else is asked before it for want of better."""
    made = route(*THREE)
    assert order(decide(made, FACTS, live(Condition(shut=True)), NOW, "u")) == [1, 2, 0]
    every = live(*[Condition(shut=True)] * 3)
    assert order(decide(made, FACTS, every, NOW, "u")) == [0, 1, 2]


def test_an_arm_that_cannot_serve_stays_assigned() -> None:
    """Intention to treat: its sessions are served by the others, and are known as its own."""
    made = route(candidate("a"), candidate("b", when="tools"), shares={1: 1.0})
    decision = decide(made, FACTS, Live(), NOW, "u")
    assert (decision.assigned, order(decision)) == (1, [0])
    assert decision.order[0].probability == 1
    assert decision.order[0].reason == "rules"


def test_what_is_assigned_as_one() -> None:
    """A session, else a user, else the call alone."""
    assert unit_of(Facts(session="s", user="u"), 0.5) == "session:s"
    assert unit_of(Facts(user="u"), 0.5) == "user:u"
    assert unit_of(Facts(), 0.5) != unit_of(Facts(), 0.25)


WEIGHT = st.floats(0, 10)


@given(
    st.sampled_from(ORDERS),
    st.lists(st.tuples(WEIGHT, st.booleans(), st.floats(0.1, 9)), min_size=1, max_size=5),
    st.floats(0, 0.5),
    st.booleans(),
    st.text(max_size=5),
)
def test_every_decision_is_whole(
    kind: str,
    parts: list[tuple[float, bool, float]],
    explore: float,
    split: bool,
    unit: str,
) -> None:
    """Each candidate once, in the order or out of it; the probabilities add up to 1."""
    made = route(
        *(candidate(f"m{n}", weight=part[0]) for n, part in enumerate(parts)),
        order=kind,
        explore=explore,
        shares={0: 0.25, len(parts) - 1: 0.75} if split and len(parts) > 1 else None,
    )
    conditions = live(
        *(Condition(closed_until=NOW + closed, calls=99, total_s=s) for _, closed, s in parts)
    )
    decision = decide(made, Facts(), conditions, NOW, unit)
    assert sorted(order(decision)) == list(range(len(parts)))
    assert sum(one.probability for one in decision.order) == pytest.approx(1)
    assert decision == decide(made, Facts(), conditions, NOW, unit)


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("split", [None, {0: 0.3, 1: 0.7}])
def test_probabilities_are_what_happens(kind: str, split: dict[int, float] | None) -> None:
    """Over many units, as often as the decision says: later estimates divide by these numbers."""
    conditions = live(*[Condition(calls=99, total_s=s, usd=Decimal(2)) for s in (3.0, 1.0, 2.0)])
    made = route(*THREE, order=kind, explore=0.3, shares=split)
    found = shares(made, conditions)
    for one in decide(made, Facts(), conditions, NOW, "u").order:
        expected = 2000 * one.probability
        spread = sqrt(2000 * one.probability * (1 - one.probability)) + 1e-9
        assert abs(found[one.candidate] - expected) < 4 * spread


# The example of the reference: prompt only, made-up prices per million tokens.
HERE = Rates(read=Decimal("0.5e-6"), write=Decimal("0.5e-6"), output=Decimal(0))
THERE = Rates(read=Decimal("0.1e-6"), write=Decimal("1.25e-6"), output=Decimal(0))


def kept(turns: int, **more: int) -> Kept:
    return Kept(candidate=0, until=NOW + 300, cached_tokens=100_000, turns=turns, **more)


def test_moving_pays_from_the_third_turn() -> None:
    """$0.05 a turn to stay; $0.125 and then $0.01 a turn to move: for three 0.15 and 0.145."""
    assert (stay_usd(kept(1), HERE), move_usd(kept(1), THERE)) == (
        Decimal("0.05"),
        Decimal("0.125"),
    )
    assert [should_move(kept(turns), HERE, THERE) for turns in (1, 2, 3)] == [False, False, True]
    assert (stay_usd(kept(3), HERE), move_usd(kept(3), THERE)) == (
        Decimal("0.15"),
        Decimal("0.145"),
    )
    assert not should_move(kept(100), None, THERE)


def test_new_tokens_are_written_and_then_read() -> None:
    """Each turn reads what the earlier ones wrote, here as there."""
    rates = Rates(read=Decimal(1), write=Decimal(10), output=Decimal(100))
    session = Kept(candidate=0, until=0, cached_tokens=5, turns=2, new_tokens=2, output_tokens=1)
    assert stay_usd(session, rates) == (5 + 20 + 100) + (7 + 20 + 100)
    assert move_usd(session, rates) == (70 + 100) + (7 + 20 + 100)


def test_a_session_stays_with_its_cache() -> None:
    """Unless it has expired, cannot serve, or the prices say otherwise."""
    priced = (Condition(rates=HERE), Condition(rates=THERE))
    made = route(candidate("a"), candidate("b"))

    def first(state: Live, facts: Facts = FACTS) -> tuple[int, str, str, float]:
        decision = decide(made, facts, state, NOW, "u")
        one = decision.order[0]
        return one.candidate, one.reason, decision.sticky, one.probability

    on_b = Kept(candidate=1, until=NOW + 1, cached_tokens=100, turns=1)
    assert first(live(*priced, kept=on_b)) == (1, "session", "hit", 1.0)
    assert first(live(*priced)) == (0, "rules", "new", 1.0)
    expired = Kept(candidate=1, until=NOW)
    assert first(live(*priced, kept=expired)) == (0, "rules", "new", 1.0)
    closed = live(Condition(), Condition(closed_until=NOW + 1), kept=on_b)
    assert first(closed) == (0, "rules", "broken", 1.0)
    assert first(live(*priced, kept=on_b), Facts())[2] == ""
    moved = live(Condition(rates=THERE), Condition(rates=HERE), kept=Kept(
        candidate=1, until=NOW + 1, cached_tokens=100_000, turns=3
    ))  # fmt: skip
    assert first(moved) == (0, "rules", "moved", 1.0)


def test_a_session_of_200_turns_keeps_its_cache() -> None:
    """Three candidates, the best one changing all the time: as many hits as with one provider."""
    made = route(*THREE, order="latency", explore=0.05)
    session, hits, where = Facts(session="long"), 0, -1
    held: Kept | None = None
    for turn in range(200):
        times = [1.0 + (turn + n) % 3 for n in range(3)]
        state = live(*(Condition(calls=99, total_s=s) for s in times), kept=held)
        first = decide(made, session, state, NOW, unit_of(session, turn / 200)).order[0].candidate
        hits += first == where
        where = first
        held = Kept(candidate=first, until=NOW + 300, cached_tokens=turn * 500)
    assert hits >= 0.95 * 199
