"""Logs of Inspect in JSON (`--log-format json`): https://inspect.aisi.org.uk/eval-logs.html.

Of several scores of a sample the first one counts.  Answers that went through our proxy are joined
with their rows by the ids of their responses.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from evaluation.checks.case import digest
from evaluation.imports.imported import Imported, NotReadable, Outcome
from proxy.instants import iso_instant

CORRECT, WRONG = ("C", True), ("I", "N", False)
PASS_MIN = 0.5  # of a score that is a number; "P" is half right


def read(document: Mapping[str, Any]) -> Imported:
    """The run of a log.  Raises NotReadable."""
    about, samples = document.get("eval"), document.get("samples")
    if not isinstance(about, dict) or not isinstance(samples, list):
        raise NotReadable("not a log of Inspect with samples (write it with --log-format json)")
    model = str(about.get("model", "unknown"))
    try:
        at = iso_instant(str(about.get("created", "")))
    except ValueError:
        at = datetime.now(UTC)
    outcomes = [_outcome(model, sample) for sample in samples]
    return Imported(origin="inspect", suite=str(about.get("task", "")), at=at, outcomes=outcomes)


def _outcome(model: str, sample: Mapping[str, Any]) -> Outcome:
    status, reason = _status(sample)
    seconds = sample.get("working_time", sample.get("total_time"))
    return Outcome(
        model=model,
        case_id=str(sample.get("id", "")),
        sample=int(sample.get("epoch", 1)),
        status=status,
        reason=reason,
        error_type="inspect_error" if status == "error" else "",
        version=digest([sample.get("input"), sample.get("target")]),
        duration_s=float(seconds) if isinstance(seconds, int | float) else None,
        response_ids=tuple(_response_ids(sample)),
    )


def _status(sample: Mapping[str, Any]) -> tuple[str, str]:
    scores = sample.get("scores") or {}
    if sample.get("error"):
        return "error", ""
    if not scores:
        return "not_run", "Inspect has no score for it"
    name, score = next(iter(scores.items()))
    value = score.get("value") if isinstance(score, dict) else score
    if value in CORRECT or value in WRONG:
        right = value in CORRECT
    elif isinstance(value, int | float) or value == "P":
        right = (PASS_MIN if value == "P" else float(value)) >= PASS_MIN
    else:
        return "not_run", f"the score of {name} is neither right nor wrong"
    return ("pass", "") if right else ("fail", f"by {name}")


def _response_ids(sample: Mapping[str, Any]) -> Iterator[str]:
    for event in sample.get("events") or ():
        call = event.get("call") if event.get("event") == "model" else None
        response = call.get("response") if isinstance(call, dict) else None
        if isinstance(response, dict) and isinstance(response.get("id"), str):
            yield response["id"]
