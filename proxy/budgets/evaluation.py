"""What to tell of the budgets now: crossed thresholds, and alerts that are over.

Nothing is remembered here: the outbox knows what was told, and the same spend gives the same ids.
Windows end by the clock, so all this happens whether or not calls come.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import islice

from exporters.notify.budget_notices import resolved_notice, threshold_notice
from pricing.budget import AlertId, Budget, Key, parse_alert_id
from pricing.budget_state import Spend, State, crossing, ended, state
from pricing.window import Window, instant_text
from proxy.budgets.ceiling import Ceilings
from proxy.budgets.count import Count
from proxy.budgets.spending import Spending
from proxy.budgets.sums import NOTHING, total
from proxy.gate.account import Account, Held
from proxy.notices.notices import Notices

ANOMALY = "anomaly"
NO_HOLD = Held(NOTHING, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one budget stands for one key.  `spend` is None while it is unknown, which is not 0."""

    budget: Budget
    key: Key
    window: Window
    spend: Spend | None = None
    as_of: datetime | None = None
    unmeasured_calls: int = 0  # of the unknown ones: no tokens either, so the ceiling adds nothing
    by_ceiling: tuple[tuple[str, Decimal], ...] = ()  # provider/operation → what its unknown count

    @property
    def state(self) -> State | None:
        """None while the spend is unknown."""
        return None if self.spend is None else state(self.budget, self.spend)


class Evaluation:
    """`held` and `uncertain` say what open and cut calls add, by budget and key."""

    def __init__(
        self,
        spending: Spending,
        ceilings: Callable[[], Ceilings],
        notices: Notices,
        held: Callable[[], Mapping[Account, Held]],
        uncertain: Callable[[Budget, Key, Window], Decimal],
    ) -> None:
        self._spending = spending
        self._ceilings = ceilings
        self._notices = notices
        self._held = held
        self._uncertain = uncertain
        self._known: dict[str, dict[Key, Standing]] = {}  # what rows say, until they change
        self._refused: dict[Account, int] = {}
        self._touched: set[Account] = set()

    # -- where budgets stand ----------------------------------------------------------------------

    def update(self, now: datetime) -> None:
        """Add up what changed since the last time; all of a budget if its window moved on."""
        counts = self._spending.counts
        for name in self._known.keys() - counts.keys():
            del self._known[name]
        for name, count in counts.items():
            as_of = self._spending.as_of(count, now)
            if as_of is None:
                self._known.pop(name, None)
                continue
            window = count.window(now)
            known = self._known.get(name)
            if known is None or any(one.window != window for one in _first(known)):
                known = self._known[name] = {}
                keys: Collection[Key] = count.all_keys()
            else:
                keys = count.changed
            for key in keys:
                known[key] = self._added_up(count, key, window)
                self._touched.add((name, key))
            count.changed = set()

    def _added_up(self, count: Count, key: Key, window: Window) -> Standing:
        budget, kinds = count.budget, count.sums(key, window)
        every = [*kinds.values()]
        by_ceiling: list[tuple[str, Decimal]] = []
        unknown, unknown_calls = NOTHING, 0
        if budget.unit == "usd":
            spent = total(one.cost_usd for one in every)
            unknown_calls = sum(one.unknown_calls for one in every)
            if budget.unknown_usd is not None:
                unknown = budget.unknown_usd * unknown_calls
            elif unknown_calls:
                by_ceiling = [
                    (f"{kind.provider}/{kind.operation}", self._ceilings().usd(kind, one))
                    for kind, one in kinds.items()
                    if one.unknown_calls
                ]
                unknown = total(amount for _, amount in by_ceiling)
        elif budget.unit == "tokens":
            spent = Decimal(sum(one.tokens for one in every))
            unknown_calls = sum(one.uncounted_calls for one in every)
        else:
            spent = Decimal(sum(one.calls for one in every))
        return Standing(
            budget=budget,
            key=key,
            window=window,
            spend=Spend(spent=spent, unknown=unknown, unknown_calls=unknown_calls),
            unmeasured_calls=sum(one.unmeasured_calls for one in every),
            by_ceiling=tuple(by_ceiling),
        )

    def committed(self) -> dict[Account, tuple[Window, Decimal]] | None:
        """What rows and cut calls of all enforcing budgets come to; None: some is unknown."""
        found = {}
        for name, count in self._spending.counts.items():
            if count.budget.action == "alert" or count.budget.limit is None:
                continue
            if name not in self._known:
                return None
            for key, one in self._known[name].items():
                if one.spend is not None:
                    more = self._uncertain(count.budget, key, one.window)
                    found[name, key] = one.window, one.spend.counted + more
        return found

    def standings(self, now: datetime) -> Iterator[Standing]:
        """All budgets, for all keys that have a row or a refusal."""
        held = self._held()
        for name, count in self._spending.counts.items():
            own = {key for budget, key in held if budget == name}
            for key in sorted({*count.all_keys(), *own}):
                yield self.standing(count, key, now)

    def standing(self, count: Count, key: Key, now: datetime) -> Standing:
        """Where a budget stands for `key`, as of the last update."""
        budget, known = count.budget, self._known.get(count.budget.name)
        window = count.window(now)
        if known is None:
            return Standing(budget=budget, key=key, window=window, as_of=count.read_at)
        rows = known.get(key) or Standing(budget=budget, key=key, window=window, spend=Spend())
        held = self._held().get((budget.name, key), NO_HOLD)
        spend = rows.spend and replace(
            rows.spend,
            uncertain=self._uncertain(budget, key, rows.window),
            reserved=held.reserved,
            refused=held.refused,
        )
        as_of = self._spending.as_of(count, now)
        return replace(rows, budget=budget, spend=spend, as_of=as_of)

    # -- alerts -----------------------------------------------------------------------------------

    def look(self, now: datetime) -> list[str]:
        """Tell what is new since the last look; returns the ids."""
        refused = {account: held.refused for account, held in self._held().items() if held.refused}
        self._touched |= {at for at, number in refused.items() if self._refused.get(at) != number}
        self._refused = refused
        touched, self._touched = self._touched, set()
        told = self.firing() if touched else {}
        new: list[str] = []
        for name, key in touched:
            count = self._spending.counts.get(name)
            standing = self.standing(count, key, now) if count is not None else None
            if standing is None or standing.spend is None:
                continue
            known = told.get((name, key), ())
            found = crossing(standing.budget, key, standing.window, standing.spend, known)
            if found is not None:
                notice = threshold_notice(found, now)
                if self._notices.tell(notice, standing.budget.notify):
                    new += [notice.id, *notice.also]
        return new

    def look_at_all(self) -> None:
        """Have the next look be at everything."""
        self._touched |= {(name, key) for name, known in self._known.items() for key in known}

    def end_all(self, name: str, now: datetime) -> None:
        """Tell that all alerts of a budget are over."""
        for (budget, key), ids in self.firing().items():
            if budget == name:
                count = self._spending.counts.get(name)
                self._finish(count.budget if count else Budget(name=name), key, ids, now)

    def firing(self) -> Mapping[Account, list[str]]:
        """The ids of all alerts of budgets that fire."""
        firing: defaultdict[Account, list[str]] = defaultdict(list)
        for id in self._notices.outbox.told():
            if (parsed := parse_alert_id(id)) is not None:
                firing[parsed.budget, parsed.key].append(id)
        return firing

    def end(self, now: datetime) -> list[str]:
        """Tell that alerts are over; returns their ids."""
        gone: list[str] = []
        for (name, key), ids in self.firing().items():
            count = self._spending.counts.get(name)
            over = ids if count is None else self._over(count, key, ids, now)
            budget = Budget(name=name) if count is None else count.budget
            self._finish(budget, key, over, now)
            gone += over
        return gone

    def _over(self, count: Count, key: Key, ids: list[str], now: datetime) -> list[str]:
        hours = [id for id in ids if _parts(id).threshold == ANOMALY]
        over = [id for id in hours if _parts(id).window.partition("/")[2] <= instant_text(now)]
        rest = [id for id in ids if id not in hours]
        standing = self.standing(count, key, now)
        spend = standing.spend
        if spend is None:
            if count.budget.windows.rolling is not None:
                return over  # whether it is lower again is not known
            spend = Spend()
        return [*over, *ended(count.budget, key, standing.window, spend, rest)]

    def _finish(self, budget: Budget, key: Key, ids: list[str], now: datetime) -> None:
        outbox = self._notices.outbox
        for id in ids:
            if (started_at := outbox.started_at(id)) is not None:
                notice = resolved_notice(id, budget, key, started_at, now)
                self._notices.tell(notice, budget.notify)
        outbox.end(id for id in ids if id in outbox.told())


def _first(known: Mapping[Key, Standing]) -> Iterator[Standing]:
    """One of them, if there is any."""
    yield from islice(known.values(), 1)


def _parts(id: str) -> AlertId:
    """Of an id that is a budget's."""
    parsed = parse_alert_id(id)
    if parsed is None:
        raise ValueError(f"{id} is no budget's alert")
    return parsed
