"""What calls cost that need not be: batch tiers, caches, effort, dead retries, duplicates.

The same model answers, so quality holds as far as the condition does that each change names.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from evaluation.decisions.caching import caches
from evaluation.decisions.change import (
    CALLS_MIN,
    DISAGREE,
    Change,
    Collect,
    canary_of,
    percent,
    saving,
)
from evaluation.decisions.prices import BATCH, STANDARD, tier_of
from evaluation.decisions.repriced import repriced
from evaluation.decisions.switching import Work
from evaluation.reports.bounds import Bounds
from evaluation.statistics import cases_needed
from pricing.usage import Meter

BATCHED = ("chat", "generate_content", "text_completion", "embeddings")
PERMANENT = frozenset((400, 401, 403, 404, 405, 413, 415, 422))  # nothing changes by trying again
REPEAT_BYTES_MIN = 200  # of a request; shorter ones are equal by chance
EFFORT_MIN = 0.1  # share of the spend that reasoning must have
Rows = Sequence[int]


def wastes(work: Work) -> Iterator[Change]:
    """All of them, for each candidate; calls of evaluations are as the suite wants them."""
    for name in work.spend:
        mine = np.flatnonzero(work.calls.candidates == name).tolist()
        rows = [row for row in mine if not work.calls.columns["is_eval"][row]]
        if len(rows) < CALLS_MIN:
            continue
        yield from _batch(work, name, rows)
        yield from caches(work, name, rows)
        yield from _effort(work, name, rows)
        yield from _retries(work, name, rows)
        yield from _duplicates(work, name, rows)


def _batch(work: Work, name: str, rows: Rows) -> Iterator[Change]:
    """Calls for which nobody may wait: not streamed, of no session, in the standard tier."""
    columns = work.calls.columns
    features: dict[str, list[int]] = {}
    for row in rows:
        waits = columns["stream"][row] or columns["in_session"][row]
        kind = columns["operation"][row] in BATCHED and columns["outcome"][row] == "ok"
        if not waits and kind and tier_of(work.calls, row) == STANDARD:
            features.setdefault(str(columns["feature"][row]), []).append(row)
    for feature, mine in features.items():
        found = repriced(work, name, mine, lambda usage, _: usage, BATCH)
        if len(found.now) < CALLS_MIN or sum(found.then) >= found.usd:
            continue
        share, spend = found.saving(), found.usd / work.share
        what = f"feature {feature}" if feature else "calls without a feature"
        yield Change(
            kind="batch",
            title=f"send {what} of {name} as batches",
            candidate=name,
            **saving(share, spend),
            calls=len(mine),
            conclusion="try",
            evidence=(
                f"{len(mine):,} calls were neither streamed nor part of a session; their tokens at"
                " the prices of the batch tier"
            ),
            evidence_kind="repriced",
            risk="a batch may take a day; rows cannot show whether somebody waits for the answer",
            canary="send one day of these calls as a batch; compare its bill with the day before",
        )


def _effort(work: Work, name: str, rows: Rows) -> Iterator[Change]:
    """What reasoning costs.  Whether less of it holds quality only cases can tell."""
    columns = work.calls.columns
    levels: dict[str, list[int]] = {}
    for row in rows:
        if columns["reasoning_tokens"][row]:
            levels.setdefault(str(columns["effort"][row] or ""), []).append(row)
    for level, mine in levels.items():
        if len(mine) < CALLS_MIN or level in ("none", "minimal", "low"):
            continue
        found = repriced(work, name, mine, lambda usage, _: {**usage, Meter.OUTPUT_REASONING: 0})
        if len(found.now) < CALLS_MIN or 1 - sum(found.then) / found.usd < EFFORT_MIN:
            continue
        at_most, spend = found.saving(), found.usd / work.share
        most = Bounds(None, 0.0, at_most.high)
        said = f"effort {level}" if level else "the default effort"
        yield Change(
            kind="effort",
            title=f"lower the reasoning effort of {name} from {said}",
            candidate=name,
            **saving(most, spend),
            calls=len(mine),
            conclusion="not enough evidence",
            evidence=(
                f"reasoning is {percent(at_most.value)} of what {len(mine):,} calls with {said}"
                " cost; that is the most that less of it can save"
            ),
            evidence_kind="repriced",
            risk="hard cases may fail; more effort has also lowered accuracy in published runs",
            canary=canary_of(work.success(name), work.smallest),
            collect=Collect(
                what="cases answered at both efforts",
                number=cases_needed(DISAGREE, work.smallest),
                command=f"taximeter eval run SUITE --models {name}",
            ),
        )


def _retries(work: Work, name: str, rows: Rows) -> Iterator[Change]:
    """Calls that failed for a reason that trying again does not change, after the same failure."""
    columns = work.calls.columns
    failed: dict[tuple[object, ...], list[int]] = {}
    for row in rows:
        if columns["http_status"][row] in PERMANENT:
            group = (
                columns["cluster"][row],
                columns["http_status"][row],
                columns["request_bytes"][row],
            )
            failed.setdefault(group, []).append(row)
    again = [row for each in failed.values() for row in each[1:]]
    again += [
        row
        for each in failed.values()
        for row in each[:1]
        if columns["attempt"][row] > 1  # a first one that the relay saw as a retry
    ]
    if not again:
        return
    usd = sum(float(columns["cost_usd"][row] or 0) for row in again) / work.share
    unknown = sum(columns["cost_usd"][row] is None for row in again)
    seconds = sum(int(columns["duration_us"][row] or 0) for row in again) / 1e6
    spend = work.spend[name]
    value = min(usd / spend, 1.0) if spend else 0.0
    share = Bounds(value, value, None if unknown else value)
    yield Change(
        kind="retries",
        title=f"stop repeating calls of {name} that cannot succeed",
        candidate=name,
        **saving(share, spend),
        calls=len(again),
        conclusion="recommended",
        evidence=(
            f"{len(again):,} calls repeated a request that had just been refused with the same"
            f" status (400, 401, 403, 404 …); they took {seconds:,.1f} s and"
            f" {'at least ' if unknown else ''}${usd:.4g}"
        ),
        evidence_kind="observed",
        risk="none for answers: the same request gets the same refusal",
        canary="fix the caller's retry rule and look for this line again in a week",
    )


def _duplicates(work: Work, name: str, rows: Rows) -> Iterator[Change]:
    """Requests of the same length in bytes and tokens.  Whether they are equal rows cannot show."""
    columns = work.calls.columns
    known: dict[tuple[object, ...], list[int]] = {}
    names = ("operation", "feature", "request_bytes", "input_tokens_total", "effort")
    for row in rows:
        if (columns["request_bytes"][row] or 0) >= REPEAT_BYTES_MIN and columns["outcome"][
            row
        ] == "ok":
            known.setdefault(tuple(columns[each][row] for each in names), []).append(row)
    again = [row for each in known.values() for row in each[1:]]
    if len(again) < CALLS_MIN:
        return
    usd = sum(float(columns["cost_usd"][row] or 0) for row in again) / work.share
    spend = work.spend[name]
    most = min(usd / spend, 1.0) if spend else 0.0
    if not most:
        return
    share = Bounds(None, 0.0, most)
    yield Change(
        kind="duplicates",
        title=f"answer repeated prompts of {name} from a store of answers",
        candidate=name,
        **saving(share, spend),
        calls=len(again),
        conclusion="not enough evidence",
        evidence=(
            f"{len(again):,} requests had the same feature and the same length in bytes and tokens"
            " as an earlier one; equal lengths do not prove equal prompts, so this is the most that"
            " can be saved"
        ),
        evidence_kind="observed",
        risk="an old answer may be out of date, or meant for somebody else",
        canary="compare stored answers with fresh ones for 1 % of the hits",
        collect=Collect(
            what="prompts to compare (content.capture)",
            number=len(again),
            command="taximeter content",
        ),
    )
