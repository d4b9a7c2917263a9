"""A run of an evaluation suite, and the result of one answer: rows of `eval_runs`, `eval_results`.

The field names are the columns of `schema/014_evaluation.sql`.  They hold no prompt and no answer.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

JUDGE = "judge"  # origin of a check of a judge against labels of people
RUNNING, STOPPED, CAPPED, FINISHED, IMPORTED = (
    "running",
    "stopped",  # by Ctrl-C: the same command resumes it
    "capped",  # the next call could have exceeded --max-usd
    "finished",
    "imported",
)


class EvalRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a suite over some models."""

    ts_us: int  # when it began
    run_id: str
    updated_us: int
    state: str
    suite: str
    suite_version: str
    models: Sequence[str]  # provider/model
    samples: int
    judge: str = ""  # provider/model
    cases: int
    hidden_cases: int = 0
    quote_usd: Decimal | None = None  # the most that it can cost, retries aside; None: not quoted
    max_usd: Decimal | None = None
    origin: str = ""  # "": run here; JUDGE; else the format it was imported from
    node: str = ""


class EvalResult(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of one model to one case."""

    ts_us: int
    run_id: str
    model: str
    case_id: str
    sample: int  # from 1
    case_version: str
    cluster: str
    task: str
    hidden: bool
    weight: float = 1.0
    status: str  # pass | fail | not_run | error
    reason: str = ""
    checks: str = "[]"  # JSON: kind, status, reason and measures of each check
    contaminated: bool = False  # the answer has the suite's canary
    attempts: int = 1
    error_type: str = ""  # of the provider, if `status` is error
    cost_usd: Decimal | None = None  # of all attempts; None: unknown.  `calls` has the exact parts
    judge_usd: Decimal | None = None  # of the judge alone; None: unknown or not asked
    duration_us: int | None = None  # from the first attempt to the answer


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What is written at once: runs and results."""

    runs: Sequence[EvalRun] = ()
    results: Sequence[EvalResult] = ()


_TIMES = {"ts_us": "ts", "updated_us": "updated"}
RUN_FIELDS, RESULT_FIELDS = EvalRun.__struct_fields__, EvalResult.__struct_fields__
RUN_COLUMNS = tuple(_TIMES.get(name, name) for name in RUN_FIELDS)
RESULT_COLUMNS = tuple(_TIMES.get(name, name) for name in RESULT_FIELDS)
