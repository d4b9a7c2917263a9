"""An export of many rows: killed in the middle it is resumed, and memory does not grow with it."""

import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import msgspec
import pytest

from exporters.clickhouse.conversations import HOUR_US, Selection, conversations
from exporters.record import Record
from proxy.exports.directory import LINES, MANIFEST, Directory, Question
from proxy.exports.line import Lines
from proxy.secrecy.redaction import Redactor
from support.patience import PATIENCE_S

ROWS = 30_000
START_US = 1_795_910_400_000_000 // HOUR_US * HOUR_US
PATHS = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
FILL = """
import asyncio, sys
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import Batch
from test_export_killed import ROWS, record
async def fill():
    rows = ClickHouse(f"chdb://{sys.argv[1]}/chdb")
    for first in range(0, ROWS, 10_000):
        records = tuple(record(n) for n in range(first, first + 10_000))
        await rows.export(Batch(f"s:{first}-{first + 9_999}", records))
    await rows.close()
asyncio.run(fill())
"""


def record(number: int) -> Record:
    """One of many calls, several in each microsecond."""
    return Record(
        ts_us=START_US + number // 3 * 150_000,
        call_id=str(UUID(int=(number * 0x9E3779B97F4A7C15 + 1) % 2**128)),
        source=f"w:{number}",
        session_id="s",
        provider="openai",
        outcome="ok",
        cost_status="unpriced",
        receipt="{}",
    )


@pytest.mark.slow  # tens of thousands of rows, in four processes
def test_an_export_that_was_killed_is_resumed(tmp_path: Path) -> None:
    """`kill -9` in the middle: no manifest; the next run ends it, with the digest of one run."""
    environ = {**os.environ, "PYTHONPATH": PATHS}
    data = tmp_path / "data"
    subprocess.run([sys.executable, "-c", FILL, str(data)], check=True, env=environ)

    def command(to: str) -> list[str]:
        asked = ("export", "conversations", "--session", "s", "--json")
        where = ("--output", str(tmp_path / to), "--data", str(data))
        return [sys.executable, "-m", "proxy", *asked, *where]

    with subprocess.Popen(command("killed"), env=environ, stdout=subprocess.DEVNULL) as process:
        lines, deadline = tmp_path / "killed" / LINES, monotonic() + PATIENCE_S
        while not (lines.exists() and lines.stat().st_size) and monotonic() < deadline:
            sleep(0.01)
        process.kill()
    assert lines.stat().st_size
    assert not (tmp_path / "killed" / MANIFEST).exists()
    made = [
        json.loads(subprocess.run(command(to), env=environ, check=True, capture_output=True).stdout)
        for to in ("killed", "whole")
    ]
    assert made[0]["digests"] == made[1]["digests"]
    assert made[0]["calls"] == ROWS


class Endless:
    """A store that makes the rows it is asked for, so that it holds none."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._row = msgspec.to_builtins(record(0)) | {"receipt": "{}" + " " * 2_000}

    async def rows_table(self) -> str:
        return "calls"

    async def ask(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What `conversations` asks: hours, a page of calls, and no content."""
        if "DISTINCT" in sql:
            return [{"hour": START_US}] if " FROM calls " in sql else []
        if re.search(r"FROM (contents|refusals|sockets)", sql):
            return []
        first = parameters["ts"] - START_US + (parameters["source"] != "")
        numbers = range(first, min(first + parameters["limit"], self._rows))
        return [
            self._row | {"ts_us": START_US + n, "call_id": str(UUID(int=n)), "source": f"w:{n}"}
            for n in numbers
        ]


@pytest.mark.slow  # tracemalloc makes it ten times slower
async def test_memory_is_flat(tmp_path: Path) -> None:
    """The peak of forty pages is that of four."""
    peaks = []
    wanted = Selection(since=None, until=datetime(2027, 1, 1, tzinfo=UTC))
    question = Question(asked=(), since=None, until="")
    for number, rows in enumerate((4_000, 4_000, 40_000)):
        lines = Lines(Redactor(("email",)))
        tracemalloc.start()
        with Directory(tmp_path / str(number), question) as to:
            async for page in conversations(Endless(rows), wanted):
                to.add([lines.line(*one) for one in page])
            assert to.finish(redacted=(), left_out=()).calls == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1], peaks
