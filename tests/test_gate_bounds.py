"""How far a budget can be exceeded, whatever the order of calls, rows and publications."""

import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.budget import Budget
from proxy.gate.gate import Gate
from proxy.gate.layout import decimal, whole
from proxy.gate.verdict import Want
from support.budget_bench import Machine, machine_in

LIMIT = Decimal(100)
WORST = Budget(name="worst", limit_usd=LIMIT, action="block", reserve="worst", period="total")
TYPICAL = replace(WORST, name="typical", reserve="typical")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine_in(tmp_path_factory.mktemp("bounds")) as made:
        made.gate()
        yield made


class Day:
    """Calls on one budget: `open` has what each held back and what it will cost."""

    def __init__(self, machine: Machine, gate: Gate, budget: Budget, first: int) -> None:
        self._machine, self._gate, self._budget = machine, gate, budget
        self._number = first
        self._open: dict[int, Decimal] = {}
        self._ended: list[tuple[int, Decimal]] = []  # their rows do not count yet
        self.spent = Decimal(0)
        self.excess = Decimal(0)  # of calls that cost more than they held back

    def ask(self, amount: int, cost: int) -> None:
        self._number += 1
        before = self._machine.reserved(self._budget.name)
        want = Want(self._budget, (), whole(Decimal(amount)))
        verdict = self._gate.ask(self._number, [want], time.time_ns())
        assert verdict is not None
        if verdict.refused is None:
            held = self._machine.reserved(self._budget.name) - before
            self._open[self._number] = Decimal(cost)
            self.excess += max(Decimal(cost) - held, Decimal(0))

    def end(self) -> None:
        if self._open:
            self._ended.append(self._open.popitem())

    def publish(self) -> None:
        for number, cost in self._ended:
            self._machine.done.calls.add(number)
            self.spent += cost
        self._ended.clear()
        self._machine.publish({(self._budget.name, ()): str(self.spent)})

    def finish(self) -> None:
        while self._open:
            self.end()
        self.publish()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 60), st.integers(0, 60)),
        st.just(("end", 0, 0)),
        st.just(("publish", 0, 0)),
    ),
    max_size=40,
)


def play(machine: Machine, budget: Budget, steps: list[tuple[str, int, int]], worst: bool) -> Day:
    """Play a day on a new budget."""
    first = max(machine.done.calls, default=0) + 1000
    machine.enforce(budget)
    day = Day(machine, machine.gates[0], budget, first)
    for step, amount, cost in steps:
        if step == "ask":
            day.ask(amount, min(cost, amount) if worst else cost)
        elif step == "end":
            day.end()
        else:
            day.publish()
        held = machine.reserved(budget.name)
        assert day.spent + held <= LIMIT + day.excess
    day.finish()
    assert machine.reserved(budget.name) == 0
    return day


@given(STEPS)
def test_the_worst_case_is_never_exceeded(
    machine: Machine, steps: list[tuple[str, int, int]]
) -> None:
    """Where no call costs more than it held back, nothing passes the limit."""
    assert play(machine, WORST, steps, worst=True).spent <= LIMIT


@pytest.mark.thorough
@given(STEPS)
def test_what_is_typical_is_exceeded_by_what_is_not(
    machine: Machine, steps: list[tuple[str, int, int]]
) -> None:
    """By the sum of what open calls cost beyond what they held back, and no more."""
    day = play(machine, TYPICAL, steps, worst=False)
    assert day.spent <= LIMIT + day.excess


@given(st.integers(min_value=0, max_value=10**33))
def test_amounts_come_back(units: int) -> None:
    """From units to an amount, and to units again."""
    assert whole(decimal(units)) == units
