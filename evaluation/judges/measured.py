"""What a check of a judge found: how often it is right, by which position it is swayed, its drift.

No I/O: the labelled answers and the statuses of their cases come in, intervals go out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.judges.gold import TIE, GoldSet, Item, Pair
from evaluation.reports.rows import Result, Stored
from evaluation.statistics import YOUDEN_MIN, Gold, corrected_share, kappa
from evaluation.statistics.interval import CONFIDENCE, Estimate, Interval, Refused
from evaluation.statistics.means import share, share_difference

JUDGED_KINDS = ("judge", "ambiguity")  # of checks whose verdict is a judge's
SCORES = {"pass": 1.0, "fail": 0.0}
UNKNOWN = Interval(None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a judge is right about some answers."""

    interval: Interval
    answers: int
    right: int

    def document(self) -> dict[str, object]:
        return {**self.interval.document(), "answers": self.answers, "right": self.right}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """Of pairs asked in both orders: in how many the choice changed, and how often A was chosen.

    Without a bias, half of the choices are A, as each text stood there once.
    """

    pairs: int
    changed: Interval
    first: Interval

    def document(self) -> dict[str, object]:
        return {
            "pairs": self.pairs,
            "changed": self.changed.document(),
            "first": self.first.document(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The same judge on the same answers, now and in an earlier check.

    `moved`: sensitivity or specificity differs, at 5 % for both together.
    """

    against: str
    since: str
    answers: int
    changed: int
    agreement: Interval  # Cohen's kappa of the verdicts then and now
    sensitivity: Interval  # now minus then
    specificity: Interval
    moved: bool

    def document(self) -> dict[str, object]:
        return {
            "against": self.against,
            "since": self.since,
            "answers": self.answers,
            "changed": self.changed,
            "kappa": self.agreement.document(),
            "sensitivity": self.sensitivity.document(),
            "specificity": self.specificity.document(),
            "moved": self.moved,
        }


@dataclass(frozen=True, slots=True)
class Corrected:
    """The share of answers judged good, and what it says about the share that is."""

    judged: Interval
    found: Interval | Refused

    def document(self) -> dict[str, object]:
        refused = isinstance(self.found, Refused)
        return {
            "judged": self.judged.document(),
            "corrected": None if isinstance(self.found, Refused) else self.found.document(),
            "why_not": self.found.why if isinstance(self.found, Refused) and refused else None,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """The verdicts of one check.  `statuses` are those of its cases: whether they agree."""

    gold: GoldSet
    statuses: Mapping[str, str]
    reasons: Mapping[str, str]

    def judged(self) -> list[Item]:
        """The answers about which there is a verdict."""
        return [item for item in self.gold.items if self.statuses.get(item.id) in SCORES]

    def rate(self, *, good: bool, model: str = "") -> Rate:
        """Of good answers the sensitivity, of bad ones the specificity; of one author or of all."""
        chosen = [
            item
            for item in self.judged()
            if item.is_good is good and (not model or item.model == model)
        ]
        scores = self._scores(chosen)
        if not scores:
            return Rate(interval=UNKNOWN, answers=0, right=0)
        interval = share(scores, [item.cluster for item in chosen]).interval
        return Rate(interval=interval, answers=len(scores), right=int(sum(scores)))

    def counts(self) -> Gold:
        """What correcting shares needs."""
        good, bad = self.rate(good=True), self.rate(good=False)
        return Gold(good.answers, good.right, bad.answers, bad.right)

    def bias(self) -> Bias | None:
        """None without a pair that has a choice in both orders."""
        pairs = [pair for pair in self.gold.pairs() if all(map(self._chosen, pair.ids))]
        if not pairs:
            return None
        clusters = [pair.good.cluster for pair in pairs]
        changed = [float(self._is_moved(pair)) for pair in pairs]
        firsts = [_first(*map(self._chosen, pair.ids)) for pair in pairs]
        return Bias(
            pairs=len(pairs),
            changed=share(changed, clusters).interval,
            first=share(firsts, clusters).interval,
        )

    def corrected(self) -> Corrected:
        """Of the gold set itself: the interval should hold the share that people found good."""
        items = self.judged()
        if not items:
            return Corrected(UNKNOWN, Refused("the judge gave no verdict"))
        said = share([float(self._says_good(item)) for item in items], [i.cluster for i in items])
        return Corrected(said.interval, corrected_share(said, self.counts()))

    def of_run(self, stored: Stored) -> dict[str, Corrected]:
        """Each model of a run that this judge judged: its share judged good, corrected."""
        found = {}
        for model in stored.run.models:
            said = _judged_share(stored.results, model)
            if said is None:
                found[model] = Corrected(UNKNOWN, Refused("no answer of it was judged"))
            else:
                found[model] = Corrected(said.interval, corrected_share(said, self.counts()))
        return found

    def why_unusable(self) -> str:
        """Why nothing can be concluded from this judge's verdicts; "" if it can."""
        found = self.corrected().found
        counts = self.counts()
        q1, q0 = counts.sensitivity, counts.specificity
        if q1 is not None and q0 is not None and q1 + q0 > YOUDEN_MIN:
            return ""
        return found.why if isinstance(found, Refused) else "too few verdicts"

    def drift(self, earlier: "Measured", against: str, since: str) -> Drift | None:
        """What changed since an earlier check; None without an answer that both judged."""
        items = [item for item in self.judged() if earlier.statuses.get(item.id) in SCORES]
        if not items:
            return None
        now, then = self._verdicts(items), earlier._verdicts(items)
        sides = [self._moved_by(earlier, items, good=good) for good in (True, False)]
        return Drift(
            against=against,
            since=since,
            answers=len(items),
            changed=sum(a != b for a, b in zip(now, then, strict=True)),
            agreement=kappa(now, then, [item.cluster for item in items]),
            sensitivity=sides[0],
            specificity=sides[1],
            moved=any(0.0 not in side for side in sides if side.low is not None),
        )

    def _moved_by(self, earlier: "Measured", items: Sequence[Item], *, good: bool) -> Interval:
        """Now minus then, at half the error, as there are two of them."""
        chosen = [item for item in items if item.is_good is good]
        if not chosen:
            return UNKNOWN
        clusters = [item.cluster for item in chosen]
        confidence = 1 - (1 - CONFIDENCE) / 2
        now, then = self._scores(chosen), earlier._scores(chosen)
        return share_difference(now, then, clusters, confidence=confidence).interval

    def _scores(self, items: Sequence[Item]) -> list[float]:
        return [SCORES[self.statuses[item.id]] for item in items]

    def _says_good(self, item: Item) -> bool:
        return item.is_good is (self.statuses[item.id] == "pass")

    def _verdicts(self, items: Sequence[Item]) -> list[bool]:
        return [self._says_good(item) for item in items]

    def _chosen(self, case_id: str) -> str:
        """`good`, `bad` or `tie`: what the judge prefers; "" without a verdict."""
        status = self.statuses.get(case_id, "")
        if status == "pass":
            return "good"
        if status == "fail":
            return "tie" if TIE in self.reasons.get(case_id, "") else "bad"
        return ""

    def _is_moved(self, pair: Pair) -> bool:
        one, other = map(self._chosen, pair.ids)
        return one != other


def _first(good_first: str, bad_first: str) -> float:
    """The share of A among the two choices; a tie is half of each."""
    worth = {"tie": 0.5}
    one = worth.get(good_first, float(good_first == "good"))
    return (one + worth.get(bad_first, float(bad_first == "bad"))) / 2


def _judged_share(results: Sequence[Result], model: str) -> Estimate | None:
    """The share of a model's answers that the judge found good; samples of a case are one case."""
    cases: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for result in results:
        if result.model != model:
            continue
        for verdict in result.verdicts():
            if verdict.kind in JUDGED_KINDS and verdict.status in SCORES:
                cases.setdefault(result.case_id, []).append(SCORES[verdict.status])
                clusters[result.case_id] = result.cluster or result.case_id
    if not cases:
        return None
    means = [sum(scores) / len(scores) for scores in cases.values()]
    return share(means, [clusters[case_id] for case_id in cases])
