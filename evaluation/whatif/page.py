"""A study as one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from evaluation.reports import words
from evaluation.reports.bounds import NOTHING, Bounds
from evaluation.reports.drawing import Mark, intervals
from evaluation.reports.page import table, whole
from evaluation.whatif import sentences
from evaluation.whatif.sentences import SAY, TITLES

Found = Mapping[str, Any]
QUEUE = ("policy", "cost", "against in force", "p95", "p95 TTFT", "failed", "met 429")
REPLAY = ("policy", "accuracy", "95 %", "per call", "per success")


def page(found: Found) -> str:
    """The whole document."""
    return whole("Simulated routes", "".join(_sections(found)))


def _sections(found: Found) -> Iterator[str]:
    yield from map(_soft, sentences.history(found["history"]))
    yield "<h2>Gate</h2>"
    yield from map(_line, sentences.gate(found["gate"]))
    yield from _queue(found["queue"], found["replications"])
    yield from _off_policy(found["off_policy"])
    yield from _replay(found["replay"])
    if found["notes"]:
        yield "<h2>Notes</h2>"
        yield from (_soft(f"{note}.") for note in found["notes"])


def _queue(found: Found, replications: int) -> Iterator[str]:
    yield "<h2>Queue simulation</h2>"
    yield _soft(sentences.queue(found, replications))
    known = {name: each for name, each in found["policies"].items() if each["usd_per_call"]}
    marks = [Mark(name, _bounds(each["usd_per_call"])) for name, each in known.items()]
    yield "<p><b>Cost of a call</b></p>" + intervals(marks, words.usd, low=0.0)
    timed = {name: each for name, each in found["policies"].items() if each["p95_total_s"]}
    marks = [Mark(name, _bounds(each["p95_total_s"])) for name, each in timed.items()]
    yield "<p><b>95 % of calls end within</b></p>" + intervals(marks, words.seconds, low=0.0)
    rows = [sentences.queue_cells(name, each) for name, each in found["policies"].items()]
    yield table(QUEUE, (list(row.values()) for row in rows))
    for name, each in found["policies"].items():
        yield from (_soft(f"{name}: {why}") for why in each["unknown"].values())


def _off_policy(found: Found) -> Iterator[str]:
    yield "<h2>Off-policy estimate</h2>"
    yield _soft(sentences.off_policy(found))
    for reward, title in TITLES.items():
        marks = [
            Mark(name, _bounds(each[reward]["dr"]))
            for name, each in found["policies"].items()
            if "dr" in each[reward]
        ]
        if marks:
            yield f"<p><b>{escape(title)} of a call, doubly robust</b></p>"
            yield intervals(marks, SAY[reward], low=0.0)
    yield from map(_soft, (*sentences.unsaid(found), *sentences.refusals(found)))


def _replay(found: Found) -> Iterator[str]:
    yield "<h2>Replay with full feedback</h2>"
    if found["refused"]:
        yield _soft(f"Refused: {found['refused']}.")
        return
    for route, one in found["routes"].items():
        yield f"<p><b>{escape(route)} on run {escape(str(found['run']))}</b></p>"
        if one["refused"]:
            yield _soft(f"Refused: {one['refused']}.")
            continue
        marks = [Mark(name, _bounds(each["accuracy"])) for name, each in one["policies"].items()]
        yield intervals(marks, words.percent, low=0.0, high=1.0)
        cells: Sequence[Mapping[str, str]] = [
            sentences.replay_cells(name, each) for name, each in one["policies"].items()
        ]
        yield table(REPLAY, (list(row.values()) for row in cells))
        yield _soft(sentences.replayed(one))


def _bounds(found: Found | None) -> Bounds:
    return NOTHING if found is None else Bounds(found["value"], found["low"], found["high"])


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def _line(text: str) -> str:
    return f"<p>{escape(text)}</p>"
