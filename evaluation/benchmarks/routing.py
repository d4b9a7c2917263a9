"""What routing between two models gains on prompts that both answered, beside what costs nothing.

Always beside a router: the better model alone, a random mix with the same share of strong calls,
and the oracle, which knows the answers.  The length router sends longer prompts to the strong
model; its thresholds are quartiles of length, chosen without a look at any score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmarks.curve import CPT_LEVELS, pgr_intervals, router_metrics
from evaluation.statistics import (
    Estimate,
    cost_per_success,
    detectable_difference,
    difference,
    mcnemar,
    mean,
    share,
    share_difference,
)
from evaluation.statistics.clusters import Floats, clustered
from evaluation.statistics.means import Labels

Document = dict[str, object]
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Rivals:
    """Two models on the same prompts: arrays by prompt, scores from 0 to 1, costs in USD."""

    strong: Floats
    weak: Floats
    labels: Labels  # clusters
    length: Floats | None  # None: the table does not say
    strong_costs: Floats | None = None
    weak_costs: Floats | None = None

    @property
    def best(self) -> NDArray[np.bool_]:
        """Where the oracle asks the strong model: it is better, or as good and cheaper."""
        better, alike = self.strong > self.weak, self.strong == self.weak
        if self.strong_costs is None or self.weak_costs is None:
            return better
        cheaper: NDArray[np.bool_] = alike & (self.strong_costs < self.weak_costs)
        return better | cheaper

    def routed(self, to_strong: NDArray[np.bool_]) -> tuple[Floats, Floats | None]:
        """Scores and costs by prompt."""
        scores = np.where(to_strong, self.strong, self.weak)
        if self.strong_costs is None or self.weak_costs is None:
            return scores, None
        return scores, np.where(to_strong, self.strong_costs, self.weak_costs)


def accuracy(scores: Floats, labels: Labels) -> dict[str, float | None]:
    """The mean score, as a share unless there are penalties below 0."""
    return (mean if bool(np.any(scores < 0)) else share)(scores, labels).interval.document()


def document(rivals: Rivals) -> Document:
    """Difference, oracle and routers, for JSON."""
    found = _difference(rivals.strong, rivals.weak, rivals.labels)
    binary = bool(np.all(np.isin(rivals.strong, (0, 1)) & np.isin(rivals.weak, (0, 1))))
    return {
        "items": found.cases,
        "clusters": found.clusters,
        "difference": found.interval.document(),
        "detectable_difference": None if found.se is None else detectable_difference(found.se),
        "mcnemar_p": mcnemar(rivals.strong, rivals.weak).p if binary else None,
        "oracle": _reached(rivals, rivals.best),
        "routers": _routers(rivals),
        "thresholds": _thresholds(rivals),
    }


def _routers(rivals: Rivals) -> list[Document]:
    groups = clustered(len(rivals.strong), rivals.labels)
    ranks = {"random": np.zeros(len(rivals.strong)), "oracle": rivals.strong - rivals.weak}
    if rivals.length is not None:
        ranks["length"] = rivals.length
    found: list[Document] = []
    for name, rank in ranks.items():
        metrics = router_metrics(rivals.strong, rivals.weak, rank, groups)
        levels = zip(CPT_LEVELS, metrics.cpt, strict=True)
        cpt = {f"cpt_{level * 100:.0f}": interval.document() for level, interval in levels}
        found.append({"router": name, "apgr": metrics.apgr.document(), **cpt})
    return found


def _thresholds(rivals: Rivals) -> list[Document]:
    """The length router at each quartile of length that leaves prompts on both sides."""
    if rivals.length is None:
        return []
    cuts = sorted(set(np.quantile(rivals.length, QUARTILES, method="lower").tolist()))
    masks = {cut: rivals.length > cut for cut in cuts if cut < rivals.length.max()}
    groups = clustered(len(rivals.strong), rivals.labels)
    scores = [rivals.routed(mask)[0] for mask in masks.values()]
    recovered = pgr_intervals(scores, rivals.strong, rivals.weak, groups) if scores else []
    return [
        {
            "router": "length",
            "longer_than": int(cut),
            **_reached(rivals, mask),
            "pgr": gap.document(),
            "over_random_mix": _over_mix(rivals, mask),
        }
        for (cut, mask), gap in zip(masks.items(), recovered, strict=True)
    ]


def _reached(rivals: Rivals, to_strong: NDArray[np.bool_]) -> Document:
    scores, costs = rivals.routed(to_strong)
    paid = None if costs is None else cost_per_success(costs, scores, rivals.labels)
    return {
        "strong_share": float(to_strong.mean()),
        "accuracy": accuracy(scores, rivals.labels),
        "cost_usd": None if costs is None else float(costs.sum()),
        "cost_per_success_usd": None if paid is None else paid.interval.document(),
    }


def _over_mix(rivals: Rivals, to_strong: NDArray[np.bool_]) -> Document:
    """The router's accuracy minus that of a random mix with as many strong calls."""
    rate = float(to_strong.mean())
    mix = rate * rivals.strong + (1 - rate) * rivals.weak
    return dict(_difference(rivals.routed(to_strong)[0], mix, rivals.labels).interval.document())


def _difference(first: Floats, second: Floats, labels: Labels) -> Estimate:
    penalties = bool(np.any(first < 0)) or bool(np.any(second < 0))
    return (difference if penalties else share_difference)(first, second, labels)
