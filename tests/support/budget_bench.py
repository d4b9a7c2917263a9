"""Stands for the meter beside relays of one machine: publishes spend and says which calls count."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from pricing.book import TariffBook
from pricing.budget import Budget, Key
from proxy.gate.account import Spent
from proxy.gate.board import Board
from proxy.gate.gate import Gate
from proxy.gate.keeper import Keeper
from proxy.settings.places import Places

WRITER = "relay0-1"
KEY_NAMES = {"k_named": "search service"}


@dataclass
class Done:
    """Calls of one journal whose rows count."""

    calls: set[int] = field(default_factory=set)

    def is_done(self, call: int) -> bool:
        return call in self.calls


@dataclass
class Machine:
    """A board and the gates of relays over one directory."""

    places: Places
    board: Board
    gates: list[Gate] = field(default_factory=list)
    done: Done = field(default_factory=Done)
    budgets: dict[str, Budget] = field(default_factory=dict)

    def enforce(self, *budgets: Budget) -> None:
        """Bring these into force, with nothing spent."""
        self.budgets = {budget.name: budget for budget in budgets}
        self.board.enforce(budgets)
        self.publish({})

    def publish(self, spends: dict[tuple[str, Key], str]) -> None:
        """Publish amounts of the current windows; the calls in `done` count in them."""
        now = datetime.now(UTC)
        told = {
            one: Spent(self.budgets[one[0]].windows.window(now), Decimal(amount))
            for one, amount in spends.items()
        }
        assert self.board.publish(told, {WRITER: self.done})
        for gate in self.gates:
            gate.refresh()

    def gate(self) -> Gate:
        """The gate of a relay."""
        (self.places.calls / WRITER).mkdir(parents=True, exist_ok=True)
        self.gates.append(Gate(self.places, lambda: WRITER, {}))
        return self.gates[-1]

    def keeper(self, *budgets: Budget) -> Keeper:
        """What a relay asks, with `budgets` in force."""
        gate = self.gate()
        self.enforce(*budgets)
        return Keeper(gate, KEY_NAMES, TariffBook.load)

    def reserved(self, name: str = "b", key: Key = ()) -> Decimal:
        """What open calls hold back."""
        held = self.board.held().get((name, key))
        return held.reserved if held else Decimal(0)

    def refused(self, name: str = "b", key: Key = ()) -> int:
        """How many calls the window refused, or would have."""
        held = self.board.held().get((name, key))
        return held.refused if held else 0


@contextmanager
def machine_in(directory: Path) -> Iterator[Machine]:
    """A machine, until the end of the block."""
    places = Places(directory)
    made = Machine(places, Board(places))
    try:
        yield made
    finally:
        made.board.close()
        for gate in made.gates:
            gate.close()
