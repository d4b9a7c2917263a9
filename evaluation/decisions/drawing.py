"""Draws calls again: whole sessions for sums, stretches of time for quantiles, cases for scores.

All candidates are drawn together, so what was hard or slow for all of them stays so.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.decisions.calls import numbered
from evaluation.statistics.clusters import Clusters, Floats
from evaluation.statistics.percentiles import weighted_quantile
from evaluation.statistics.resampling import REPLICATES, SEED, replicate_weights

BLOCKS_MIN = 20  # stretches of time that an interval of a quantile needs
BLOCKS_S = (86_400, 3_600, 600, 60)
CELLS_MAX = 4_000_000  # replicates times calls that are in memory at once
Codes = NDArray[np.int64]


def blocks(ts_us: Floats, sessions: Codes) -> tuple[Codes, int | None]:
    """The stretch of time of each call, and its seconds; None: sessions, as there are too few.

    The longest stretches of which there are enough: calls of one hour are slow together.
    """
    for seconds in BLOCKS_S:
        codes = numbered([int(at) for at in ts_us // (seconds * 1e6)])
        if len(codes) and codes.max() + 1 >= BLOCKS_MIN:
            return codes, seconds
    return sessions, None


def one_each(codes: Codes) -> Iterator[Floats]:
    """How often each cluster was drawn, in chunks of (replicates, clusters)."""
    count = int(codes.max()) + 1
    yield from replicate_weights(Clusters(np.arange(count), np.ones(count), count))


def sums(codes: Codes, columns: Sequence[Floats], member: Floats) -> list[Floats]:
    """For each of the columns (replicates, candidates) of its sums, all of the same draws.

    `member` is (calls, candidates) of 0 and 1.
    """
    count, wide = int(codes.max()) + 1, member.shape[1]
    within = np.stack(
        [np.bincount(codes, values * each, count) for values in columns for each in member.T],
        axis=1,
    )
    drawn = np.concatenate([weights @ within for weights in one_each(codes)])
    return [drawn[:, wide * at : wide * (at + 1)] for at in range(len(columns))]


def quantiles(codes: Codes, values: Floats, member: Floats, at: float) -> Floats:
    """(replicates, candidates) of a quantile; NaN where none of its calls was drawn."""
    drawn = np.concatenate(list(one_each(codes)))
    found = np.full((len(drawn), member.shape[1]), np.nan)
    for column, each in enumerate(member.T):
        kept = (each > 0) & np.isfinite(values)
        if not kept.any():
            continue
        step = max(CELLS_MAX // int(kept.sum()), 1)
        for first in range(0, len(drawn), step):
            weights = drawn[first : first + step][:, codes[kept]]
            quantile = weighted_quantile(weights, values[kept], at)
            quantile[weights.sum(axis=1) == 0] = np.nan
            found[first : first + step, column] = quantile
    return found


def means(values: Floats, groups: Clusters) -> Floats:
    """(replicates, candidates) of mean scores, each over the cases that it answered."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    found = []
    for weights in replicate_weights(groups):
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append((weights @ filled) / (weights @ known.astype(np.float64)))
    return unanimous(np.concatenate(found), values, groups)


def unanimous(drawn: Floats, values: Floats, groups: Clusters) -> Floats:
    """Where all cases of a candidate agree, what a rate near 0 or 1 could be instead.

    Drawing them again would give the same each time, as if it were certain: Jeffreys' posterior of
    a rate, each cluster counting once, is drawn from instead.
    """
    chance = np.random.default_rng(SEED)
    made = drawn.copy()
    for column, each in enumerate(values.T):
        known: Floats = each[np.isfinite(each)]
        if len(known) and known.min() == known.max() and known[0] in (0.0, 1.0):
            count = len(set(groups.codes[np.isfinite(each)].tolist()))
            won = count * float(known[0])
            made[:, column] = chance.beta(won + 0.5, count - won + 0.5, len(drawn))
    return made


def membership(names: Sequence[str], candidates: NDArray[np.object_]) -> Floats:
    """(calls, candidates): 1 where a call is of a candidate."""
    return np.stack([(candidates == name).astype(np.float64) for name in names], axis=1)


__all__ = ["REPLICATES", "SEED", "blocks", "means", "membership", "quantiles", "sums", "unanimous"]
