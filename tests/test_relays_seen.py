"""A relay that hangs is seen by its counters, and one that is busy or gone is not taken for it."""

import os
import signal
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evaluation.standin import processes
from proxy.health.relays import SILENT_S, Relays
from proxy.health.verdict import DOWN_S, Health, verdict
from proxy.health.watch import HANGS, Watch
from proxy.journal.journal import Journal
from proxy.settings.config import AlertOptions, JournalOptions
from support.patience import PATIENCE_S

NOW = datetime(2026, 11, 29, tzinfo=UTC)
LIMITS = JournalOptions(fsync="never")
WELL: Mapping[str, object] = {"ok": True}


class Clock:
    """Says what it was set to."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def test_only_a_relay_without_ticks_hangs(tmp_path: Path) -> None:
    """For as long as its counter stood still between looks; its end is no hang."""
    clock = Clock()
    relays = Relays(tmp_path, clock)
    assert relays.status() == {"ok": True, "relays": 0, "silent": 0}
    one, two = (Journal(tmp_path, name, LIMITS) for name in ("one", "two"))
    assert relays.status() == {"ok": True, "relays": 2, "silent": 0}
    clock.s += SILENT_S - 0.01
    one.counters.add("lag_1ms")
    two.counters.add("lag_longer")  # late, but it turns
    assert relays.status()["ok"]
    clock.s += SILENT_S
    two.counters.add("lag_1ms")
    found = relays.status()
    assert (found["ok"], found["silent"], found["silent_s"]) == (False, 1, SILENT_S)
    assert found["error"] == "no answer from 1 of 2 for 2 s"
    assert verdict({"store": WELL, "relays": found}, []) == (True, Health.AMBER)
    clock.s += DOWN_S
    two.counters.add("lag_1ms")
    assert verdict({"store": WELL, "relays": relays.status()}, []) == (False, Health.RED)
    one.close()
    assert relays.status() == {"ok": True, "relays": 1, "silent": 0}
    two.close()


def test_it_is_told_once_it_is_down() -> None:
    """A short pause is not worth a message."""
    watch = Watch(AlertOptions())
    hanging = {"ok": False, "relays": 2, "silent": 1, "silent_s": DOWN_S - 0.1}
    assert watch.look({"meter": {}, "relays": hanging}, NOW, 0.0) == []
    down = {**hanging, "silent_s": DOWN_S + 12}
    (alert,) = watch.look({"meter": {}, "relays": down}, NOW, 1.0)
    assert (alert.name, alert.severity) == (HANGS, "critical")
    assert alert.summary.startswith("1 of 2 relays have not answered for 42 s")
    later = NOW + timedelta(hours=1)
    (over,) = watch.look({"meter": {}, "relays": WELL}, later, 3_600.0)
    assert over.ended_at == later


@pytest.mark.slow
def test_the_console_turns_amber(tmp_path: Path) -> None:
    """Within five seconds, and green again once the relay goes on."""
    with processes.serve(tmp_path, {}, relays=2) as served:
        children = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()
        relay = next(
            int(pid)
            for pid in children
            if b"relay_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

        def health() -> str:
            return str(processes.get_json(f"{served.console_url}/api/health")["health"])

        def turns(colour: str) -> float:
            began = time.monotonic()
            while health() != colour:
                assert time.monotonic() - began < PATIENCE_S
                time.sleep(0.2)
            return time.monotonic() - began

        turns("green")
        os.kill(relay, signal.SIGSTOP)
        try:
            assert turns("amber") < 5.0
        finally:
            os.kill(relay, signal.SIGCONT)
        turns("green")
