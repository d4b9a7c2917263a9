"""From a caller's request to a plan.  Nothing is sent here."""

import asyncio
import random
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from time import monotonic

from msgspec.structs import replace

from pricing.book import TariffBook
from proxy.door import prices
from proxy.door.counting import Counted, counted
from proxy.door.foreign import Foreign, foreign
from proxy.door.plan import Asked, Plan
from proxy.door.request import facts_of, input_tokens, model_in_path
from proxy.door.state import State
from proxy.gateway import filters, names
from proxy.gateway.answers import Json, decoded
from proxy.gateway.body import model_span
from proxy.gateway.chain import Target
from proxy.gateway.decision import Decision, decide, unit_id, unit_of
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route, keys_of
from proxy.gateway.limits import pool
from proxy.gateway.live import STALE_S, Condition, Live
from proxy.relay.routes import Refusal
from proxy.settings.config import Config

ROUTES_KEPT_MAX = 1024
LARGE_BYTES = 128 * 1024  # of a body, from which on it is translated in a thread
NOT_JSON = "the request body is not a JSON object."
NOT_HERE = "no route, alias or provider/model is named {!r}; GET /gateway/v1/models lists them."
NOT_YOURS = "this token may not use {!r}."
NOBODY = "no candidate of {!r} can serve this request: {}."


class Planner:
    """Makes plans.  `missing` are keys that could not be read."""

    def __init__(
        self, config: Config, state: State, book: Callable[[], TariffBook], missing: Collection[str]
    ) -> None:
        self._config = config
        self._state = state
        self._load_book = book
        self._missing = missing
        self._route = lru_cache(maxsize=ROUTES_KEPT_MAX)(self._find)  # callers ask for few names

    @cached_property
    def _book(self) -> TariffBook:
        return self._load_book()

    def _find(self, name: str) -> Route | None:
        gateway, providers = self._config.gateway, self._config.providers
        found = names.find(name, gateway, providers)
        if found is None:
            return None
        return filters.route(found, gateway, providers, self._missing)

    async def plan(self, asked: Asked, body: bytes) -> Plan | Counted | Refusal:
        """The plan; or an answer at once, or why there is none."""
        document = decoded(body)
        named = _named(asked, body, document)
        if isinstance(named, Refusal):
            return named
        name, model_at = named
        route = self._asked_for(asked, name)
        if isinstance(route, Refusal):
            return route
        facts = await self._facts(asked, document, route)
        found = await self._foreign(body, document, route, facts)
        facts = replace(facts, foreign=found.why)
        now = monotonic()
        unit = unit_of(facts, random.random())
        live, shut = await self._live(route, facts, now, unit)
        decision, tries = self._decided(route, facts, live, now, unit=unit, shut=shut)
        self._note_leader(route, decision)
        if not decision.order:
            most = self._config.metering.count_bytes_max
            if (answer := await counted(document, route, facts, most)) is not None:
                return answer
            return _nobody(route, decision)
        targets = [
            target for one in decision.order for target in self._targets(route, one.candidate)
        ]
        return Plan(
            asked=asked,
            body=body,
            model_at=model_at,
            route=route,
            facts=facts,
            decision=decision,
            tries=tries,
            unit=unit_id(route.options.name, route.options.version, unit),
            targets=targets,
            foreign=found,
        )

    def _asked_for(self, asked: Asked, name: str) -> Route | Refusal:
        """The route of that name, if its caller may use it."""
        if asked.caller is not None and not names.allows(asked.caller, name):
            return Refusal(403, "forbidden_route", NOT_YOURS.format(name))
        return self._route(name) or Refusal(404, "unknown_route", NOT_HERE.format(name))

    async def _foreign(self, body: bytes, document: Json, route: Route, facts: Facts) -> Foreign:
        if len(body) < LARGE_BYTES:
            return foreign(body, document, route, facts)
        return await asyncio.to_thread(foreign, body, document, route, facts)

    async def _facts(self, asked: Asked, document: Json, route: Route) -> Facts:
        facts = facts_of(asked.path, document, asked.sender, datetime.now(UTC))
        if not route.counts:
            return facts
        most = self._config.metering.count_bytes_max
        tokens = await asyncio.to_thread(input_tokens, facts.operation, document, most)
        return replace(facts, input_tokens=tokens)

    def _decided(
        self,
        route: Route,
        facts: Facts,
        live: Live,
        now: float,
        *,
        unit: str,
        shut: Collection[int],
    ) -> tuple[Decision, int | None]:
        """The decision, and which of those that were `shut` off it tries: one call may at a time.
        For the others it is decided as if it were shut."""
        left = set(shut)
        while True:
            decision = decide(route, facts, live, now, unit)
            first = decision.order[0].candidate if decision.order else None
            if first not in left:
                return decision, None
            if self._state.breakers.take(route.candidates[first].options.label):
                return decision, first
            left.discard(first)
            conditions = list(live.conditions)
            conditions[first] = replace(conditions[first], shut=True)
            live = replace(live, conditions=tuple(conditions))

    async def _live(
        self, route: Route, facts: Facts, now: float, unit: str
    ) -> tuple[Live, Collection[int]]:
        """What is known, and which candidates were shut off and may be tried by one call."""
        kept = self._state.sessions.kept(route.options, facts.session)
        measured_at = self._state.measured.at(now)
        labels = [one.options.label for one in route.candidates]
        known = self._state.measured.of(labels, facts.input_tokens if route.counts else None)
        out = self._state.canaries.rolled_back(route.options)
        conditions = [
            replace(one, closed_until=self._opens(route, n, now), rolled_back=n == out)
            for n, one in enumerate(known)
        ]
        shut = []
        for n, label in enumerate(labels) if len(labels) > 1 else ():
            fresh = now - measured_at <= STALE_S
            conditions[n], may = self._state.breakers.judged(label, conditions[n], fresh=fresh)
            shut += [n] if may else []
        leader = self._state.leaders.get(route.options.name)
        live = Live(at=measured_at, conditions=tuple(conditions), leader=leader, kept=kept)
        if _needs_prices(route, facts, live, now, unit=unit):
            at = datetime.now(UTC)
            priced = await asyncio.to_thread(self._priced, route, facts, at)
            conditions = [
                replace(one, usd=price.usd, rates=price.rates)
                for price, one in zip(priced, conditions, strict=True)
            ]
            live = replace(live, conditions=tuple(conditions))
        return live, shut

    def _note_leader(self, route: Route, decision: Decision) -> None:
        """Whom another candidate must clearly beat the next time.  A session's call shows none."""
        options = route.options
        if options.order not in ("latency", "score") or options.split or not decision.order:
            return
        if decision.sticky in ("", "new", "broken"):
            best = max(decision.order, key=lambda one: one.probability)
            self._state.leaders[options.name] = best.candidate

    def _priced(self, route: Route, facts: Facts, at: datetime) -> Sequence[Condition]:
        return prices.conditions(route, facts, self._book, at)

    def _opens(self, route: Route, candidate: int, now: float) -> float:
        """When the first of a candidate's pools opens."""
        targets = self._targets(route, candidate)
        return min((self._state.pools.opens_at(one.pool, now) for one in targets), default=0.0)

    def _targets(self, route: Route, candidate: int) -> list[Target]:
        options = route.candidates[candidate].options
        provider, model = options.provider, options.model
        return [
            Target(candidate=candidate, key=key, pool=pool(provider, key, model))
            for key in keys_of(options, self._config.gateway)
            if key not in self._missing
        ]


def _named(
    asked: Asked, body: bytes, document: Json
) -> tuple[str, tuple[int, int] | None] | Refusal:
    """The route that a request names, and where in its body; None: its path names it."""
    if not document:
        return Refusal(400, "bad_request", NOT_JSON)
    if name := model_in_path(asked.path):
        return name, None
    try:
        place = model_span(body)  # which proves that there is one, and that it is text
        return str(document["model"]), place
    except ValueError as error:
        return Refusal(400, "bad_request", f"{error}.")


def _nobody(route: Route, decision: Decision) -> Refusal:
    """With the reason of each candidate."""
    why = ", ".join(
        f"{route.candidates[one.candidate].options.label} ({one.reason})"
        for one in decision.excluded
    )
    return Refusal(400, "no_candidate", NOBODY.format(route.options.name, why))


def _needs_prices(route: Route, facts: Facts, live: Live, now: float, *, unit: str) -> bool:
    """Prices decide in these orders, and whether a session should leave its cache: if anybody else
    would be first without it."""
    if len(route.candidates) < 2:
        return False
    if route.options.order in ("price", "score"):
        return True
    if live.kept is None:
        return False
    free = decide(route, facts, replace(live, kept=None), now, unit)
    return bool(free.order) and free.order[0].candidate != live.kept.candidate
