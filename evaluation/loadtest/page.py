"""A load test as one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from evaluation.loadtest import sentences
from evaluation.reports import words
from evaluation.reports.bounds import Bounds
from evaluation.reports.drawing import Mark, intervals
from evaluation.reports.page import table, whole

Found = Mapping[str, Any]
HEAD = (
    *("load", "due", "ok", "429", "failed", "open or capped", "p95 TTFT", "p95 visible"),
    *("p95 total", "p95 ITL", "p95 longest gap", "in flight", "goodput", "good"),
)
PICTURES = (
    ("ttft", "p95 to the first token, from when the request was due"),
    ("total", "p95 to the end of the answer"),
)


def page(found: Found) -> str:
    """The whole document."""
    return whole(f"Load test of {found['target']}", "".join(_sections(found)))


def _sections(found: Found) -> Iterator[str]:
    yield f'<p class="soft">{escape(sentences.plan(found))}</p>'
    for metric, title in PICTURES:
        marks = [
            Mark(sentences.load_of(step), _bounds(step[metric]["p95"]))
            for step in found["steps"]
            if step[metric]["p95"]
        ]
        if marks:
            yield f"<h2>{escape(title)}</h2>{intervals(marks, words.seconds, low=0.0)}"
    tails = [step for step in found["steps"] if step["bursts"]]
    if tails:
        yield "<h2>Calm and bursts</h2>"
        marks = [
            Mark(f"{sentences.load_of(step)}, {name}", _bounds(side), kind)
            for step in tails
            for name, kind in (("calm", ""), ("burst", "worse" if step["bursts"]["tail"] else ""))
            if (side := step["bursts"][name]["p95_ttft"] or step["bursts"][name]["p95_total"])
        ]
        yield intervals(marks, words.seconds, low=0.0)
    yield "<h2>Every load</h2>"
    yield table(HEAD, (list(sentences.step_cells(step).values()) for step in found["steps"]))
    yield from (f'<p class="soft">{escape(line)}</p>' for line in sentences.ended(found))


def _bounds(found: Found) -> Bounds:
    return Bounds(found["value"], found["low"], found["high"])
