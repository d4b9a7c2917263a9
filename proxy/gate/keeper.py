"""What all calls of a relay share of the gate: its rules, rates, and the ways to its providers.

keeper.refresh()                               # a few times a second
asking = keeper.asking(begun, provider)        # None: no budget is about this call
if asking.wants_body: …                        # hold the request until it has arrived
work = asking.read(data, whole=True)           # not None: run it in a thread first
verdict = asking.ask(call)                     # None: ask again soon
"""

import logging
from collections.abc import Callable, Mapping
from threading import Lock
from urllib.parse import urlsplit

from pricing.book import TariffBook
from pricing.plan import LOCAL
from pricing.sheet.entry import TariffError
from proxy.exchange import Begun
from proxy.gate.asking import Asking, Matched, Rule, Way
from proxy.gate.facts import MODEL, facts, matched
from proxy.gate.gate import Gate
from proxy.gate.rates import Rates, Terms
from proxy.gate.request import Request, is_free, model_in
from proxy.gate.usual import asked
from proxy.regions import place_terms
from proxy.settings.config import Provider

log = logging.getLogger(__name__)

WAYS_MAX = 1_024  # remembered; callers choose the paths, so there must be a limit


class Keeper:
    """`load` makes the tariff book when there is a budget in dollars."""

    def __init__(
        self, gate: Gate, key_names: Mapping[str, str], load: Callable[[], TariffBook]
    ) -> None:
        self.gate = gate
        self.rates: Rates | None = None
        self.enforces = False  # whether any budget may say something about a call
        self._key_names = key_names
        self._load = load
        self._lock = Lock()  # held by a thread that looks up a rate
        self._rules: list[Rule] = []
        self._clients = False  # whether a scope names the program that calls
        self._ways: dict[tuple[str, str, str, str], Way] = {}
        self._take()

    def refresh(self) -> None:
        """Look for new rules."""
        if self.gate.refresh():
            self._take()

    def _take(self) -> None:
        rules = self.gate.rules
        self._rules = [
            Rule.of(budget, rules.typical.get(name, {}) if budget.reserve == "typical" else {})
            for name, budget in rules.budgets.items()
        ]
        self._clients = any("client" in rule.budget.scope for rule in self._rules)
        if self.rates is None and any(rule.unit == "usd" for rule in self._rules):
            try:
                self.rates = Rates(self._load())
                self._ways.clear()
            except (OSError, TariffError) as error:
                log.error("Cannot read the tariffs (%s); budgets reserve nothing for calls.", error)
        self.enforces = bool(self._rules)

    def asking(self, begun: Begun, provider: Provider) -> Asking | None:
        """What a call that begins has to ask; None: nothing."""
        path = begun.target.partition("?")[0]
        told = begun.provider, begun.method, path, begun.credential_kind
        way = self._ways.get(told) or self._way(begun, provider, path)
        known = facts(begun, self._key_names, clients=self._clients)
        if way.model:
            known[MODEL] = self.served(begun.provider, way.model)
        found: Matched = []
        for rule in self._rules:
            key = matched(rule.budget, known)
            if key is not None:
                found.append((rule, key))
        return Asking(self, begun, way, known, found) if found else None

    def _way(self, begun: Begun, provider: Provider, path: str) -> Way:
        host = urlsplit(provider.base_url).hostname or ""
        paid = provider.billing == LOCAL
        if self.rates is not None and not provider.billing:
            paid = self.rates.is_paid_for(begun.provider, begun.credential_kind, host, path)
        way = Way(
            path=path,
            model=model_in(path),
            free=is_free(begun.method, path),
            paid=paid,
            terms=place_terms(begun.upstream, path, provider),
        )
        if len(self._ways) >= WAYS_MAX:
            self._ways.clear()
        self._ways[begun.provider, begun.method, path, begun.credential_kind] = way
        return way

    def served(self, provider: str, model: str) -> str:
        """The model that serves those who ask for `model`, as far as rows have shown."""
        return self.gate.rules.served.get(asked(provider, model), model)

    def learn(self, provider: str, request: Request, terms: Terms, now_ns: int) -> None:
        """Find out a rate that is not known yet.  In a thread: it may take a second."""
        with self._lock:
            assert self.rates is not None  # else nobody asks for a price
            if self.rates.find(provider, request, terms, now_ns) is None:
                self.rates.ceiling(provider, now_ns)
