"""`/api/budgets`: what budgets hold, and the budgets that lie beside those of the configuration."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import msgspec
from aiohttp import web

from exporters.clickhouse.query import Filter
from exporters.clickhouse.spend import COLUMNS
from exporters.clickhouse.store import Row, Scalar
from exporters.record import TransientError
from pricing.budget import ANY, DIMENSIONS, TAG, Budget
from pricing.charge import plain
from proxy.access.audit import Audit
from proxy.budgets import history
from proxy.budgets.budgets import Budgets
from proxy.budgets.registry import ConfiguredBudget, document
from proxy.budgets.trial import trial
from proxy.console.admission import CALLER
from proxy.console.asking import ASKED, reply
from proxy.query.asked import Mistake, near
from proxy.settings.budget_checks import idle, unseen

PATH = "/api/budgets"
ONE = "/api/budgets/{name}"
TEST = "/api/budgets/{name}/test"
HISTORY = "/api/budgets/{name}/history"
SEEN_MAX = 1_000  # values of a dimension that a warning compares with


class Asking(Protocol):
    """The query of `exporters.clickhouse.store.Store` that is needed here."""

    async def ask(self, sql: str, parameters: Mapping[str, Scalar]) -> list[Row]: ...


class BudgetsApi:
    """Handlers; a change is in the audit log before it is made."""

    def __init__(self, budgets: Budgets, store: Asking, audit: Audit) -> None:
        self._budgets = budgets
        self._store = store
        self._audit = audit
        self._turn = asyncio.Lock()  # of those who change budgets

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PATH, self.list),
            web.post(PATH, self.add),
            web.put(ONE, self.put),
            web.delete(ONE, self.remove),
            web.get(TEST, self.test),
            web.get(HISTORY, self.history),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """All budgets, one entry for each key; `name` chooses one."""
        return reply(self._budgets.documents(request[ASKED].one("name")))

    async def add(self, request: web.Request) -> web.StreamResponse:
        """A new budget: `name`, and the keys of `[budgets.NAME]`."""
        body = await _body(request)
        name = body.pop("name", None)
        if not isinstance(name, str) or not name:
            raise ValueError("name: required")
        async with self._turn:
            if name in self._budgets.registry.budgets:
                return reply({"error": f"there is a budget {name} already; PUT replaces it"}, 409)
            return await self._save(request, name, body, 201)

    async def put(self, request: web.Request) -> web.StreamResponse:
        """Make or replace a budget.  With another limit it keeps its spend."""
        body, name = await _body(request), request.match_info["name"]
        if body.pop("name", name) != name:
            raise ValueError(f"name: the address says {name}; a budget cannot be renamed")
        async with self._turn:
            return await self._save(request, name, body, 200)

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Remove a budget; its alerts are over."""
        name, registry = request.match_info["name"], self._budgets.registry
        async with self._turn:
            budget = registry.budgets.get(name)
            if budget is None:
                return reply({"error": f"there is no budget {name}"}, 404)
            try:
                registry.changeable(name)
            except ConfiguredBudget as error:
                return reply({"error": str(error)}, 409)
            before = document(budget)
            await self._audit(request[CALLER], "budget-remove", name, before=before)
            registry.remove(name)
            self._budgets.change()
        return reply({"name": name, **before})

    async def test(self, request: web.Request) -> web.StreamResponse:
        """What a call would meet: `team=search`, …, and `amount` in the budget's unit."""
        name = request.match_info["name"]
        budget = self._budgets.registry.budgets.get(name)
        if budget is None:
            return reply({"error": f"there is no budget {name}"}, 404)
        asked = request[ASKED]
        amount, call = _amount(asked.one("amount")), dict(map(_fact, asked.filters))
        key = budget.matches(call)
        standing = None if key is None else self._budgets.standing(name, key)
        return reply(trial(budget, call, amount, standing))

    async def history(self, request: web.Request) -> web.StreamResponse:
        """The current window step by step; `user=ann`, … choose the key of a `*`."""
        name = request.match_info["name"]
        budget = self._budgets.registry.budgets.get(name)
        if budget is None:
            return reply({"error": f"there is no budget {name}"}, 404)
        fixed = {one: value for one, value in budget.scope.items() if value != ANY}
        key = budget.matches(fixed | dict(map(_fact, request[ASKED].filters)))
        if key is None:
            raise Mistake(f"{name} counts no such call", "give the values of its key alone")
        window = budget.windows.window(datetime.now(UTC))
        asked, by = history.question(budget, key, window), history.dimensions(budget)
        rows = await self._store.ask(*asked.sql())
        most = history.CONTRIBUTORS_MAX
        who = await self._store.ask(*asked.contributors(by, most)) if by else []
        return reply(
            {
                "name": name,
                "key": dict(key),
                "unit": budget.unit,
                "limit": None if budget.limit is None else plain(Decimal(budget.limit)),
                "window_start": window.start.isoformat(),
                "window_end": None if window.end is None else window.end.isoformat(),
                "definition": document(budget),  # what PUT takes, for whoever changes a part
                "points": history.points(budget, rows),
                "contributors": history.contributors(budget, who),
            }
        )

    async def _save(
        self, request: web.Request, name: str, body: dict[str, Any], status: int
    ) -> web.StreamResponse:
        registry = self._budgets.registry
        try:
            registry.changeable(name)
        except ConfiguredBudget as error:
            return reply({"error": str(error)}, 409)
        budget = registry.parsed(name, body)
        before = registry.budgets.get(name)
        after = document(budget)
        action = "budget-add" if before is None else "budget-change"
        old = None if before is None else document(before)
        await self._audit(request[CALLER], action, name, before=old, after=after)
        registry.put(budget)
        self._budgets.change()
        warnings = await self._unseen(budget)
        return reply({"name": name, **after, "warnings": warnings}, status)

    async def _unseen(self, budget: Budget) -> Sequence[str]:
        """Warnings of values that no call has had; none while the store is away."""
        seen = {}
        for name in budget.scope:
            column = COLUMNS.get(name)
            if column and name not in ("user", "key", "provider"):
                sql = f"SELECT DISTINCT {column} AS value FROM spend_15m LIMIT {SEEN_MAX}"
                try:
                    rows = await self._store.ask(sql, {})
                except TransientError:
                    continue
                seen[name] = {str(row["value"]) for row in rows}
        return [*idle(budget), *unseen(budget, seen)]


async def _body(request: web.Request) -> dict[str, Any]:
    return msgspec.json.decode(await request.read(), type=dict[str, Any])


def _fact(given: Filter) -> tuple[str, str]:
    """What a call says of itself.  Raises Mistake for what no scope of a budget names."""
    if given.name not in DIMENSIONS and not given.name.startswith(TAG):
        raise Mistake(f"no budget has a scope by {given.name}", near(given.name, DIMENSIONS))
    if given.negated or len(given.values) != 1:
        raise Mistake(f"{given.name}: a call has one value", "give one", given.name)
    return given.name, str(given.values[0])


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text or "0")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ValueError("amount: expected a number of at least 0")
    return amount
