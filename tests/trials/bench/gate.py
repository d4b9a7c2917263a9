"""What a call pays for its budgets: `python -m trials.bench.gate`, with tests/ in PYTHONPATH.

CPU time of the relay's thread, the best of several rounds, from matching the budgets to the
reservation; what the call does without budgets is not in it.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from time import thread_time_ns, time_ns

from pricing.budget import Budget
from proxy.exchange import Begun
from proxy.gate.asking import Asking
from proxy.gate.keeper import Keeper
from proxy.settings.config import Provider
from support.budget_bench import Machine, machine_in

ROUNDS, CALLS = 25, 200
OPENAI = Provider(name="openai", base_url="https://api.openai.com")
CALLS_DAILY = Budget(name="calls", limit_calls=10**9, action="block", period="day")
DOLLARS = Budget(name="usd", limit_usd=Decimal(10**9), action="block", reserve="worst")
EACH = replace(DOLLARS, name="each", scope={"user": "*"})
OTHER = replace(DOLLARS, name="other", scope={"team": "ads"})


def begun() -> Begun:
    """As the relay makes it."""
    return Begun(
        call_id="c",
        wall_ns=time_ns(),
        method="POST",
        target="/v1/chat/completions",
        provider="openai",
        upstream="https://api.openai.com",
        headers=(("User-Agent", "OpenAI/Python 3.54.0"), ("Content-Type", "application/json")),
        tags={"team": "search", "user": "ann", "ticket": "7"},
        key_id="k_3f9a",
        credential_kind="api_key",
    )


def body_of(size: int) -> bytes:
    """A chat of about `size` bytes, in paragraphs of a kilobyte."""
    text = 'It said "wait", and the fox waited.\n' * 28
    messages = [{"role": "user", "content": text[:1000]} for _ in range(max(size // 1050, 1))]
    document = {"model": "gpt-4.1", "max_tokens": 500, "messages": messages}
    if size < 1000:
        document["messages"] = [{"role": "user", "content": "hello"}]
    return json.dumps(document).encode()


def microseconds(work: Callable[[int], object], after: Callable[[], object]) -> float:
    """Of one call."""
    best = float("inf")
    number = 0
    for _ in range(ROUNDS):
        began = thread_time_ns()
        for _ in range(CALLS):
            number += 1
            work(number)
        best = min(best, (thread_time_ns() - began) / CALLS / 1000)
        after()
    return best


def measure(machine: Machine, *budgets: Budget, body: bytes = b"") -> float:
    """Of a call under these budgets."""
    keeper: Keeper = machine.keeper(*budgets)
    call = begun()

    def ask(number: int) -> None:
        if not keeper.enforces:
            return
        asking: Asking | None = keeper.asking(call, OPENAI)
        if asking is None:
            return
        if asking.wants_body and (work := asking.read(body, whole=True)) is not None:
            work()
        verdict = asking.ask(number)
        assert verdict is not None
        assert verdict.refused is None

    def after() -> None:
        machine.done.calls |= set(range(ROUNDS * CALLS + 1))
        machine.publish({})

    return microseconds(ask, after)


def lock(machine: Machine) -> None:
    """What a locked step takes that does nothing: 0.9 µs on an idle machine of today."""
    with machine.board._memory.locked(0):
        pass


def main() -> None:
    """Entry point."""
    argparse.ArgumentParser(prog="python -m trials.bench.gate", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder, machine_in(Path(folder)) as machine:
        rows = [
            ("the lock alone, taken and given back", microseconds(lambda _: lock(machine), list)),
            ("no budget enforces", measure(machine)),
            ("a budget about other calls", measure(machine, OTHER)),
            ("`limit_calls`", measure(machine, CALLS_DAILY)),
        ]
        for size in (100, 1_000, 10_000, 100_000):
            body = body_of(size)
            took = measure(machine, DOLLARS, body=body)
            rows.append((f"`limit_usd`, a body of {len(body):,} bytes", took))
        took = measure(machine, DOLLARS, EACH, CALLS_DAILY, body=body_of(1_000))
        rows.append(("three budgets, a body of 1 kB", took))
    for name, us in rows:
        print(f"| {name} | {us:.1f} µs |")


if __name__ == "__main__":
    main()
