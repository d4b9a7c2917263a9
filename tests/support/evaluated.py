"""Runs of suites and a check of a judge, as rows: for whatever shows evaluations."""

from collections.abc import Iterator
from decimal import Decimal
from time import time_ns

from exporters.clickhouse.evaluations import Evaluations
from exporters.evaluation import FINISHED, JUDGE, EvalResult, EvalRun, Evaluation

MODELS = ("openai/gpt-5.4-mini", "anthropic/claude-haiku-4-5")
CASES, RUNS = 40, 4
HALF_HOUR_US = 30 * 60 * 1_000_000


def made() -> Evaluation:
    """Four runs of the last two hours, the second model worse from run to run, and one check."""
    runs, results = [], list[EvalResult]()
    for number in range(RUNS):
        at = time_ns() // 1000 - (RUNS - number) * HALF_HOUR_US + HALF_HOUR_US // 2
        runs.append(_run(at, f"run-{number}", MODELS))
        for place, model in enumerate(MODELS):
            results += _results(at, f"run-{number}", model, wrong_every=9 - 2 * place * number)
    at = time_ns() // 1000 - HALF_HOUR_US
    runs.append(_run(at, "check-0", MODELS[1:], origin=JUDGE, suite="labels"))
    results += _results(at, "check-0", MODELS[1], wrong_every=7, tasks=("good", "bad", "pair"))
    return Evaluation(runs=runs, results=results)


async def store(dsn: str, database: str) -> None:
    """Write them to a database that has its tables."""
    table = Evaluations(dsn, database=database)
    await table.write(made())
    await table.close()


def _run(
    at: int, run_id: str, models: tuple[str, ...], *, origin: str = "", suite: str = "mine"
) -> EvalRun:
    return EvalRun(
        ts_us=at, run_id=run_id, updated_us=at, state=FINISHED, suite=suite, suite_version="v1",
        models=models, samples=1, cases=CASES, hidden_cases=CASES // 2, origin=origin,
        quote_usd=Decimal("0.5"),
    )  # fmt: skip


def _results(
    at: int,
    run_id: str,
    model: str,
    *,
    wrong_every: int,
    tasks: tuple[str, ...] = ("facts", "style"),
) -> Iterator[EvalResult]:
    for n in range(CASES):
        status = "fail" if n % max(2, wrong_every) == 0 else "error" if n == CASES - 3 else "pass"
        yield EvalResult(
            ts_us=at + n, run_id=run_id, model=model, case_id=f"case-{n}", sample=1,
            case_version="v", cluster=f"pair-{n // 2}", task=tasks[n % len(tasks)],
            hidden=n % 4 == 1 and len(tasks) == 2, status=status,
            reason="contains: lacks the city" if status == "fail" else "",
            error_type="http_500" if status == "error" else "",
            cost_usd=None if n % 13 == 12 else Decimal("0.0001") * (n % 5 + 1), duration_us=800_000,
        )  # fmt: skip
