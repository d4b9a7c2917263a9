"""A route's order: the candidates from best to worst, and how likely each is to be first.

- `rules`: as listed.  `price`: what this request costs; an unknown price comes last.
- `weights`: as likely to be first as it is heavy; the others follow by weight.
- `latency` (to the first token of a stream, else of the whole answer) and `score`: the better of
  two that are drawn at random.  If everybody took the best one, it would not stay the best.

Where too little is known of a candidate, it is taken to be like the median of the others, and
where nothing is known of any, the listed order decides.  A leader stays until another is clearly
better.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route
from proxy.gateway.live import CALLS_MIN, Condition

ADVANTAGE = 0.1  # of the leader's value, by which another must be better

Known = Mapping[int, Condition]


def ranked(
    route: Route, facts: Facts, known: Known, among: Sequence[int], leader: int | None
) -> list[int]:
    """`among`, best first."""
    badness = _ORDERS[route.options.order](route, facts, known, sorted(among))
    if leader is not None and leader in badness and route.options.order in ("latency", "score"):
        badness[leader] -= abs(badness[leader]) * ADVANTAGE
    return sorted(badness, key=lambda n: (badness[n], n))


def odds(route: Route, order: Sequence[int]) -> dict[int, float]:
    """How likely each of `order`, which is ranked, is to be first; the sum is 1."""
    count = len(order)
    kind = route.options.order
    if kind == "weights":
        weights = {n: route.candidates[n].options.weight for n in order}
        total = sum(weights.values())
        if total > 0:
            return {n: weight / total for n, weight in weights.items()}
        return dict.fromkeys(order, 1 / count)
    if kind in ("latency", "score") and count > 1:  # of both that are drawn, it is the better one
        return {n: 2 * (count - 1 - at) / (count * (count - 1)) for at, n in enumerate(order)}
    return {n: float(at == 0) for at, n in enumerate(order)}


Badness = dict[int, float]


def _as_listed(_: Route, __: Facts, ___: Known, among: Sequence[int]) -> Badness:
    return dict.fromkeys(among, 0.0)


def _by_weight(route: Route, _: Facts, __: Known, among: Sequence[int]) -> Badness:
    return {n: -route.candidates[n].options.weight for n in among}


def _by_price(_: Route, __: Facts, known: Known, among: Sequence[int]) -> Badness:
    prices = {n: known[n].usd for n in among}
    return {n: float("inf") if usd is None else float(usd) for n, usd in prices.items()}


def _by_latency(_: Route, facts: Facts, known: Known, among: Sequence[int]) -> Badness:
    def seconds(n: int) -> float | None:
        one = known[n]
        if one.calls < CALLS_MIN:
            return None
        return one.first_token_s if facts.stream else one.total_s

    return _assumed({n: seconds(n) for n in among})


def _by_score(route: Route, facts: Facts, known: Known, among: Sequence[int]) -> Badness:
    """Minus the weighted sum of four parts, each from 0 to 1, 1 being the best there is."""
    weights = route.options.score

    def stated(of: Callable[[int], float | None]) -> Badness:
        return _assumed({n: of(n) for n in among})

    quality = stated(lambda n: route.candidates[n].options.quality)
    safety = stated(lambda n: route.candidates[n].options.safety)
    usd = {n: known[n].usd for n in among}
    cost = _relative({n: None if one is None else float(one) for n, one in usd.items()})
    latency = _relative(dict(_by_latency(route, facts, known, among)))
    return {
        n: -(
            weights.quality * quality[n]
            + weights.safety * safety[n]
            + weights.cost * cost[n]
            + weights.latency * latency[n]
        )
        for n in among
    }


def _relative(values: Mapping[int, float | None]) -> Badness:
    """1 for the smallest, 0.5 for twice as much."""
    known = _assumed(values)
    least = min(known.values(), default=0.0)
    return {n: least / value if value > 0 else 1.0 for n, value in known.items()}


def _assumed(values: Mapping[int, float | None]) -> Badness:
    """Unknown values as the median of the known ones; 0 if there are none."""
    known = [value for value in values.values() if value is not None]
    usual = median(known) if known else 0.0
    return {n: usual if value is None else value for n, value in values.items()}


_ORDERS: Mapping[str, Callable[[Route, Facts, Known, Sequence[int]], Badness]] = {
    "rules": _as_listed,
    "weights": _by_weight,
    "price": _by_price,
    "latency": _by_latency,
    "score": _by_score,
}
