"""Intervals as SVG, in the colours of the page around them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from evaluation.reports.bounds import Bounds

ROW, TOP, WIDTH = 40, 8, 640
TICKS = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """One row: a name above its interval, and a class for its colour."""

    name: str
    bounds: Bounds
    kind: str = ""


def intervals(
    marks: Sequence[Mark],
    say: Callable[[float], str],
    *,
    low: float | None = None,
    high: float | None = None,
    zero: bool = False,
) -> str:
    """A dot and a line for each mark, over one scale; `zero` draws a line at 0.

    `low` and `high` fix the ends of the scale, which otherwise follow from the marks.
    """
    known = [
        each
        for mark in marks
        for each in (mark.bounds.low, mark.bounds.value, mark.bounds.high)
        if each is not None
    ]
    if not known:
        return '<p class="none">No estimate: too few answers.</p>'
    first = min(known) if low is None else low
    last = max(known) if high is None else high
    first, last, step = _scale(first, last)
    height = TOP + ROW * len(marks) + 24

    def x(value: float) -> float:
        return round(8 + (WIDTH - 16) * (value - first) / (last - first), 1)

    body = "".join((*_ticks((first, last, step), x, say, height), *_rows(marks, x, say)))
    line = f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="{TOP}" y2="{height - 20}"/>'
    if not (zero and first <= 0 <= last):
        line = ""
    said = escape("; ".join(_said(mark, say) for mark in marks), quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{said}"'
        f' preserveAspectRatio="xMinYMin meet">{body}{line}</svg>'
    )


def _said(mark: Mark, say: Callable[[float], str]) -> str:
    """What a mark shows, for who cannot see it."""
    found = mark.bounds
    value = "no estimate" if found.value is None else say(found.value)
    if found.low is None or found.high is None:
        return f"{mark.name}: {value}"
    return f"{mark.name}: {value}, from {say(found.low)} to {say(found.high)}"


def _scale(first: float, last: float) -> tuple[float, float, float]:
    """Round ends and a round step that cover the values."""
    span = (last - first) or abs(last) or 1.0
    rough = span / TICKS
    power = 10 ** floor(log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough * 0.999)
    low, high = floor(first / step + 1e-9), ceil(last / step - 1e-9)
    return low * step, max(high, low + 1) * step, step  # also where all values are one


def _ticks(
    scale: tuple[float, float, float],
    x: Callable[[float], float],
    say: Callable[[float], str],
    height: int,
) -> Iterator[str]:
    first, last, step = scale
    count = round((last - first) / step)
    for at in range(count + 1):
        value = first + at * step
        anchor = "start" if at == 0 else "end" if at == count else "middle"
        yield f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="{TOP}" y2="{height - 20}"/>'
        yield (
            f'<text class="tick" x="{x(value)}" y="{height - 6}" text-anchor="{anchor}">'
            f"{escape(say(value))}</text>"
        )


def _rows(
    marks: Sequence[Mark], x: Callable[[float], float], say: Callable[[float], str]
) -> Iterator[str]:
    for number, mark in enumerate(marks):
        y = TOP + ROW * number + 27
        found = mark.bounds
        yield f'<text class="name" x="8" y="{y - 10}">{escape(mark.name)}</text>'
        if found.low is not None and found.high is not None:
            yield (
                f'<line class="interval {mark.kind}" x1="{x(found.low)}" x2="{x(found.high)}"'
                f' y1="{y}" y2="{y}"/>'
            )
        if found.value is not None:
            yield (
                f'<circle class="dot {mark.kind}" cx="{x(found.value)}" cy="{y}" r="5">'
                f"<title>{escape(mark.name)}: {escape(say(found.value))}</title></circle>"
            )
