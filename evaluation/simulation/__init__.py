"""Queues: calls arrive, are routed, wait for limits and are served, as often as it takes."""

from evaluation.simulation.arrivals import Call, poisson, recorded, scaled
from evaluation.simulation.bucket import Limit
from evaluation.simulation.queue import Pool, Served, Simulation, Started, View
from evaluation.simulation.replications import REPLICATIONS_MIN, compare, figures, replicate

__all__ = [
    "REPLICATIONS_MIN",
    "Call",
    "Limit",
    "Pool",
    "Served",
    "Simulation",
    "Started",
    "View",
    "compare",
    "figures",
    "poisson",
    "recorded",
    "replicate",
    "scaled",
]
