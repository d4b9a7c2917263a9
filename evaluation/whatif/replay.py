"""Replay with full feedback: a run of a suite in which every candidate answered every case.

Exact for that suite.  The best single candidate is chosen on one half of the clusters, everything
is reported on the other.  Where production's calls name the suite's tasks (tag `task`, else their
feature), cases count by production's mix.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from evaluation.history.turns import Turn
from evaluation.reports.rows import SCORES, Stored
from evaluation.statistics import ratio, share
from evaluation.whatif.policies import BEST_SINGLE, ORACLE, PROPOSED, RANDOM_MIX
from evaluation.whatif.routers import facing
from proxy.gateway.decision import decide
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route
from proxy.gateway.live import Live

KIND = "replay with full feedback"
CASES_MIN = 10  # held out, that are worth a number
Odds = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """What each candidate made of a case: means over its samples."""

    case_id: str
    cluster: str
    task: str
    facts: Facts
    score: Mapping[str, float]
    usd: Mapping[str, float | None]


def replay(
    run: Stored | None,
    facts: Mapping[str, Facts],
    routes: Sequence[Route],
    turns: Sequence[Turn],
) -> dict[str, object]:
    """For JSON, by route.  `facts` of a case's request by its id; `turns` are production's."""
    document: dict[str, object] = {"kind": KIND, "run": run.run.run_id if run else None}
    if run is None:
        why = "no evaluation run in the store; taximeter eval run makes one"
        return document | {"refused": why, "routes": {}}
    found = {route.options.name: _route(run, facts, route, turns) for route in routes}
    refused = next((each["refused"] for each in found.values() if each["refused"]), None)
    alone = refused if all(each["refused"] for each in found.values()) else None
    return document | {"suite": run.run.suite, "refused": alone, "routes": found}


def _route(
    run: Stored, facts: Mapping[str, Facts], route: Route, turns: Sequence[Turn]
) -> dict[str, object]:
    labels = list(dict.fromkeys(one.options.label for one in route.candidates))
    missing = [label for label in labels if label not in run.run.models]
    if missing:
        return {"refused": f"run {run.run.run_id} has no answers of {', '.join(missing)}"}
    cases = _outcomes(run, facts, labels)
    held_out = [case for case in cases if not _learned(case)]
    if len(held_out) < CASES_MIN:
        why = f"{len(held_out)} cases that all candidates answered are too few"
        return {"refused": why, "cases": len(held_out)}
    best = _best([case for case in cases if _learned(case)] or cases, labels)
    weights, mix = _weights(held_out, turns)
    policies: dict[str, list[Odds]] = {
        PROPOSED: [_odds(route, case) for case in held_out],
        BEST_SINGLE: [{best: 1.0}] * len(held_out),
        RANDOM_MIX: [_mix(route, cases, labels)] * len(held_out),
        ORACLE: [{_oracle(case): 1.0} for case in held_out],
    }
    return {
        "refused": None,
        "cases": len(held_out),
        "clusters": len({case.cluster for case in held_out}),
        "best_single": best,
        "weights": mix,
        "policies": {name: _figures(held_out, odds, weights) for name, odds in policies.items()},
    }


def _outcomes(run: Stored, facts: Mapping[str, Facts], labels: Sequence[str]) -> list[CaseOutcome]:
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    costs: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    about: dict[str, tuple[str, str]] = {}
    for result in run.results:
        if result.status in SCORES:
            scores[result.case_id, result.model].append(SCORES[result.status])
            about[result.case_id] = (result.cluster or result.case_id, result.task)
    for calls in run.calls:
        if not calls.is_judge:
            usd = None if calls.unknown or calls.cost_usd is None else float(calls.cost_usd)
            costs[calls.case_id, calls.model].append(usd)
    return [
        CaseOutcome(
            case_id=case,
            cluster=cluster,
            task=task,
            facts=facts.get(case, Facts()),
            score={label: float(np.mean(scores[case, label])) for label in labels},
            usd={label: _mean(costs[case, label]) for label in labels},
        )
        for case, (cluster, task) in sorted(about.items())
        if all(scores[case, label] for label in labels)
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _learned(case: CaseOutcome) -> bool:
    """Half of the clusters, always the same ones."""
    return blake2b(case.cluster.encode(), digest_size=1).digest()[0] < 128


def _best(cases: Sequence[CaseOutcome], labels: Sequence[str]) -> str:
    def merit(label: str) -> tuple[float, float]:
        costs = [case.usd[label] for case in cases]
        known = sum(usd for usd in costs if usd is not None)
        return (-sum(case.score[label] for case in cases), known)

    return min(labels, key=merit)


def _mix(route: Route, cases: Sequence[CaseOutcome], labels: Sequence[str]) -> Odds:
    """Of the cheapest and the dearest, so that it costs as much as the route; else of all alike."""
    known = [case for case in cases if all(usd is not None for usd in case.usd.values())]
    costs = {label: sum(case.usd[label] or 0.0 for case in known) for label in labels}
    cheap, dear = (end(costs, key=lambda label: costs[label]) for end in (min, max))
    if len(known) < len(cases) or costs[cheap] == costs[dear]:
        return dict.fromkeys(labels, 1 / len(labels))
    own = sum(
        p * (case.usd[label] or 0.0) for case in known for label, p in _odds(route, case).items()
    )
    share_of = min(max((own - costs[cheap]) / (costs[dear] - costs[cheap]), 0.0), 1.0)
    return {cheap: 1.0 - share_of, dear: share_of}


def _oracle(case: CaseOutcome) -> str:
    """The best answer to the case; of equal ones the cheapest."""
    return min(case.score, key=lambda label: (-case.score[label], case.usd[label] or 0.0))


def _odds(route: Route, case: CaseOutcome) -> Odds:
    found: dict[str, float] = defaultdict(float)
    for choice in decide(
        route, facing(case.facts, route), Live(), 0.0, f"call:{case.case_id}"
    ).order:
        found[route.candidates[choice.candidate].options.label] += choice.probability
    return found


def _weights(
    cases: Sequence[CaseOutcome], turns: Sequence[Turn]
) -> tuple[list[float], dict[str, float] | None]:
    """Of each case, and of each task; None where production does not name the tasks."""
    named = Counter(turn.facts.tags.get("task") or turn.first.feature for turn in turns)
    tasks = Counter(case.task for case in cases)
    if not all(task and named[task] for task in tasks):
        return [1.0] * len(cases), None
    total = sum(named[task] for task in tasks)
    mix = {task: named[task] / total for task in tasks}
    return [mix[case.task] / tasks[case.task] * len(cases) for case in cases], mix


def _figures(
    cases: Sequence[CaseOutcome], odds: Sequence[Odds], weights: Sequence[float]
) -> dict[str, object]:
    clusters = [case.cluster for case in cases]
    scores = [
        min(sum(p * case.score[label] for label, p in each.items()), 1.0)
        for case, each in zip(cases, odds, strict=True)
    ]
    found: dict[str, object] = {
        "accuracy": share(scores, clusters, weights=weights).interval.document(),
        "unserved": sum(not each for each in odds),
        "usd_per_call": None,
        "cost_per_success_usd": None,
    }
    costs = [
        [(p, case.usd[label]) for label, p in each.items()]
        for case, each in zip(cases, odds, strict=True)
    ]
    if all(usd is not None for each in costs for _, usd in each):
        usd = [sum(p * (one or 0.0) for p, one in each) for each in costs]
        paid = [w * one for w, one in zip(weights, usd, strict=True)]
        found["usd_per_call"] = ratio(paid, weights, clusters).document()
        won = [w * one for w, one in zip(weights, scores, strict=True)]
        found["cost_per_success_usd"] = ratio(paid, won, clusters).document()
    return found
