"""Client calls: the attempts of each put together, with what a route may ask of it.

A row does not hold the body of a request.  What a condition of a route asks beyond the row
(`max_tokens`, `schema`, `effort`) is taken to be absent, and whoever uses that says so (`UNSEEN`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from evaluation.history.rows import HistoryRow
from proxy.gateway.facts import Facts

UNSEEN = frozenset(("max_tokens", "schema", "effort", "caller"))  # names of `when` no row has
MODALITIES = ("image", "audio", "video", "document")
# Tags of calls that we made ourselves, which are no traffic.
OUR_OWN = {"eval-run": "calls of an evaluation", "loadtest": "calls of a load test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One client call.  `rows` are its attempts, in their order; the last one is its end."""

    rows: tuple[HistoryRow, ...]
    facts: Facts
    usd: Decimal | None  # of all attempts; None if that of one is unknown

    @property
    def first(self) -> HistoryRow:
        """The attempt that the decision was about."""
        return self.rows[0]

    @property
    def last(self) -> HistoryRow:
        """The attempt that the caller saw the end of."""
        return self.rows[-1]

    @property
    def at_s(self) -> float:
        """When it arrived, in seconds since the epoch."""
        return self.first.at_s

    @property
    def served(self) -> str:
        """`provider/model` of the last attempt."""
        return self.last.label

    @property
    def ok(self) -> bool:
        """Whether the caller had a whole answer, or left before it."""
        return not self.last.failure

    @property
    def judged(self) -> bool | None:
        """Whether it succeeded, as somebody said; None: nobody said anything."""
        return self.last.success if self.last.judged else None

    @property
    def total_s(self) -> float:
        """From the first attempt to the end of the last."""
        return self.last.at_s - self.first.at_s + self.last.duration_s

    @property
    def first_token_s(self) -> float | None:
        """From the first attempt to the first token."""
        found = self.last.first_token_s
        return None if found is None else self.last.at_s - self.first.at_s + found

    @property
    def group(self) -> str:
        """Its session; without one, itself."""
        return self.facts.session or self.first.call_id

    @property
    def prefix(self) -> str:
        """What shares a cached prefix: the session, else the use that the tags name."""
        one = self.first
        return self.facts.session or f"use:{one.team}/{one.feature}/{one.prompt_name}"

    @property
    def sizes_known(self) -> bool:
        """Whether its row says how many tokens there were."""
        return self.last.input_tokens_total is not None and bool(self.last.usage)


@dataclass(frozen=True, slots=True)
class Traffic:
    """The client calls of a history, in order of time, and the rows that are none."""

    turns: Sequence[Turn]
    left_out: Counter[str] = field(default_factory=Counter)  # why → rows
    rows: int = 0  # all of them, those that were left out too
    usd: Decimal = Decimal(0)  # likewise, as a report of the same calls adds them up
    usd_unknown: int = 0  # rows whose cost is not in that sum


def traffic(rows: Iterable[HistoryRow]) -> Traffic:
    """Put attempts together; rows of evaluations and of other operations are left out."""
    left_out: Counter[str] = Counter()
    count, known = 0, list[Decimal]()
    attempts: dict[str, list[HistoryRow]] = defaultdict(list)
    for row in rows:
        count += 1
        known += [] if row.cost_usd is None else [row.cost_usd]
        if own := next((what for tag, what in OUR_OWN.items() if tag in row.tags), ""):
            left_out[own] += 1
        elif not row.gateway_operation:
            left_out[f"no operation of the gateway: {row.endpoint or row.operation}"] += 1
        else:
            attempts[row.request_id or row.call_id].append(row)
    turns = [_turn(sorted(each, key=lambda r: (r.attempt, r.ts))) for each in attempts.values()]
    return Traffic(
        sorted(turns, key=lambda turn: (turn.at_s, turn.first.call_id)),
        left_out,
        rows=count,
        usd=sum(known, Decimal(0)),
        usd_unknown=count - len(known),
    )


def _turn(rows: Sequence[HistoryRow]) -> Turn:
    known = [row.cost_usd for row in rows]
    usd = None if None in known else sum((each for each in known if each is not None), Decimal(0))
    return Turn(rows=tuple(rows), facts=facts_of(rows[0], rows[-1]), usd=usd)


def facts_of(row: HistoryRow, last: HistoryRow) -> Facts:
    """What a route may ask of a call whose first and last attempts these are."""
    tokens = last.input_tokens_total or row.input_tokens_total or 0
    seen = {name for name in MODALITIES for meter in last.usage if meter.endswith(f".{name}")}
    tags = {**row.tags, "team": row.team, "feature": row.feature}
    return Facts(
        dialect=row.dialect,
        operation=row.gateway_operation,
        input_tokens=tokens,
        tools=last.tool_calls > 0,
        modalities=frozenset({"text", *seen}),
        stream=row.stream,
        session=row.session_id,
        user=row.user_id,
        tags={name: value for name, value in tags.items() if value},
        hour=datetime.fromtimestamp(row.at_s, UTC).hour,
    )


@dataclass(frozen=True, slots=True)
class Split:
    """Sessions that began before `at_s` to learn from, and those that began after it to report on.

    Rows of the first that came after it are in neither.
    """

    at_s: float
    learned: Sequence[int]  # numbers of turns
    held_out: Sequence[int]
    between: int


def split(turns: Sequence[Turn], share: float = 0.5) -> Split:
    """By time and by session: no session is on both sides.  Raises ValueError for no turns.

    The time is when so many of the sessions had begun.
    """
    if not turns:
        raise ValueError("no calls to split")
    began: dict[str, float] = {}
    for turn in turns:
        began.setdefault(turn.group, turn.at_s)
    begins = sorted(began.values())
    at_s = begins[min(int(len(begins) * share), len(begins) - 1)]
    learned, held_out, between = [], [], 0
    for number, turn in enumerate(turns):
        if began[turn.group] >= at_s:
            held_out.append(number)
        elif turn.at_s < at_s:
            learned.append(number)
        else:
            between += 1
    return Split(at_s, learned, held_out, between)
