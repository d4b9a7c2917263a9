"""Very many identical calls, whose sums are known in advance."""

import asyncio
import time
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from evaluation.standin import processes
from trials.bench import load
from trials.faults.audit import POLL_S, ROLLED_UP, AuditResult
from trials.faults.callers import Stream
from trials.faults.world import Served

SETTLE_S = 600.0  # for rows to arrive after a long outage
ERRORS_SHOWN = 5
ANSWER = Stream(tokens=20, seconds=0.0)


@dataclass(slots=True, kw_only=True)
class Bulk:
    """Makes calls of one team over a fixed number of connections, until `stop` or `calls`."""

    proxy_url: str
    team: str
    connections: int
    per_s: float = 0.0  # over all connections together; 0: as fast as they are answered
    streamed: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: pause
    begun: int = 0
    finished: int = 0
    errors: int = 0
    failures: list[str] = field(default_factory=list)  # the first ones

    def ask(self) -> load.LoadRequest:
        """The call that is repeated."""
        body: dict[str, object] = {
            "model": ANSWER.model,
            "messages": [{"role": "user", "content": "What does it cost?"}],
        }
        if self.streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        headers = {"x-taximeter-team": self.team, "x-taximeter-session": self.team}
        url = f"{self.proxy_url}/openai/v1/chat/completions"
        return load.ask(url, msgspec.json.encode(body), headers)

    async def make(self, calls: int, stop: asyncio.Event) -> None:
        """Make up to `calls` calls, one after another on each connection."""
        self.go.set()
        async with asyncio.TaskGroup() as group:
            for number in range(self.connections):
                group.create_task(self._keep_on(calls, number, stop))

    async def _keep_on(self, calls: int, number: int, stop: asyncio.Event) -> None:
        request, connection = self.ask(), None
        pause = self.connections / self.per_s if self.per_s else 0.0
        due = time.monotonic() + pause * number / self.connections
        while self.begun < calls and not stop.is_set():
            if pause:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += pause
            await self.go.wait()
            self.begun += 1
            try:
                connection = connection or await load.Caller.open(request)
                await connection.call()
                self.finished += 1
            except (OSError, EOFError, RuntimeError) as failure:
                self.errors += 1
                if len(self.failures) < ERRORS_SHOWN:
                    self.failures.append(f"a caller saw {failure!r}"[:200])
                connection = None
        if connection is not None:
            connection.close()


async def one_row(
    served: Served, team: str, *, streamed: bool = False, calls: int = 1
) -> processes.Row:
    """The row of one such call, of `calls` made under a team of their own."""
    first = Bulk(
        proxy_url=served.served.proxy_url, team=f"{team}-first", connections=1, streamed=streamed
    )
    await first.make(calls, asyncio.Event())
    return served.served.calls_when(calls, team=first.team)[0]


def check_sums(result: AuditResult, bulk: Bulk, sums: processes.Row, one: processes.Row) -> None:
    """Add what the sums over a team's rows show to `result`; `one` is the row of one call."""
    rows = int(sums["calls"])
    result.calls += bulk.begun
    result.errors += bulk.errors
    result.notes += bulk.failures
    result.lost += max(0, bulk.begun - int(sums["sources"]))
    result.doubled += rows - int(sums["sources"])
    same = all(sums[name] == rows for name in ("call_ids", "span_ids", "ok", "exact"))
    result.check(same, "every row has unique ids, outcome ok and an exact cost")
    told = {name: Decimal(str(sums[name])) for name in ROLLED_UP}
    wanted = {name: Decimal(str(one[name])) * bulk.finished for name in ROLLED_UP}
    shown = ", ".join(f"{name} {value.normalize():f}" for name, value in told.items())
    result.check(told == wanted, f"the sums are those of {bulk.finished:,} calls: {shown}")
    result.notes.append(f"{rows:,} rows")


def check_rollup(result: AuditResult, sums: processes.Row, rollup: processes.Row) -> None:
    """Check that the rollup has the same sums, to the last digit."""
    same = int(rollup.get("calls", 0)) == int(sums["calls"]) and all(
        Decimal(str(rollup.get(name) or 0)) == Decimal(str(sums[name])) for name in ROLLED_UP
    )
    result.check(same, "the rollup is the sum of the rows")


async def settled_sums(served: Served, team: str, count: int) -> processes.Row:
    """The console's report of a team once it has `calls` calls, or at the timeout."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found: list[processes.Row] = processes.get_json(
            f"{served.served.console_url}/api/spend?since=30d&by=team"
        )
        row = next((row for row in found if row["team"] == team), {"calls": 0})
        if int(row["calls"]) >= count or time.monotonic() > deadline:
            return row
        await asyncio.sleep(POLL_S)
