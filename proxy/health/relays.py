"""Whether the relays answer: each counts the ticks of its event loop, ten in a second.

A relay that was killed is started again at once; one that hangs keeps its callers waiting and says
nothing, so that only its counters show it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from proxy.journal.counters import LAG_COUNTS, read_counters
from proxy.journal.in_flight import living

SILENT_S = 1.5  # without a tick, after which a relay counts as hanging


class Relays:
    """Looks at the relays' journals in `calls` again and again."""

    def __init__(self, calls: Path, clock: Callable[[], float] = monotonic) -> None:
        self._calls = calls
        self._clock = clock
        self._ticks: dict[str, tuple[int, float]] = {}  # writer → its ticks, and since when

    def status(self) -> dict[str, object]:
        """For `/api/health`: how many there are, and for how long the most silent one is silent."""
        now_s = self._clock()
        seen = self._look()
        self._ticks = {
            name: known
            if (known := self._ticks.get(name)) is not None and known[0] == ticks
            else (ticks, now_s)
            for name, ticks in seen.items()
        }
        since_s = {name: now_s - at_s for name, (_, at_s) in self._ticks.items()}
        silent = [name for name, silent_s in since_s.items() if silent_s >= SILENT_S]
        found: dict[str, object] = {"ok": not silent, "relays": len(seen), "silent": len(silent)}
        if silent:
            silent_s = round(max(since_s.values()), 1)
            found |= {
                "silent_s": silent_s,
                "error": f"no answer from {len(silent)} of {len(seen)} for {silent_s:.0f} s",
            }
        return found

    def _look(self) -> Mapping[str, int]:
        """Ticks of each living relay, by the name of its journal's writer."""
        found = {}
        for writer in living(self._calls):
            counters = read_counters(writer)
            found[writer.name] = sum(counters[name] for name in LAG_COUNTS)
        return found
