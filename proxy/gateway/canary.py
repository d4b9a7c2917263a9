"""A canary: whether the sessions that got the new model fare worse than the others.  No I/O.

What is counted is units: what the split assigns as one, mostly sessions, as the errors of a session
come together.  A unit belongs to the arm that it was assigned, whoever served it in the end.
Verdicts hold however often somebody looks: docs/decisions/0041.
"""

import math
from decimal import Decimal

import msgspec

from proxy.gateway.options import RouteOptions

PRIOR_UNITS = 10.0  # the weight of the test's prior
# Of each arm, before costs are compared: with fewer, false alarms exceed their share.
UNITS_MIN = 300
TIGHT_AT = 2_000  # units of an arm at which the bounds of its cost are tightest
UNPRICED_MAX = 0.05  # of an arm's units, beyond which costs are not compared
EVEN = 0.001  # how often, at most, a sound split is called uneven
TESTS = 4  # errors, slow answers, refusals, costs: each may be wrong a quarter as often as all
RUNNING, WORSE, ROLLED_BACK, UNEVEN = "running", "worse", "rolled_back", "uneven"


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """The units of one arm, how many had an event of each kind, and what they cost.

    Costs are those of the `priced` units alone, in which no attempt's cost is unknown; the last
    three are sums over them of squares and products, for the bounds.
    """

    units: int = 0
    errors: int = 0
    slow: int = 0
    refusals: int = 0
    priced: int = 0
    usd: Decimal = Decimal(0)
    successes: int = 0
    usd_usd: float = 0.0
    successes_successes: float = 0.0
    usd_successes: float = 0.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one test says.  Shares are of units; costs are USD for a success, with bounds.

    `evidence` is the E-value, of costs None; None for a canary or others: not known yet.
    """

    of: str  # errors | slow | refusals | cost
    canary: float | None
    others: float | None
    worse: bool = False
    evidence: float | None = None
    canary_bounds: tuple[float, float] | None = None
    others_bounds: tuple[float, float] | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is known by now.  `uneven`: the arms are not as large as the split says, so whatever
    else was found may come from what made them so."""

    state: str = RUNNING  # or worse, or uneven
    worse: tuple[str, ...] = ()  # the tests that say so
    findings: tuple[Finding, ...] = ()


def evidence(canary: int, both: int, share: float) -> float:
    """The logarithm of the E-value against `canary` of `both` events being there by chance.

    If the arms are alike, each event is the canary's with probability `share`.  Then
    E = B(a+s, b+m-s)/(B(a, b)·share^s·(1-share)^(m-s)), a = 10·share, b = 10·(1-share), for s of m,
    reaches 1/α with probability α at most, at any of all looks, for rare events too
    (https://ar5iv.labs.arxiv.org/html/2011.03567).
    """
    if not 0 < share < 1 or not 0 <= canary <= both:
        raise ValueError(f"{canary} of {both} events at a share of {share}")
    a, b = PRIOR_UNITS * share, PRIOR_UNITS * (1 - share)
    others = both - canary
    chance = canary * math.log(share) + others * math.log1p(-share)
    return _log_beta(a + canary, b + others) - _log_beta(a, b) - chance


def needed(alpha: float) -> float:
    """The E-value from which on a test of events says that a canary is worse."""
    return TESTS / alpha


def spread(count: int, tight_at: int, alpha: float) -> float:
    """Half the width of a mean's bounds after `count` values, in their standard deviations.

    Asymptotic, for all counts at once, tightest at `tight_at` (Waudby-Smith et al. 2024,
    https://arxiv.org/abs/2103.06476).
    """
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / tight_at
    inside = count * rho2 + 1
    return math.sqrt(2 * inside / (count**2 * rho2) * math.log(math.sqrt(inside) / alpha))


def cost_bounds(arm: Arm, alpha: float) -> tuple[float, float] | None:
    """Bounds of the USD for a success that hold at every look; None while there can be none.

    The costs r for which the mean of cost - r·successes may be 0 (Fieller).  One unit without a
    success is added, at the usual cost: before the first failure, failures are rare, not unknown.
    """
    if arm.priced < UNITS_MIN or arm.priced < (1 - UNPRICED_MAX) * arm.units:
        return None
    n = arm.priced + 1
    usd, successes = float(arm.usd) / arm.priced, arm.successes / n
    usd_usd = arm.usd_usd / arm.priced - usd**2
    both = (arm.usd_successes / n) - usd * successes
    width2 = spread(n, TIGHT_AT, alpha) ** 2
    a = successes**2 - width2 * max(0.0, arm.successes_successes / n - successes**2)
    b = usd * successes - width2 * both
    c = usd**2 - width2 * max(0.0, usd_usd)
    if a <= 0:
        return None
    root = math.sqrt(max(0.0, b**2 - a * c))
    return max(0.0, (b - root) / a), (b + root) / a


def judge(canary: Arm, others: Arm, share: float, alpha: float, *, dearer: float = 0.0) -> Verdict:
    """What the arms say.  A canary that is no worse is called `worse` with probability `alpha` at
    most, over all looks and all tests together.  A success may cost `dearer` more (0.2: 20 %)."""
    each = alpha / TESTS
    findings = (
        *(_counted(of, canary, others, share, each) for of in ("errors", "slow", "refusals")),
        _cost(canary, others, each, dearer),
    )
    worse = tuple(one.of for one in findings if one.worse)
    uneven = evidence(canary.units, canary.units + others.units, share) >= -math.log(EVEN)
    state = UNEVEN if uneven else WORSE if worse else RUNNING
    return Verdict(state=state, worse=worse, findings=findings)


def _counted(of: str, canary: Arm, others: Arm, share: float, alpha: float) -> Finding:
    mine, theirs = getattr(canary, of), getattr(others, of)
    found = evidence(mine, mine + theirs, share)
    return Finding(
        of=of,
        canary=mine / canary.units if canary.units else None,
        others=theirs / others.units if others.units else None,
        worse=found >= -math.log(alpha) and mine > (mine + theirs) * share,
        evidence=math.exp(min(found, 700.0)),
    )


def _cost(canary: Arm, others: Arm, alpha: float, dearer: float) -> Finding:
    mine, theirs = (cost_bounds(one, alpha / 2) for one in (canary, others))
    return Finding(
        of="cost",
        canary=_usd_a_success(canary),
        others=_usd_a_success(others),
        worse=mine is not None and theirs is not None and mine[0] > theirs[1] * (1 + dearer),
        canary_bounds=mine,
        others_bounds=theirs,
    )


def _usd_a_success(arm: Arm) -> float | None:
    return float(arm.usd / arm.successes) if arm.successes else None


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


# -- what the meter tells the relays and the console -----------------------------------------------


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One canary.  The first four say which: another of them is another canary, begun anew.

    Any `state` but running is for good: from then on it is judged no more.
    """

    route: str
    version: str
    candidate: str  # provider/model
    share: float
    began_at: float  # seconds since the epoch, as the others
    state: str = RUNNING
    ended_at: float | None = None  # when it was found to be worse, or uneven
    looked_at: float | None = None
    canary: Arm = Arm()
    others: Arm = Arm()
    verdict: Verdict = Verdict()

    def is_of(self, route: RouteOptions) -> bool:
        """Whether it is the canary that this route has now."""
        return (self.route, self.version, self.candidate, self.share) == _identity(route)


class Standings(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    canaries: tuple[Standing, ...] = ()


def begun(route: RouteOptions, now: float) -> Standing:
    """The route's canary, of which nothing is known yet.  Raises ValueError if it has none."""
    found = _identity(route)
    if found is None:
        raise ValueError(f"the route {route.name} has no canary")
    name, version, candidate, share = found
    return Standing(route=name, version=version, candidate=candidate, share=share, began_at=now)


def _identity(route: RouteOptions) -> tuple[str, str, str, float] | None:
    """What tells a canary from every other; None: the route has none."""
    if route.canary is None:
        return None
    place = route.canary.candidate
    share = next(arm.share for arm in route.split if arm.candidate == place)
    return route.name, route.version, route.candidates[place].label, share
