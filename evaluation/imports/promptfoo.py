"""Results of `promptfoo eval --output FILE.json`: https://promptfoo.dev/docs/usage/command-line."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from evaluation.checks.case import digest
from evaluation.imports.imported import Imported, NotReadable, Outcome
from proxy.instants import iso_instant


def read(document: Mapping[str, Any]) -> Imported:
    """The run of a result file, of version 2 or 3.  Raises NotReadable."""
    results = document.get("results")
    rows = results.get("results") if isinstance(results, dict) else None
    if not isinstance(rows, list) or not isinstance(results, dict):
        raise NotReadable("not a result file of promptfoo")
    try:
        at = iso_instant(str(results.get("timestamp", "")))
    except ValueError:
        at = datetime.now(UTC)
    seen: Counter[tuple[str, str]] = Counter()
    outcomes = []
    for row in rows:
        model, name = _model(row), f"{row.get('testIdx', 0)}.{row.get('promptIdx', 0)}"
        seen[model, name] += 1  # --repeat asks the same again
        outcomes.append(_outcome(row, model, name, seen[model, name]))
    config = document.get("config") or {}
    suite = str(config.get("description") or "promptfoo")
    return Imported(origin="promptfoo", suite=suite, at=at, outcomes=outcomes)


def _model(row: Mapping[str, Any]) -> str:
    provider = row.get("provider")
    name = provider.get("id", "unknown") if isinstance(provider, dict) else provider
    return str(name)


def _outcome(row: Mapping[str, Any], model: str, name: str, sample: int) -> Outcome:
    graded = row.get("gradingResult")
    failed = row.get("failureReason") == 2 or (row.get("error") and not graded)
    status = "error" if failed else "pass" if row.get("success") else "fail"
    kinds = [
        str((part.get("assertion") or {}).get("type", "an assertion"))
        for part in (graded or {}).get("componentResults") or ()
        if part and not part.get("pass")
    ]
    cost, latency = row.get("cost"), row.get("latencyMs")
    return Outcome(
        model=model,
        case_id=name,
        sample=sample,
        status=status,
        reason=f"by {', '.join(kinds)}" if kinds and status == "fail" else "",
        error_type="promptfoo_error" if failed else "",
        version=digest([row.get("vars"), row.get("prompt")]),
        duration_s=latency / 1000 if isinstance(latency, int | float) else None,
        usd=Decimal(str(cost)) if isinstance(cost, int | float) and cost else None,
    )
