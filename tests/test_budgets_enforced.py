"""Two relays never let more pass than a budget has, whatever is killed.

Each round has a budget of its own (`feature = "*"`), so none waits for a window to end.
"""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from support.patience import PATIENCE_S

LIMIT = Decimal("0.002")
OUTPUT_USD = Decimal("0.00006")  # 100 tokens of gpt-4o-mini, without the prompt
CALLERS = 100
SETTINGS = """

[budgets.tight]
scope = { feature = "*" }
limit_usd = 0.002
period = "total"
action = "block"
reserve = "worst"
fail = "closed"
"""
RELAY, METER = "proxy.serving.relay_process", "proxy.serving.meter_process"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with processes.stand_in(tmp_path_factory.mktemp("provider") / "log") as (url, _):
        yield url


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[processes.Serving]:
    data = tmp_path_factory.mktemp("enforced")
    settings = f"{SETTINGS}{processes.FAST_ROWS}"
    with processes.serve(data, {"openai": provider}, relays=2, settings=settings) as served:
        wait_for(lambda: held(served, "") is not None)
        assert len(processes_of(served, RELAY)) == 2
        wait_for(lambda: in_force(served))
        yield served


async def caller(port: int, feature: str, *, leaves: bool, seconds: float) -> int:
    """One call on a connection of its own; its status, or 0 if its caller left or it was cut."""
    body = json.dumps(
        {
            "model": "gpt-4o-mini",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": feature}],
        }
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
        f"x-taximeter-feature: {feature}\r\nx-standin-output-tokens: 100\r\n"
        f"x-standin-head-s: {seconds}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    try:
        writer.write(head.encode() + body)
        if leaves:
            await asyncio.sleep(seconds / 2)
            return 0
        line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
        await asyncio.wait_for(reader.read(), PATIENCE_S)
        return int(line.split()[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def crowd(
    served: processes.Serving,
    provider: str,
    feature: str,
    victim: str = "",
    seconds: float = 0.05,
) -> Counter[int]:
    """All callers at once, every tenth of whom leaves; how many had which status.

    `victim` is killed once a call has reached the provider: before that there is nothing to lose.
    """
    processes.clear_journal(provider)
    port = int(served.proxy_url.rpartition(":")[2])
    calls = [
        caller(port, feature, leaves=number % 10 == 9, seconds=seconds) for number in range(CALLERS)
    ]
    running = [asyncio.create_task(call) for call in calls]
    if victim:
        await asyncio.to_thread(wait_for, lambda: reached(provider, feature))
        os.kill(processes_of(served, victim)[0], signal.SIGKILL)
    return Counter(await asyncio.gather(*running))


def reached(provider: str, feature: str) -> int:
    """How many calls of a round have reached the provider."""
    seen = processes.get_json(f"{provider}/__standin/journal")["exchanges"]
    return sum(f'"{feature}"' in (one["received"]["body"] or "") for one in seen)


def in_force(served: processes.Serving) -> bool:
    """Whether all relays have taken up the published rules: until then the budget fails closed."""
    port = int(served.proxy_url.rpartition(":")[2])

    async def passed() -> set[int]:
        feature = f"first-{time.monotonic_ns()}"
        calls = [caller(port, feature, leaves=False, seconds=0) for _ in range(10)]
        return set(await asyncio.gather(*calls))

    return asyncio.run(passed()) == {200}


def processes_of(served: processes.Serving, module: str) -> list[int]:
    """The process ids of relays, or of the meter."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError, IndexError):
            words = status.read_bytes().split(b"\0")
            parent = (status.parent / "stat").read_text().rpartition(")")[2].split()[1]
            if module.encode() in words and int(parent) == served.pid:
                found.append(int(status.parent.name))
    return found


def held(served: processes.Serving, feature: str) -> dict[str, Any] | None:
    """The budget of a round; {}: nobody called yet, None: the meter does not answer."""
    try:
        found = processes.get_json(f"{served.console_url}/api/budgets?name=tight")
    except (OSError, urllib.request.HTTPError):
        return None
    return next((one for one in found if one["key"] == {"feature": feature}), {})


def wait_for(what: Any) -> Any:
    """The first result that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def settled(served: processes.Serving, feature: str, passed: int) -> dict[str, Any]:
    """The budget once all rows count: `passed` calls at least, and nothing is held back."""

    def whole() -> dict[str, Any] | None:
        one = held(served, feature)
        done = one and one["spent_usd"] is not None and Decimal(one["reserved_usd"] or 0) == 0
        rows = served.calls(feature=feature) if done else []
        return one if done and len(rows) >= passed else None

    found: dict[str, Any] = wait_for(whole)
    return found


def check(
    served: processes.Serving, provider: str, feature: str, statuses: Counter[int], victim: str = ""
) -> None:
    """Nothing exceeds the limit: neither the rows nor what cut calls may have cost beyond them.

    Some callers get their answers, unless a relay was killed: it may have carried all who passed.
    """
    passed = reached(provider, feature)
    one = settled(served, feature, passed)
    assert set(statuses) <= {0, 200, 429}
    assert statuses[200] <= passed
    assert statuses[200] > 0 or victim == RELAY
    committed = Decimal(one["spent_usd"]) + Decimal(one["uncertain_usd"] or 0)
    assert passed * OUTPUT_USD <= committed <= LIMIT, (committed, passed, statuses)
    url = f"{served.console_url}/api/refusals?feature={feature}&limit=1000"
    wait_for(lambda: len(processes.get_json(url)) >= statuses[429])
    assert {row["outcome"] for row in processes.get_json(url)} <= {"refused"}
    assert all(row["outcome"] != "refused" for row in served.calls(feature=feature))


@pytest.mark.slow
async def test_nothing_beyond_the_limit(served: processes.Serving, provider: str) -> None:
    """A hundred callers at once, on a budget for a quarter of them."""
    statuses = await crowd(served, provider, "round")
    assert statuses[429] > 0
    await asyncio.to_thread(check, served, provider, "round", statuses)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [RELAY, METER])
async def test_killed_amid_calls(served: processes.Serving, provider: str, victim: str) -> None:
    """A relay's calls hold back until their rows count; the meter goes on where it was."""
    feature = victim.rpartition(".")[2]
    statuses = await crowd(served, provider, feature, victim, seconds=0.5)
    await asyncio.to_thread(check, served, provider, feature, statuses, victim)


@pytest.mark.slow
async def test_fifty_rounds(served: processes.Serving, provider: str) -> None:
    """The same again and again; a relay or the meter is killed in every tenth round."""
    for number in range(50):
        victim = {5: RELAY, 9: METER}.get(number % 10, "")
        feature = f"long-{number}"
        statuses = await crowd(served, provider, feature, victim, seconds=0.2)
        await asyncio.to_thread(check, served, provider, feature, statuses, victim)
