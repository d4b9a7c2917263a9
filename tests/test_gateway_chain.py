"""What follows each way an attempt can end: who is tried, how often, and what the caller gets."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.gateway import pools
from proxy.gateway.chain import ATTEMPTS_MAX, Send, Stop, Target, Terms, Tried, next_step
from proxy.gateway.failures import Fault, What, what
from proxy.gateway.pools import Pool

A1 = Target(candidate=0, key="k1", pool="p/k1/a")
A2 = Target(candidate=0, key="k2", pool="p/k2/a")
B1 = Target(candidate=1, key="k1", pool="p/k1/b")
C3 = Target(candidate=2, key="k3", pool="q/k3/c")
PLAN = (A1, A2, B1, C3)
TERMS = Terms(until=100.0)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(sent=False), What.NOT_SENT),
        (Fault(), What.AMBIGUOUS),
        (Fault(status=401), What.CREDENTIAL),
        (Fault(status=403), What.CREDENTIAL),
        (Fault(status=402), What.QUOTA),
        (Fault(status=408), What.AMBIGUOUS),
        (Fault(status=429), What.LIMITED),
        (Fault(status=429, code="insufficient_quota"), What.QUOTA),
        (Fault(status=500), What.FAILED),
        (Fault(status=500, has_usage=True), What.AMBIGUOUS),
        (Fault(status=502), What.AMBIGUOUS),
        (Fault(status=503), What.UNAVAILABLE),
        (Fault(status=504), What.AMBIGUOUS),
        (Fault(status=524), What.AMBIGUOUS),
        (Fault(status=529), What.UNAVAILABLE),
        (Fault(status=400), What.MISTAKE),
        (Fault(status=404), What.MISTAKE),
        (Fault(status=413), What.MISTAKE),
        (Fault(status=422), What.MISTAKE),
        (Fault(status=400, code="context_length_exceeded"), What.TOO_LONG),
        (Fault(status=400, message="Prompt is too long: 210000 tokens"), What.TOO_LONG),
        (Fault(status=400, message="Your credit balance is too low"), What.QUOTA),
        (Fault(status=200, code="overloaded_error"), What.UNAVAILABLE),
        (Fault(status=200, code="rate_limit_error"), What.LIMITED),
        (Fault(status=200, code="anything else"), What.AMBIGUOUS),
    ],
)
def test_the_class_of_a_fault(fault: Fault, expected: What) -> None:
    """What may have been done and billed is ambiguous, and so is what is not known."""
    assert what(fault) is expected


def targets(
    *ends: What, terms: Terms = TERMS, plan: Sequence[Target] = PLAN
) -> list[Target | None]:
    """Who is tried if the attempts end like this; None: nobody any more."""
    tried: list[Tried] = []
    found: list[Target | None] = []
    for end in (*ends, None):
        step = next_step(plan, tried, terms, lambda _: 0.0, now=1.0, draw=0.5)
        if isinstance(step, Stop):
            return [*found, None]
        found.append(step.target)
        if end is not None:
            tried.append(Tried(target=step.target, what=end))
    return found


@pytest.mark.parametrize(
    ("end", "tried"),
    [
        (What.NOT_SENT, [A1, B1]),  # another candidate, not the same one with another key
        (What.LIMITED, [A1, A2]),  # another pool
        (What.FAILED, [A1, B1]),
        (What.UNAVAILABLE, [A1, B1]),
        (What.CREDENTIAL, [A1, A2]),
        (What.QUOTA, [A1, A2]),
        (What.AMBIGUOUS, [A1, None]),
        (What.MISTAKE, [A1, None]),
        (What.TOO_LONG, [A1, None]),
        (What.REFUSED, [A1, None]),
        (What.CUT, [A1, None]),
    ],
)
def test_who_follows(end: What, tried: list[Target | None]) -> None:
    """By the class alone, unless the route says otherwise."""
    assert targets(end) == tried


def test_what_a_route_may_ask_for() -> None:
    """To pay twice rather than fail, and to look for room."""
    assert targets(What.AMBIGUOUS, terms=replace(TERMS, retry_ambiguous=True))[1] == B1
    assert targets(What.TOO_LONG, terms=replace(TERMS, room={2}))[1] == C3


def test_a_500_is_retried_once() -> None:
    """And a credential that failed is not tried with another model."""
    assert targets(What.FAILED, What.FAILED) == [A1, B1, None]
    assert targets(What.CREDENTIAL, What.UNAVAILABLE) == [A1, A2, C3]


def test_one_candidate_is_tried_again_after_a_pause() -> None:
    """Full jitter, growing; never beyond the deadline."""
    tried = [Tried(target=A1, what=What.UNAVAILABLE)]
    one = next_step([A1], tried, TERMS, lambda _: 0.0, now=1.0, draw=0.5)
    assert one == Send(target=A1, wait_s=0.25)
    assert next_step([A1], tried * 3, TERMS, lambda _: 0.0, now=1.0, draw=0.5) == Send(
        target=A1, wait_s=1.0
    )
    late = replace(TERMS, until=1.1)
    assert next_step([A1], tried, late, lambda _: 0.0, now=1.0, draw=0.5) == Stop()
    assert targets(What.FAILED, What.FAILED, plan=[A1]) == [A1, A1, None]


def test_all_limits_closed() -> None:
    """Wait for the first to open if the deadline allows, else say when that is."""
    opens = {A1.pool: 30.0, B1.pool: 20.0}

    def step(until: float, *tried: Tried) -> Send | Stop:
        terms = Terms(until=until)
        return next_step([A1, B1], tried, terms, lambda p: opens[p], now=10.0, draw=0.5)

    assert step(25.0) == Send(target=B1, wait_s=10.0)
    assert step(20.0) == Stop(retry_after_s=10.0)
    limited = Tried(target=A1, what=What.LIMITED)
    assert step(15.0, limited) == Stop(retry_after_s=10.0)
    assert step(50.0, limited) == Send(target=B1, wait_s=10.0)


def test_a_limit_is_the_answer_only_if_waiting_helps() -> None:
    """A request that is wrong, and one that may have run, are not to be sent again."""
    limited = Tried(target=A1, what=What.LIMITED)
    for end, expected in (
        (What.UNAVAILABLE, Stop(retry_after_s=5.0)),
        (What.MISTAKE, Stop()),
        (What.AMBIGUOUS, Stop()),
    ):
        tried = [limited, Tried(target=B1, what=end)]
        found = next_step([A1, B1], tried, Terms(until=2.0), lambda _: 6.0, now=1.0, draw=0.5)
        assert found == expected


ENDS = st.lists(st.sampled_from([end for end in What if end is not What.ANSWERED]), max_size=9)


@given(ENDS, st.booleans(), st.lists(st.sampled_from(PLAN), min_size=1, max_size=4, unique=True))
def test_a_chain_ends(ends: list[What], ambiguous: bool, plan: list[Target]) -> None:
    """After so many attempts, whatever happens, and never after one that must not be repeated."""
    terms = replace(TERMS, retry_ambiguous=ambiguous)
    found = targets(*ends, *[What.UNAVAILABLE] * ATTEMPTS_MAX, terms=terms, plan=plan)
    assert found[-1] is None
    assert len(found) <= ATTEMPTS_MAX + 1
    for place, end in enumerate(ends[: len(found) - 1]):
        if end in (What.MISTAKE, What.REFUSED, What.CUT) or (
            end is What.AMBIGUOUS and not ambiguous
        ):
            assert found[place + 1] is None


def test_pools_at_their_limit_get_one_call_for_each_reset() -> None:
    """60 seconds of 429 at 50 calls a second, by two pools: one probe for each reset, no more."""
    state = {"p": Pool(), "q": Pool()}
    calls = dict.fromkeys(state, 0)
    for tick in range(60 * 50):
        now = 1000 + tick / 50
        for name, pool in state.items():
            if pools.opens_at(pool, now) <= now:
                calls[name] += 1
                state[name] = pools.limited(pools.sent(pool, now), now, 2.0, 0.5)
                break
    assert max(calls.values()) <= 30


def test_a_pool_opens_by_one_probe() -> None:
    """Others wait for it; an answer opens the pool, a lost probe gives way to another."""
    closed = pools.limited(Pool(), 10.0, 5.0, 0.5)
    assert pools.opens_at(closed, 12.0) == 15.0
    assert (
        pools.limited(closed, 11.0, 1.0, 0.5).closed_until == 15.0
    )  # a shorter one changes nothing
    assert pools.answered(closed, 12.0) == closed  # of a call that was sent before
    assert pools.opens_at(closed, 15.0) == 15.0
    probing = pools.sent(closed, 15.0)
    assert pools.opens_at(probing, 16.0) == 16.0 + pools.LOOK_S
    assert pools.opens_at(probing, 15.0 + pools.PROBE_S) == 15.0 + pools.PROBE_S  # it is lost
    assert pools.opens_at(pools.dropped(probing), 16.0) == 16.0
    reopened = pools.answered(probing, 17.0)
    assert (reopened.closed_until, reopened.closings) == (0.0, 0)
    assert pools.sent(Pool(), 1.0) == Pool()


def test_a_pool_without_a_word_waits_longer_each_time() -> None:
    """With jitter, from a second to a minute."""
    pool, waits = Pool(), []
    for _ in range(9):
        pool = pools.limited(replace(pool, closed_until=0.0), 0.0, None, 1.0)
        waits.append(pool.closed_until)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_retries_have_a_budget() -> None:
    """A tenth of the calls and three a minute, however many fail."""
    pool, retries = Pool(), 0
    for tick in range(6000):  # a minute at 100 calls a second, all of which fail
        now = 1000 + tick / 100
        pool, _ = pools.called(pool, now, share=0.1, least=3, retry=False)
        pool, allowed = pools.called(pool, now, share=0.1, least=3, retry=True)
        retries += allowed
    assert 600 <= retries <= 607
