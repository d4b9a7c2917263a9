"""What the user wants of a candidate: limits, weights and anchors, from their words.  Pure."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluation.decisions.metrics import Anchors, Metric, metric, value_of, words
from evaluation.frontier.score import Criterion
from evaluation.statistics.clusters import Floats
from proxy.query.asked import near

_LIMIT = re.compile(r"([^<>=≤≥]*)(<=|>=|≤|≥|<|>|==?)(.*)")
_SIGNS = {"≤": "<=", "≥": ">="}
SLO, WEIGHTS, ANCHORS = "--slo", "--weights", "--anchors"
SCALES = ("linear", "log")


@dataclass(frozen=True, slots=True)
class Limit:
    """A hard limit: `p95_ttft<1s`.  Who misses it is out, whatever its score."""

    metric: Metric
    sign: str  # < <= > >=
    value: float
    text: str

    def meets(self, values: Floats) -> Floats:
        """1 where values are within it, 0 beyond, NaN where they are unknown."""
        compare = {
            "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
        }[self.sign]  # fmt: skip
        met = compare(values, self.value).astype(np.float64)
        return np.where(np.isnan(values), np.nan, met)


@dataclass(frozen=True, slots=True)
class Weighted:
    """A metric of the score.  `given` says whether the user chose its anchors."""

    metric: Metric
    weight: float
    anchors: Anchors
    given: bool

    @property
    def criterion(self) -> Criterion:
        """For `evaluation.frontier.score`."""
        anchors = self.anchors
        return Criterion(self.metric.name, self.weight, anchors.zero, anchors.one, anchors.scale)


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of it.  Without weights there is no score."""

    limits: tuple[Limit, ...] = ()
    weights: tuple[Weighted, ...] = ()


def wanted(slo: Iterable[str], weights: Iterable[str], anchors: Iterable[str]) -> Wanted:
    """From the words of the options.  Raises ValueError that says what is wrong, and what to do."""
    limits = tuple(map(_limit, words(slo)))
    weighted = _weights(words(weights))
    given = _anchors(words(anchors))
    known = {one.metric.name for one in weighted}
    for name in given:
        if name not in known:
            hint = near(name, known) if known else "give it a weight with --weights"
            raise ValueError(f"{ANCHORS}: {name} has no weight; {hint}")
    return Wanted(
        limits,
        tuple(
            replace(one, anchors=given[one.metric.name], given=True)
            if one.metric.name in given
            else one
            for one in weighted
        ),
    )


def _limit(word: str) -> Limit:
    found = _LIMIT.fullmatch(word)
    if found is None or not found[3]:
        if found is None:
            metric(word, SLO)  # a wrong name is the likelier mistake
        raise ValueError(f"{SLO}: {word!r} is no limit; write it as in p95_ttft<1s or quality>=0.9")
    of, sign = metric(found[1], SLO), _SIGNS.get(found[2], found[2])
    wrong = ">" if of.better == "low" else "<"
    if sign.startswith((wrong, "=")):
        right = "<" if of.better == "low" else ">="
        side = "lower" if of.better == "low" else "higher"
        raise ValueError(
            f"{SLO}: {of.name} is better the {side} it is; write {of.name}{right}{found[3].strip()}"
        )
    return Limit(of, sign, value_of(found[3], of, SLO), word)


def _weights(given: Sequence[str]) -> tuple[Weighted, ...]:
    found: dict[str, Weighted] = {}
    for word in given:
        name, equals, text = word.partition("=")
        of = metric(name, WEIGHTS)
        weight = _number(text) if equals else None
        if weight is None or weight < 0:
            raise ValueError(f"{WEIGHTS}: {word!r}: write {of.name}=NUMBER, 0 or more")
        if of.name in found:
            raise ValueError(f"{WEIGHTS}: {of.name} is given twice; give it once")
        found[of.name] = Weighted(of, weight, of.anchors, given=False)
    if found and not any(one.weight for one in found.values()):
        raise ValueError(f"{WEIGHTS}: at least one weight must be above 0")
    return tuple(found.values())


def _anchors(given: Sequence[str]) -> dict[str, Anchors]:
    """Of `cost=0.02:0`, `0.002:1`, and a scale: a word with "=" begins the next metric."""
    parts: dict[str, list[str]] = {}
    of: Metric | None = None
    for word in given:
        name, equals, rest = word.partition("=")
        if equals:
            of = metric(name, ANCHORS)
            if of.name in parts:
                raise ValueError(f"{ANCHORS}: {of.name} is given twice; give it once")
            parts[of.name] = [rest]
        elif of is None:
            raise ValueError(f"{ANCHORS}: {word!r}: write them as in cost=0.02:0,0.002:1")
        else:
            parts[of.name].append(word)
    return {name: _pair(metric(name, ANCHORS), each) for name, each in parts.items()}


def _pair(of: Metric, parts: Sequence[str]) -> Anchors:
    scale = next((word for word in parts if ":" not in word), SCALES[0])
    if scale not in SCALES:
        raise ValueError(f"{ANCHORS}: {of.name}: unknown scale {scale!r}; {near(scale, SCALES)}")
    ends: dict[float, float] = {}
    for word in (word for word in parts if ":" in word):
        text, _, worth = word.rpartition(":")
        number = _number(worth)
        if number not in (0.0, 1.0) or number in ends:
            break
        ends[number] = value_of(text, of, ANCHORS)
    if set(ends) != {0.0, 1.0} or len(parts) != 2 + (scale in parts):
        raise ValueError(
            f"{ANCHORS}: {of.name} needs what is worth 0 and what is worth 1, as in"
            f" {of.name}={_example(of)}"
        )
    worse = ends[0.0] > ends[1.0] if of.better == "low" else ends[0.0] < ends[1.0]
    if not worse:
        side = "lower" if of.better == "low" else "higher"
        raise ValueError(f"{ANCHORS}: {of.name} is better the {side} it is; swap 0 and 1")
    if scale == "log" and min(ends.values()) <= 0:
        raise ValueError(f"{ANCHORS}: {of.name}: anchors on a log scale are above 0")
    return Anchors(ends[0.0], ends[1.0], "log" if scale == "log" else "linear")


def _example(of: Metric) -> str:
    return {"usd": "0.02:0,0.002:1", "s": "10s:0,1s:1", "share": "0.5:0,1:1"}[of.unit]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
