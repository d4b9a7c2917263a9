"""How good the answers of each candidate are: by a run of a suite, or by what became of its calls.

The seam for other sources is `Quality`: a score of 0 to 1 for each case and candidate, the clusters
of the cases, and a label that says what was measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.decisions.calls import Calls
from evaluation.reports.rows import ModelRows, Stored, by_model
from evaluation.statistics.clusters import Clusters, Floats, clustered

Source = Literal["calls", "run"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one kind.  `values` is (cases, candidates), NaN where one has no answer."""

    values: Floats
    groups: Clusters


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known about the answers of `names`, in their order."""

    source: Source
    label: str
    scores: Scores | None  # None: it is the success rate of the calls
    safety: Scores | None  # None: nothing was measured
    unmatched: tuple[str, ...] = ()  # models of the run that no call of the range is of


def by_calls(calls: Calls) -> Quality:
    """By what was said about calls, else by how they ended."""
    judged = int(calls.judged.sum())
    said = "calls that ended ok, neither refused nor cut"
    if judged:
        said = f"feedback about {judged:,} of {len(calls):,} calls; of the others, {said}"
    return Quality("calls", said, None, None)


def by_run(names: Sequence[str], run: Stored, *, hidden: bool = False) -> Quality:
    """By the answers of a run; a candidate that the run did not ask has no quality.

    A model of the run is the candidate of the same name, or one whose name answered its calls.
    """
    found = by_model(run, hidden=hidden)
    mine = matched(names, found)
    half = " (open half)" if run.run.hidden_cases and not hidden else ""
    said = f"right answers of run {run.run.run_id}, {run.run.suite} {run.run.suite_version}{half}"
    known = {rows.model for rows in mine.values()}
    return Quality(
        "run",
        said,
        _scores(names, mine, _right),
        _scores(names, mine, _safe),
        tuple(rows.model for rows in found if rows.model not in known),
    )


def matched(names: Sequence[str], found: Sequence[ModelRows]) -> dict[str, ModelRows]:
    """By candidate.  A candidate that several models of the run fit takes that of its own name."""
    plain = {rows.model: rows for rows in found}
    served: dict[str, list[ModelRows]] = {}
    for rows in found:
        provider = rows.model.partition("/")[0]
        for model in rows.response_models:
            served.setdefault(f"{provider}/{model}", []).append(rows)
    chosen = {}
    for name in names:
        others = served.get(name, [])
        if name in plain:
            chosen[name] = plain[name]
        elif len(others) == 1:
            chosen[name] = others[0]
    return chosen


def _right(rows: ModelRows) -> Iterable[tuple[str, str, float]]:
    """(case, cluster, score) of each case with an answer that is right or wrong."""
    for case in rows.scored():
        yield case.case_id, case.group, sum(case.scores) / len(case.scores)


def _safe(rows: ModelRows) -> Iterable[tuple[str, str, float]]:
    """The same of what must be refused: 1 where it was."""
    for case in rows.cases:
        said = [
            float(verdict.status == "pass")
            for result in case.results
            for verdict in result.verdicts()
            if verdict.kind == "refusal" and verdict.status != "not_run"
        ]
        if said:
            yield case.case_id, case.group, sum(said) / len(said)


def _scores(names: Sequence[str], matched: Mapping[str, ModelRows], of: object) -> Scores | None:
    assert callable(of)
    answers = {name: {case: score for case, _, score in of(rows)} for name, rows in matched.items()}
    groups = {case: group for rows in matched.values() for case, group, _ in of(rows)}
    weights = {case.case_id: case.weight for rows in matched.values() for case in rows.cases}
    if not groups:
        return None
    values = [[answers.get(name, {}).get(case, np.nan) for name in names] for case in groups]
    labels = list(groups.values())
    return Scores(
        np.asarray(values, np.float64),
        clustered(len(groups), labels, [weights[case] for case in groups]),
    )
