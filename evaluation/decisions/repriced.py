"""Calls at two prices: what they cost by the tariffs, and what they would cost otherwise."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from evaluation.decisions.change import less
from evaluation.decisions.prices import STANDARD, Quantities, at_of, quantities
from evaluation.decisions.switching import Work
from evaluation.reports.bounds import Bounds
from evaluation.statistics import ratio

Otherwise = Callable[[Quantities, int], Quantities]  # of a usage and its row


@dataclass(frozen=True, slots=True)
class Repriced:
    """Both prices (USD) and the cluster of each call for which both are known."""

    now: list[float] = field(default_factory=list)
    then: list[float] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)

    @property
    def usd(self) -> float:
        """What all of them cost now."""
        return sum(self.now)

    def saving(self) -> Bounds:
        """The share of it that the other price saves."""
        return less(ratio(self.then, self.now, self.clusters))


def repriced(
    work: Work, name: str, rows: Iterable[int], otherwise: Otherwise, tier: str = STANDARD
) -> Repriced:
    """The calls of candidate `name` with their own usage, and with the other one in `tier`."""
    provider, _, model = name.partition("/")
    found = Repriced()
    for row in rows:
        usage, at = quantities(work.calls.columns["usage"][row]), at_of(work.calls, row)
        now = work.prices.usd(provider, model, usage, at)
        then = work.prices.usd(provider, model, otherwise(usage, row), at, tier)
        if now and then is not None:
            found.now.append(now)
            found.then.append(then)
            found.clusters.append(int(work.calls.clusters[row]))
    return found
