"""Candidates side by side: limits first, then the frontier, the score and a verdict.  No I/O."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from evaluation.decisions import scoring
from evaluation.decisions.calls import Calls, candidate
from evaluation.decisions.comparison import CLAIMS, Compared, Comparison
from evaluation.decisions.measured import CLUSTERS_MIN, Candidates, Measure, Sums, measures
from evaluation.decisions.metrics import METRICS
from evaluation.decisions.quality import by_calls, by_run
from evaluation.decisions.verdicts import Scores, verdict_of
from evaluation.decisions.wanted import Wanted
from evaluation.decisions.words import say
from evaluation.frontier import aiq, dominated, hull, hypervolume
from evaluation.frontier.frontier import best_share, frontier_share
from evaluation.reports.bounds import bounds
from evaluation.reports.rows import Stored
from pricing.money import calls as calls_of

DEFAULT_TIME = "p95_total"
TEXT = ("chat", "generate_content", "text_completion")  # the same work by other names
REFERENCE = (0.2, 1.0)  # of the hypervolume: $0.2 for a success, and all answers wrong


def compare(
    sums: Sequence[Sums],
    calls: Calls,
    wanted: Wanted,
    run: Stored | None = None,
    *,
    share: float = 1.0,
) -> Comparison:
    """Compare the candidates of these sums.

    `calls` are `share` of the sessions behind them.  Raises ValueError if there is no candidate.
    """
    chosen, others = _same_work(sums, calls)
    if not chosen:
        raise ValueError("there are no calls to compare in this period")
    names = [label(each) for each in chosen]
    quality = by_calls(calls) if run is None else by_run(names, run)
    found = Candidates(names, chosen, calls, quality)
    asked = [one.metric.name for one in wanted.weights]
    asked += [one.metric.name for one in wanted.limits]
    measured = measures(found, drawn=(*asked, DEFAULT_TIME))
    axes = _axes(measured, asked)
    used = scoring.usable(measured, wanted)
    within = scoring.allowed(measured, wanted.limits)
    scores = scoring.scores(measured, used, within)
    doubts = scoring.doubts(measured, wanted.limits, [int(each["calls"]) for each in chosen])
    corners = _corners(measured)
    return Comparison(
        quality=quality.label,
        quality_source=quality.source,
        claim=CLAIMS[quality.source],
        axes=axes,
        candidates=_candidates(found, measured, wanted, axes, scores),
        others=others,
        criteria=scoring.criteria(measured, wanted, used, within[0]),
        verdict=verdict_of(found, scores, within[0], doubts),
        hull=hull(corners),
        aiq=aiq(corners),
        hypervolume=hypervolume([(usd, 1 - good) for usd, good in corners], REFERENCE),
        hypervolume_reference=REFERENCE,
        sample_share=share,
        latency_block_s=found.blocks[1],
        notes=list(_notes(found, measured, wanted, others, share)),
    )


def label(sums: Sums) -> str:
    """`provider/model` of a row of sums, as `Calls.candidates` has it."""
    return candidate(str(sums["provider"]), str(sums["model"]))


def _same_work(sums: Sequence[Sums], calls: Calls) -> tuple[list[Sums], list[dict[str, str]]]:
    """Candidates for the commonest kind of call, and the others: a chat is no embedding."""
    kinds: dict[str, Counter[str]] = {}
    for name, kind in zip(calls.candidates, calls.columns["operation"], strict=True):
        kinds.setdefault(name, Counter())["chat" if kind in TEXT else kind] += 1
    mostly = {name: counts.most_common(1)[0][0] for name, counts in kinds.items()}
    weights = Counter[str]()
    for name, kind in mostly.items():
        weights[kind] += kinds[name][kind]
    common = weights.most_common(1)[0][0] if weights else ""
    known = [each for each in sums if int(each["calls"]) and not each.get("other")]
    return (
        [each for each in known if mostly.get(label(each)) == common],
        [
            {"candidate": label(each), "operation": mostly.get(label(each), "unknown")}
            for each in known
            if mostly.get(label(each)) != common
        ],
    )


def _axes(measured: Mapping[str, Measure], asked: Sequence[str]) -> list[str]:
    """Cost, latency, quality, and safety, as far as any candidate has them."""
    timed = next((name for name in asked if METRICS[name].unit == "s"), DEFAULT_TIME)
    cost = next((name for name in asked if METRICS[name].unit == "usd"), "cost_per_success")
    found = (cost, timed, "quality", "safety")
    known = [name for name in found if np.isfinite(measured[name].points).any()]
    return known or ["error_rate"]  # which every call has


def _corners(measured: Mapping[str, Measure]) -> list[tuple[float, float]]:
    """(cost per success, quality) of the candidates that have both."""
    pairs = zip(measured["cost_per_success"].points, measured["quality"].points, strict=True)
    return [(float(usd), float(good)) for usd, good in pairs if np.isfinite([usd, good]).all()]


def _candidates(
    found: Candidates,
    measured: Mapping[str, Measure],
    wanted: Wanted,
    axes: Sequence[str],
    scores: Scores | None,
) -> list[Compared]:
    better = [METRICS[name].better for name in axes]
    points = np.stack([measured[name].points for name in axes], axis=-1)
    beaten = dominated(found.names, points, better)
    placed = frontier_share(np.stack([measured[n].drawn for n in axes], axis=-1), better)
    best = None if scores is None else best_share(scores[1])
    made = []
    for at, name in enumerate(found.names):
        sums, known = found.sums[at], found.clusters[at] >= CLUSTERS_MIN
        placeable = bool(np.isfinite(points[at]).all())  # an unknown measure is no bad one
        scored = scores is not None and scoring.is_known(measured, wanted, at)
        limits = [scoring.limit_result(limit, measured, at, known=known) for limit in wanted.limits]
        made.append(
            Compared(
                candidate=name,
                provider=str(sums["provider"]),
                model=str(sums["model"]),
                report=sums,
                sessions=found.clusters[at],
                unknown_cost_calls=found.unknown(at),
                metrics={each: bounds(one.intervals[at]) for each, one in measured.items()},
                limits=limits,
                within_limits=all(one.met for one in limits),
                dominated_by=list(beaten[name]) if placeable else [],
                on_frontier=float(placed[at]) if known and placeable else None,
                score=None
                if scores is None
                else scoring.score_bounds(scores, at, found.groups[at] if known else None),
                best=float(best[at]) if best is not None and known and scored else None,
            )
        )
    return sorted(made, key=_order)


def _order(one: Compared) -> tuple[bool, float, str]:
    value = one.score.value if one.score else None
    return not one.within_limits, -1.0 if value is None else -value - 2.0, one.candidate


def _notes(
    found: Candidates,
    measured: Mapping[str, Measure],
    wanted: Wanted,
    others: Sequence[Mapping[str, str]],
    share: float,
) -> Iterator[str]:
    """What the numbers lack, in sentences."""
    for one in wanted.weights:
        name = one.metric.name
        if not np.isfinite(measured[name].points).any():
            need = " (it needs --run with cases that must be refused)" if name == "safety" else ""
            yield f"{name} was measured for no candidate{need}; its weight decides nothing"
        elif not one.given and one.metric.unit != "share":
            low, high = (say(end, one.metric.unit) for end in (one.anchors.zero, one.anchors.one))
            yield (
                f"{name} is worth 0 at {low} and 1 at {high} ({one.anchors.scale}) by default;"
                " set your own with --anchors"
            )
    for at, name in enumerate(found.names):
        if unknown := found.unknown(at):
            lost = ", so its cost is unknown" if np.isnan(found.cost(at)) else ""
            yield f"{name}: {calls_of(unknown)} may have cost more than is known{lost}"
        if found.clusters[at] < CLUSTERS_MIN:
            yield f"{name}: {found.clusters[at]} sessions are too few for probabilities"
    for each in others:
        yield f"{each['candidate']} is not compared: its calls are {each['operation'] or 'other'}"
    if unmatched := found.quality.unmatched:
        yield f"no call in this period is of {', '.join(unmatched)}, which the run asked"
    yield from found.calls.evaluated
    if share < 1:
        yield f"intervals are from {share:.1%} of the sessions; sums are of all calls"
