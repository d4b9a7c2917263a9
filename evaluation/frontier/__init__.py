"""Which candidate is best: the frontier and its hull, and a score between the user's anchors."""

from evaluation.frontier.frontier import Axis, Standing, dominated, standings
from evaluation.frontier.hull import aiq, hull, hypervolume
from evaluation.frontier.score import Criterion, Region, regions, score, swings

__all__ = [
    "Axis",
    "Criterion",
    "Region",
    "Standing",
    "aiq",
    "dominated",
    "hull",
    "hypervolume",
    "regions",
    "score",
    "standings",
    "swings",
]
