"""The walk of the README and the page on own prices, followed by a newcomer: no key, no home."""

import json
import re
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from support.documents import blocks, read, shell_lines
from support.newcomer import Newcomer, line, newcomer

TRAFFIC_S = 2.0  # enough for every model of the demo


@dataclass(frozen=True, slots=True)
class Walk:
    """A demo that was run as the README says, with a call made meanwhile."""

    who: Newcomer
    answer: Mapping[str, Any]  # to the call
    shown: str  # what the demo printed


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """In an empty directory, on free ports, and stopped as soon as the call was made."""
    who = newcomer(tmp_path_factory.mktemp("walk"))
    fixed = " --port 4000 --console-port 4001"  # a test takes what is free instead
    command = line("taximeter demo").replace(fixed, "")
    assert command != line("taximeter demo")
    with who.started(f"{command} --rate 60", "Ctrl-C stops") as (demo, begin):
        (port,) = re.findall(r"proxy +http://127\.0\.0\.1:(\d+)", begin)
        answered = who.bash(line("curl ").replace(":4000/", f":{port}/")).stdout
        time.sleep(TRAFFIC_S)
        demo.send_signal(signal.SIGINT)
        assert demo.stdout is not None
        shown = begin + demo.stdout.read()
    assert demo.returncode == 0, shown
    return Walk(who, json.loads(answered), shown)


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.mark.slow
@needs_curl
def test_the_walk_ends_in_numbers(walk: Walk) -> None:
    """Without a key: the demo's rows are kept, and the report shows the caller's own call."""
    assert walk.answer["model"] == "gpt-5.4-mini"
    shown = walk.who.bash(line("taximeter report")).stdout
    assert re.search(r"\nme +1 +\d+ +\d+ +(?:[≈≥] )?\$0\.0", shown), shown
    assert re.search(r"\nsupport +\d+ +[\d,]+ +[\d,]+ +(?:[≈≥] )?\$0\.\d", shown), shown


@pytest.mark.thorough
@needs_curl
def test_the_demo_prints_the_report_to_ask_for(walk: Walk) -> None:
    """The command in its last line, as it is: one row for each model, with its cost."""
    (command,) = re.findall(r"^  (taximeter report .+)$", walk.shown, re.MULTILINE)
    rows = json.loads(walk.who.bash(f"{command} --json").stdout)
    assert {row["model"] for row in rows} >= {"gpt-5.4-mini", "claude-sonnet-5-5"}
    assert sum(Decimal(row["cost_usd"]) for row in rows) > 0


@pytest.mark.slow
@needs_curl
def test_a_copy_of_the_data_answers(walk: Walk) -> None:
    """The commands of docs/operations.md: what is backed up and restored gives the same report."""
    backup, restore = (
        line
        for block in blocks(read("docs/operations.md"), "sh")
        for line in shell_lines(block)
        if line.startswith(("taximeter backup", "taximeter restore"))
    )
    kept_at, place = "/backup/taximeter-2026-11-28", "/var/lib/taximeter"
    assert (kept_at in backup, kept_at in restore, place in restore) == (True, True, True)
    walk.who.bash(f"{backup.replace(kept_at, 'backup')} --data demo")
    walk.who.bash(restore.replace(kept_at, "backup").replace(place, "copy"))
    report = "taximeter report --json --data {}"
    copied, kept = (walk.who.bash(report.format(at)).stdout for at in ("copy", "demo"))
    assert copied == kept != "[]\n"


@pytest.mark.slow
@needs_curl
def test_own_prices_can_be_followed(walk: Walk) -> None:
    """docs/own-prices.md, block by block: files written, checked, a call priced, rows repriced."""
    page = read("docs/own-prices.md")
    for block in blocks(page, "toml"):
        file = walk.who.cwd / block.partition("\n")[0].removeprefix("# ")
        file.parent.mkdir(exist_ok=True)
        file.write_text(block, encoding="utf-8")
    first, *others = (each for block in blocks(page, "sh") for each in shell_lines(block))
    assert first.startswith("taximeter demo")  # as in the README, which has been run
    shown = {command: walk.who.bash(command).stdout for command in others}
    (receipt,) = (text for command, text in shown.items() if command.startswith("echo"))
    assert receipt.startswith(blocks(page, "text")[0])
    dry, written = (text for command, text in shown.items() if "reprice" in command)
    assert re.search(r"\ngpt-5\.4-mini +(?:[≈≥] )?\$[\d.]+ +(?:[≈≥] )?\$[\d.]+ +(?:[≈≥] )?-\$", dry)
    assert re.search(
        r"\nclaude-sonnet-5-5 +(?:[≈≥] )?\$[\d.]+ +(?:[≈≥] )?\$[\d.]+ +(?:[≈≥] )?-\$", dry
    )
    assert "corrections" in written
    again = next(command for command in others if "--dry-run" in command)
    assert "-$" not in walk.who.bash(again).stdout
