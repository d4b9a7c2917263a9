"""Policies: what sends the calls of a simulation to their candidates.

`Gateway` is the gateway itself: its decision, its chain of attempts, its pools and its sessions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from msgspec.structs import replace

from evaluation.history.turns import Turn
from evaluation.simulation import Call, Next, Served, View
from evaluation.whatif.machine import Pools
from evaluation.whatif.service import pool_of
from pricing.book import TariffBook
from proxy.door import prices
from proxy.door.sessions import Sessions
from proxy.gateway import pools
from proxy.gateway.chain import Send, Stop, Target, Terms, Tried, next_step
from proxy.gateway.decision import Decision, decide, unit_of
from proxy.gateway.facts import Facts
from proxy.gateway.failures import What
from proxy.gateway.filters import Route, fits, speaks
from proxy.gateway.live import Condition, Live
from proxy.gateway.options import GatewayOptions
from proxy.gateway.translation import requests

PRICED = ("price", "score")  # orders that need prices
_WHATS = {one.value: one for one in What}


def facing(facts: Facts, route: Route) -> Facts:
    """The facts with the candidates that the request would be translated for.

    Rows do not hold what a translation may refuse, so it is taken to succeed.
    """
    reached = requests.reached(requests.APIS.get((facts.dialect, facts.operation), ""))
    others = {
        one.options.label: ""
        for one in route.candidates
        if one.api(facts.operation) in reached and not speaks(one, facts)
    }
    return replace(facts, foreign=others) if others else facts


@dataclass(frozen=True, slots=True)
class AsRecorded:
    """Every call goes where it went, attempt for attempt."""

    turns: Sequence[Turn]
    calls: Sequence[Call]

    def next(self, number: int, tried: Sequence[Served], view: View) -> Next | None:
        """The next recorded attempt, as long after the one before as it was."""
        rows = self.turns[self.calls[number].row].rows
        at = len(tried)
        if at >= len(rows) or (tried and tried[-1].outcome == "done"):
            return None
        pause = 0.0
        if tried:
            pause = rows[at].at_s - rows[at - 1].at_s - rows[at - 1].duration_s
        label = rows[at].label
        due = tried[-1].ended_s + max(pause, 0.0) if tried else view.now_s
        return Next(pool_of(label), due, label)

    def ended(self, number: int, served: Served) -> None:
        """Nothing to remember."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Each call has one candidate and one attempt; None: nobody can serve it."""

    label_of: Callable[[int], str | None]

    def next(self, number: int, tried: Sequence[Served], view: View) -> Next | None:
        """To its candidate, once."""
        label = self.label_of(number)
        return None if tried or label is None else Next(pool_of(label), view.now_s, label)

    def ended(self, number: int, served: Served) -> None:
        """Nothing to remember."""


@dataclass(slots=True)
class Conditions:
    """What each call would cost each candidate of a route, for decisions that ask; made once."""

    book: TariffBook
    _known: dict[tuple[int, int, int], tuple[Condition, ...]] = field(default_factory=dict)

    def of(self, row: int, route: Route, facts: Facts, at_s: float) -> tuple[Condition, ...]:
        """In the order of the candidates."""
        key = (row, id(route), facts.input_tokens)  # routes live as long as the study
        if key not in self._known:
            at = datetime.fromtimestamp(at_s, UTC)
            self._known[key] = prices.conditions(route, facts, self.book, at)
        return self._known[key]


@dataclass(slots=True)
class _Under:
    """A call under way."""

    targets: Sequence[Target]
    terms: Terms
    labels: Mapping[int, str]
    route: Route
    facts: Facts
    tried: list[Tried] = field(default_factory=list)
    counted: int = -1  # attempts when the budget of retries was last asked
    sent: Target | None = None
    held: tuple[Target, float] | None = None  # what waits, and until when


@dataclass(slots=True)
class Gateway:
    """The gateway over routes.  `luck` has two numbers in [0, 1) for each call.

    `facts_of` gives a call's facts and route; calls without a route go where `others` sends them.
    """

    calls: Sequence[Call]
    turns: Sequence[Turn]
    route_of: Callable[[int], Route | None]  # by the number of a turn
    options: GatewayOptions
    conditions: Conditions
    luck: Sequence[Sequence[float]]
    others: AsRecorded
    refused: dict[str, int] = field(default_factory=dict)  # why nobody could serve → calls
    _under: dict[int, _Under] = field(default_factory=dict)
    _now: float = 0.0
    _sessions: Sessions = field(init=False)
    _pools: Pools = field(default_factory=Pools)

    def __post_init__(self) -> None:
        self._sessions = Sessions(lambda: self._now)

    def next(self, number: int, tried: Sequence[Served], view: View) -> Next | None:
        """What the gateway's chain says, after the gateway's decision."""
        self._now = view.now_s
        route = self.route_of(self.calls[number].row)
        if route is None:
            return self.others.next(number, tried, view)
        under = self._under.get(number) or self._begun(number, route)
        if under is None:
            return None
        step = self._step(under, number)
        if isinstance(step, Stop):
            return None
        if step.wait_s:
            under.held = (step.target, self._now + step.wait_s)
            return Next(step.target.pool, self._now + step.wait_s, "")
        under.sent = step.target
        self._pools.change(step.target.pool, pools.sent, self._now)
        return Next(step.target.pool, self._now, under.labels[step.target.candidate])

    def ended(self, number: int, served: Served) -> None:
        """What an end says of its pool and its session, as in `proxy.door.call`."""
        under = self._under.get(number)
        if under is None or under.sent is None:
            return
        self._now, target = served.ended_s, under.sent
        change = partial(self._pools.change, target.pool, now=self._now)
        if served.outcome == "done":
            change(pools.answered)
            facts = under.facts
            name = under.route.options.name
            self._sessions.keep(name, facts.session, target.candidate, facts.input_tokens)
            del self._under[number]
            return
        end = _end(served)
        if end is What.LIMITED:
            wait_s = served.retry_s - self._now if served.retry_s < float("inf") else None
            draw = self.luck[1][number]
            change(lambda p, now: pools.limited(p, now, wait_s, draw))
        elif end in (What.NOT_SENT, What.AMBIGUOUS):
            change(lambda p, _: pools.dropped(p))
        else:
            change(pools.answered)
        under.tried.append(Tried(target=target, what=end))

    def _step(self, under: _Under, number: int) -> Send | Stop:
        opens = partial(self._pools.opens_at, now=self._now)
        if under.held is not None:
            target, until = under.held
            under.held = None
            if until <= self._now + 1e-9 and opens(target.pool) <= self._now:
                return Send(target=target)
        draw = self.luck[1][number]
        step = next_step(under.targets, under.tried, under.terms, opens, now=self._now, draw=draw)
        if isinstance(step, Send) and under.counted != len(under.tried):
            under.counted = len(under.tried)
            share, least = self.options.retry_share_max, self.options.retries_min
            if not self._pools.may_call(
                step.target.pool, self._now, share=share, least=least, retry=bool(under.tried)
            ):
                return Stop()
        return step

    def _begun(self, number: int, route: Route) -> _Under | None:
        """Decide; None if nobody can serve the call."""
        call = self.calls[number]
        turn = self.turns[call.row]
        facts = replace(
            turn.facts,
            session=call.session,
            input_tokens=call.input_tokens or turn.facts.input_tokens,
        )
        facts = facing(facts, route)
        decision = self._decided(route, facts, call, number)
        if not decision.order:
            for one in decision.excluded:
                why = f"{route.candidates[one.candidate].options.label}: {one.reason}"
                self.refused[why] = self.refused.get(why, 0) + 1
            return None
        labels = {n: one.options.label for n, one in enumerate(route.candidates)}
        targets = [_target(one.candidate, labels[one.candidate]) for one in decision.order]
        terms = Terms(
            until=self._now + route.options.deadline_s,
            retry_ambiguous=route.options.retry_ambiguous,
            room={n for n, one in enumerate(route.candidates) if fits(one, facts)},
        )
        under = self._under[number] = _Under(targets, terms, labels, route, facts)
        return under

    def _decided(self, route: Route, facts: Facts, call: Call, number: int) -> Decision:
        """With the conditions that the door would know, as in `proxy.door.plans`."""
        kept = self._sessions.kept(route.options.name, facts.session)
        known: Sequence[Condition] = [Condition()] * len(route.candidates)
        if len(known) > 1 and (route.options.order in PRICED or kept is not None):
            known = self.conditions.of(call.row, route, facts, self.turns[call.row].at_s)
        conditions = tuple(
            replace(one, closed_until=self._pools.opens_at(pool_of(c.options.label), self._now))
            for one, c in zip(known, route.candidates, strict=True)
        )
        live = Live(at=self._now, conditions=conditions, kept=kept)
        return decide(route, facts, live, self._now, unit_of(facts, self.luck[0][number]))


def _target(candidate: int, label: str) -> Target:
    return Target(candidate=candidate, key="", pool=pool_of(label))


def _end(served: Served) -> What:
    """A refusal of a pool is a 429; what fits no bucket at all is one that no waiting ends."""
    if served.outcome == "refused":
        return What.LIMITED
    return What.QUOTA if served.outcome == "too_large" else _WHATS[served.failed]
