"""The shared memory between meter and relays: spend is looked at and reserved in one step."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.budget import Budget, Key
from proxy.gate import board as board_module
from proxy.gate import gate as gate_module
from proxy.gate import layout
from proxy.gate.account import Spent
from proxy.gate.board import Board
from proxy.gate.gate import Gate
from proxy.gate.layout import decimal, whole
from proxy.gate.verdict import Cause, Verdict, Want
from proxy.settings.places import Places
from support.budget_bench import Machine, machine_in

USD = Budget(name="b", limit_usd=Decimal("0.002"), action="block", reserve="worst", period="total")
ANN: Key = (("user", "ann"),)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as made:
        yield made


def want(budget: Budget, amount: str, key: Key = (), **more: Any) -> Want:
    return Want(budget=budget, key=key, amount=whole(Decimal(amount)), **more)


def ask(gate: Gate, call: int, *wants: Want, now_ns: int = 0) -> Cause | None:
    """Why the call is refused."""
    verdict = gate.ask(call, wants, now_ns or time.time_ns())
    assert verdict is not None
    return verdict.refused.cause if verdict.refused else None


@given(st.decimals(min_value=0, max_value=10**15 - 1, places=18))
def test_amounts_are_exact(amount: Decimal) -> None:
    """Every amount that a row can hold comes back to the last digit."""
    units = whole(amount)
    assert decimal(units) == amount
    assert int.from_bytes(layout.packed(units), "little") == units


def test_a_call_passes_while_it_fits(machine: Machine) -> None:
    """Calls are reserved for until nothing is left, and freed when their rows count."""
    gate = machine.gate()
    machine.enforce(USD)
    causes = [ask(gate, call, want(USD, "0.0008")) for call in (1, 2, 3)]
    assert causes == [None, None, Cause.RESERVED]
    assert machine.reserved() == Decimal("0.0016")

    machine.done.calls |= {1}
    machine.publish({("b", ()): "0.0001"})
    assert machine.reserved() == Decimal("0.0008")
    assert ask(gate, 4, want(USD, "0.0008")) is None

    machine.done.calls |= {2, 4}
    machine.publish({("b", ()): "0.0013"})
    assert machine.reserved() == 0
    assert ask(gate, 5, want(USD, "0.0008")) is Cause.SPENT
    assert ask(gate, 5, want(USD, "0.0007")) is None
    assert ask(gate, 6, want(USD, "0.0021")) is Cause.NEVER
    assert machine.board.held()["b", ()].refused == 3
    assert machine.board.status()["refused"] == 3
    assert machine.board.status()["passed"] == 4


def test_all_budgets_must_pass(machine: Machine) -> None:
    """If one refuses, none is reserved from, and shadows only say what they would have done."""
    each = replace(USD, name="each", scope={"user": "*"}, limit_usd=Decimal(1))
    shadow = replace(USD, name="shadow", action="shadow", limit_usd=Decimal("0.5"))
    gate = machine.gate()
    machine.enforce(USD, each, shadow)
    whole_call = [want(USD, "0.0015"), want(each, "0.0015", ANN), want(shadow, "0.6")]
    assert gate.ask(1, whole_call, time.time_ns()) == Verdict(None, ("shadow",))
    verdict = gate.ask(2, whole_call, time.time_ns())
    assert verdict is not None
    assert verdict.refused is not None
    assert (verdict.refused.cause, verdict.by) == (Cause.RESERVED, ("b",))
    assert machine.reserved("each", ANN) == Decimal("0.0015")
    assert machine.reserved("shadow") == Decimal("0.6")
    assert machine.reserved("each", (("user", "bob"),)) == 0


def test_typical_takes_what_is_left(machine: Machine) -> None:
    """A call passes while anything is left; then it waits for those that are open."""
    typical = replace(USD, reserve="typical")
    gate = machine.gate()
    machine.enforce(typical)
    causes = [ask(gate, call, want(typical, "0.0015")) for call in (1, 2, 3)]
    assert causes == [None, None, Cause.RESERVED]
    assert machine.reserved() == Decimal("0.002")
    machine.publish({("b", ()): "0.002"})
    assert ask(gate, 4, want(typical, "0.0015")) is Cause.SPENT
    assert ask(gate, 4, want(typical, "0", free=True)) is None


def test_a_limit_of_0_blocks_everything(machine: Machine) -> None:
    """Free calls too, whatever is reserved."""
    for number, kind in enumerate(("worst", "typical", "none")):
        budget = replace(USD, name=kind, limit_usd=Decimal(0), reserve=kind)
        gate = machine.gate()
        machine.enforce(budget)
        assert ask(gate, number, want(budget, "0", free=True)) is Cause.NEVER


def test_a_window_ends_by_the_clock(machine: Machine) -> None:
    """What the last window had spent blocks no call of the next one, before any row comes."""
    hourly = replace(USD, period="hour")
    gate = machine.gate()
    machine.enforce(hourly)
    machine.publish({("b", ()): "0.002"})
    assert ask(gate, 1, want(hourly, "0.001")) is Cause.SPENT
    later = time.time_ns() + 3600 * 10**9
    assert ask(gate, 1, want(hourly, "0.001"), now_ns=later) is None
    assert ask(gate, 2, want(hourly, "0.001"), now_ns=later) is None
    assert ask(gate, 3, want(hourly, "0.001"), now_ns=later) is Cause.RESERVED
    rolling = replace(USD, name="rolling", period="rolling 1h")
    machine.enforce(rolling)
    machine.publish({("rolling", ()): "0.002"})
    soon = time.time_ns() + 900 * 10**9
    assert ask(gate, 4, want(rolling, "0.001"), now_ns=soon) is Cause.SPENT


def test_changes_come_into_force_with_their_spend(machine: Machine) -> None:
    """A new budget is not looked at before the spend that it limits is known."""
    gate = machine.gate()
    assert not gate.enforces
    machine.budgets = {"b": USD}
    machine.board.enforce([USD])
    assert not gate.refresh()
    machine.publish({("b", ()): "0.002"})
    assert gate.enforces
    assert ask(gate, 1, want(USD, "0.001")) is Cause.SPENT
    raised = replace(USD, limit_usd=Decimal(1))
    machine.board.enforce([raised])
    machine.publish({("b", ()): "0.002"})
    assert ask(gate, 1, want(raised, "0.001")) is None
    machine.enforce()
    assert not gate.enforces


def test_a_state_that_is_too_old_fails_as_the_budget_says(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open by default, closed where it was asked for; both are counted."""
    closed = replace(USD, name="closed", fail="closed")
    gate = machine.gate()
    machine.enforce(USD, closed)
    assert ask(gate, 1, want(closed, "0.001")) is None  # and so the relay has its slot
    monkeypatch.setattr(gate_module, "STALE_NS", 0)
    assert ask(gate, 2, want(USD, "1")) is None
    assert ask(gate, 3, want(USD, "1"), want(closed, "1")) is Cause.UNREADABLE
    counted = machine.board.status()
    assert (counted["failed_open"], counted["failed_closed"], counted["stale"]) == (1, 1, 2)


def test_before_anything_was_published(tmp_path: Path) -> None:
    """The configured budgets are in force: a closed one refuses until its spend is known."""
    closed = replace(USD, fail="closed")
    gate = Gate(Places(tmp_path), lambda: "relay0-1", {"b": closed})
    assert ask(gate, 1, want(closed, "0.001")) is Cause.UNREADABLE
    gate.close()


def test_a_budget_of_a_new_configuration(machine: Machine) -> None:
    """A relay that knows it before the meter does takes its spend for unknown, not for nothing."""
    machine.enforce(USD)
    new = replace(USD, name="new", fail="closed")
    (machine.places.calls / "relay1-1").mkdir(parents=True)
    gate = Gate(machine.places, lambda: "relay1-1", {"new": new})
    assert gate.rules.budgets.keys() == {"b", "new"}
    assert ask(gate, 1, want(new, "0.001")) is Cause.UNREADABLE
    assert ask(gate, 2, want(USD, "0.001")) is None
    machine.enforce(USD, new)
    assert gate.refresh()
    assert ask(gate, 3, want(new, "0.001")) is None
    gate.close()


def test_no_room_is_a_failure(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that cannot be reserved for is one whose budgets cannot be read."""
    closed = replace(USD, name="closed", fail="closed", limit_usd=Decimal(1))
    monkeypatch.setattr(gate_module, "LOOKS_MAX", 0)
    gate = machine.gate()
    machine.enforce(closed)
    assert ask(gate, 1, want(closed, "0.001")) is Cause.UNREADABLE
    assert machine.board.status()["full"] == 1
    assert machine.reserved("closed") == 0


def test_accounts_without_a_place(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that may have spend nobody can see is not taken for one without spend."""
    each = replace(USD, scope={"user": "*"}, fail="closed")
    gate = machine.gate()
    machine.enforce(each)
    monkeypatch.setattr("proxy.gate.memory.PROBES_MAX", 0)
    machine.publish({("b", ANN): "0.002"})
    assert machine.board.status()["incomplete"] == 1
    assert ask(gate, 1, want(each, "0.001", ANN)) is Cause.UNREADABLE


def test_long_names(machine: Machine) -> None:
    """A key too long to be read back is counted as any other, and hides no other."""
    each = replace(USD, scope={"user": "*"})
    gate = machine.gate()
    machine.enforce(each)
    long: Key = (("user", "x" * 1000),)
    for _ in range(2):
        machine.publish({("b", long): "0.002"})
        assert ask(gate, 1, want(each, "0.001", long)) is Cause.SPENT
    assert machine.board.status()["incomplete"] == 0
    assert ask(gate, 2, want(each, "0.001", ANN)) is None
    machine.publish({})
    assert ask(gate, 3, want(each, "0.001", long)) is None


def test_accounts_are_removed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that hold nothing any more make room for others."""
    each = replace(USD, scope={"user": "*"})
    gate = machine.gate()
    machine.enforce(each)
    for number in range(1, 21):
        assert ask(gate, number, want(each, "0.001", (("user", str(number)),))) is None
    assert len(machine.board.held()) == 20
    machine.done.calls |= set(range(1, 21))
    machine.publish({("b", ANN): "0.001"})
    assert machine.board.held() == {}
    assert len(list(machine.board._memory.accounts())) == 1


def test_many_rows_at_once_never_hold_less(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one step would take too long, the spend goes first."""
    monkeypatch.setattr(board_module, "WRITTEN_AT_ONCE", 2)
    wide = replace(USD, limit_usd=Decimal(1))
    gate = machine.gate()
    machine.enforce(wide)
    for call in range(1, 8):
        ask(gate, call, want(wide, "0.1"))
    machine.done.calls |= set(range(1, 8))
    machine.publish({("b", ()): "0.5"})
    assert machine.reserved() == 0


def test_the_meter_comes_back(machine: Machine) -> None:
    """What open calls hold back outlives the meter, and a gate that was removed is made again."""
    gate = machine.gate()
    machine.enforce(USD)
    assert ask(gate, 1, want(USD, "0.0015")) is None
    machine.board.close()
    machine.board = Board(machine.places)
    assert machine.reserved() == Decimal("0.0015")
    machine.enforce(USD)
    assert ask(gate, 2, want(USD, "0.0015")) is Cause.RESERVED
    machine.board.close()
    machine.places.gate.unlink()
    machine.places.gate.write_bytes(b"of another version")
    machine.board = Board(machine.places)
    machine.enforce(USD)
    gate.refresh()
    assert ask(gate, 3, want(USD, "0.0015")) is None


RELAY = """
import sys, time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from proxy.gate.gate import Gate
from proxy.gate.layout import whole
from proxy.gate.verdict import Want
from proxy.settings.places import Places
places, name = Places(Path(sys.argv[1])), sys.argv[2]
(places.calls / name).mkdir(parents=True, exist_ok=True)
gate = Gate(places, lambda: name, {})
budget = gate.rules.budgets["b"]
print("ready", flush=True)
sys.stdin.readline()
passed = failed = 0
for call in range(1, int(sys.argv[3]) + 1):
    want = Want(budget=budget, key=(), amount=whole(Decimal("0.000003")))
    verdict = gate.ask(call, [want], time.time_ns())
    passed += verdict.refused is None
counters = gate.counted()
print(passed, counters["locked"], flush=True)
sys.stdin.readline()
"""


@contextmanager
def started(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that waits for a line on its standard input; it is killed at the end."""
    command = [sys.executable, "-P", "-c", script, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@contextmanager
def relays(machine: Machine, *names: str, asks: int) -> Iterator[list[subprocess.Popen[str]]]:
    with ExitStack() as stack:
        data = str(machine.places.data)
        yield [stack.enter_context(started(RELAY, data, one, str(asks))) for one in names]


def told(relay: subprocess.Popen[str]) -> None:
    assert relay.stdin is not None
    relay.stdin.write("go\n")
    relay.stdin.flush()


def test_relays_admit_exactly_the_limit(machine: Machine) -> None:
    """Processes that ask at once: the last unit of the limit is given away once."""
    machine.enforce(USD)
    names = ("relay1-1", "relay2-1")
    with relays(machine, *names, asks=400) as running:
        for one in running:
            told(one)
        answers = [one.stdout.readline().split() for one in running if one.stdout is not None]
    passed = sum(int(count) for count, _ in answers) - sum(int(busy) for _, busy in answers)
    assert passed == 666  # 0.002 / 0.000003
    assert machine.reserved() == Decimal("0.001998")
    machine.publish({("b", ()): "0.0005"})
    assert machine.reserved() == Decimal("0.001998")  # their journals are still to be read
    for name in names:
        (machine.places.calls / name).rmdir()
    machine.publish({("b", ()): "0.0005"})
    assert machine.reserved() == 0


def test_a_relay_that_is_killed_while_it_writes(machine: Machine) -> None:
    """The next one to take the lock adds up again what open calls hold back."""
    machine.enforce(replace(USD, limit_usd=Decimal(1)))
    for _ in range(2):
        with relays(machine, "relay1-1", asks=100_000) as (running,):
            told(running)
            time.sleep(0.05)
        memory = machine.board._memory
        with memory.locked(board_module.TRY_NS):
            pass
        slot = next(n for n in range(layout.SLOTS_MAX) if memory.writer(n) == "relay1-1")
        assert machine.reserved() == sum(
            (decimal(units) for *_, units in memory.entries(slot)), start=Decimal(0)
        )
        (machine.places.calls / "relay1-1").rmdir()
        machine.publish({})
        assert machine.reserved() == 0


def test_a_broken_step_is_made_good(machine: Machine) -> None:
    """A step that was left half done changes nothing but what its entries say."""
    gate = machine.gate()
    machine.enforce(USD)
    assert ask(gate, 1, want(USD, "0.0004")) is None
    memory = machine.board._memory
    memory.put_u64(layout.DIRTY, 1)
    memory.put_amount(layout.account_at(next(memory.accounts())) + layout.RESERVED, 7)
    assert ask(gate, 2, want(USD, "0.0004")) is None
    assert machine.reserved() == Decimal("0.0008")


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1)
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_lock_that_is_not_free(machine: Machine) -> None:
    """A relay that was stopped with the lock delays a call by a millisecond, and no more."""
    gate = machine.gate()
    machine.enforce(USD)
    with started(HOLDER, str(machine.places.gate)):
        assert ask(gate, 1, want(USD, "1")) is None
        window = USD.windows.window(datetime.now(UTC))
        assert not machine.board.publish({("b", ()): Spent(window, Decimal(1))}, {})
    assert ask(gate, 1, want(USD, "1")) is Cause.NEVER
