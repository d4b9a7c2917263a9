"""`taximeter eval report`: what a run found out, as a table, JSON, or one HTML file.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from evaluation.commands.attempts import attempted
from evaluation.reports import words
from evaluation.reports.page import page
from evaluation.reports.report import ModelReport, Report, document, report
from evaluation.reports.rows import Run, Stored, decoded
from exporters.clickhouse.evaluations import RUNS, stored
from exporters.clickhouse.store import Row, Store
from proxy.commands import terminal
from proxy.commands.arguments import configuration
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

PATH = "/api/evaluations"
MODELS: Sequence[Column] = (
    Column("model", "model"),
    Column("accuracy", "accuracy", number=True),
    Column("interval", "95 %", number=True),
    Column("cases", "cases", number=True),
    Column("detectable", "detectable", number=True),
    Column("per_success", "per success", number=True),
    Column("cost_interval", "95 %", number=True),
    Column("time", "time to success", number=True),
    Column("lost", "no answer", number=True),
    Column("not_run", "not run", number=True),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("run", nargs="?", default="", metavar="RUN", help="id of the run (default: the newest)")
    add("--against", default="", metavar="RUN", help="compare each model with an earlier run")
    add("--hidden", action="store_true", help="show the half that is hidden otherwise")
    help = "least difference in accuracy that matters (default: 0.05)"
    add("--smallest", type=float, default=0.05, metavar="SHARE", help=help)
    add("--html", type=Path, metavar="FILE", help="write the report as one HTML file")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if not 0 < arguments.smallest < 1:
        terminal.say("eval report: --smallest must be above 0 and below 1", sys.stderr)
        return Exit.MISTAKE
    config = configuration(arguments)
    read = attempted("eval report", "the run", lambda: _read(arguments, config))
    if isinstance(read, Exit):
        return read
    run, against, runs = read
    found = report(run, against, hidden=arguments.hidden, smallest=arguments.smallest, runs=runs)
    if arguments.html:
        arguments.html.write_text(page(found), encoding="utf-8")
    if arguments.json:
        terminal.emit(document(found))
    else:
        _show(found)
    return Exit.OK


def fetched(config: Config, run_id: str) -> Stored:
    """The run; "" is the newest.  Raises ValueError, OSError and TransientError."""
    try:
        runs: list[Row] | None = ask(config, PATH, {})
        if runs is not None:
            return decoded(ask(config, f"{PATH}/{_chosen(runs, run_id)}", {}))
    except OSError as error:
        raise OSError(f"the console does not answer: {error}") from error
    return decoded(asyncio.run(_from_store(config, run_id)))


def known(config: Config) -> list[Run]:
    """All runs, newest first.  Raises OSError and TransientError."""
    return msgspec.convert(listed(config), list[Run], strict=False)


def listed(config: Config) -> list[Row]:
    """The rows of runs, newest first.  Raises OSError and TransientError."""
    runs: list[Row] | None = ask(config, PATH, {})
    return asyncio.run(_list(config)) if runs is None else runs


async def _list(config: Config) -> list[Row]:
    if not has_store(config):
        return []
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await store.ask(RUNS, {})
    finally:
        await store.close()


def _read(arguments: argparse.Namespace, config: Config) -> tuple[Stored, Stored | None, list[Run]]:
    """The run; with another to compare it with, that one and all runs."""
    run = fetched(config, arguments.run)
    if not arguments.against:
        return run, None, []
    return run, fetched(config, arguments.against), known(config)


def _chosen(runs: Sequence[Row], run_id: str) -> str:
    known = [str(run["run_id"]) for run in runs]
    if not known:
        raise ValueError("no run yet; begin with taximeter eval run SUITE --models PROVIDER/MODEL")
    if run_id and run_id not in known:
        raise ValueError(f"no run {run_id}; the newest are {', '.join(known[:5])}")
    return run_id or known[0]


async def _from_store(config: Config, run_id: str) -> Mapping[str, object]:
    if not has_store(config):
        raise ValueError(f"no run yet in {config.data}")
    store = Store(store_dsn(config), database=config.store.database)
    try:
        found = await stored(store, _chosen(await store.ask(RUNS, {}), run_id))
        assert found is not None  # it was in the list
        return found
    finally:
        await store.close()


def _show(found: Report) -> None:
    terminal.say(f"run {found.run_id}: {words.heading(found)}\n")
    terminal.show(MODELS, [_cells(model) for model in found.models])
    if found.differences:
        terminal.say("\nDifferences in accuracy, first minus second:")
    for each in found.differences:
        terminal.say(f"  {each.first} - {each.second}: {words.difference(each)}")
    if found.against:
        terminal.say(f"\nSince run {found.against}:")
    for each in found.since:
        terminal.say(f"  {each.first}: {words.since(each)}")
    terminal.say("")
    _show_tasks(found)
    for model in found.models:
        for line in _doubts(model):
            terminal.say(f"{model.model}: {line}")


def _cells(model: ModelReport) -> dict[str, str]:
    return {
        "model": model.model,
        "accuracy": words.percent(model.accuracy.value),
        "interval": words.spread(model.accuracy),
        "cases": f"{model.cases:,}",
        "detectable": words.detectable(model),
        "per_success": words.usd(model.cost_per_success_usd.value),
        "cost_interval": words.spread(model.cost_per_success_usd, words.usd),
        "time": words.seconds(model.time_to_success_s.value),
        "lost": f"{model.results.get('error', 0):,}",
        "not_run": f"{model.results.get('not_run', 0):,}",
    }


def _show_tasks(found: Report) -> None:
    names = sorted({task for model in found.models for task in model.tasks})
    columns = [Column("task", "task")]
    columns += [Column(model.model, model.model, number=True) for model in found.models]
    rows = []
    for task in names:
        row = {"task": task}
        for model in found.models:
            if score := model.tasks.get(task):
                row[model.model] = f"{words.percent(score.accuracy.value)} of {score.cases:,}"
        rows.append(row)
    terminal.show(columns, rows)


def _doubts(model: ModelReport) -> list[str]:
    lines = [f"{n:,} x no answer: {kind}" for kind, n in model.errors.items()]
    lines += [f"{n:,} x not run: {reason}" for reason, n in model.not_run.items()]
    if model.unknown_cost_calls:
        lines.append(f"the cost of {model.unknown_cost_calls:,} calls is unknown: a lower bound")
    if model.contaminated:
        lines.append(f"{model.contaminated:,} answers have the suite's canary")
    return lines
