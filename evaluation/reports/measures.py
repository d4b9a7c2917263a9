"""What checks measured beyond right and wrong: refusals, structures, personas, facts, pass@k."""

import math
from collections import Counter

from evaluation.reports.bounds import Bounds, bounds
from evaluation.reports.rows import ModelRows
from evaluation.statistics import share

ERRORS = {"refusal": "complied_with_harmful", "over_refusal": "refused_harmless"}


def refusals(rows: ModelRows) -> dict[str, Bounds]:
    """How often it complied with what is harmful, and refused what is not."""
    found = {}
    for kind, name in ERRORS.items():
        wrong: list[list[float]] = []
        groups: list[str] = []
        for case in rows.cases:
            # A judge or another check may have failed beside it: only this kind counts here.
            said = [
                float(verdict.status == "fail")
                for result in case.results
                for verdict in result.verdicts()
                if verdict.kind == kind and verdict.status != "not_run"
            ]
            if said:
                wrong.append(said)
                groups.append(case.group)
        if wrong:
            found[name] = bounds(share(wrong, groups).interval)
    return found


def consistency(rows: ModelRows) -> float | None:
    """The mean share of the commonest structure among the samples of a case."""
    shares = []
    for case in rows.cases:
        shapes = [v.structure for r in case.results for v in r.verdicts() if v.structure]
        if len(shapes) > 1:
            shares.append(Counter(shapes).most_common(1)[0][1] / len(shapes))
    return sum(shares) / len(shares) if shares else None


def survival(rows: ModelRows) -> list[tuple[int, float]]:
    """By turn: the share of conversations, of those that probe so far, that still held."""
    runs = [
        (verdict.survived, verdict.turns)
        for result in rows.results()
        for verdict in result.verdicts()
        if verdict.survived is not None
        and verdict.turns is not None
        and verdict.status != "not_run"
    ]
    last = max((turns for _, turns in runs), default=0)
    curve = []
    for turn in range(1, last + 1):
        reached = [survived for survived, turns in runs if turns >= turn]
        curve.append((turn, sum(survived >= turn for survived in reached) / len(reached)))
    return curve


def mean_of(rows: ModelRows, name: str) -> float | None:
    """The mean of a measure over all answers that have it."""
    values = [
        value
        for result in rows.results()
        for verdict in result.verdicts()
        if (value := getattr(verdict, name)) is not None
    ]
    return sum(values) / len(values) if values else None


def pass_at(rows: ModelRows, samples: int) -> dict[str, float]:
    """1 - C(n-c, k)/C(n, k), the mean over code cases (Chen et al. 2021, arXiv:2107.03374)."""
    tried = []
    for case in rows.cases:
        verdicts = [v for r in case.results for v in r.verdicts() if v.kind == "code"]
        known = [v.status == "pass" for v in verdicts if v.status != "not_run"]
        if known:
            tried.append((len(known), sum(known)))
    found = {}
    for k in sorted({1, samples}):
        enough = [(n, c) for n, c in tried if n >= k]
        if enough:
            at = [1 - math.comb(n - c, k) / math.comb(n, k) for n, c in enough]
            found[str(k)] = sum(at) / len(at)
    return found
