"""What a run found out, as values: accuracy, cost per success, differences, verdicts.  No I/O.

Wrong answers count against a model; answers that never came and checks that could not be run do
not, and are counted apart.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import msgspec

from evaluation.reports import weeks
from evaluation.reports.bounds import NOTHING, Bounds, accuracy, bounds
from evaluation.reports.differences import SMALLEST, Difference, compared, corrected, detectable
from evaluation.reports.measures import consistency, mean_of, pass_at, refusals, survival
from evaluation.reports.rows import CaseRows, ModelRows, Run, Stored, by_model
from evaluation.statistics import cost_per_success, ratio


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy of some cases."""

    accuracy: Bounds
    cases: int


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one model."""

    model: str
    accuracy: Bounds
    cases: int
    clusters: int
    detectable_difference: float | None  # in accuracy, at 80 % power; None: one cluster
    cost_per_success_usd: Bounds
    time_to_success_s: Bounds
    cost_usd: float
    unknown_cost_calls: int  # above 0, costs are lower bounds
    judge_usd: float
    results: dict[str, int]  # status → answers
    errors: dict[str, int]  # error_type → answers that never came
    not_run: dict[str, int]  # reason → answers
    tasks: dict[str, Score]
    refusals: dict[str, Bounds]  # both errors, never one score
    consistency: float | None  # mean share of a case's commonest structure over its samples
    survival: list[tuple[int, float]]  # turn, share of personas that held until then
    recall: float | None
    precision: float | None
    pass_at: dict[str, float]  # k → chance that one of k samples of a code case passes
    contaminated: int
    response_models: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run's report.  `half` says which half of the suite it shows."""

    run_id: str
    state: str
    began: str
    suite: str
    suite_version: str
    samples: int
    judge: str
    half: str
    cases: int
    other_half_cases: int
    smallest: float
    models: list[ModelReport]
    differences: list[Difference]
    against: str = ""
    since: list[Difference] = []


def report(
    stored: Stored,
    against: Stored | None = None,
    *,
    hidden: bool = False,
    smallest: float = SMALLEST,
    runs: Iterable[Run] = (),
) -> Report:
    """The report of one half of a run; `against` is an earlier run to compare each model with.

    `runs` are all that are stored: those after `against` are looks at it.
    """
    models = by_model(stored, hidden=hidden)
    pairs = [compared(a, b, smallest) for a, b in combinations(models, 2)]
    differences = corrected(pairs)
    run, since = stored.run, list[Difference]()
    if against is not None:
        earlier = {each.model: each for each in by_model(against, hidden=hidden)}
        look = weeks.look_of(runs, run, against.run)
        complete = weeks.same_suite(run, against.run)
        since = weeks.since(models, earlier, look, smallest, complete=complete)
    shown = run.hidden_cases if hidden else run.cases - run.hidden_cases
    return Report(
        run_id=run.run_id,
        state=run.state,
        began=run.ts,
        suite=run.suite,
        suite_version=run.suite_version,
        samples=run.samples,
        judge=run.judge,
        half="hidden" if hidden else "open",
        cases=shown,
        other_half_cases=run.cases - shown,
        smallest=smallest,
        models=[_model(rows, run.samples, detectable(rows, models)) for rows in models],
        differences=differences,
        against=against.run.run_id if against else "",
        since=since,
    )


def _score(cases: Sequence[CaseRows]) -> Score:
    found = accuracy(cases)
    return Score(accuracy=bounds(found.interval) if found else NOTHING, cases=len(cases))


def _model(rows: ModelRows, samples: int, smallest_seen: float | None) -> ModelReport:
    scored, found = rows.scored(), accuracy(rows.scored())
    results = list(rows.results())
    unknown = sum(case.unknown for case in rows.cases)
    return ModelReport(
        model=rows.model,
        accuracy=bounds(found.interval) if found else NOTHING,
        cases=len(scored),
        clusters=found.clusters if found else 0,
        detectable_difference=smallest_seen,
        cost_per_success_usd=_cost(rows, samples, unknown),
        time_to_success_s=_time(rows, samples),
        cost_usd=sum(case.cost_usd for case in rows.cases),
        unknown_cost_calls=unknown,
        judge_usd=float(rows.judge_usd),
        results=dict(Counter(result.status for result in results)),
        errors=dict(Counter(r.error_type for r in results if r.status == "error")),
        not_run=dict(Counter(r.reason for r in results if r.status == "not_run").most_common(20)),
        tasks={task: _score(rows.scored(task)) for task in sorted({c.task for c in rows.cases})},
        refusals=refusals(rows),
        consistency=consistency(rows),
        survival=survival(rows),
        recall=mean_of(rows, "recall"),
        precision=mean_of(rows, "precision"),
        pass_at=pass_at(rows, samples),
        contaminated=sum(result.contaminated for result in results),
        response_models=sorted(rows.response_models),
    )


def _cost(rows: ModelRows, samples: int, unknown: int) -> Bounds:
    """All attempts in, also of answers that never came; no upper bound where some are unknown."""
    if not rows.cases:
        return NOTHING
    found = cost_per_success(
        [case.cost_usd / samples for case in rows.cases],
        [min(sum(case.scores) / samples, 1.0) for case in rows.cases],
        [case.group for case in rows.cases],
    ).interval
    return Bounds(found.value, found.low, None if unknown else found.high)


def _time(rows: ModelRows, samples: int) -> Bounds:
    timed = [case for case in rows.cases if any(r.duration_us is not None for r in case.results)]
    if not timed:
        return NOTHING
    seconds = [sum(r.duration_us or 0 for r in case.results) / 1e6 / samples for case in timed]
    right = [sum(case.scores) / samples for case in timed]
    return bounds(ratio(seconds, right, [case.group for case in timed]))


def document(found: Report) -> dict[str, Any]:
    """For JSON, with models by name."""
    made: dict[str, Any] = msgspec.to_builtins(found)
    return made | {"models": {model["model"]: model for model in made["models"]}}
