"""`taximeter eval import`: results of Inspect, promptfoo and JUnit as runs of ours, to report on.

Answers that went through the proxy get the cost of their rows, found by the ids of responses.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from evaluation.imports import inspect_log, junit, promptfoo
from evaluation.imports.imported import Imported, NotReadable, Outcome, evaluation
from evaluation.imports.inspect_archive import SIGNATURE
from evaluation.runs import through_proxy
from exporters.clickhouse.store import Row
from proxy.commands import terminal
from proxy.commands.arguments import configuration
from proxy.commands.console_client import ask
from proxy.commands.terminal import Exit
from proxy.serving.child import StartError
from proxy.serving.instance import TakenError
from proxy.serving.listening import BindError
from proxy.settings.config import Config

FILE_BYTES_MAX = 512 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    help = "log of Inspect (.eval or JSON), result of promptfoo (JSON), or JUnit report (XML)"
    parser.add_argument("file", type=Path, metavar="FILE", help=help)
    help = "whose answers a JUnit report is about (default: unknown)"
    parser.add_argument("--model", default="unknown", metavar="NAME", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    logging.getLogger().setLevel(logging.WARNING)
    config = configuration(arguments)
    if arguments.file.stat().st_size > FILE_BYTES_MAX:
        terminal.say(f"{arguments.file}: larger than {FILE_BYTES_MAX:,} bytes", sys.stderr)
        return Exit.MISTAKE
    content = arguments.file.read_bytes()
    try:
        found = read(content, arguments.model)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        terminal.say(f"{arguments.file}: {error}", sys.stderr)
        return Exit.MISTAKE
    try:
        run_id, joined = asyncio.run(_store(config, found, content))
    except (TakenError, BindError) as error:
        terminal.say(f"eval import: {error}", sys.stderr)
        return Exit.TAKEN
    except (StartError, OSError) as error:
        terminal.say(f"Cannot write the results: {error}", sys.stderr)
        return Exit.FAILED
    if arguments.json:
        terminal.emit({"run_id": run_id, "results": len(found.outcomes), "joined": joined})
    else:
        terminal.say(
            f"run: {run_id}\n{len(found.outcomes):,} results, {joined:,} with calls of ours"
        )
        terminal.say(f"Report: taximeter eval report {run_id}")
    return Exit.OK


def read(content: bytes, model: str) -> Imported:
    """The run in a file of any known kind.  Raises NotReadable."""
    if content.startswith(SIGNATURE):
        found = inspect_log.read_archive(content)
    elif content.lstrip()[:1] == b"<":
        found = junit.read(content, model)
    else:
        try:
            document: Any = msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            raise NotReadable(f"neither JSON, XML nor an archive of Inspect: {error}") from error
        if not isinstance(document, dict):
            raise NotReadable("not a JSON object")
        reads = inspect_log.read if "eval" in document else promptfoo.read
        found = reads(document)
    if not found.outcomes:
        raise NotReadable("has no results")
    return found


async def _store(config: Config, found: Imported, content: bytes) -> tuple[str, int]:
    """The run's id, and how many results were joined with calls."""
    async with through_proxy.proxied(config):
        outcomes = [await asyncio.to_thread(_priced, config, each) for each in found.outcomes]
        joined = sum(bool(one.response_ids) and one.usd is not None for one in outcomes)
        found = msgspec.structs.replace(found, outcomes=outcomes)
        rows = evaluation(found, content, datetime.now(UTC))
        await through_proxy.write(config, rows)
        return rows.runs[0].run_id, joined


def _priced(config: Config, outcome: Outcome) -> Outcome:
    """With the cost of its calls, if all of them are among our rows and have one."""
    costs: list[Decimal | None] = []
    for response_id in outcome.response_ids:
        rows: Sequence[Row] | None = ask(config, "/api/calls", {"response_id": response_id})
        costs += [
            None if r["cost_usd"] is None else Decimal(str(r["cost_usd"])) for r in rows or ()
        ]
    known = [cost for cost in costs if cost is not None]
    if not outcome.response_ids or len(known) < len(outcome.response_ids):
        return outcome
    return msgspec.structs.replace(outcome, usd=sum(known, Decimal(0)))
