"""Two machines on one ClickHouse server, each with the same budgets."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from support.clickhouse import ClickHouseServer
from support.patience import PATIENCE_S
from support.webhook_receiver import Receiver

LIMIT = Decimal("0.002")
LOOKS = 6  # half a second apart: longer than until one machine sees the rows of another
HEAD_S = 0.2  # what a call takes
EACH = Decimal("0.0000621")  # and costs at most: the request, and 100 tokens
RULES_S = 1.0  # until relays have read the published rules
ROUND_S = 12.0  # two rounds of the election, in which the other one might tell as well
CALLERS = 8  # on each machine at a time, one call after the other
SETTINGS = """
node = "{node}"

[store]
dsn = "{dsn}"

[budgets.tight]
scope = {{ team = "search" }}
limit_usd = 0.002
period = "total"
action = "block"
reserve = "worst"
fail = "closed"
thresholds = [50, 100]
notify = ["hook"]

[notify.hook]
type = "webhook"
url = "{url}"
"""
BODY = json.dumps(
    {
        "model": "gpt-4o-mini",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello"}],
    }
)


async def ask(port: int) -> int:
    """The status of one call."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n"
        f"x-taximeter-team: search\r\nx-standin-output-tokens: 100\r\n"
        f"x-standin-head-s: {HEAD_S}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    )
    status = int((await asyncio.wait_for(reader.readline(), PATIENCE_S)).split()[1])
    await reader.read()
    writer.close()
    return status


async def spend(port: int) -> float | None:
    """Call until the first refusal; when the last call passed, by the monotonic clock."""
    last: float | None = None
    while await ask(port) == 200:
        last = time.monotonic()
    return last


def budget(machine: processes.Serving) -> dict[str, Any]:
    (found,) = processes.get_json(f"{machine.console_url}/api/budgets?name=tight")
    return dict(found)


async def once(machines: list[processes.Serving], what: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until `what` holds for the budget as each machine sees it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = [await asyncio.to_thread(budget, machine) for machine in machines]
        if all(what(one) for one in found):
            return
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def agreed(machines: list[processes.Serving]) -> Decimal:
    """What was spent, once all machines say the same and have said so for longer than a look."""
    deadline, same = time.monotonic() + PATIENCE_S, 0
    while same < LOOKS:
        found = [await asyncio.to_thread(budget, machine) for machine in machines]
        spent = {one["spent_usd"] for one in found}
        same = same + 1 if len(spent) == 1 else 0
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.5)
    return Decimal(spent.pop())


@pytest.mark.slow
async def test_two_machines_spend_one_budget(
    tmp_path: Path, clickhouse_server: ClickHouseServer, new_database: str
) -> None:
    """Beyond the limit passes what the other machine does not know yet; one of them tells of it."""
    async with Receiver() as hook:
        with ExitStack() as stack:
            upstream, _ = stack.enter_context(processes.stand_in(tmp_path / "stand-in.log"))
            dsn = f"{clickhouse_server.dsn}{new_database}"
            machines = [
                stack.enter_context(
                    processes.serve(
                        tmp_path / node,
                        {"openai": upstream},
                        settings=SETTINGS.format(node=node, dsn=dsn, url=hook.url),
                    )
                )
                for node in ("a", "b")
            ]
            await once(machines, lambda one: one["spent_usd"] is not None)
            await asyncio.sleep(RULES_S)
            ports = [int(machine.proxy_url.rpartition(":")[2]) for machine in machines]
            ended = await asyncio.gather(*(spend(port) for port in ports for _ in range(CALLERS)))
            assert any(ended[:CALLERS])  # both spent
            assert any(ended[CALLERS:])
            await once(machines, lambda one: Decimal(one["spent_usd"]) >= LIMIT - EACH)
            spent = await agreed(machines)
            assert spent <= len(machines) * LIMIT  # each keeps the limit with what it knows itself
            assert [await ask(port) for port in ports] == [429, 429]
            await once(machines, lambda one: len(one["alerts"]) == 2)
            await asyncio.sleep(ROUND_S)
        told = [
            (body["budget"], threshold) for body in hook.bodies for threshold in body["thresholds"]
        ]
        assert sorted(told) == [("tight", 50), ("tight", 100)]
