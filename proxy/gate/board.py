"""The meter's side: publishes what budgets hold, and frees what counted calls held back.

board = Board(places)
board.enforce(budgets)             # those of the file and of the API, on every change
board.publish(spends, counted)     # every second or so, and soon after a row
board.held()                       # what open calls hold back, and what was refused
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic_ns

import msgspec

from exporters.record import Record
from pricing.budget import Budget, Key
from proxy.gate import layout, rules
from proxy.gate.account import Account, Counted, Held, Spent
from proxy.gate.layout import I64, SLOTS_MAX, account_at, decimal, entry_at, slot_at, whole
from proxy.gate.mapped import Busy
from proxy.gate.memory import Full, Memory
from proxy.gate.rules import Rules
from proxy.gate.usual import Usual
from proxy.settings.places import Places

log = logging.getLogger(__name__)

TRY_NS = 50_000_000  # for the lock: relays hold it for microseconds, unless one was stopped
WRITTEN_AT_ONCE = 512  # accounts and entries in one locked step: relays wait a millisecond at most

USUAL_NS = 15_000_000_000  # between two updates of what is usual

_account = msgspec.json.Decoder(tuple[str, Key])


@dataclass(slots=True)
class _Change:
    """What one account gets: its spend, and the entries (slot, number, call) that are freed."""

    start: int
    committed: int
    unused: bool  # remove the account, if nothing is reserved
    entries: list[tuple[int, int, int]] = field(default_factory=list)


class Board:
    """One for a data directory.  Raises OSError if the shared memory cannot be made."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._memory = Memory.made(places.gate)
        earlier = Rules({})
        with suppress(OSError, ValueError):
            earlier = rules.read(places.gate_rules)
        generation = max(self._memory.u64(layout.GENERATION), earlier.generation)
        self._rules = Rules({}, generation=generation)
        self._rules_written = False
        self._past = Counter(dict.fromkeys(layout.COUNTERS, 0))  # of relays that are gone
        self._usual = Usual(earlier)
        self._usual_ns = 0  # when the rules last got what is usual
        self._accounts: dict[int, Account | None] = {}  # None: its name is too long to be kept
        self._made = -1  # accounts that were ever made, as of `_accounts`
        self._told: dict[Account, tuple[Spent, int]] = {}  # the last spend, and where it is
        self._used: set[int] = set()  # the accounts in it

    def close(self) -> None:
        self._memory.close()

    def enforce(self, budgets: Iterable[Budget]) -> None:
        """Have these in force from the next `publish` on; those that only alert are left out."""
        found = rules.enforcing(budgets)
        if found != self._rules.budgets:
            self._rules = replace(self._rules, budgets=found)
            self._rules_written = False

    def observe(self, record: Record, facts: Mapping[str, str]) -> None:
        """Learn from a new row what calls usually use; `facts` is what scopes may name of it."""
        self._usual.observe(record, facts, self._rules.budgets.values())

    def publish(self, spends: Mapping[Account, Spent], counted: Mapping[str, Counted]) -> bool:
        """Make this the spend that relays look at; False: they could not be told, try again.

        `spends` has every key with spend in its current window; any other has none.  `counted` has
        each journal that is still read: the calls that are done in it have their rows in `spends`
        and hold back nothing any more, from the same locked step on.  So take both in one turn of
        the event loop.  A journal that is not in it and has no directory was read to its end.
        """
        try:
            changes, incomplete = self._changes(spends)
            gone = self._gone(counted)
            for slot in range(SLOTS_MAX):
                done = counted.get(self._memory.writer(slot))
                for number, call, account, _ in self._memory.entries(slot):
                    if slot in gone or (done is not None and done.is_done(call)):
                        if account not in changes:
                            changes[account] = self._as_it_is(account)
                        changes[account].entries.append((slot, number, call))
            for account, change in changes.items():
                self._apply(account, change)
            self._give_back(gone)
        except Busy:
            self._told = {}
            return False
        self._memory.put_u64(layout.INCOMPLETE, incomplete)
        now_ns = monotonic_ns()
        self._memory.put_u64(layout.PUBLISHED, now_ns)
        if self._rules.budgets and now_ns - self._usual_ns > USUAL_NS:
            self._usual_ns = now_ns
            usual = replace(
                self._rules, typical=self._usual.typical(), served=dict(self._usual.served)
            )
            if usual != self._rules:
                self._rules, self._rules_written = usual, False
        return self._rules_written or self._write_rules()

    def held(self) -> dict[Account, Held]:
        """What open calls hold back, and what was refused, wherever there is any."""
        self._look()
        found = {}
        for number, account in self._accounts.items():
            at = account_at(number)
            reserved, refused = (
                self._memory.amount(at + layout.RESERVED),
                self._memory.u64(at + layout.REFUSED),
            )
            if account is not None and (reserved or refused):
                found[account] = Held(decimal(reserved), refused)
        return found

    def holding(self, writer: str, call: int) -> dict[Account, Decimal]:
        """What one call of a journal holds back, until its row counts."""
        self._look()
        found: dict[Account, Decimal] = {}
        for slot in range(SLOTS_MAX):
            if self._memory.writer(slot) != writer:
                continue
            for _, each, number, units in self._memory.entries(slot):
                account = self._accounts.get(number)
                if each == call and account is not None:
                    found[account] = decimal(units)
        return found

    def status(self) -> dict[str, int]:
        """For the health check: what the relays of this machine counted, since they began.

        `failed_open` and `failed_closed` are calls that found no readable state.
        """
        total = Counter(self._past)
        for slot in range(SLOTS_MAX):
            if self._memory.writer(slot):
                total.update(self._counted(slot))
        return dict(total) | {"incomplete": self._memory.u64(layout.INCOMPLETE)}

    def _counted(self, slot: int) -> dict[str, int]:
        at = slot_at(slot) + layout.COUNTERS_AT
        return {name: self._memory.u64(at + 8 * n) for n, name in enumerate(layout.COUNTERS)}

    # -- accounts -------------------------------------------------------------------------------

    def _look(self) -> None:
        """Find out which accounts there are, if relays made new ones."""
        made = self._memory.u64(layout.MADE)
        if made != self._made:
            self._made = made
            names = ((number, self._memory.name(number)) for number in self._memory.accounts())
            self._accounts = {n: _account.decode(name) if name else None for n, name in names}

    def _changes(self, spends: Mapping[Account, Spent]) -> tuple[dict[int, _Change], int]:
        """What every account shall hold, and how many found no place."""
        now = datetime.now(UTC)
        starts = {
            name: int(budget.windows.window(now).start.timestamp())
            for name, budget in self._rules.budgets.items()
        }
        changes: dict[int, _Change] = {}
        wanted = {account: spent for account, spent in spends.items() if account[0] in starts}
        told: dict[Account, tuple[Spent, int]] = {}
        for account, spent in wanted.items():
            before = self._told.get(account)
            if before is not None and before[0] == spent:
                told[account] = before
                continue
            start = int(spent.window.start.timestamp())
            number = self._placed(*account, start)
            if number is not None:
                told[account] = spent, number
                changes[number] = _Change(start, whole(spent.committed), unused=False)
        self._told = told
        self._used = {number for _, number in told.values()}
        self._look()
        for number, known in self._accounts.items():
            if number not in self._used:
                change = changes[number] = _Change(self._start(number), 0, unused=True)
                if known is not None:
                    change.start = starts.get(known[0], change.start)
        return changes, len(wanted) - len(told)

    def _as_it_is(self, number: int) -> _Change:
        committed = self._memory.amount(account_at(number) + layout.COMMITTED)
        return _Change(self._start(number), committed, unused=number not in self._used)

    def _placed(self, budget: str, key: Key, start: int) -> int | None:
        name = layout.named(budget, key)
        digest = layout.digest(name)
        number = self._memory.find(digest)
        if number is None:
            with suppress(Full), self._memory.locked(TRY_NS):
                number = self._memory.make(digest, name, start)
        return number

    def _start(self, number: int) -> int:
        start: int = I64.unpack_from(self._memory.map, account_at(number) + layout.START)[0]
        return start

    def _apply(self, account: int, change: _Change) -> None:
        """Raises Busy.  An account with many entries first gets its spend: it never holds less."""
        at = account_at(account)
        memory = self._memory
        same = self._start(account) == change.start
        used = not change.unused or self._is_in_use(at)
        told = same and memory.amount(at + layout.COMMITTED) == change.committed
        if used and told and not change.entries:
            return
        for pieces in _pieces(change.entries):
            with memory.locked(TRY_NS):
                memory.put_amount(at + layout.COMMITTED, change.committed)
                I64.pack_into(memory.map, at + layout.START, change.start)
                if not same:
                    memory.put_u64(at + layout.REFUSED, 0)
                for slot, number, call in pieces:
                    if memory.u64(entry_at(slot, number)) == call:
                        memory.free(slot, number)
                idle = not memory.amount(at + layout.RESERVED) and not memory.u64(
                    at + layout.REFUSED
                )
                if change.unused and idle:
                    memory.remove(account)
                    self._made = -1
            same = True

    def _is_in_use(self, at: int) -> bool:
        memory = self._memory
        return bool(memory.amount(at + layout.RESERVED) or memory.u64(at + layout.REFUSED))

    # -- relays and rules -----------------------------------------------------------------------

    def _gone(self, counted: Mapping[str, Counted]) -> set[int]:
        """The slots of relays whose journals were read to their end."""
        return {
            slot
            for slot in range(SLOTS_MAX)
            if (writer := self._memory.writer(slot))
            and writer not in counted
            and not (self._places.calls / writer).exists()
        }

    def _give_back(self, gone: Iterable[int]) -> None:
        for slot in gone:
            self._past.update(self._counted(slot))
            with self._memory.locked(TRY_NS):
                self._memory.give_back(slot)

    def _write_rules(self) -> bool:
        """Put the budgets in force: their spend is known now."""
        changed = replace(self._rules, generation=self._rules.generation + 1)
        try:
            rules.write(self._places.gate_rules, changed)
        except OSError as error:
            log.error("Cannot write the budgets in force: %s.", error)
            return False
        self._rules = changed
        self._memory.put_u64(layout.GENERATION, changed.generation)
        self._rules_written = True
        return True


def _pieces(entries: list[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """At least one."""
    for first in range(0, max(len(entries), 1), WRITTEN_AT_ONCE):
        yield entries[first : first + WRITTEN_AT_ONCE]
