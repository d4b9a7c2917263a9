"""Candidates as points on two axes with an interval on each, as SVG that reads itself out.

Points are numbered, so that nothing depends on colour; no line is drawn through them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from evaluation.reports.bounds import Bounds

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 84, 40, 40, 56
TICKS = 5
DECADE = 10.0  # values that differ by more are on a logarithmic axis
Say = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Point:
    """A candidate with its number; `kind` is a class for its colour."""

    number: int
    name: str
    x: Bounds
    y: Bounds
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis: its title, how its values are said, where its ticks are, and where it lies."""

    title: str
    say: Say
    ticks: Sequence[float]
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; beyond the ends, at them."""
        first, last = self.ticks[0], self.ticks[-1]
        inside = min(max(value, first), last)
        if self.log:
            share = log10(inside / first) / log10(last / first)
        else:
            share = (inside - first) / (last - first)
        return round(self.start + (self.end - self.start) * share, 1)


def scatter(title: str, points: Sequence[Point], x: tuple[str, Say], y: tuple[str, Say]) -> str:
    """The picture; points without a value on an axis are left out and named below it."""
    shown = [p for p in points if p.x.value is not None and p.y.value is not None]
    if not shown:
        return '<p class="none">No candidate has both measures.</p>'
    across = _scale(x, [p.x for p in shown], (LEFT, WIDTH - RIGHT))
    upward = _scale(y, [p.y for p in shown], (HEIGHT - BOTTOM, TOP))
    told = "; ".join(f"{p.number} {p.name}: {x[1](p.x.value)}, {y[1](p.y.value)}" for p in shown)
    left = [p.name for p in points if p not in shown]
    lost = f'<p class="soft">Not drawn: {escape(", ".join(left))}.</p>' if left else ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"<desc>{escape(told)}</desc>{_grid(across, upward)}"
        f"{''.join(_point(p, across, upward) for p in shown)}</svg>{lost}"
    )


def _scale(named: tuple[str, Say], bounds: Sequence[Bounds], ends: tuple[float, float]) -> Scale:
    known = [v for b in bounds for v in (b.low, b.value, b.high) if v is not None]
    first, last = min(known), max(known)
    if first > 0 and last > DECADE * first:
        return Scale(*named, _decades(first, last), *ends, log=True)
    span = (last - first) or abs(last) or 1.0
    power = 10 ** floor(log10(span / TICKS))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= span / TICKS * 0.999)
    low, high = floor(first / step + 1e-9), ceil(last / step - 1e-9)
    ticks = [number * step for number in range(low, max(high, low + 1) + 1)]
    return Scale(*named, ticks, *ends)


def _decades(first: float, last: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them if they are few."""
    low, high = floor(log10(first)), ceil(log10(last))
    between = (1, 2, 5) if high - low < 3 else (1,)
    ticks = [f * 10.0**power for power in range(low, high + 1) for f in between]
    start = max((at for at, tick in enumerate(ticks) if tick <= first), default=0)
    end = min((at for at, tick in enumerate(ticks) if tick >= last), default=len(ticks) - 1)
    return ticks[start : end + 1]


def _grid(x: Scale, y: Scale) -> str:
    parts = []
    for value in x.ticks:
        at = x.at(value)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{escape(x.say(value))}</text>"
        )
    for value in y.ticks:
        at = y.at(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{at + 4}" text-anchor="end">'
            f"{escape(y.say(value))}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">'
        f"{escape(x.title)} → ({'logarithmic, ' if x.log else ''}less is better)</text>"
    )
    parts.append(
        f'<text class="tick" x="{LEFT}" y="{TOP - 22}" text-anchor="middle">'
        f"{escape(y.title)} ↑</text>"
    )
    return "".join(parts)


def _point(point: Point, x: Scale, y: Scale) -> str:
    assert point.x.value is not None  # `scatter` shows no others
    assert point.y.value is not None
    cx, cy = x.at(point.x.value), y.at(point.y.value)
    lines = []
    if point.x.low is not None:
        end = x.ticks[-1] if point.x.high is None else point.x.high
        lines.append((x.at(point.x.low), x.at(end), cy, cy))
    if point.y.low is not None and point.y.high is not None:
        lines.append((cx, cx, y.at(point.y.low), y.at(point.y.high)))
    drawn = "".join(
        f'<line class="interval {point.kind}" x1="{a}" x2="{b}" y1="{c}" y2="{d}"/>'
        for a, b, c, d in lines
    )
    said = f"{point.name}: {x.say(point.x.value)}, {y.say(point.y.value)}"
    return (
        f'{drawn}<circle class="dot {point.kind}" cx="{cx}" cy="{cy}" r="5">'
        f"<title>{escape(said)}</title></circle>"
        f'<text class="name" x="{cx + 8}" y="{cy - 8}">{point.number}</text>'
    )
