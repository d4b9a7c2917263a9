"""A comparison as one HTML file that needs nothing else: points with intervals, light and dark."""

from collections.abc import Iterator
from html import escape

from evaluation.decisions import words
from evaluation.decisions.comparison import Comparison
from evaluation.decisions.metrics import METRICS
from evaluation.decisions.scatter import Point, scatter
from evaluation.reports.drawing import Mark, intervals
from evaluation.reports.page import table, whole
from evaluation.reports.words import percent
from pricing.money import amount

NOTE = (
    "Intervals are 95 %: sessions drawn again for costs and rates, stretches of time for"
    " latencies, cases for answers, the same draws for all candidates. P(frontier) and P(best) are"
    " shares of {:,} draws (seed {})."
)


def page(found: Comparison, since: str | None, until: str) -> str:
    """The whole document."""
    period = f"{since or 'the beginning'} to {until}"
    title = f"Comparison, {(since or 'the beginning')[:10]} to {until[:10]}"
    return whole(title, f'<p class="soft">{escape(period)}</p>{"".join(_sections(found))}')


def _sections(found: Comparison) -> Iterator[str]:
    yield f'<p class="soft">{escape(words.heading(found))}</p>'
    yield f"<p><strong>{escape(found.verdict.said)}</strong></p>"
    yield f'<p class="soft">Kind of claim: {escape(found.claim)}.</p>'
    yield from _pictures(found)
    yield "<h2>Candidates</h2>"
    yield _candidates(found)
    for line in words.frontier(found):
        yield f"<p>{escape(line)}.</p>"
    yield from _criteria(found)
    yield from _metrics(found)
    if line := words.volume(found):
        yield f"<h2>Hull</h2><p>{escape(line)}.</p>"
    yield "<h2>What the numbers lack</h2><ul>"
    yield "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    yield f'</ul><p class="soft">{NOTE.format(found.replicates, found.seed)}</p>'


def _pictures(found: Comparison) -> Iterator[str]:
    """Quality over cost, and over latency."""
    for axis in found.axes[:2]:
        metric = METRICS[axis]
        if metric.better == "high":
            continue
        points = [
            Point(
                number,
                one.candidate,
                one.metrics[axis],
                one.metrics["quality"],
                "worse" if one.dominated_by or not one.within_limits else "",
            )
            for number, one in enumerate(found.candidates, 1)
        ]
        yield f"<h2>Quality and {escape(metric.title)}</h2>"
        yield scatter(
            f"Quality over {metric.title} of {len(points)} candidates, with 95 % intervals",
            points,
            (metric.title, words.saying(metric.unit)),
            ("quality", percent),
        )


def _candidates(found: Comparison) -> str:
    head = ("candidate", "calls", "sessions", "cost", "score", "95 %", "P(best)", "P(frontier)",
            "limits")  # fmt: skip
    return table(
        head,
        (
            (
                f"{number} {one.candidate}",
                f"{one.report['calls']:,}",
                f"{one.sessions:,}",
                amount(one.report["cost_usd"], str(one.report["cost_status"])),
                words.points(one.score),
                words.range_of(one.score, "share") if one.score else "",
                words.chance(one.best),
                words.chance(one.on_frontier),
                words.limits(one),
            )
            for number, one in enumerate(found.candidates, 1)
        ),
        said=8,
    )


def _criteria(found: Comparison) -> Iterator[str]:
    if not found.criteria:
        return
    winner = found.verdict.winner or "the winner"
    yield "<h2>Weights</h2>"
    yield table(
        ("metric", "weight", "worth 0", "worth 1", "scale", "swing", "the winner stays"),
        (
            (
                METRICS[one.metric].title,
                f"{one.weight:g}",
                words.say(one.zero, METRICS[one.metric].unit),
                words.say(one.one, METRICS[one.metric].unit),
                f"{one.scale}, {one.anchors}",
                percent(one.swing),
                words.stays(one, winner).partition(": ")[2],
            )
            for one in found.criteria
        ),
        said=6,
    )


def _metrics(found: Comparison) -> Iterator[str]:
    """Each metric as intervals, and the same in numbers."""
    for name, metric in METRICS.items():
        values = [(one.candidate, one.metrics[name]) for one in found.candidates]
        if all(each.value is None for _, each in values):
            continue
        unit = metric.unit
        yield f"<h2>{escape(metric.title.capitalize())}</h2>"
        yield f'<p class="soft">{escape(metric.meaning.capitalize())}.</p>'
        marks = [Mark(candidate, each) for candidate, each in values]
        high = 1.0 if unit == "share" else None
        yield intervals(marks, words.saying(unit), low=0.0, high=high)
        yield table(
            ("candidate", "value", "95 %"),
            (
                (candidate, words.say(each.value, unit), words.range_of(each, unit))
                for candidate, each in values
            ),
        )
