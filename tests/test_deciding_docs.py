"""docs/deciding.md: its commands run, and it names every metric, kind and key."""

import asyncio
import re
import shlex
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from evaluation.decisions.change import Change, Kind
from evaluation.decisions.comparison import Compared, Comparison
from evaluation.decisions.metrics import NAMES
from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import Batch
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from support import deciding
from support.documents import blocks, read, shell_lines, table

DATABASE = "test_deciding_docs"
PAGE = read("docs/deciding.md")
COMMANDS = [  # those of the walk are run by `test_deciding_walk`
    line
    for block in blocks(PAGE, "sh")
    for line in shell_lines(block)
    if "starter" not in line and "RUN" not in line
]


def named(head: str) -> set[str]:
    """What the first column of a table names."""
    return {name for row in table(PAGE, head) for name in re.findall(r"`(\w+)`", row[0])}


def test_every_metric_is_explained() -> None:
    """By each of its names but those that only say the same with another ending."""
    cells = " ".join(" ".join(row) for row in table(PAGE, "metric"))
    explained = set(re.findall(r"`(\w+)`", cells))
    assert explained <= NAMES.keys()
    assert {each.name for each in NAMES.values()} <= explained


def test_every_kind_of_change_is_explained() -> None:
    """And no other."""
    assert named("kind") == set(get_args(Kind))


def test_every_key_is_explained() -> None:
    """Of a comparison, a candidate and a change."""
    assert named("key of a comparison") == set(Comparison.__struct_fields__)
    assert named("key of a change") == set(Change.__struct_fields__)
    ids = {"candidate", "provider", "model", "sessions", "unknown_cost_calls"}
    for name in set(Compared.__struct_fields__) - ids:
        assert f"`{name}`" in PAGE, name


@pytest.mark.thorough
def test_every_command_runs(chdb_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, as they stand there, on calls in a store."""
    records = tuple(deciding.calls(np.random.default_rng(2), count=120))

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=DATABASE)
        await exporter.export(Batch("s:0", records))
        await exporter.close()

    asyncio.run(fill())
    (tmp_path / "demo").mkdir()
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[store]\ndsn = "{chdb_dsn}"\ndatabase = "{DATABASE}"\n')
    monkeypatch.setenv("TAXIMETER_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        # A machine without keys: the routes are valid, and what they need is named.
        wanted = Exit.FAILED if "routes check" in command else Exit.OK
        assert main(shlex.split(command)[1:]) == wanted, command
    assert {"compare.html", "recommend.html", "routes.toml"} <= {e.name for e in tmp_path.iterdir()}
