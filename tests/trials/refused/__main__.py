"""What clients make of a blocked call: how often they try, what they raise, and when.

`python -m trials.refused CACHE`, with tests/ in PYTHONPATH.  Installs the SDKs and agents into
CACHE, lets each make one call with its defaults on a budget that is spent until the end of the
month, and prints the table in docs/budgets.md.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed
from decimal import Decimal
from pathlib import Path

from pricing.budget import Budget
from support.budget_bench import machine_in
from support.relay_bench import answering, bench
from trials.clients import installing
from trials.refused import agents
from trials.refused.calls import CALLS, NODE, PYTHON, script

REPEAT_429 = ("Vercel AI SDK (Node)", "cohere (Python)")  # or wait, whatever its headers say
OWN_WORDS = ("Codex",)  # tries a socket and then another, and says what it says of any quota
HANGS_S = 60.0
SPENT = Budget(name="spent", limit_usd=Decimal(1), action="block", period="month")
KINDS = {
    "`block`": SPENT,
    "`block`, `status = 402`": changed(SPENT, status=402),
    "`throttle`": changed(SPENT, action="throttle"),
}


@dataclass(frozen=True)
class Seen:
    """What one client did."""

    client: str
    budget: str
    tries: int
    seconds: float
    error: str  # class and status; "": it hung
    names_budget: bool  # its message does

    @property
    def wrong(self) -> bool:
        """Whether it tried a blocked call again, hung or hid why, and is not known for it."""
        fine = self.tries == 1 and bool(self.error) and self.names_budget
        known = self.client in OWN_WORDS or ("402" not in self.budget and self.client in REPEAT_429)
        return "block" in self.budget and not (fine or known)


class Clients:
    """The installed ones; `folder` takes the programs that call SDKs of Python."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self._python = installing.python(cache, PYTHON)
        self._node, self._packages = installing.node(cache, NODE)
        _, self._agents = installing.node(cache, agents.PACKAGES)
        self._folder = folder

    async def ask(self, client: str, base: str) -> list[str]:
        """[class and status, message] of its error, through the proxy at `base`; [] if it hung."""
        if client in agents.AGENTS:
            command = agents.command(client, self._agents, base)
            own = agents.environment(self._folder / client)
            return agents.told(await run(command, self._folder, base, own))
        language, call = CALLS[client]
        if language == "node":
            runner, program = self._node, self._packages / "call.mjs"
        else:
            runner, program = str(self._python), self._folder / "call.py"
        await asyncio.to_thread(program.write_text, script(language, call))
        output = await run([runner, str(program)], program.parent, base, {})
        found: list[str] = json.loads(output.splitlines()[-1]) if output else []
        return found


async def run(command: list[str], folder: Path, base: str, own: Mapping[str, str]) -> bytes:
    """What the program printed; nothing if it hung."""
    environ = os.environ | {
        **{f"{name}_API_KEY": "sk-test" for name in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE")},
        "OPENAI_BASE_URL": f"{base}/openai/v1",
        "ANTHROPIC_BASE_URL": f"{base}/anthropic",
        "GEMINI": f"{base}/gemini",
        "COHERE": f"{base}/cohere",
        "BEDROCK": f"{base}/bedrock",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **own,
    }
    environ.pop("PYTHONPATH", None)
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environ,
        stdin=nothing,
        stdout=pipe,
        stderr=nothing,
        start_new_session=True,
    )
    try:
        return (await asyncio.wait_for(process.communicate(), HANGS_S))[0]
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)  # an agent is more than the process that was started
        await process.wait()
        return b""


async def look(cache: Path, data: Path, only: str) -> list[Seen]:
    """Every client whose name holds `only`, on every budget."""
    clients = Clients(cache, data)
    found = []
    for label, budget in KINDS.items():
        for client in (name for name in (*CALLS, *agents.AGENTS) if only in name):
            with machine_in(data / f"{label}{client}".replace("/", "-")) as machine:
                keeper = machine.keeper(budget)
                machine.publish({("spent", ()): "1"})
                async with bench(data, answering(b"HTTP/1.1 500 No\r\n\r\n"), keeper) as b:
                    began = time.monotonic()
                    told = await clients.ask(client, f"http://127.0.0.1:{b.port}")
                    tries = sum(call.method != "HEAD" for call in b.journal.begun)
            seconds = time.monotonic() - began
            error, message = told or ("", "")
            found.append(Seen(client, label, tries, seconds, error, "budget spent" in message))
            print(found[-1], file=sys.stderr)
    return found


def table(found: list[Seen]) -> Iterator[str]:
    """As docs/budgets.md has it: tries, and the error."""
    kinds = list(dict.fromkeys(one.budget for one in found))
    yield f"| client | {' | '.join(kinds)} |"
    yield f"|---|{'---|' * len(kinds)}"
    for client in dict.fromkeys(one.client for one in found):
        cells = []
        for kind in kinds:
            (one,) = (each for each in found if (each.client, each.budget) == (client, kind))
            tries = "once" if one.tries == 1 else f"{one.tries} times"
            waits = "waits until the window ends" if "block" in kind else "waits as told"
            cells.append(f"{tries}: `{one.error}`" if one.error else waits)
        yield f"| {client} | {' | '.join(cells)} |"


def main() -> None:
    """Entry point.  Exits with 1 if a blocked call was tried again, hung, or hid its reason."""
    parser = argparse.ArgumentParser(prog="python -m trials.refused")
    parser.add_argument("cache", type=Path, help="where the clients are installed")
    parser.add_argument("--client", default="", help="only those whose names hold this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        found = asyncio.run(look(options.cache, Path(data), options.client))
    print("\n".join(table(found)))
    wrong = [one for one in found if one.wrong]
    for one in wrong:
        print(f"wrong: {one}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
