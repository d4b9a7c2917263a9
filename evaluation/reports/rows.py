"""The rows of a run, by model and case: what was right, what it cost, how long it took.  No I/O."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from evaluation.checks.case import Verdict

SCORES = {"pass": 1.0, "fail": 0.0}


class Judged(Verdict, frozen=True):
    """A verdict with the kind of its check, as the store has it."""

    kind: str = ""


class Run(msgspec.Struct, kw_only=True):
    """The run's row."""

    run_id: str
    ts: str
    state: str
    suite: str
    suite_version: str
    models: list[str]
    samples: int
    judge: str
    cases: int
    hidden_cases: int
    quote_usd: Decimal | None = None
    max_usd: Decimal | None = None
    origin: str = ""


class Result(msgspec.Struct, kw_only=True):
    """A result's row."""

    model: str
    case_id: str
    sample: int
    case_version: str
    cluster: str
    task: str
    hidden: bool
    weight: float
    status: str
    reason: str
    checks: str
    contaminated: bool
    attempts: int
    error_type: str
    cost_usd: Decimal | None
    judge_usd: Decimal | None
    duration_us: int | None

    def verdicts(self) -> list[Judged]:
        """Those of its checks."""
        return msgspec.json.decode(self.checks, type=list[Judged])


class Calls(msgspec.Struct, kw_only=True):
    """The calls for one answer, or for its judgement."""

    model: str
    case_id: str
    sample: int
    is_judge: bool
    calls: int
    cost_usd: Decimal | None
    unknown: int
    partial: int
    duration_us: int
    attempt: int
    service_tiers: list[str] = []
    response_models: list[str] = []


class Stored(msgspec.Struct, kw_only=True):
    """A run as the console or the store gives it."""

    run: Run
    results: list[Result]
    calls: list[Calls]


def decoded(document: Mapping[str, object]) -> Stored:
    """The run in an answer of `/api/evaluations/{run_id}`."""
    return msgspec.convert(document, Stored, strict=False)


@dataclass(slots=True)
class CaseRows:
    """One case of one model."""

    case_id: str
    version: str
    cluster: str
    task: str
    weight: float
    results: list[Result] = field(default_factory=list)
    cost_usd: float = 0.0  # of all attempts, those without an answer too
    unknown: int = 0  # calls whose cost is unknown or a lower bound

    @property
    def scores(self) -> list[float]:
        """1 for each right answer, 0 for each wrong one; others say nothing about the model."""
        return [SCORES[each.status] for each in self.results if each.status in SCORES]

    @property
    def group(self) -> str:
        return self.cluster or self.case_id


@dataclass(slots=True)
class ModelRows:
    """All cases of one model, in the order of their ids."""

    model: str
    cases: list[CaseRows]
    judge_usd: Decimal = Decimal(0)
    judge_unknown: int = 0
    response_models: set[str] = field(default_factory=set)

    def scored(self, task: str = "") -> list[CaseRows]:
        """The cases with an answer that is right or wrong; all tasks, or one."""
        return [c for c in self.cases if c.scores and task in ("", c.task)]

    def results(self) -> Iterator[Result]:
        for case in self.cases:
            yield from case.results


def by_model(stored: Stored, *, hidden: bool) -> list[ModelRows]:
    """The rows of the open half, or of the hidden one, by model in the run's order."""
    shown = [result for result in stored.results if result.hidden is hidden]
    costs = {(c.model, c.case_id, c.sample, c.is_judge): c for c in stored.calls}
    found: dict[str, dict[str, CaseRows]] = {model: {} for model in stored.run.models}
    judge: dict[str, list[Calls]] = defaultdict(list)
    for result in sorted(shown, key=lambda r: (r.case_id, r.sample)):
        cases = found.setdefault(result.model, {})
        case = cases.setdefault(
            result.case_id,
            CaseRows(
                result.case_id, result.case_version, result.cluster, result.task, result.weight
            ),
        )
        case.results.append(result)
        _add_cost(case, result, costs.get((result.model, result.case_id, result.sample, False)))
        asked = costs.get((result.model, result.case_id, result.sample, True))
        judge[result.model] += [asked] if asked else []
    return [
        _model(stored, model, list(cases.values()), judge[model]) for model, cases in found.items()
    ]


def _add_cost(case: CaseRows, result: Result, calls: Calls | None) -> None:
    """By the rows of its calls; where there are none, as of an imported run, by the result."""
    usd = calls.cost_usd if calls else result.cost_usd
    case.cost_usd += float(usd or 0)
    case.unknown += calls.unknown + calls.partial if calls else int(usd is None)


def _model(stored: Stored, model: str, cases: list[CaseRows], judge: Sequence[Calls]) -> ModelRows:
    served = {
        name
        for calls in stored.calls
        if calls.model == model and not calls.is_judge
        for name in calls.response_models
        if name
    }
    return ModelRows(
        model,
        cases,
        judge_usd=sum((calls.cost_usd or Decimal(0) for calls in judge), Decimal(0)),
        judge_unknown=sum(calls.unknown + calls.partial for calls in judge),
        response_models=served,
    )


def plain(value: Any) -> Any:
    """For JSON: decimals as exact text."""
    return msgspec.to_builtins(value, builtin_types=())
