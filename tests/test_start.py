"""What a start does not import: each of these costs a tenth of a second of CPU or more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    *("clickhouse_connect", "chdb", "opentelemetry.sdk", "grpc", "numpy", "pandas", "rich"),
    "tiktoken",
)
METER = """
from exporters.clickhouse.clickhouse import ClickHouse
async def main():
    store = ClickHouse("chdb://" + sys.argv[2])
    await store.open()
    await store.close()
asyncio.run(main())
"""


def imported(module: str, directory: Path, more: str = "") -> list[str]:
    """Which of HEAVY a process has imported after it imported `module` and ran `more`."""
    told = f"\nprint(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    code = f"import asyncio, json, sys\nimport {module}\n{more}{told}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "-", str(directory)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "module",
    [
        "proxy.commands.cli",
        "proxy.commands.serve",
        "proxy.commands.run",
        "proxy.serving.relay_process",
    ],
)
def test_proxy_and_supervisor_import_none(module: str, tmp_path: Path) -> None:
    """Callers wait for these, and people for --help."""
    assert imported(module, tmp_path) == []


@pytest.mark.thorough
def test_the_meter_imports_the_store_alone(tmp_path: Path) -> None:
    """Without an OTLP endpoint no OpenTelemetry, and no data frames to write lists."""
    found = imported("proxy.serving.meter_process", tmp_path, METER)
    assert found == ["clickhouse_connect", "chdb", "numpy"]  # which the first takes if it can
