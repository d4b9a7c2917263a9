"""Logs of Inspect, in JSON or as archives: https://inspect.aisi.org.uk/eval-logs.html.

Of several scores of a sample the first one counts.  Answers that went through our proxy are joined
with their rows by the ids of their responses.  Inspect keeps the responses of a sample's first five
calls to a model, and all of them with `--log-model-api`.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from evaluation.checks.case import digest
from evaluation.imports.imported import Imported, NotReadable, Outcome
from evaluation.imports.inspect_archive import Archive
from proxy.instants import iso_instant

CORRECT, WRONG = ("C", True), ("I", "N", False)
PASS_MIN = 0.5  # of a score that is a number; "P" is half right


def read(document: Mapping[str, Any]) -> Imported:
    """The run of a log in JSON.  Raises NotReadable."""
    samples = document.get("samples")
    if not isinstance(samples, list):
        raise NotReadable("not a log of Inspect with samples")
    return _run(document, samples)


def read_archive(content: bytes) -> Imported:
    """The run of a log in the `.eval` format.  Raises NotReadable."""
    archive = Archive(content)
    return _run(archive.header(), archive.samples())


def _run(header: Mapping[str, Any], samples: Iterable[Mapping[str, Any]]) -> Imported:
    about = header.get("eval")
    if not isinstance(about, dict):
        raise NotReadable("not a log of Inspect: it does not say what was evaluated")
    model = str(about.get("model", "unknown"))
    try:
        at = iso_instant(str(about.get("created", "")))
    except ValueError:
        at = datetime.now(UTC)
    outcomes = [_outcome(model, sample) for sample in samples]
    return Imported(origin="inspect", suite=str(about.get("task", "")), at=at, outcomes=outcomes)


def _outcome(model: str, sample: Mapping[str, Any]) -> Outcome:
    status, reason = _status(sample)
    calls = list(_calls(sample))
    known = tuple(filter(None, calls))
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
        response_ids=known if len(known) == len(calls) else (),
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


def _calls(sample: Mapping[str, Any]) -> Iterator[str]:
    """The id of each response; "" for a call of which the log has none.

    What came from Inspect's own cache was no call.
    """
    for event in sample.get("events") or ():
        if event.get("event") == "model" and event.get("cache") != "read":
            call = event.get("call")
            response = call.get("response") if isinstance(call, dict) else None
            said = response.get("id") if isinstance(response, dict) else None
            yield said if isinstance(said, str) else ""
