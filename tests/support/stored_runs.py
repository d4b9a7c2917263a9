"""Runs of one model as the store gives them, case by case."""

from collections.abc import Sequence

from evaluation.reports.rows import Calls, Result, Run, Stored

MODEL = "openai/x"
STATUSES = {1.0: "pass", 0.0: "fail", None: "error"}


def stored(
    run_id: str,
    scores: Sequence[float | None],
    served_by: str = "x-1",
    *,
    at: str = "",
    clusters: Sequence[object] = (),
) -> Stored:
    """One answer to each case, right (1) or wrong (0); None: it never came."""
    results = [
        Result(
            model=MODEL, case_id=f"c{n}", sample=1, case_version="v",
            cluster=str(clusters[n]) if clusters else "", task="t", hidden=bool(n % 2),
            weight=1.0, status=STATUSES[score], reason="", checks="[]", contaminated=False,
            attempts=1, error_type="", cost_usd=None, judge_usd=None, duration_us=None,
        )
        for n, score in enumerate(scores)
    ]  # fmt: skip
    calls = Calls(
        model=MODEL, case_id="c0", sample=1, is_judge=False, calls=1, cost_usd=None,
        unknown=0, partial=0, duration_us=1, attempt=1, response_models=[served_by],
    )  # fmt: skip
    run = Run(
        run_id=run_id, ts=at, state="finished", suite="s", suite_version="v", models=[MODEL],
        samples=1, judge="", cases=len(scores), hidden_cases=len(scores) // 2,
    )  # fmt: skip
    return Stored(run=run, results=results, calls=[calls])
