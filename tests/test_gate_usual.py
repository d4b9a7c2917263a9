"""What calls usually use is learned from rows, and reaches the relays with the rules."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from exporters.record import Record
from pricing.budget import Budget
from proxy.budgets.sums import facts
from proxy.gate import rules
from proxy.gate.board import Board
from proxy.gate.rules import Rules
from proxy.gate.usual import SAMPLE_MIN, Usual
from support.budget_bench import Machine, machine_in

DOLLARS = Budget(name="usd", limit_usd=Decimal(1), action="block", scope={"team": "search"})
TOKENS = Budget(name="tokens", limit_tokens=1000, action="block")
ROW = Record(
    ts_us=0,
    call_id="c",
    provider="openai",
    outcome="ok",
    team="search",
    request_model="gpt-4.1",
    response_model="gpt-4.1-2025-04-14",
    cost_usd=Decimal("0.01"),
    cost_status="exact",
    input_tokens_total=10,
    output_tokens_total=5,
)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as made:
        yield made


def test_the_99th_percentile_of_a_scope_and_model() -> None:
    """One call in a hundred counts more; before a hundred were seen there is none."""
    usual = Usual(Rules({}))
    for number in range(1, SAMPLE_MIN + 1):
        assert usual.typical() == {}
        row = changed(ROW, cost_usd=Decimal(number), input_tokens_total=number)
        usual.observe(row, facts(row), [DOLLARS, TOKENS])
    assert usual.typical() == {
        "usd": {"openai/gpt-4.1": Decimal(99)},
        "tokens": {"openai/gpt-4.1": Decimal(104)},
    }


def test_what_does_not_belong() -> None:
    """Calls of others, failed ones, and those of unknown cost teach nothing."""
    usual = Usual(Rules({}))
    for _ in range(SAMPLE_MIN):
        for row in (
            changed(ROW, team="ads"),
            changed(ROW, outcome="client_gone"),
            changed(ROW, cost_usd=None),
        ):
            usual.observe(row, facts(row), [DOLLARS, replace(TOKENS, reserve="worst")])
    assert usual.typical() == {}


def test_who_serves_a_name() -> None:
    """Budgets name the model that served; a name that serves itself again is noted, too."""
    usual = Usual(Rules({}))
    for served in ("gpt-4.1-2025-04-14", "gpt-4.1"):
        row = changed(ROW, response_model=served)
        usual.observe(row, facts(row), [])
        assert usual.served == {"openai/gpt-4.1": served}


def test_rules_carry_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the relays, and to the next meter."""
    monkeypatch.setattr("proxy.gate.board.USUAL_NS", 0)
    gate = machine.gate()
    machine.enforce(DOLLARS)
    for _ in range(SAMPLE_MIN):
        machine.board.observe(ROW, facts(ROW))
    machine.publish({})
    found = rules.read(machine.places.gate_rules)
    assert found.typical == {"usd": {"openai/gpt-4.1": Decimal("0.01")}}
    assert found.served == {"openai/gpt-4.1": "gpt-4.1-2025-04-14"}
    assert gate.rules == found
    machine.board.close()
    machine.board = Board(machine.places)
    machine.enforce(DOLLARS)
    assert gate.rules.typical == found.typical
    assert gate.rules.served == found.served
