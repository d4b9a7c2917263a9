"""What all imports give: results of one run, without prompts or answers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from evaluation.checks.case import digest
from exporters.evaluation import IMPORTED, EvalResult, EvalRun, Evaluation


class NotReadable(ValueError):
    """The file is not what it was taken for; the message says why."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, as another tool judged it."""

    model: str
    case_id: str
    sample: int = 1
    status: str  # pass | fail | not_run | error
    version: str = ""  # of what was asked; "": of the case's name
    task: str = ""
    reason: str = ""
    error_type: str = ""
    duration_s: float | None = None
    usd: Decimal | None = None
    response_ids: Sequence[str] = ()  # of its calls, which may be in our rows


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """A run of another tool."""

    origin: str  # inspect | promptfoo | junit
    suite: str
    at: datetime
    outcomes: Sequence[Outcome]


def evaluation(found: Imported, content: bytes, now: datetime) -> Evaluation:
    """The rows to store.  The same file again replaces them: its hash is the run's id."""
    run_id = f"{found.origin}-{digest(content.hex())}"
    versions = sorted({(each.case_id, _version(each)) for each in found.outcomes})
    at, updated = _us(found.at), _us(now)
    run = EvalRun(
        ts_us=at,
        run_id=run_id,
        updated_us=updated,
        state=IMPORTED,
        suite=found.suite,
        suite_version=digest(versions),
        models=sorted({each.model for each in found.outcomes}),
        samples=max((each.sample for each in found.outcomes), default=1),
        cases=len({each.case_id for each in found.outcomes}),
        origin=found.origin,
    )
    results = [
        EvalResult(
            ts_us=updated,
            run_id=run_id,
            model=each.model,
            case_id=each.case_id,
            sample=each.sample,
            case_version=_version(each),
            cluster="",
            task=each.task or found.suite,
            hidden=False,
            status=each.status,
            reason=each.reason,
            error_type=each.error_type,
            cost_usd=each.usd,
            duration_us=None if each.duration_s is None else int(each.duration_s * 1e6),
        )
        for each in found.outcomes
    ]
    return Evaluation(runs=[run], results=results)


def _version(each: Outcome) -> str:
    return each.version or digest(each.case_id)


def _us(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1_000_000)
