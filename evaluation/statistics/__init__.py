"""The statistics of evaluation and decisions: values in, intervals out.

Every interval covers the truth in at least 93 % of simulated runs, clustered and with several
samples a case (`tests/test_statistics_coverage.py`).  What cannot be told is None or `Refused`,
never a number that looks exact.
"""

from evaluation.statistics.clusters import Clusters, case_means, clustered
from evaluation.statistics.comparing import MISMATCH_P, McNemar, holm, mcnemar, sample_ratio_p
from evaluation.statistics.covariates import Adjusted, cuped_change, cuped_difference, cuped_mean
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused, together
from evaluation.statistics.judging import YOUDEN_MIN, Gold, corrected_share, kappa, with_predictions
from evaluation.statistics.means import (
    difference,
    mean,
    share,
    share_difference,
    wilson,
    zero_events_bound,
)
from evaluation.statistics.off_policy import Log, OffPolicy, log_of, off_policy, reward_bounds
from evaluation.statistics.percentiles import quantile
from evaluation.statistics.power import (
    POWER,
    Verdict,
    cases_needed,
    detectable_difference,
    power_of,
    variance_of_difference,
    verdict,
)
from evaluation.statistics.ratios import CostPerSuccess, cost_per_success, ratio, weighted_ratio
from evaluation.statistics.resampling import bootstrap_interval, replicate_weights
from evaluation.statistics.samples import Drift, energy_distance, pass_at_k
from evaluation.statistics.sequential import (
    confidence_sequence,
    look_confidence,
    running_bounds,
)

__all__ = [
    "CONFIDENCE",
    "MISMATCH_P",
    "POWER",
    "YOUDEN_MIN",
    "Adjusted",
    "Clusters",
    "CostPerSuccess",
    "Drift",
    "Estimate",
    "Gold",
    "Interval",
    "Log",
    "McNemar",
    "OffPolicy",
    "Refused",
    "Verdict",
    "bootstrap_interval",
    "case_means",
    "cases_needed",
    "clustered",
    "confidence_sequence",
    "corrected_share",
    "cost_per_success",
    "cuped_change",
    "cuped_difference",
    "cuped_mean",
    "detectable_difference",
    "difference",
    "energy_distance",
    "holm",
    "kappa",
    "log_of",
    "look_confidence",
    "mcnemar",
    "mean",
    "off_policy",
    "pass_at_k",
    "power_of",
    "quantile",
    "ratio",
    "replicate_weights",
    "reward_bounds",
    "running_bounds",
    "sample_ratio_p",
    "share",
    "share_difference",
    "together",
    "variance_of_difference",
    "verdict",
    "weighted_ratio",
    "wilson",
    "with_predictions",
    "zero_events_bound",
]
