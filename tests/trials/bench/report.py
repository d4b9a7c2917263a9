"""The benchmark as text, JSON and a plot; between markers of docs/performance.md if asked."""

import json
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trials.bench import plot
from trials.bench.measuring import PACED_PER_S, QUANTILES, Measured, Plan, Table

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENT, PLOT = DOCS / "performance.md", DOCS / "images" / "cost.svg"
BEGIN, END = "<!-- bench: begin -->\n", "<!-- bench: end -->"
FLOOR = "nginx"  # what ratios are to; else the first that was measured


@dataclass(frozen=True, slots=True)
class Report:
    """What `make bench` found."""

    table: Table
    left_out: Mapping[str, str]
    plan: Plan
    command: str
    load: float  # load average of the machine before the run: other work disturbs the numbers

    def ratios(self) -> dict[str, dict[str, float]]:
        """CPU per call by contender and scenario, as a multiple of nginx's."""
        floor = self.table.get(FLOOR) or next(iter(self._proxies().values()))
        return {
            name: {s: m.cpu / floor[s].cpu for s, m in found.items() if s in floor and m.cpu_us}
            for name, found in self._proxies().items()
        }

    def markdown(self) -> str:
        """The whole report."""
        return "\n".join(self._lines()) + "\n"

    def json(self) -> str:
        rounds = {
            name: {
                scenario: {
                    "cpu_us": m.cpu_us,
                    "calls_per_s": m.per_s,
                    "memory_bytes": m.memory_bytes,
                    "latency_ms": {str(q): m.latency_ms(q) for q in QUANTILES if m.latencies_s},
                }
                for scenario, m in found.items()
            }
            for name, found in self.table.items()
        }
        left_out = dict(self.left_out)
        return json.dumps({"ratios": self.ratios(), "rounds": rounds, "left_out": left_out}) + "\n"

    def write(self) -> None:
        """Replace what stands between the markers, and the plot."""
        text = DOCUMENT.read_text(encoding="utf-8")
        found = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
        image = f"![CPU per call as a multiple of {FLOOR}'s](images/{PLOT.name})\n\n"
        made = found.sub(lambda _: BEGIN + image + self.markdown() + END, text)
        DOCUMENT.write_text(made, encoding="utf-8")
        PLOT.write_text(plot.bars(self.ratios()), encoding="utf-8")

    def _proxies(self) -> Table:
        return {name: found for name, found in self.table.items() if name != "direct"}

    def _lines(self) -> Iterator[str]:
        today = datetime.now(UTC).date()
        yield (
            f"`{self.command.strip()}`, {today.day} {today:%B %Y}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}: medians of {self.plan.rounds} rounds of "
            f"{self.plan.seconds:g} s, in turns."
        )
        yield f"The load average before was {self.load:.1f}."
        yield ""
        yield from self._section(
            f"CPU per call, as a multiple of {FLOOR}'s", lambda name, s, m: self._ratio(name, s)
        )
        yield from self._section("CPU per call, µs", lambda _, s, m: f"{m.cpu:,.0f}")
        yield from self._section(
            "calls/s", lambda _, s, m: f"{statistics.median(m.per_s):,.0f}", everyone=True
        )
        yield from self._section("memory, MiB", lambda _, s, m: f"{m.memory_bytes / 2**20:,.0f}")
        yield from self._latencies()
        for name, why in self.left_out.items():
            yield f"Left out: {name} ({why})."

    def _ratio(self, name: str, scenario: str) -> str:
        ratio = self.ratios()[name].get(scenario)
        return "–" if ratio is None else f"{ratio:.1f}"

    def _section(
        self, title: str, shown: Callable[[str, str, Measured], str], *, everyone: bool = False
    ) -> Iterator[str]:
        table = self.table if everyone else self._proxies()
        scenarios = list(dict.fromkeys(s for found in table.values() for s in found))
        yield f"| {title} | {' | '.join(scenarios)} |"
        yield "|---|" + "--:|" * len(scenarios)
        for name, found in table.items():
            cells = [
                shown(name, s, found[s]) if s in found and found[s].cpu_us else "–"
                for s in scenarios
            ]
            yield f"| {_strong(name)} | {' | '.join(cells)} |"
        yield ""

    def _latencies(self) -> Iterator[str]:
        direct = self.table.get("direct", {})
        scenarios = [s for s, m in direct.items() if m.latencies_s]
        for scenario in scenarios:
            heads = " | ".join(f"p{q * 100:g}" for q in QUANTILES)
            yield f"| added latency at {PACED_PER_S:g}/s, {scenario}, ms | {heads} |"
            yield "|---|" + "--:|" * len(QUANTILES)
            for name, found in self._proxies().items():
                if scenario in found and found[scenario].latencies_s:
                    added = [
                        f"{found[scenario].latency_ms(q) - direct[scenario].latency_ms(q):.2f}"
                        for q in QUANTILES
                    ]
                    yield f"| {_strong(name)} | {' | '.join(added)} |"
            yield ""


def _strong(name: str) -> str:
    return f"**{name}**" if name.startswith("Taximeter") else name
