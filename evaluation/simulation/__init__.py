"""Queues: calls arrive, are routed, wait for limits and are served, as often as it takes."""

from evaluation.simulation.arrivals import Call, poisson, recorded, scaled
from evaluation.simulation.bucket import Limit
from evaluation.simulation.queue import Simulation
from evaluation.simulation.replications import REPLICATIONS_MIN, compare, figures, replicate
from evaluation.simulation.served import Next, Pool, Router, Served, Service, Started, View

__all__ = [
    "REPLICATIONS_MIN",
    "Call",
    "Limit",
    "Next",
    "Pool",
    "Router",
    "Served",
    "Service",
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
