"""The statistics of evaluation and decisions: values in, intervals out.

Every interval covers the truth in at least 93 % of simulated runs, clustered and with several
samples a case (`tests/test_statistics_coverage.py`).  What cannot be told is None or `Refused`,
never a number that looks exact.
"""

from evaluation.statistics.clusters import case_means
from evaluation.statistics.comparing import MISMATCH_P, McNemar, holm, mcnemar, sample_ratio_p
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused
from evaluation.statistics.means import (
    difference,
    mean,
    share,
    share_difference,
    wilson,
    zero_events_bound,
)
from evaluation.statistics.power import (
    POWER,
    Verdict,
    cases_needed,
    detectable_difference,
    power_of,
    variance_of_difference,
    verdict,
)
from evaluation.statistics.ratios import CostPerSuccess, cost_per_success, ratio

__all__ = [
    "CONFIDENCE",
    "MISMATCH_P",
    "POWER",
    "CostPerSuccess",
    "Estimate",
    "Interval",
    "McNemar",
    "Refused",
    "Verdict",
    "case_means",
    "cases_needed",
    "cost_per_success",
    "detectable_difference",
    "difference",
    "holm",
    "mcnemar",
    "mean",
    "power_of",
    "ratio",
    "sample_ratio_p",
    "share",
    "share_difference",
    "variance_of_difference",
    "verdict",
    "wilson",
    "zero_events_bound",
]
