"""Sockets through the running product: rows while they are open, whoever is killed."""

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from evaluation.standin import processes

ROW_S = 2.0  # from the end of a response to its row


def child(supervisor: int, module: bytes) -> int:
    """The process id of the meter process, or of the relay."""
    for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        if module in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise AssertionError(f"{module!r} does not run")


async def ask(socket: aiohttp.ClientWebSocketResponse) -> str:
    """Have the model make a response; returns its id."""
    await socket.send_json({"type": "response.create"})
    while (event := await socket.receive_json(timeout=10))["type"] != "response.done":
        pass
    return str(event["response"]["id"])


async def answered(served: processes.Serving, expected: list[str], timeout_s: float) -> bool:
    """Whether the store has a row for each of these responses, each once, in time."""
    clock = asyncio.get_running_loop().time
    until = clock() + timeout_s
    found: list[str] = []
    while clock() < until:
        try:
            rows = await asyncio.to_thread(served.calls, operation="realtime")
        except OSError:  # the console restarts with the meter
            rows = []
        found = [row["response_id"] for row in reversed(rows) if row["response_id"]]
        if sorted(found) == sorted(expected):
            return True
        await asyncio.sleep(0.05)
    raise AssertionError(f"{found} instead of {expected}")


@pytest.mark.slow
async def test_responses_of_an_open_socket_survive_everybody(tmp_path: Path) -> None:
    """Each has its row within two seconds; kill -9 of the meter and of the relay changes none."""
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}) as served,
    ):
        url = f"{served.proxy_url}/openai/v1/realtime?model=gpt-realtime"
        async with aiohttp.ClientSession() as client:
            socket = await client.ws_connect(url)
            made = [await ask(socket)]
            await answered(served, made, ROW_S)
            await asyncio.sleep(2.5)  # the progress is saved, and what is charged is released
            made.append(await ask(socket))
            os.kill(child(served.pid, b"meter_process"), signal.SIGKILL)
            made.append(await ask(socket))
            await answered(served, made, 20)
            made.append(await ask(socket))
            os.kill(child(served.pid, b"relay_process"), signal.SIGKILL)
            await answered(served, made, 20)
            await socket.close()
            rows = served.calls()
    assert len({row["socket_id"] for row in rows}) == 1
    assert {row["outcome"] for row in rows} == {"ok"}
