"""`Budgets`: all that the meter does about budgets, put together.

    budgets = Budgets(config, book, notices, ask=…, history=…, writer=…, progress=…)
    budgets.observe(record)     # each new row
    await budgets.run(drained)  # refresh, publish, tell, until cancelled

It looks several times a second, by the clock.  A fault in it costs no row: it is logged, counted in
the status, and the next look tries again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from uuid import uuid4

from exporters.clickhouse.corrections import Corrections
from exporters.record import Record
from exporters.series import Family
from pricing import TariffBook
from pricing.budget import Key, parse_alert_id
from proxy.budgets import shown, sums
from proxy.budgets.ceiling import Ceilings
from proxy.budgets.election import EVERY_S, Among, Election
from proxy.budgets.evaluation import Evaluation, Standing
from proxy.budgets.outlook import History, Outlook
from proxy.budgets.registry import Registry
from proxy.budgets.spending import Ask, Correcting, Spending
from proxy.budgets.uncertain import Uncertain, is_cut
from proxy.gate.account import Account, Counted, Held, Spent
from proxy.gate.board import Board
from proxy.journal.disk import write_atomically
from proxy.notices.notices import Notices
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn

log = logging.getLogger(__name__)

LOOK_S = 0.25
END_S = 5.0  # between two looks for alerts that are over
CEILING_AGE = timedelta(days=1)  # prices change by the day


class Budgets:
    """`writer` names our record journal; `progress` says which calls of the relays have rows.

    Raises OSError if the shared memory of the gate cannot be made.
    """

    def __init__(
        self,
        config: Config,
        book: TariffBook,
        notices: Notices,
        *,
        ask: Ask,
        among: Among,
        history: History,
        writer: Callable[[], str],
        progress: Callable[[], Mapping[str, Counted]],
    ) -> None:
        places = Places(config.data)
        self.registry = Registry(config, places.budgets)
        self.spending = Spending(ask, writer, shared=not store_dsn(config).startswith("chdb:"))
        self._places, self._book, self._notices = places, book, notices
        self._progress = progress
        self._ceilings = Ceilings(book, datetime.now(UTC))
        self._uncertain = Uncertain(places.uncertain)
        self._board: Board | None = None
        self.evaluation = Evaluation(
            self.spending, self._ceilings_now, notices, self.held, self._uncertain.of
        )
        self.outlook = Outlook(history, self.evaluation, self.spending, notices)
        self._election: Election | None = None
        if self.spending.shared:
            name = _name(config.node, places.meter_id)
            self._election = Election(name, among, notices.outbox, self._targets_of)
        self._told = False  # whether this machine told at the last look
        self._ended = -END_S
        self._failing = False
        self.failed = 0  # looks that failed: a bug, and logged
        self.change()

    def change(self) -> None:
        """Have the registry's budgets in force; call it after each change of it."""
        budgets = self.registry.budgets.values()
        self.spending.watch(budgets)
        for name in self.registry.changed_limits():
            self._retell(name)
        if self._board is None and (
            any(one.action != "alert" for one in budgets) or self._places.gate.exists()
        ):
            self._board = Board(self._places)
        if self._board is not None:
            self._board.enforce(budgets)

    def _retell(self, name: str) -> None:
        """Another limit: its thresholds are others, and are told again when they are crossed."""
        self.evaluation.end_all(name, datetime.now(UTC))
        self._notices.outbox.forget(
            lambda id: (parsed := parse_alert_id(id)) is not None and parsed.budget == name
        )

    def _ceilings_now(self) -> Ceilings:
        now = datetime.now(UTC)
        if now - self._ceilings.at > CEILING_AGE:
            self._ceilings = Ceilings(self._book, now)
        return self._ceilings

    # -- what happens -----------------------------------------------------------------------------

    def observe(self, record: Record) -> None:
        """A new row.  Never raises."""
        self.spending.observe(record)
        if self._board is not None:
            try:
                self._board.observe(record, sums.facts(record))
                if is_cut(record):
                    self._doubt(record, self._board)
            except Exception:
                log.exception("What call %s may have cost could not be noted.", record.call_id)

    def _doubt(self, record: Record, board: Board) -> None:
        """Note by how much a cut call may exceed its row: by what it had held back."""
        writer, _, number = record.source.partition(":")
        entry = sums.of_record(record)
        if entry is None or not number.isdecimal():
            return
        for (name, key), amount in board.holding(writer, int(number)).items():
            count = self.spending.counts.get(name)
            if count is not None and count.budget.unit != "calls":
                usd = count.budget.unit == "usd"
                counted = entry.sums.cost_usd if usd else Decimal(entry.sums.tokens)
                window = count.budget.windows.window(entry.at)
                self._uncertain.add(count.budget, key, window, amount - counted)

    def correcting(self, correct: Callable[[Corrections], Awaitable[None]]) -> Correcting:
        """What writes corrections, so that they count here as well."""
        return Correcting(correct, self.spending)

    def held(self) -> Mapping[Account, Held]:
        """What open calls hold back, and what was refused."""
        return self._board.held() if self._board is not None else {}

    # -- the loop ---------------------------------------------------------------------------------

    async def run(self, drained: Callable[[], Awaitable[None]]) -> None:
        """Look until cancelled.  `drained` returns once the store has all rows that there are."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._drain(drained))
            group.create_task(self._refresh())
            group.create_task(self.outlook.run())
            if self._election is not None:
                group.create_task(self._elect(self._election))
            while True:
                self.look(datetime.now(UTC))
                await asyncio.sleep(LOOK_S)

    async def _drain(self, drained: Callable[[], Awaitable[None]]) -> None:
        await drained()
        self.spending.drained()

    async def _elect(self, election: Election) -> None:
        while True:
            await election.hold()
            await asyncio.sleep(EVERY_S)

    async def _refresh(self) -> None:
        while True:
            try:
                await self.spending.refresh(datetime.now(UTC))
            except Exception:  # noqa: BLE001 — `_fail` logs it; metering goes on
                self._fail()
            await asyncio.sleep(LOOK_S)

    def look(self, now: datetime) -> None:
        """Add up, publish to the relays, and tell."""
        try:
            self.evaluation.update(now)
            self._publish()
            self._tell(now)
            self._uncertain.save()
            self._failing = False
        except Exception:  # noqa: BLE001 — `_fail` logs it; metering goes on
            self._fail()

    def _tell(self, now: datetime) -> None:
        tells = self._election is None or self._election.tells
        if tells and not self._told:  # another did until now
            self.evaluation.look_at_all()
        self._told = self.outlook.tells = tells
        if tells:
            self.evaluation.look(now)
            if monotonic() - self._ended >= END_S:
                self._ended = monotonic()
                self.evaluation.end(now)

    def _targets_of(self, name: str) -> tuple[str, ...]:
        budget = self.registry.budgets.get(name)
        return () if budget is None else budget.notify

    def _publish(self) -> None:
        if self._board is None:
            return
        committed = self.evaluation.committed()
        if committed is not None:  # else relays do as `fail` says
            spends = {account: Spent(*spent) for account, spent in committed.items()}
            self._board.publish(spends, self._progress())

    def _fail(self) -> None:
        self.failed += 1
        if not self._failing:
            log.exception("Budgets could not be evaluated; still retrying.")
        self._failing = True

    def close(self) -> None:
        """Look a last time, for the rows that came while stopping."""
        self.look(datetime.now(UTC))
        if self._board is not None:
            self._board.close()

    # -- what is shown ----------------------------------------------------------------------------

    def documents(self, name: str = "") -> list[dict[str, object]]:
        """All budgets, or that of one name, as `/api/budgets` shows them."""
        firing = self._firing()
        return [
            self._document(one, firing)
            for one in self.evaluation.standings(datetime.now(UTC))
            if name in ("", one.budget.name)
        ]

    def standing(self, name: str, key: Key) -> Standing:
        """Where a budget stands for `key`.  Raises KeyError."""
        return self.evaluation.standing(self.spending.counts[name], key, datetime.now(UTC))

    def _document(
        self, one: Standing, firing: Mapping[Account, list[shown.Firing]]
    ) -> dict[str, object]:
        name = one.budget.name
        origin = "file" if self.registry.is_configured(name) else "api"
        alerts = firing.get((name, one.key), [])
        return shown.document(one, self.outlook.of(one), alerts, origin)

    def _firing(self) -> dict[Account, list[shown.Firing]]:
        outbox = self._notices.outbox
        found: dict[Account, list[shown.Firing]] = {}
        for id in outbox.told():
            if (parsed := parse_alert_id(id)) is not None:
                one = shown.Firing(id, parsed.threshold, outbox.started_at(id))
                found.setdefault((parsed.budget, parsed.key), []).append(one)
        return found

    def status(self) -> dict[str, object]:
        """For the health check."""
        now, counts = datetime.now(UTC), self.spending.counts.values()
        unknown = [c.budget.name for c in counts if self.spending.as_of(c, now) is None]
        gate = {} if self._board is None else self._board.status()
        return {
            "ok": not self._failing and not self.registry.problems,
            "error": "; ".join(filter(None, (self.spending.error, *self.registry.problems))),
            "budgets": len(self.spending.counts),
            "unknown": unknown,
            "told_by": self._election.teller if self._election else "",
            "keys_left_out": sum(count.left_out for count in counts),
            "failed": self.failed,
            "unreadable": gate.get("failed_open", 0) + gate.get("failed_closed", 0),
            "gate": gate,
        }

    def families(self) -> list[Family]:
        """Metrics of the budgets."""
        gate = {} if self._board is None else self._board.status()
        standings = self.evaluation.standings(datetime.now(UTC))
        return [*shown.families(standings), *shown.gate_families(gate)]


def _name(node: str, file: Path) -> str:
    """By which this meter is chosen: that of the machine, and what tells it from a namesake."""
    if not file.exists():
        write_atomically(file, uuid4().hex.encode())
    return f"{node}/{file.read_text(encoding='ascii')[:8]}"
