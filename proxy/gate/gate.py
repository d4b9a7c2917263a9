"""The relay's side: whether a call passes all its budgets, and what it holds back while it is open.

    gate = Gate(places, writer, config.budgets)
    gate.refresh()                     # a few times a second: new rules come into force
    verdict = gate.ask(call, wants)    # in one locked step: look, and reserve

A reservation is a property of an open call.  The relay makes it and never frees it: it passes to
the meter with the call's frames, and is freed when the row counts in the published spend.  So a
relay may be killed at any time.
"""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from mmap import mmap
from time import monotonic_ns

from pricing.budget import Budget, Key
from proxy.gate import layout, rules
from proxy.gate.layout import (
    AMOUNT_BYTES,
    ENTRIES_MAX,
    ENTRY,
    REFUSED,
    RESERVED,
    account_at,
    entry_at,
    packed,
    slot_at,
)
from proxy.gate.mapped import Busy
from proxy.gate.memory import NO_ENTRY, Full, Memory
from proxy.gate.rules import Rules
from proxy.gate.standing import Standing
from proxy.gate.verdict import PASSES, Cause, Refusal, Verdict, Want, combined, judged
from proxy.settings.places import Places

log = logging.getLogger(__name__)

TRY_NS = 1_000_000  # for the lock, as waiting for it stops the whole relay
CLAIM_TRY_NS = 50_000_000  # the same at the start
STALE_NS = 30_000_000_000  # without anything published: longer than a restart of the meter
REFRESH_S = 0.25  # between two looks for new rules
LOOKS_MAX = 256  # at places for an entry, before there is taken to be none

_COUNTERS = {name: layout.COUNTERS_AT + 8 * number for number, name in enumerate(layout.COUNTERS)}


class Gate:
    """One relay's.  `writer` names the relay's journal, which may change while it runs.

    `budgets` are those of the configuration: they are in force until the meter publishes its own.
    Nothing here raises: what cannot be read or written is a matter for `fail`.
    """

    def __init__(
        self, places: Places, writer: Callable[[], str], budgets: Mapping[str, Budget]
    ) -> None:
        self._path, self._rules_path = places.gate, places.gate_rules
        self._writer = writer
        self._memory: Memory | None = None
        self._slot, self._slot_writer = -1, ""
        self._next = 0  # the place of an entry that is probably free
        self._standings: dict[str, Standing] = {}
        self._unpublished: Set[str] = frozenset()  # budgets whose spend is not published yet
        self._complaint = ""
        self.rules = Rules({})
        self._take(self._first(budgets))
        self.refresh()

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    # -- rules ----------------------------------------------------------------------------------

    @property
    def enforces(self) -> bool:
        """Whether any budget may say something about a call."""
        return bool(self._standings)

    def refresh(self) -> bool:
        """Look for new rules; returns whether there are any."""
        memory = self._opened()
        generation = memory.u64(layout.GENERATION) if memory is not None else 0
        if generation in (0, self.rules.generation):
            return False
        try:
            found = rules.read(self._rules_path)
        except (OSError, ValueError) as error:
            self._complain(f"read the budgets in force ({error}); keeping the previous ones")
            return False
        if found.generation == self.rules.generation:
            return False
        self._unpublished = frozenset()
        self._take(found)
        return True

    def _first(self, budgets: Mapping[str, Budget]) -> Rules:
        """What was published last, and what is configured: its spend may not be known yet."""
        own = rules.enforcing(budgets.values())
        found = Rules({})
        with suppress(OSError, ValueError):
            found = rules.read(self._rules_path)
        self._unpublished = own.keys() - found.budgets.keys()
        return replace(found, budgets={**found.budgets, **own})

    def _take(self, found: Rules) -> None:
        self.rules = found
        self._standings = {name: Standing(budget) for name, budget in found.budgets.items()}

    def _opened(self) -> Memory | None:
        """The memory; another one if its file was removed or replaced."""
        with suppress(OSError):
            if self._memory is not None and self._path.stat().st_ino == self._memory.inode:
                return self._memory
        self.close()
        self._slot_writer = ""
        for standing in self._standings.values():
            standing.forget()
        try:
            self._memory = Memory(self._path)
        except FileNotFoundError:
            return None  # the meter makes it once a budget enforces
        except OSError as error:
            self._complain(f"open the state of budgets ({error}); each does as its `fail` says")
            return None
        self._claim(self._memory)
        return self._memory

    def _complain(self, what: str) -> None:
        """Log it once: the next look is in a quarter of a second."""
        if what != self._complaint:
            self._complaint = what
            log.error("Cannot %s.", what)

    def _claim(self, memory: Memory) -> None:
        """Take a slot for this relay's journal."""
        writer = self._writer()
        with suppress(Busy, Full), memory.locked(CLAIM_TRY_NS):
            self._slot = memory.claim(writer)
            self._slot_writer = writer

    # -- calls ----------------------------------------------------------------------------------

    def ask(
        self, call: int, wants: Sequence[Want], now_ns: int, *, last: bool = True
    ) -> Verdict | None:
        """Whether call number `call` of the relay's journal passes; if so, it is reserved for.

        `wants` has each budget in force that matches the call; `now_ns` is the instant at which it
        began, since the epoch.  Takes microseconds, and at most `TRY_NS` longer.  None: the lock
        was not free, and this is not the `last` time to ask.
        """
        memory = self._memory
        if memory is None:
            return self._failed(wants, now_ns, "")
        if not self._is_fresh(memory) or self._lacks(wants):
            return self._failed(wants, now_ns, "stale")
        try:
            memory.acquire(TRY_NS)
        except Busy:
            return self._failed(wants, now_ns, "locked") if last else None
        done = False
        try:
            verdict = self._asked(memory, call, wants, now_ns)
            done = True
        except Full:  # which is raised before anything is reserved
            done = True
            return self._failed(wants, now_ns, "full")
        finally:
            memory.release(done=done)
        self._count("refused" if verdict.refused else "shadowed" if verdict.by else "passed")
        return verdict

    def is_spent(self, budget: Budget, key: Key, now_ns: int) -> bool:
        """Whether the rows alone reach the limit; False if that cannot be read."""
        memory, standing = self._memory, self._standings.get(budget.name)
        if memory is None or standing is None or not self._is_fresh(memory):
            return False
        with suppress(Full):
            return standing.look(memory, key, now_ns)[1] >= standing.limit
        return False

    def _lacks(self, wants: Sequence[Want]) -> bool:
        """Whether a budget was never published."""
        unpublished = self._unpublished
        return bool(unpublished) and any(want.budget.name in unpublished for want in wants)

    @staticmethod
    def _is_fresh(memory: Memory) -> bool:
        published = memory.u64(layout.PUBLISHED)
        return published <= monotonic_ns() < published + STALE_NS

    def _asked(self, memory: Memory, call: int, wants: Sequence[Want], now_ns: int) -> Verdict:
        if self._writer() != self._slot_writer:  # the journal's directory was removed
            self._slot = memory.claim(self._writer())
            self._slot_writer = self._writer()
        refusals: list[Refusal] = []
        holding: list[tuple[int, int, int]] = []  # account, its reserved, what is added to it
        for want in wants:
            standing = self._standing(want.budget)
            account, committed, reserved = standing.look(memory, want.key, now_ns)
            cause, units = judged(want, standing.limit, committed, reserved)
            if account < 0 and (units or cause):
                account = standing.make(memory, want.key)
            if units:
                holding.append((account, reserved, units))
            if cause:
                refusals.append(standing.refusal(want, cause, committed, reserved))
                at = account_at(account) + REFUSED
                memory.put_u64(at, memory.u64(at) + 1)
        verdict = combined(refusals) if refusals else PASSES
        if verdict.refused is None and holding:
            self._hold(memory.map, call, holding)
        return verdict

    def _hold(self, page: mmap, call: int, holding: Sequence[tuple[int, int, int]]) -> None:
        """Write the entries and what they add up to.  Raises Full, and has then written nothing."""
        places = self._free_places(page, len(holding))
        for place, (account, reserved, units) in zip(places, holding, strict=True):
            ENTRY.pack_into(page, place, call, account, 0, packed(units))
            at = account_at(account) + RESERVED
            page[at : at + AMOUNT_BYTES] = packed(reserved + units)

    def _standing(self, budget: Budget) -> Standing:
        """That of a budget in force; a new one if its rules changed since the call began."""
        return self._standings.get(budget.name) or Standing(budget)

    def _free_places(self, page: mmap, count: int) -> list[int]:
        """Offsets of free entries.  Raises Full."""
        found: list[int] = []
        first, size = self._next, ENTRY.size
        for step in range(LOOKS_MAX):
            place = (first + step) % ENTRIES_MAX
            at = entry_at(self._slot, place)
            if page[at : at + size] == NO_ENTRY:
                found.append(at)
                if len(found) == count:
                    self._next = place + 1
                    return found
        self._next = first + LOOKS_MAX
        raise Full

    # -- what cannot be read --------------------------------------------------------------------

    def _failed(self, wants: Sequence[Want], now_ns: int, why: str) -> Verdict:
        """Each budget says by its `fail` what happens now."""
        closed = [
            Refusal(
                budget=want.budget,
                key=want.key,
                cause=Cause.UNREADABLE,
                window=self._standing(want.budget).window(now_ns),
            )
            for want in wants
            if want.budget.fail == "closed" and want.budget.action != "shadow"
        ]
        self._count("failed_closed" if closed else "failed_open")
        if why:
            self._count(why)
        return combined(closed) if closed else PASSES

    def counted(self) -> dict[str, int]:
        """What this relay has counted in its slot."""
        memory, slot = self._memory, self._slot
        if memory is None or slot < 0:
            return dict.fromkeys(_COUNTERS, 0)
        return {name: memory.u64(slot_at(slot) + at) for name, at in _COUNTERS.items()}

    def _count(self, name: str) -> None:
        """Add to a counter of the slot, which only this relay adds to."""
        if self._memory is not None and self._slot >= 0:
            at = slot_at(self._slot) + _COUNTERS[name]
            self._memory.put_u64(at, self._memory.u64(at) + 1)
