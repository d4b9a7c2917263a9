"""`python -m trials.bench.overhead`: measures what the proxy adds to a call on this machine.

Client, stand-in provider, relays and meter are separate processes.  Calls with and without the
proxy alternate in one run: their ratio is meaningful even where the absolute numbers are not.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from evaluation.standin import processes
from evaluation.standin.answers import WORDS
from trials.bench import load

BLOCK_CALLS = 25  # in a row through the proxy, then as many directly
WARM_UP_CALLS = 50
SETTLE_TIMEOUT_S = 60.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of call: path and body."""

    name: str
    body: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Latencies of single calls in ms, calls a second under load, CPU time per call in µs."""

    scenario: str
    direct_p50_ms: float
    direct_p99_ms: float
    proxied_p50_ms: float
    proxied_p99_ms: float
    first_added_p50_ms: float  # to the first event of a stream, or the whole answer
    direct_per_s: float
    proxied_per_s: float
    relay_cpu_us: float
    meter_cpu_us: float
    calls: int  # through the proxy, in this scenario

    @property
    def added_p50_ms(self) -> float:
        return self.proxied_p50_ms - self.direct_p50_ms

    @property
    def added_p99_ms(self) -> float:
        return self.proxied_p99_ms - self.direct_p99_ms

    @property
    def throughput_ratio(self) -> float:
        return self.proxied_per_s / self.direct_per_s


def _chat(words: int, output_tokens: int, *, stream: bool) -> dict[str, object]:
    prompt = " ".join((WORDS * (words // len(WORDS) + 1))[:words])
    return {
        "model": f"gpt-4o-mini@output-tokens={output_tokens}",
        "messages": [{"role": "user", "content": prompt}],
        "stream": stream,
        **({"stream_options": {"include_usage": True}} if stream else {}),
    }


SCENARIOS = (
    Scenario(name="small JSON", body=_chat(20, 20, stream=False)),
    Scenario(name="stream of 100 tokens", body=_chat(20, 100, stream=True)),
    Scenario(name="prompt of 100 kB", body=_chat(17_000, 20, stream=False)),
)


def measure(
    scenario: Scenario, upstream: str, served: processes.Serving, options: argparse.Namespace
) -> Measured:
    """One scenario, with and without the proxy."""
    body = json.dumps(scenario.body).encode()
    direct = load.ask(f"{upstream}/v1/chat/completions", body)
    proxied = load.ask(f"{served.proxy_url}/openai/v1/chat/completions", body)
    before, cpu = metered(served), processor_s(served.pid)
    alone, through = asyncio.run(_in_turns(direct, proxied, options.calls))
    rates = [
        asyncio.run(load.at_once(r, concurrency=options.concurrency, seconds=options.seconds))
        for r in (direct, proxied)
    ]
    relay_s = processor_s(served.pid)["relay"] - cpu["relay"]
    calls = settled(served) - before
    meter_s = processor_s(served.pid)["meter"] - cpu["meter"]
    first = _quantile((s.first_s for s in through), 50)
    return Measured(
        scenario=scenario.name,
        direct_p50_ms=_quantile((s.total_s for s in alone), 50),
        direct_p99_ms=_quantile((s.total_s for s in alone), 99),
        proxied_p50_ms=_quantile((s.total_s for s in through), 50),
        proxied_p99_ms=_quantile((s.total_s for s in through), 99),
        first_added_p50_ms=first - _quantile((s.first_s for s in alone), 50),
        direct_per_s=rates[0],
        proxied_per_s=rates[1],
        relay_cpu_us=relay_s / calls * 1e6,
        meter_cpu_us=meter_s / calls * 1e6,
        calls=calls,
    )


async def _in_turns(
    direct: load.LoadRequest, proxied: load.LoadRequest, calls: int
) -> tuple[list[load.CallTimes], list[load.CallTimes]]:
    """Latencies of single calls, without and with the proxy, in alternating blocks."""
    alone, through = [await load.Connection.open(ask) for ask in (direct, proxied)]
    await load.one_by_one(alone, direct, WARM_UP_CALLS)
    await load.one_by_one(through, proxied, WARM_UP_CALLS)
    seen: tuple[list[load.CallTimes], list[load.CallTimes]] = ([], [])
    for _ in range(0, calls, BLOCK_CALLS):
        seen[0].extend(await load.one_by_one(alone, direct, BLOCK_CALLS))
        seen[1].extend(await load.one_by_one(through, proxied, BLOCK_CALLS))
    await alone.close()
    await through.close()
    return seen


def metered(served: processes.Serving) -> int:
    """How many calls have a row."""
    rows = processes.get_json(f"{served.console_url}/api/spend?since=1h&by=provider")
    return sum(int(row["calls"]) for row in rows)


def settled(served: processes.Serving) -> int:
    """How many calls have a row, once no more arrive.  Raises TimeoutError."""
    deadline, count = time.monotonic() + SETTLE_TIMEOUT_S, -1
    while (now := metered(served)) != count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"rows still arrive after {SETTLE_TIMEOUT_S:g} s")
        count = now
        time.sleep(2.0)  # longer than a batch waits
    return count


def processor_s(pid: int) -> dict[str, float]:
    """CPU seconds so far of the relays and the meter of the supervisor `pid`; Linux only."""
    used = {"relay": 0.0, "meter": 0.0}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text()
        part = next((name for name in used if f"{name}_process" in command), "")
        if part:
            # After the name in parentheses: field 14 and 15 of proc(5) are utime and stime.
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            used[part] += (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return used


def _quantile(seconds: Iterable[float], percent: int) -> float:
    """In milliseconds."""
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1e3


def table(measured: Sequence[Measured]) -> Table:
    """The numbers as a table for a terminal, with a column for each scenario."""
    shown = Table("", title="With the proxy and without", title_justify="left", box=box.SIMPLE_HEAD)
    for one in measured:
        shown.add_column(one.scenario, justify="right")
    rows: tuple[tuple[str, str, Callable[[Measured], float]], ...] = (
        ("p50 without, ms", ".2f", lambda m: m.direct_p50_ms),
        ("p50 with, ms", ".2f", lambda m: m.proxied_p50_ms),
        ("p50 added, ms", ".2f", lambda m: m.added_p50_ms),
        ("p50 added, first event", ".2f", lambda m: m.first_added_p50_ms),
        ("p99 without, ms", ".2f", lambda m: m.direct_p99_ms),
        ("p99 with, ms", ".2f", lambda m: m.proxied_p99_ms),
        ("p99 added, ms", ".2f", lambda m: m.added_p99_ms),
        ("calls/s without", ",.0f", lambda m: m.direct_per_s),
        ("calls/s with", ",.0f", lambda m: m.proxied_per_s),
        ("ratio", ".2f", lambda m: m.throughput_ratio),
        ("relay CPU, µs/call", ",.0f", lambda m: m.relay_cpu_us),
        ("meter CPU, µs/call", ",.0f", lambda m: m.meter_cpu_us),
        ("calls proxied", ",", lambda m: m.calls),
    )
    for title, form, number in rows:
        shown.add_row(title, *(format(number(m), form) for m in measured))
    return shown


def main() -> int:
    """Returns the exit code: 1 if a process did not start."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.overhead", description=__doc__)
    parser.add_argument(
        "--calls", type=int, default=500, help="single calls, with and without the proxy"
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of load, with and without the proxy"
    )
    parser.add_argument("--concurrency", type=int, default=16, help="connections under load")
    parser.add_argument("--relays", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="taximeter-overhead-") as name:
        data = Path(name)
        try:
            with (
                processes.stand_in(data / "stand-in.log") as (upstream, _),
                processes.serve(data, {"openai": upstream}, relays=options.relays) as served,
            ):
                measured = [measure(s, upstream, served, options) for s in SCENARIOS]
        except processes.LaunchError as failure:
            print(failure, file=sys.stderr)
            return 1
    if options.json:
        document = {
            "cpus": os.cpu_count(),
            "options": vars(options),
            "measured": [asdict(m) for m in measured],
        }
        print(json.dumps(document, indent=2))
    else:
        Console().print(table(measured))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
