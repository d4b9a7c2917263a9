"""How long calls take, drawn from recorded ones of the same model, size, hour and calls in flight.

Where too few are alike, the hour is forgotten first, then the calls in flight, then the size.  What
became of a call at the candidate that served it is known, so it fails there as it did; elsewhere it
fails as often as calls of that candidate do.  A caller's own mistake fails everywhere.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import permutations

from evaluation.history.rows import HistoryRow
from evaluation.history.turns import Turn
from evaluation.simulation import Service
from proxy.gateway.failures import What
from proxy.gateway.limits import limit_class

EVERY_SIZE = -1
ROUGH = 3  # of the strata of a kind: size, whatever is in flight
Ratios = Mapping[tuple[str, str, int], float]
STRATUM_MIN = 20  # calls; fewer are no distribution
ANYWHERE = frozenset((What.MISTAKE, What.TOO_LONG))  # it would be the same elsewhere


@dataclass(frozen=True, slots=True)
class Kind:
    """What a service time depends on beside the candidate."""

    operation: str
    stream: bool
    output_tokens: int
    input_tokens: int
    hour: int
    in_flight: int

    def keys(self, label: str) -> tuple[Hashable, ...]:
        """From the narrowest stratum to the widest; sizes and calls in flight by powers of 2."""
        base = (label, self.operation, self.stream)
        size = (self.output_tokens.bit_length(), self.input_tokens.bit_length() // 4)
        rough = (self.output_tokens.bit_length() + 1) // 2
        crowd = self.in_flight.bit_length()
        return (
            (*base, size, crowd, self.hour),
            (*base, size, crowd),
            (*base, rough, crowd),
            (*base, rough),
            base,
            (label, self.operation),
            (label, "embeddings" if self.operation == "embeddings" else "texts"),
        )


@dataclass(slots=True)
class ServiceTimes:
    """Recorded times by stratum.  `limited` are pools whose limits are simulated: there recorded
    429s say nothing more."""

    limited: Collection[str] = ()
    _strata: dict[Hashable, list[tuple[float, float | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _failures: dict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    _chosen: dict[tuple[Kind, str], list[tuple[float, float | None]]] = field(default_factory=dict)

    def known(self, label: str) -> bool:
        """Whether any call of this candidate was recorded."""
        return self._calls[label] > 0

    def failure_share(self, label: str) -> float:
        """Of the calls of a candidate that it may be blamed for."""
        calls = self._calls[label]
        return len(self._failures[label]) / calls if calls else 0.0

    def add(self, row: HistoryRow, in_flight: int, label: str) -> None:
        """Take one recorded attempt, as one of the candidate `label`."""
        failed = row.failure
        if failed in ANYWHERE or (failed == What.LIMITED and pool_of(row.label) in self.limited):
            return
        self._calls[label] += 1
        if failed:
            self._failures[label].append((failed, row.duration_s))
        elif row.outcome == "ok":
            for key in kind_of(row, in_flight).keys(label):
                self._strata[key].append((row.duration_s, row.first_token_s))

    def close(self) -> None:
        """All were taken: put each stratum in order, so that luck means the same in all of them."""
        for found in self._strata.values():
            found.sort(key=lambda one: one[0])

    def drawn(self, label: str, kind: Kind, luck: float) -> Service | None:
        """A time of a call that does not fail; None if nothing is known of the candidate."""
        found = self._chosen.get((kind, label))
        if found is None:
            options = [self._strata[key] for key in kind.keys(label) if key in self._strata]
            wide = [one for one in options if len(one) >= STRATUM_MIN] or options[-1:]
            found = self._chosen[kind, label] = wide[0] if wide else []
        if not found:
            return None
        seconds, first_s = found[min(int(luck * len(found)), len(found) - 1)]
        return Service(seconds, first_s)

    def alike(self, turn: Turn) -> Hashable:
        """What a turn shares with those whose times it would be given, whatever is in flight."""
        keys = kind_of(turn.last, 0).keys(turn.served)[ROUGH:]
        known = [key for key in keys if key in self._strata]
        wide = [key for key in known if len(self._strata[key]) >= STRATUM_MIN]
        return next(iter(wide or known[-1:]), keys[-1])

    def failing(self, label: str, fate: float) -> Service | None:
        """How a call fails at a candidate by chance; None if it does not."""
        failures, calls = self._failures[label], self._calls[label]
        at = int(fate * calls) if calls else 0
        if at >= len(failures):
            return None
        failed, seconds = failures[at]
        return Service(seconds, failed=failed)


def kind_of(row: HistoryRow, in_flight: int) -> Kind:
    """What the time of a recorded attempt depended on."""
    return Kind(
        operation=row.gateway_operation,
        stream=row.stream,
        output_tokens=row.output_tokens_total or 0,
        input_tokens=row.input_tokens_total or 0,
        hour=datetime.fromtimestamp(row.at_s, UTC).hour,
        in_flight=in_flight,
    )


def pool_of(label: str) -> str:
    """What shares its limits with a candidate: its provider's models of one class."""
    provider, _, model = label.partition("/")
    return f"{provider}/{limit_class(provider, model)}"


def measured(
    turns: Sequence[Turn], limited: Collection[str] = (), *, apart: bool = True
) -> ServiceTimes:
    """The times of all attempts, each with the calls that its pool had in flight.

    Without `apart` all candidates are one, "".
    """
    found = ServiceTimes(limited)
    under_way: Mapping[str, list[float]] = defaultdict(list)  # pool → when its calls end
    rows = sorted((row for turn in turns for row in turn.rows), key=lambda row: row.at_s)
    for row in rows:
        ends = under_way[pool_of(row.label)]
        while ends and ends[0] <= row.at_s:
            heappop(ends)
        heappush(ends, row.at_s + row.duration_s)
        found.add(row, len(ends), row.label if apart else "")
    found.close()
    return found


def output_ratios(turns: Sequence[Turn], numbers: Sequence[int]) -> Ratios:
    """How much more one model writes than another, by (from, to, size of the input).

    Where both served the same feature often enough; each feature counts by the calls of the first.
    Size -1 is for all sizes together, where one alone has too few calls.
    """
    sums: dict[tuple[str, int], dict[str, list[int]]] = defaultdict(
        lambda: defaultdict(lambda: [0, 0])
    )
    for number in numbers:
        turn = turns[number]
        if turn.ok and turn.sizes_known:
            use = f"{turn.first.gateway_operation}/{turn.first.feature}"
            for size in (size_of(turn), EVERY_SIZE):
                one = sums[use, size][turn.served]
                one[0] += 1
                one[1] += turn.last.output_tokens_total or 0
    ratios: dict[tuple[str, str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (_, size), by_label in sums.items():
        known = {label: one for label, one in by_label.items() if one[0] >= STRATUM_MIN and one[1]}
        for label, other in permutations(known, 2):
            here, there = known[label], known[other]
            pair = ratios[label, other, size]
            pair[0] += here[1]
            pair[1] += there[1] / there[0] * here[0]
    return {pair: made / base for pair, (base, made) in ratios.items()}


def size_of(turn: Turn) -> int:
    """The class of a call's input: by powers of 8."""
    return (turn.last.input_tokens_total or 0).bit_length() // 3
