"""One call before it is made: which budgets it must ask, and for how much."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from pricing.budget import Budget, Key
from proxy.exchange import Begun
from proxy.gate.facts import MODEL
from proxy.gate.gate import Gate
from proxy.gate.layout import whole as units_of
from proxy.gate.rates import Rate, Rates, Terms
from proxy.gate.request import Request, read
from proxy.gate.rules import Usually
from proxy.gate.usual import asked
from proxy.gate.verdict import Verdict, Want

ONE = units_of(Decimal(1))
NOTHING = Request(input_tokens=0, output_tokens=0)


@dataclass(slots=True)
class Rule:
    """A budget in force, with what each call asks of it found once."""

    budget: Budget
    unit: str
    measured: bool  # whether a call's amount must be known before it is made
    names_model: bool
    usually: Usually  # "provider/model" → what `reserve = "typical"` holds back

    @classmethod
    def of(cls, budget: Budget, usually: Usually) -> "Rule":
        """Of one budget."""
        strict = budget.unit == "usd" and budget.unknown == "refuse"
        measured = strict or (budget.reserve != "none" and bool(budget.limit))
        return cls(budget, budget.unit, measured, MODEL in budget.scope, usually)


Matched = list[tuple[Rule, Key]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a call reaches its provider: the same for most of them."""

    path: str
    model: str  # that the path names
    free: bool  # nobody bills such a call, unless it becomes a socket
    paid: bool  # a flat plan pays, or nobody, as far as can be told beforehand
    terms: Terms


class Keeping(Protocol):
    """What a `Keeper` has for its calls."""

    gate: Gate
    rates: Rates | None

    def served(self, provider: str, model: str) -> str: ...
    def learn(self, provider: str, request: Request, terms: Terms, now_ns: int) -> None: ...


class Asking:
    """`wants_body`: `read` must get the request before `ask`."""

    __slots__ = (
        *("wants_body", "_keeper", "_begun", "_way", "_known", "_matched", "_request"),
        *("_dollars", "_free", "_rate"),
    )

    def __init__(
        self, keeper: Keeping, begun: Begun, way: Way, known: dict[str, str], found: Matched
    ) -> None:
        self._keeper, self._begun, self._way = keeper, begun, way
        self._known, self._matched = known, found
        self._request = NOTHING
        self._rate: Rate | None = None
        dollars = tokens = names_model = False
        for rule, _ in found:
            names_model = names_model or rule.names_model
            if rule.measured:
                dollars = dollars or rule.unit == "usd"
                tokens = tokens or rule.unit == "tokens"
        self._free = way.free and not begun.websocket
        bodyless = way.free or begun.websocket
        self._dollars = dollars and not (bodyless or way.paid)
        asks_model = names_model and MODEL not in known
        self.wants_body = not bodyless and (self._dollars or tokens or asks_model)

    def read(
        self, data: bytes, *, whole: bool, announced: int | None = None
    ) -> Callable[[], None] | None:
        """Take the request body; returns what must be done in a thread before `ask`, if anything.

        `data` is the beginning of a body that is not `whole`; `announced` is its full length.
        """
        begun, rates, way = self._begun, self._keeper.rates, self._way
        request = self._request = read(way.path, data, whole=whole, announced=announced)
        if MODEL not in self._known:
            self._resolve(request.model)
        if not self._dollars or rates is None:
            return None
        told = begun.provider, request, way.terms, begun.wall_ns
        try:
            self._rate = rates.known(*told)
        except KeyError:
            return lambda: self._keeper.learn(*told)
        return None

    def _resolve(self, model: str) -> None:
        """The model is known, or will not be: then only a closed budget takes it for its own."""
        if model:
            self._known[MODEL] = self._keeper.served(self._begun.provider, model)
        if not any(rule.names_model for rule, _ in self._matched):
            return
        if model:
            again = ((rule, rule.budget.matches(self._known)) for rule, _ in self._matched)
            self._matched = [(rule, key) for rule, key in again if key is not None]
        else:
            self._matched = [
                (rule, key)
                for rule, key in self._matched
                if rule.budget.fail == "closed" or not rule.names_model
            ]

    def ask(self, call: int, *, last: bool = True) -> Verdict | None:
        """See `Gate.ask`: `call` is the call's number in the relay's journal."""
        begun, rates = self._begun, self._keeper.rates
        if self._rate is None and self._dollars and rates is not None:
            told = begun.provider, self._request, self._way.terms, begun.wall_ns
            self._rate = rates.find(*told)
        wants = [self._want(rule, key) for rule, key in self._matched]
        return self._keeper.gate.ask(call, wants, begun.wall_ns, last=last)

    def spent(self, now_ns: int) -> Budget | None:
        """A budget that closes open sockets, and is spent; None: there is none."""
        gate = self._keeper.gate
        for rule, key in self._matched:
            if _closes(rule.budget) and gate.is_spent(rule.budget, key, now_ns):
                return rule.budget
        return None

    @property
    def closes_sockets(self) -> bool:
        """Whether a budget may close a socket while it is open."""
        return any(_closes(rule.budget) for rule, _ in self._matched)

    def _want(self, rule: Rule, key: Key) -> Want:
        budget, unit, way = rule.budget, rule.unit, self._way
        free = unit != "calls" and (self._free or (unit == "usd" and way.paid))
        if free or self._begun.websocket or not rule.measured:
            return Want(budget, key, 0, free)
        if unit == "calls":
            return Want(budget, key, ONE)
        request = self._request
        if unit == "tokens":
            amount = (request.input_tokens + request.output_tokens) * ONE
        elif self._rate is not None:
            amount = self._rate.of(request)
        elif budget.unknown == "refuse":
            return Want(budget, key, 0, priced=False)
        else:
            amount = self._ceiling(budget)
        if rule.usually:
            usual = rule.usually.get(asked(self._begun.provider, request.model))
            amount = amount if usual is None else min(amount, units_of(usual))
        return Want(budget, key, amount)

    def _ceiling(self, budget: Budget) -> int:
        """Of a call without a known price; 0 where no model of its provider has one."""
        if budget.unknown_usd is not None:
            return units_of(budget.unknown_usd)
        rates = self._keeper.rates
        rate = rates.ceiling(self._begun.provider, self._begun.wall_ns) if rates else None
        return rate.of(self._request) if rate is not None else 0


def _closes(budget: Budget) -> bool:
    return budget.close_sockets and budget.action == "block"
