"""The hull of costs and qualities, the area under it, and the volume that points dominate.

The hull holds only where calls may be mixed at random between two candidates (RouterBench,
https://arxiv.org/abs/2403.12031).
"""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]  # (cost, quality)


def hull(points: Sequence[Point]) -> list[Point]:
    """The non-decreasing convex hull from the cheapest point on, by rising cost.

    Each point on it costs more than the one before and is better, by ever less per dollar.
    """
    found: list[Point] = []
    for cost, quality in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if found and quality <= found[-1][1]:
            continue
        while len(found) > 1 and _below(found[-2], found[-1], (cost, quality)):
            found.pop()
        found.append((cost, quality))
    return found


def aiq(points: Sequence[Point], cost_max: float | None = None) -> float | None:
    """The mean quality of the hull over cost, from its cheapest point to `cost_max`.

    By default that of the dearest of all points.  None where costs do not differ.
    """
    corners = hull(points)
    if not corners:
        return None
    first = corners[0][0]
    last = max(cost for cost, _ in points) if cost_max is None else cost_max
    if last <= first:
        return None
    end = (last, _at(corners, last))
    corners = [*(point for point in corners if point[0] < last), end]
    area = sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in pairwise(corners))
    return area / (last - first)


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """The volume that the points dominate up to `reference`; lower is better on every axis.

    Print the reference: another one gives another number.  Points beyond it add nothing.  By
    slices along the last axis, for the few points that people compare.
    """
    if any(len(point) != len(reference) for point in points):
        raise ValueError("every point needs a coordinate for each of the reference's")
    inside = [
        tuple(point)
        for point in points
        if all(x < limit for x, limit in zip(point, reference, strict=True))
    ]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in inside)
    levels = sorted({point[-1] for point in inside})
    volume = 0.0
    for level, above in zip(levels, [*levels[1:], reference[-1]], strict=True):
        slab = [point[:-1] for point in inside if point[-1] <= level]
        volume += (above - level) * hypervolume(slab, reference[:-1])
    return volume


def _below(left: Point, middle: Point, right: Point) -> bool:
    """Whether the middle point is on or below the line of the others."""
    rise = (right[1] - left[1]) * (middle[0] - left[0])
    return (middle[1] - left[1]) * (right[0] - left[0]) <= rise


def _at(corners: Sequence[Point], cost: float) -> float:
    """The quality of the hull at a cost; beyond its last point, that point's."""
    for left, right in pairwise(corners):
        if left[0] <= cost <= right[0]:
            return left[1] + (right[1] - left[1]) * (cost - left[0]) / (right[0] - left[0])
    return corners[-1][1]
