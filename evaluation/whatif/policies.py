"""The policies that are compared: the one in force, the routes given, and what they must beat.

What a baseline is chosen by was learned before the calls that it is reported on.  The oracle takes
the cheapest candidate of each call, which nobody can know beforehand: no routing costs less.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from evaluation.history.turns import Turn
from evaluation.simulation import Call, Router
from evaluation.statistics.clusters import Floats
from evaluation.whatif.prices import Prices
from evaluation.whatif.queues import Made
from evaluation.whatif.routers import PRICED, AsRecorded, Conditions, Fixed, Gateway, facing
from pricing.book import TariffBook
from proxy.gateway.decision import decide
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route, excluded
from proxy.gateway.live import Live
from proxy.gateway.options import GatewayOptions

IN_FORCE, PROPOSED = "in force", "proposed"
BEST_SINGLE, RANDOM_MIX, ORACLE = "best single", "random mix", "oracle"
NOBODY = "(nobody)"  # the action of a call that no candidate can serve


def by_turn(turns: Sequence[Turn], routes: Sequence[Route]) -> dict[int, Route]:
    """The route of each turn that one concerns.

    A call that came through a route of that name belongs to it, and so does one that asks for a
    model of that name, as the gateway would understand it; any other to the first route that lists
    its model.  If none does, the calls of a single route are all those it could serve.
    """
    named = {route.options.name: route for route in routes}
    listed: dict[str, Route] = {}
    for route in routes:
        for one in route.candidates:
            listed.setdefault(one.options.label, route)
    found = {}
    for number, turn in enumerate(turns):
        row = turn.first
        of = named.get(row.route) or named.get(row.request_model) or listed.get(row.label)
        if of is not None:
            found[number] = of
    if not found and len(routes) == 1:
        found = {n: routes[0] for n, turn in enumerate(turns) if able(routes[0], turn.facts)}
    return found


def able(route: Route, facts: Facts) -> list[str]:
    """The candidates that can serve a request, whatever `when` the route prefers them."""
    free = (replace(one, when=None) for one in route.candidates)
    met = facing(facts, route)
    return list(
        dict.fromkeys(one.options.label for one in free if not excluded(one, route.options, met))
    )


@dataclass(slots=True)
class Policies:
    """What routes would do with turns.  `route_of` by the number of a turn."""

    turns: Sequence[Turn]
    routes: Mapping[int, Route]  # turn → its route; others are not concerned
    options: GatewayOptions
    prices: Prices
    book: TariffBook
    learned: Sequence[int]
    refused: dict[str, int] = field(default_factory=dict)
    conditions: Conditions = field(init=False)
    _odds: dict[tuple[int, int], dict[str, float]] = field(default_factory=dict)
    singles: dict[str, tuple[str, str]] = field(init=False)  # route → cheapest, dearest
    shares: dict[str, float] = field(init=False)  # route → share of the dearest in the mix

    def __post_init__(self) -> None:
        self.conditions = Conditions(self.book)
        self.singles = self._singles()
        self.shares = self._mix()

    def probabilities(self, number: int, under: Route | None = None) -> dict[str, float]:
        """How likely each candidate is to be a new session's first choice; they add up to 1.

        By the route of the turn, or by another one.
        """
        route, turn = under or self.routes[number], self.turns[number]
        key = (number, id(route))  # routes live as long as the study
        if key not in self._odds:
            prices = route.options.order in PRICED
            known = self.conditions.of(number, route, turn.facts, turn.at_s) if prices else ()
            found: dict[str, float] = defaultdict(float)
            facts = facing(turn.facts, route)
            order = decide(route, facts, Live(conditions=known), 0.0, f"call:{number}").order
            for choice in order:
                found[route.candidates[choice.candidate].options.label] += choice.probability
            self._odds[key] = dict(found) if order else {NOBODY: 1.0}
        return self._odds[key]

    def able(self, number: int) -> list[str]:
        """The candidates that can serve a turn, whatever `when` the route prefers them."""
        return able(self.routes[number], self.turns[number].facts)

    def made(self) -> dict[str, Made]:
        """All of them, by name, in the order in which to show them."""
        return {
            IN_FORCE: lambda calls, luck: AsRecorded(self.turns, calls),
            PROPOSED: self._gateway,
            BEST_SINGLE: lambda calls, luck: self._fixed(calls, luck, BEST_SINGLE),
            RANDOM_MIX: lambda calls, luck: self._fixed(calls, luck, RANDOM_MIX),
            ORACLE: lambda calls, luck: self._fixed(calls, luck, ORACLE),
        }

    def single(self, number: int) -> str:
        """The best single candidate of the turn's route."""
        return self.singles[self.routes[number].options.name][0]

    def cheapest(self, number: int) -> str | None:
        """The candidate that costs a turn least of those that can serve it."""
        costs = {label: self.prices.usd(number, label, cached=True) for label in self.able(number)}
        known = {label: usd for label, usd in costs.items() if usd is not None}
        return min(known, key=lambda label: known[label]) if known else None

    def _gateway(self, calls: Sequence[Call], luck: Floats) -> Router:
        return Gateway(
            calls=calls,
            turns=self.turns,
            route_of=self.routes.get,
            options=self.options,
            conditions=self.conditions,
            luck=luck.tolist(),
            others=AsRecorded(self.turns, calls),
            refused=self.refused,
        )

    def _fixed(self, calls: Sequence[Call], luck: Floats, name: str) -> Router:
        def label_of(number: int) -> str | None:
            row = calls[number].row
            if row not in self.routes:
                return self.turns[row].first.label
            if name == ORACLE:
                return self.cheapest(row)
            label = self.single(row)
            if name == RANDOM_MIX:
                route = self.routes[row].options.name
                if luck[0][number] < self.shares[route]:
                    label = self.singles[route][1]
            return label if label in self.able(row) else next(iter(self.able(row)), None)

        return Fixed(label_of)

    def _singles(self) -> dict[str, tuple[str, str]]:
        """By the mean cost of the calls that each can serve, over what was learned."""
        costs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for number in self.learned:
            if number in self.routes:
                name = self.routes[number].options.name
                for label in self.able(number):
                    usd = self.prices.usd(number, label, cached=True)
                    costs[name][label] += [] if usd is None else [usd]
        found = {}
        for route in {route.options.name: route for route in self.routes.values()}.values():
            known = {
                label: sum(each) / len(each)
                for label, each in costs[route.options.name].items()
                if each
            }
            first = route.candidates[0].options.label
            cheapest = min(known, key=lambda label: known[label], default=first)
            dearest = max(known, key=lambda label: known[label], default=first)
            found[route.options.name] = (cheapest, dearest)
        return found

    def _mix(self) -> dict[str, float]:
        """The share of the dearest at which a mix costs as much as the routes do."""
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for number in self.learned:
            if number not in self.routes:
                continue
            name = self.routes[number].options.name
            cheap, dear = (self.prices.usd(number, one, cached=True) for one in self.singles[name])
            odds = self.probabilities(number)
            costs = [(p, self.prices.usd(number, label, cached=True)) for label, p in odds.items()
                     if label != NOBODY]  # fmt: skip
            if cheap is None or dear is None or any(usd is None for _, usd in costs):
                continue
            own = sum(p * (usd or 0.0) for p, usd in costs)
            for at, usd in enumerate((cheap, dear, own)):
                sums[name][at] += usd
        return {
            name: min(max((sums[name][2] - sums[name][0]) / gap, 0.0), 1.0)
            if (gap := sums[name][1] - sums[name][0]) > 0
            else 0.5
            for name in self.singles
        }
