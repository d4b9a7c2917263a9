"""The demo, as a person runs it."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from evaluation.standin import demo, processes
from proxy.commands.cli import main
from proxy.serving import instance
from support.patience import PATIENCE_S
from support.product import Product

ROOT = Path(__file__).parents[1]


@pytest.mark.slow  # the README test runs the demo as well; this one also interrupts it
def test_the_demo_shows_a_fare_and_ctrl_c_stops_everything() -> None:
    """It prints where the console is, then what the calls cost; nothing listens afterwards."""
    command = [
        sys.executable,
        "-m",
        "proxy",
        "demo",
        "--port",
        "0",
        "--console-port",
        "0",
    ]
    with subprocess.Popen(
        [*command, "--seconds", "60", "--rate", "40"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"},
    ) as running:
        assert running.stdout is not None
        shown, deadline = "", time.monotonic() + PATIENCE_S
        while "Ctrl-C stops" not in shown and time.monotonic() < deadline:
            line = running.stdout.readline()
            assert line, shown
            shown += line
        time.sleep(1.0)
        running.send_signal(signal.SIGINT)
        shown += running.stdout.read()
    assert running.returncode == 0, shown
    assert "no row" not in shown
    assert re.search(r"\n *all +\d+ +[\d,]+ +[\d,]+ +0\.\d{6} +\d", shown), shown
    (console,) = re.findall(r"console +(http://\S+)", shown)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{console}/api/health", timeout=2)


def test_an_unknown_cost_is_counted_and_not_added() -> None:
    """A call without a price shows up as unknown, never as free."""
    row: dict[str, object] = {
        "provider": "p",
        "request_model": "m",
        "response_model": "",
        "cost_usd": "0.5",
    }
    row |= {"input_tokens_total": 3, "output_tokens_total": None}
    lines = demo.by_model([row, row | {"cost_usd": None}])
    assert [(key, line.calls, line.unknown) for key, line in lines.items()] == [(("p", "m"), 2, 1)]
    assert lines["p", "m"].usd == Decimal("0.5")


@pytest.mark.thorough
def test_readiness_says_who_answers(product: Product) -> None:
    """Both ports name the instance of serve.json, and nobody takes another one for it."""
    served = instance.find(product.served.data / "data")
    assert served is not None
    assert len(served.instance) == 16
    assert processes.is_ready(served)
    assert not processes.is_ready(msgspec.structs.replace(served, instance="somebody else"))


@pytest.mark.thorough
def test_a_demo_beside_a_running_taximeter_makes_no_call_there(
    product: Product, tmp_path: Path
) -> None:
    """On the same ports it does not start; by default it takes others and its own data."""
    served = instance.find(product.served.data / "data")
    assert served is not None
    before = len(processes.get_json(f"{product.upstream}/__standin/journal"))
    ports = ["--port", str(served.port), "--console-port", str(served.console_port)]
    ran = subprocess.run(
        [sys.executable, "-m", "proxy", "demo", *ports, "--seconds", "5", "--data", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{served.port}" in ran.stdout
    assert "calls per second" not in ran.stdout
    assert len(processes.get_json(f"{product.upstream}/__standin/journal")) == before
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    chosen = parser.parse_args([])
    assert (chosen.port, chosen.console_port, chosen.data) == (0, 0, None)


@pytest.mark.thorough
def test_the_rows_of_a_demo_join_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory with something else in it is refused, before anything is started."""
    (tmp_path / "serve.lock").touch()
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["demo", "--data", str(tmp_path)]) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "is not empty" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["serve.lock"]
