"""The answer of a comparison, as it goes into JSON.

Money is in USD, times are in seconds, shares from 0 to 1; None is unknown.
"""

import msgspec

from evaluation.decisions.measured import Sums
from evaluation.decisions.verdicts import Verdict
from evaluation.reports.bounds import Bounds
from evaluation.statistics.interval import CONFIDENCE
from evaluation.statistics.resampling import REPLICATES, SEED

CLAIMS = {
    "calls": (
        "observed: calls went where their callers sent them, so candidates may have had different"
        " work; a run of a suite (--run) gives all of them the same"
    ),
    "run": (
        "quality is replayed with full feedback (the same cases for all); cost and latency are"
        " observed, on the work that each candidate had"
    ),
}


class LimitResult(msgspec.Struct, frozen=True, kw_only=True):
    """A limit for one candidate; `met` is None where its metric is unknown."""

    limit: str
    metric: str
    value: float | None
    met: bool | None
    probability: float | None  # that it is met; None: unknown, or too few sessions


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one candidate.  `report` has its sums as in `taximeter report`.

    Probabilities are None for too few sessions.
    """

    candidate: str
    provider: str
    model: str
    report: Sums
    sessions: int
    unknown_cost_calls: int
    metrics: dict[str, Bounds]
    limits: list[LimitResult]
    within_limits: bool
    dominated_by: list[str]
    on_frontier: float | None
    score: Bounds | None  # None: no weights were given
    best: float | None


class CriterionResult(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of the score.

    While its share of all weights is between `low` and `high`, the others in proportion, the winner
    stays.  `swing` is how much of what sets the candidates apart is due to it.
    """

    metric: str
    weight: float
    share: float | None  # None: not `used`
    zero: float
    one: float
    scale: str
    anchors: str  # given | default
    used: bool  # False: no candidate has the metric
    swing: float | None
    low: float | None
    high: float | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer."""

    quality: str
    quality_source: str  # calls | run
    claim: str
    axes: list[str]
    candidates: list[Compared]  # within limits first, then by score
    others: list[dict[str, str]]  # of another kind of call, not compared
    criteria: list[CriterionResult]
    verdict: Verdict
    hull: list[tuple[float, float]]  # cost per success, quality
    aiq: float | None
    hypervolume: float | None
    hypervolume_reference: tuple[float, float]
    sample_share: float
    latency_block_s: int | None
    notes: list[str]
    confidence: float = CONFIDENCE
    replicates: int = REPLICATES
    seed: int = SEED
