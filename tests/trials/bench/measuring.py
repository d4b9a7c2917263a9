"""Rounds of load through each contender, in turns: CPU per call, calls a second, added latency.

Other work on the machine disturbs all of them alike, so the rounds alternate, the median of the
rounds counts, and a ratio between two of them means more than either.  Proxies run on the first
core, callers and upstream on the others.
"""

import asyncio
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from proxy.serving.child import module
from trials.bench import load
from trials.bench.contenders import Contender
from trials.bench.launching import Missing, Started, Upstream, printing_its_port

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
STREAMED_CONNECTIONS = 100  # for streams that last: so many at once
FORGET_S = 0.05
PACED_PER_S = 200.0
PACED_CONNECTIONS = 64
CHUNKS, PACE_MS = 80, 5
NOTHING: Mapping[str, str] = MappingProxyType({})
QUANTILES = (0.5, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of call."""

    name: str
    prompt_bytes: int = 1_000
    headers: Mapping[str, str] = field(default_factory=dict)
    connections: int = CONNECTIONS
    tls: bool = False  # towards the upstream


STREAM = {"x-chunks": str(CHUNKS)}
SCENARIOS = (
    Scenario(name="plain call"),
    Scenario(name="stream", headers=STREAM),
    Scenario(
        name="slow stream",
        headers={**STREAM, "x-pace-ms": str(PACE_MS)},
        connections=STREAMED_CONNECTIONS,
    ),
    Scenario(name="100 kB prompt", prompt_bytes=100_000),
    Scenario(name="TLS upstream", tls=True),
)


@dataclass(slots=True)
class Measured:
    """What the rounds brought for one contender in one scenario."""

    cpu_us: list[float] = field(default_factory=list)  # per call, in each round
    per_s: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)  # the busiest process's part of the CPU
    latencies_s: list[float] = field(default_factory=list)  # at a steady rate, of all rounds
    memory_bytes: int = 0  # proportional set size of all its processes, after the load

    @property
    def cpu(self) -> float:
        """µs per call."""
        return statistics.median(self.cpu_us)

    def latency_ms(self, quantile: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] * 1e3


Table = dict[str, dict[str, Measured]]  # contender → scenario → what was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how often."""

    seconds: float  # of load in a round
    paced_s: float  # at a steady rate in a round; 0: not at all
    rounds: int


class Bench:
    """Contenders that run, each in front of an upstream without TLS and one with it."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path]) -> None:
        self._folder = folder
        self._certificate = certificate
        self._started: dict[tuple[str, bool], Started] = {}
        self.left_out: dict[str, str] = {}  # contender → why
        self.table: Table = {}

    @contextmanager
    def running(
        self, contenders: Mapping[str, Contender], scenarios: Sequence[Scenario]
    ) -> Iterator[None]:
        """Start all of them that can be started here."""
        with ExitStack() as stack, _all_but_the_first_core():
            for tls in sorted({one.tls for one in scenarios}):
                upstream = stack.enter_context(served(self._certificate if tls else None))
                for name, contender in contenders.items():
                    if (tls and name == "direct") or name in self.left_out:
                        continue
                    folder = self._folder / f"{name.replace(' ', '-').replace(',', '')}-{tls:d}"
                    folder.mkdir()
                    try:
                        started = stack.enter_context(contextmanager(contender)(upstream, folder))
                    except Missing as missing:
                        self.left_out[name] = str(missing)
                        continue
                    for pid in started.pids:
                        _pin(pid)
                    self._started[name, tls] = started
            yield

    def measure(
        self, scenario: Scenario, plan: Plan, told: Callable[[str], None] = lambda _: None
    ) -> None:
        """All rounds of one scenario."""
        for _ in range(plan.rounds):
            for (name, tls), started in self._started.items():
                if tls is not scenario.tls:
                    continue
                told(f"{scenario.name}: {name}")
                into = self.table.setdefault(name, {}).setdefault(scenario.name, Measured())
                try:
                    asyncio.run(_round(started, scenario, plan, into))
                except (RuntimeError, OSError) as error:
                    self.left_out[f"{name}, {scenario.name}"] = str(error)
                _forget(started)


def requested(
    url: str, scenario: Scenario, headers: Mapping[str, str] = NOTHING
) -> load.LoadRequest:
    """What callers of a scenario send, with the `headers` that a contender needs."""
    prompt = "tell me more " * (scenario.prompt_bytes // 13 - 8)
    body = b'{"model": "gpt-4o", "stream": %b, "messages": [{"role": "user", "content": "%b"}]}' % (
        b"true" if scenario.headers else b"false",
        prompt.encode(),
    )
    return load.ask(url, body, {**scenario.headers, **headers})


async def _round(started: Started, scenario: Scenario, plan: Plan, into: Measured) -> None:
    request = requested(started.url, scenario, started.headers)
    callers = await load.Callers.connect(request, scenario.connections)
    now = asyncio.get_running_loop().time
    before, done, began = _used(started), callers.calls, now()
    callers.start()
    while now() < began + plan.seconds:
        await asyncio.sleep(FORGET_S)
        _forget(started)
    await callers.stop()
    calls = callers.calls - done
    used = {pid: seconds - before[pid] for pid, seconds in _used(started).items()}
    into.per_s.append(calls / (now() - began))
    into.cpu_us.append(sum(used.values()) / calls * 1e6)
    into.shares.append(max(used.values(), default=0.0) / (sum(used.values()) or 1.0))
    into.memory_bytes = sum(map(memory_bytes, started.pids))
    callers.close()
    if plan.paced_s:
        callers = await load.Callers.connect(request, PACED_CONNECTIONS)
        into.latencies_s += await callers.paced(PACED_PER_S, plan.paced_s)
        callers.close()


@contextmanager
def served(certificate: tuple[Path, Path] | None) -> Iterator[Upstream]:
    """An upstream that runs; with a certificate and its key it speaks TLS."""
    command = [*module("trials.bench.upstream")]
    if certificate:
        command += ["--tls", *map(str, certificate)]
    with printing_its_port(command) as (_, port):
        yield Upstream(port=port, ca_file=certificate[0] if certificate else None)


@contextmanager
def _all_but_the_first_core() -> Iterator[None]:
    """Where this process runs, and what it starts, until pinned elsewhere."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {min(cores)} or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _pin(pid: int) -> None:
    """Have all threads of a process run on the first core."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {0})


def _used(started: Started) -> dict[int, float]:
    """CPU seconds so far, by process."""
    return {pid: processor_s(pid) for pid in started.pids}


def processor_s(pid: int) -> float:
    """CPU seconds of a process so far: fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_bytes(pid: int) -> int:
    """Proportional set size: shared pages are divided among those who share them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split("\nPss:")[1].split()[0]) * 1024


def _forget(started: Started) -> None:
    """Delete journal segments that are complete, as a meter does once it has read them.

    Else a second of large prompts would fill a gigabyte of memory with pages.
    """
    if started.data is None:
        return
    for writer in started.data.iterdir():
        for segment in sorted(writer.glob("*.seg"))[:-1]:
            segment.unlink()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key
