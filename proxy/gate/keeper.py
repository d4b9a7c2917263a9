"""Which budgets a call must ask, and for how much; one `Keeper` for all calls of a relay.

keeper.refresh()                               # a few times a second
asking = keeper.asking(begun, provider)        # None: no budget is about this call
if asking.wants_body: …                        # hold the request until it has arrived
work = asking.read(data, whole=True)           # not None: run it in a thread first
verdict = asking.ask(call)                     # None: ask again soon
"""

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from threading import Lock
from urllib.parse import urlsplit

from pricing.book import TariffBook
from pricing.budget import Budget, Key
from pricing.plan import LOCAL
from pricing.sheet.entry import TariffError
from proxy.exchange import Begun
from proxy.gate.facts import MODEL, facts, matched
from proxy.gate.gate import Gate
from proxy.gate.layout import whole as units_of
from proxy.gate.rates import Rate, Rates, Terms
from proxy.gate.request import Request, is_free, model_in, read
from proxy.gate.usual import asked
from proxy.gate.verdict import Verdict, Want
from proxy.regions import place_terms
from proxy.settings.config import Provider

log = logging.getLogger(__name__)

ONE = units_of(Decimal(1))
NOTHING = Request(input_tokens=0, output_tokens=0)
Matched = list[tuple[Budget, Key]]


class Keeper:
    """`load` makes the tariff book when there is a budget in dollars."""

    def __init__(
        self, gate: Gate, key_names: Mapping[str, str], load: Callable[[], TariffBook]
    ) -> None:
        self.gate = gate
        self.rates: Rates | None = None
        self._key_names = key_names
        self._load = load
        self._lock = Lock()  # held by a thread that looks up a rate
        self._clients = False
        self._take()

    @property
    def enforces(self) -> bool:
        """Whether any budget may say something about a call."""
        return self.gate.enforces

    def refresh(self) -> None:
        """Look for new rules."""
        if self.gate.refresh():
            self._take()

    def _take(self) -> None:
        budgets = self.gate.rules.budgets.values()
        self._clients = any("client" in budget.scope for budget in budgets)
        if self.rates is None and any(budget.unit == "usd" for budget in budgets):
            try:
                self.rates = Rates(self._load())
            except (OSError, TariffError) as error:
                log.error("Cannot read the tariffs (%s); budgets reserve nothing for calls.", error)

    def asking(self, begun: Begun, provider: Provider) -> "Asking | None":
        """What a call that begins has to ask; None: nothing."""
        known = facts(begun, self._key_names, clients=self._clients)
        if model := model_in(begun.target):
            known[MODEL] = self.served(begun.provider, model)
        found: Matched = []
        for budget in self.gate.rules.budgets.values():
            key = matched(budget, known)
            if key is not None:
                found.append((budget, key))
        return Asking(self, begun, provider, known, found) if found else None

    def served(self, provider: str, model: str) -> str:
        """The model that serves those who ask for `model`, as far as rows have shown."""
        return self.gate.rules.served.get(asked(provider, model), model)

    def learn(self, provider: str, request: Request, terms: Terms, now_ns: int) -> None:
        """Find out a rate that is not known yet.  In a thread: it may take a second."""
        with self._lock:
            assert self.rates is not None  # else nobody asks for a price
            if self.rates.find(provider, request, terms, now_ns) is None:
                self.rates.ceiling(provider, now_ns)


class Asking:
    """One call before it is made."""

    __slots__ = (
        *("wants_body", "_keeper", "_begun", "_provider", "_known", "_matched", "_request"),
        *("_free", "_paid", "_dollars", "_terms"),
    )

    def __init__(
        self,
        keeper: Keeper,
        begun: Begun,
        provider: Provider,
        known: dict[str, str],
        found: Matched,
    ) -> None:
        self._keeper, self._begun, self._provider = keeper, begun, provider
        self._known, self._matched = known, found
        self._request = NOTHING
        self._terms: Terms = {}
        path = begun.target.partition("?")[0]
        bodyless = begun.websocket or is_free(begun.method, path)
        self._free = bodyless and not begun.websocket
        dollars = [budget for budget, _ in found if budget.unit == "usd"]
        self._paid = bool(dollars) and self._is_paid_for(path)
        self._dollars = not (bodyless or self._paid) and any(map(_is_measured, dollars))
        asks_model = MODEL not in known and any(MODEL in budget.scope for budget, _ in found)
        tokens = any(budget.unit == "tokens" and _is_measured(budget) for budget, _ in found)
        self.wants_body = not bodyless and (self._dollars or tokens or asks_model)

    def _is_paid_for(self, path: str) -> bool:
        """Whether a flat plan, or nobody, pays for the call, as far as can be told beforehand."""
        provider, rates = self._provider, self._keeper.rates
        if provider.billing or rates is None:
            return provider.billing == LOCAL
        host = urlsplit(provider.base_url).hostname or ""
        begun = self._begun
        return rates.is_paid_for(begun.provider, begun.credential_kind, host, path)

    @property
    def matched(self) -> Matched:
        """The budgets that the call must pass, each with the key under which it counts."""
        return self._matched

    def read(
        self, data: bytes, *, whole: bool, announced: int | None = None
    ) -> Callable[[], None] | None:
        """Take the request body; returns what must be done in a thread before `ask`, if anything.

        `data` is the beginning of a body that is not `whole`; `announced` is its full length.
        """
        begun, rates = self._begun, self._keeper.rates
        path = begun.target.partition("?")[0]
        request = self._request = read(path, data, whole=whole, announced=announced)
        if MODEL not in self._known:
            self._resolve(request.model)
        if not self._dollars or rates is None:
            return None
        self._terms = place_terms(begun.upstream, begun.target, self._provider)
        told = begun.provider, request, self._terms, begun.wall_ns
        return None if rates.knows(*told) else lambda: self._keeper.learn(*told)

    def _resolve(self, model: str) -> None:
        """The model is known, or will not be: then only a closed budget takes it for its own."""
        if model:
            self._known[MODEL] = self._keeper.served(self._begun.provider, model)
            again = ((budget, budget.matches(self._known)) for budget, _ in self._matched)
            self._matched = [(budget, key) for budget, key in again if key is not None]
        else:
            self._matched = [
                (budget, key)
                for budget, key in self._matched
                if budget.fail == "closed" or MODEL not in budget.scope
            ]

    def ask(self, call: int, *, last: bool = True) -> Verdict | None:
        """See `Gate.ask`: `call` is the call's number in the relay's journal."""
        begun, rates = self._begun, self._keeper.rates
        rate: Rate | None = None
        if self._dollars and rates is not None:
            rate = rates.find(begun.provider, self._request, self._terms, begun.wall_ns)
        wants = [self._want(budget, key, rate) for budget, key in self._matched]
        return self._keeper.gate.ask(call, wants, begun.wall_ns, last=last)

    def spent(self, now_ns: int) -> Budget | None:
        """A budget that closes open sockets, and is spent; None: there is none."""
        gate = self._keeper.gate
        for budget, key in self._matched:
            closes = budget.close_sockets and budget.action == "block"
            if closes and gate.is_spent(budget, key, now_ns):
                return budget
        return None

    @property
    def closes_sockets(self) -> bool:
        """Whether a budget may close a socket while it is open."""
        return any(budget.close_sockets and budget.action == "block" for budget, _ in self._matched)

    def _want(self, budget: Budget, key: Key, rate: Rate | None) -> Want:
        request = self._request
        unit = budget.unit
        free = unit != "calls" and (self._free or (unit == "usd" and self._paid))
        if free or self._begun.websocket or not _is_measured(budget):
            return Want(budget=budget, key=key, amount=0, free=free)
        if unit == "calls":
            return Want(budget=budget, key=key, amount=ONE)
        if unit == "tokens":
            amount = (request.input_tokens + request.output_tokens) * ONE
        elif rate is not None:
            amount = rate.of(request)
        elif budget.unknown == "refuse":
            return Want(budget=budget, key=key, amount=0, priced=False)
        else:
            amount = self._ceiling(budget)
        if budget.reserve == "typical":
            models = self._keeper.gate.rules.typical.get(budget.name, {})
            usual = models.get(asked(self._begun.provider, request.model))
            amount = amount if usual is None else min(amount, units_of(usual))
        return Want(budget=budget, key=key, amount=amount)

    def _ceiling(self, budget: Budget) -> int:
        """Of a call without a known price; 0 where no model of its provider has one."""
        if budget.unknown_usd is not None:
            return units_of(budget.unknown_usd)
        rates = self._keeper.rates
        rate = rates.ceiling(self._begun.provider, self._begun.wall_ns) if rates else None
        return rate.of(self._request) if rate is not None else 0


def _is_measured(budget: Budget) -> bool:
    """Whether a call's amount must be known before it is made."""
    if budget.unit == "usd" and budget.unknown == "refuse":
        return True
    return budget.reserve != "none" and bool(budget.limit)
