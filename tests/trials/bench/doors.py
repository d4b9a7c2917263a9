"""What a call costs more at the gateway than at the other door: `python -m trials.bench.doors`.

One relay, one call at a time, the doors in turns, so that whatever else the machine does falls on
all of them.  Differences are medians over the turns; the goals are 0.3 ms more at the median
without translation, and 1 ms with.
"""

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from proxy.door import keys
from proxy.door.callers import hashed
from proxy.gateway.options import (
    CandidateOptions,
    GatewayCaller,
    GatewayOptions,
    KeyOptions,
    RouteOptions,
)
from proxy.serving.child import module
from proxy.settings.config import Config, Provider
from trials.bench import load
from trials.bench.contenders import relays
from trials.bench.launching import printing_its_port

TURNS, CALLS, WARM_UP = 30, 40, 200
PROMPT = "Once upon a time there was a fox. " * 25  # with the rest of the body, 1 kB
GATEWAY = "/gateway/v1/chat/completions"
TRANSPARENT = "transparent"
# Door → path and model.
DOORS: Mapping[str, tuple[str, str]] = {
    TRANSPARENT: ("/openai/v1/chat/completions", "gpt-4o"),
    "gateway, one candidate": (GATEWAY, "openai/gpt-4o"),
    "gateway, two candidates": (GATEWAY, "route"),
    "gateway, translated": (GATEWAY, "foreign"),
}
GOALS_MS = {"gateway, two candidates": 0.3, "gateway, translated": 1.0}


@dataclass
class Taken:
    """Of one door, in each turn: the median time of a call and the relay's CPU for it, in µs."""

    median_us: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


def configured(folder: Path, upstream: str) -> Config:
    """Routes to one upstream that speaks both dialects."""
    file = folder / "key"
    file.write_text("sk-provider", encoding="utf-8")
    names = ("openai", "anthropic")
    routes = {
        "route": ("openai/gpt-4o", "openai/gpt-4o-mini"),
        "foreign": ("anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini"),
    }
    made = GatewayOptions(
        keys={one: KeyOptions(name=one, provider=one, value=f"file:{file}") for one in names},
        callers={"bench": GatewayCaller(name="bench", token_hash=hashed(load.TOKEN))},
        routes={
            name: RouteOptions(
                name=name,
                candidates=tuple(
                    CandidateOptions(provider=provider, model=model)
                    for provider, _, model in (one.partition("/") for one in candidates)
                ),
            )
            for name, candidates in routes.items()
        },
    )
    return Config(
        data=folder,
        providers={one: Provider(name=one, base_url=upstream, dialect=one) for one in names},
        gateway=keys.read(made, os.environ, print),
    )


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """A relay in front of an upstream: its process and its port."""
    with ExitStack() as stack:
        command = [*module("trials.bench.upstream")]
        _, upstream = stack.enter_context(printing_its_port(command))
        config = configured(folder, f"http://localhost:{upstream}")
        port, (pid,) = stack.enter_context(relays(config, 1))
        yield pid, port


def request(door: str, port: int) -> load.LoadRequest:
    path, model = DOORS[door]
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 100}
    return load.ask(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode())


def cpu_us(pid: int) -> float:
    """Of all threads of a process so far, from the scheduler, which counts nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((one / "schedstat").read_text().split()[0]) for one in tasks) / 1000


async def measure(pid: int, port: int, turns: int) -> dict[str, Taken]:
    """All doors, in turns."""
    found = {door: Taken() for door in DOORS}
    with ExitStack() as stack:
        callers = {}
        for door in DOORS:
            caller = await load.Caller.open(request(door, port))
            callers[door] = stack.enter_context(closing(caller))
            for _ in range(WARM_UP):
                await caller.call()
        for _ in range(turns):
            for door, taken in found.items():
                before = cpu_us(pid)
                times = [await callers[door].call() for _ in range(CALLS)]
                taken.cpu_us.append((cpu_us(pid) - before) / CALLS)
                taken.median_us.append(statistics.median(times) * 1e6)
    return found


def rows(found: Mapping[str, Taken]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| door | p50, µs | more | CPU, µs | more | CPU ratio |"
    yield "|---|--:|--:|--:|--:|--:|"
    least = found[TRANSPARENT]
    for door, taken in found.items():
        median, cpu = (statistics.median(each) for each in (taken.median_us, taken.cpu_us))
        more, more_cpu = (_more(taken, least, name) for name in ("median_us", "cpu_us"))
        ratio = statistics.median(a / b for a, b in zip(taken.cpu_us, least.cpu_us, strict=True))
        cells = (f"{one:,.0f}" for one in (median, more, cpu, more_cpu))
        yield f"| {door} | {' | '.join(cells)} | {ratio:.2f} |"
    for door, goal_ms in GOALS_MS.items():
        more = _more(found[door], least, "median_us") / 1000
        verdict = "met" if more <= goal_ms else "missed"
        yield f"\n{door}: {more:.2f} ms more at the median; the goal of {goal_ms} ms is {verdict}."


def _more(taken: Taken, least: Taken, name: str) -> float:
    pairs = zip(getattr(taken, name), getattr(least, name), strict=True)
    return float(statistics.median(a - b for a, b in pairs))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.doors", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="taximeter-doors-") as name, serving(Path(name)) as (pid, port):
        found = uvloop.run(measure(pid, port, options.turns))
    print("\n".join(rows(found)))


if __name__ == "__main__":
    main()
