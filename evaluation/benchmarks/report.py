"""From a table to what it says, as a document for JSON.  Null: no column, row or second model."""

from datetime import datetime

from evaluation.benchmarks import answers
from evaluation.benchmarks.routing import Document, Rivals, accuracy
from evaluation.benchmarks.routing import document as routing
from evaluation.benchmarks.tables import CALLS, PAIRS, Table, by_value


def report(table: Table) -> Document:
    """What one table says."""
    head: Document = {
        "file": table.file,
        "kind": table.kind,
        "rows": table.rows,
        "missing": table.missing,
    }
    said = {PAIRS: _pairs, CALLS: answers.document}.get(table.kind, _arrivals)
    return head | said(table)


def _pairs(table: Table) -> Document:
    sets = table.texts("set", range(table.rows)) or [""] * table.rows
    return {"sets": [_set(table, name, rows) for name, rows in by_value(sets)]}


def _set(table: Table, name: str, rows: list[int]) -> Document:
    # In an order of its own, so that resampling draws the same however the file is sorted.
    columns = table.columns.values()
    rows = sorted(rows, key=lambda at: [str(column[at]) for column in columns])
    strong, weak = (table.numbers(f"{model}_correct", rows) for model in ("strong", "weak"))
    if strong is None or weak is None:  # pragma: no cover
        raise ValueError(f"{table.file} has no pairs")
    labels = table.labels(rows)
    models = [
        {"model": model, "items": len(rows), "accuracy": accuracy(scores, labels)}
        for model, scores in (("strong", strong), ("weak", weak))
    ]
    rivals = Rivals(strong, weak, labels, table.numbers("prompt_chars", rows))
    return {"set": name, "models": models, "routing": routing(rivals)}


def _arrivals(table: Table) -> Document:
    times = sorted(each for each in table.columns["TIMESTAMP"] if isinstance(each, datetime))
    span_s = (times[-1] - times[0]).total_seconds() if times else None
    tokens = [table.columns[name] for name in ("ContextTokens", "GeneratedTokens")]
    sums = [sum(each for each in column if isinstance(each, int)) for column in tokens]
    return {
        "span_s": span_s,
        "per_second": (len(times) - 1) / span_s if span_s else None,
        "input_tokens": sums[0],
        "output_tokens": sums[1],
    }
