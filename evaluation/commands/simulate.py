"""`taximeter simulate`: what other routes would have done, and what routing gains on tables.

`simulate ROUTES.toml` studies recorded calls; `simulate tables DIR` reads CSV files in which every
model answered every prompt.
"""

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.benchmarks.tables import Table
from evaluation.commands import eval_report, history, simulate_tables, simulate_words
from evaluation.commands.arrivals import arrivals as read_arrivals
from evaluation.commands.attempts import attempted
from evaluation.history.rows import HistoryRow
from evaluation.history.turns import facts_of, traffic
from evaluation.reports.rows import Stored
from evaluation.simulation import REPLICATIONS_MIN
from evaluation.whatif import page, routes_file, sentences
from evaluation.whatif.routes_file import RoutesFile
from evaluation.whatif.study import CALLS_MAX, Asked, TooLittle, study
from proxy import results
from proxy.commands import terminal
from proxy.commands.arguments import add_common, configuration
from proxy.commands.numbers import positive, positive_count
from proxy.commands.terminal import Exit
from proxy.gateway import filters
from proxy.gateway.facts import Facts
from proxy.metering.book import tariff_book
from proxy.settings.config import Config

TABLES = "tables"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    add = parser.add_argument
    add("what", metavar="ROUTES.toml", help="routes to try; or `tables DIR`, for CSV files")
    add("directory", nargs="?", type=Path, metavar="DIR", help="after `tables`: where these are")
    help = "how far back the calls go, as an age or a time (default: 14d)"
    add("--history", default="14d", metavar="TIME", help=help)
    help = (
        "recorded arrivals (CSV: TIMESTAMP, ContextTokens, GeneratedTokens) instead of the calls'"
    )
    add("--arrivals", type=Path, metavar="FILE", help=help)
    help = "so many times the arrivals, as copies of them laid over each other (default: 1)"
    add("--scale", type=positive, default=1.0, metavar="N", help=help)
    help = f"runs of each policy, {REPLICATIONS_MIN} at least (default: {REPLICATIONS_MIN})"
    add("--replications", type=positive_count, default=REPLICATIONS_MIN, metavar="N", help=help)
    add("--seed", type=int, default=1, metavar="N", help="equal seeds, equal results (default: 1)")
    help = f"calls of one run at most (default: {CALLS_MAX:,})"
    add("--calls-max", type=positive_count, default=CALLS_MAX, metavar="N", help=help)
    help = "evaluation run to replay the routes on (default: the newest)"
    add("--run", default="", metavar="RUN", help=help)
    add("--html", type=Path, metavar="FILE", help="write the report as one HTML file")
    history.add_filters(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command.  FAILED: the policy in force was not reproduced."""
    if arguments.what == TABLES:
        if arguments.directory is None:
            text = "simulate: tables of which directory? Write: taximeter simulate tables DIR"
            terminal.say(text, sys.stderr)
            return Exit.MISTAKE
        return simulate_tables.main(arguments.directory, as_json=arguments.json)
    found = attempted("simulate", "the calls", lambda: _studied(arguments))
    if isinstance(found, Exit):
        return found
    html = page.page(found)
    if arguments.html:
        arguments.html.write_text(html, encoding="utf-8")
    _keep(arguments, found, html)
    if arguments.json:
        terminal.emit(found)
    else:
        simulate_words.show(found)
    return Exit.OK if found["gate"]["passed"] else Exit.FAILED


def _keep(arguments: argparse.Namespace, found: dict[str, Any], html: str) -> None:
    """For the page of the console."""
    begin, *facts = map(str.strip, sentences.gate(found["gate"]))
    result = results.Result(
        at=datetime.now(UTC),
        title=f"{', '.join(route['route'] for route in found['routes'])} as in {arguments.what}",
        said=f"{begin} {'; '.join(facts)}",
        ok=found["gate"]["passed"],
        document=found,
        html=html,
    )
    results.keep(configuration(arguments).data, "simulate", result)


def _studied(arguments: argparse.Namespace) -> dict[str, Any]:
    """Raises ValueError for what cannot be studied, OSError and TransientError."""
    if arguments.directory is not None:
        raise ValueError(f"what is {arguments.directory} for? One file of routes is read at a time")
    if arguments.replications < REPLICATIONS_MIN:
        raise ValueError(f"--replications: at least {REPLICATIONS_MIN}, for an interval")
    path = Path(arguments.what)
    if not path.is_file():
        hint = " (for CSV files write: taximeter simulate tables DIR)" if path.is_dir() else ""
        raise ValueError(f"no file {path}{hint}")
    file = routes_file.read(path)
    arrivals = read_arrivals(arguments.arrivals) if arguments.arrivals else None
    begin = history.since(arguments.history)
    filters_given = history.filtered(arguments)
    base, proposal = configuration(arguments), configuration(arguments, file.layer)
    rows = history.rows(base, begin, filters_given)
    if not rows:
        raise TooLittle(f"no calls since {begin:%Y-%m-%d %H:%M}Z in {base.store.dsn or base.data}")
    asked = _asked(arguments, (base, proposal), file, arrivals)
    progress = (lambda text: None) if arguments.json or not sys.stderr.isatty() else _told
    return study(traffic(rows), asked, progress)


def _told(text: str) -> None:
    terminal.say(f"{text} …", sys.stderr)


def _asked(
    arguments: argparse.Namespace,
    settings: tuple[Config, Config],
    file: RoutesFile,
    arrivals: Table | None,
) -> Asked:
    base, config = settings
    routes, notes = routes_file.proposed(config, file.names)
    run, facts = _run(base, arguments.run)
    return Asked(
        routes=routes,
        in_force={
            name: filters.route(options, base.gateway, base.providers)
            for name, options in base.gateway.routes.items()
        },
        options=config.gateway,
        limits=file.limits,
        book=tariff_book(config),
        arrivals=arrivals,
        scale=arguments.scale,
        replications=arguments.replications,
        seed=arguments.seed,
        calls_max=arguments.calls_max,
        run=run,
        run_facts=facts,
        notes=notes,
    )


def _run(config: Config, run_id: str) -> tuple[Stored | None, Mapping[str, Facts]]:
    """The evaluation run, and what its requests were like by case; none unless it was asked for."""
    try:
        run = eval_report.fetched(config, run_id)
    except ValueError:
        if run_id:
            raise
        return None, {}
    begin = history.since("3650d")
    rows = history.rows(config, begin, [("tag.eval-run", run.run.run_id)])
    found: dict[str, HistoryRow] = {}
    for row in rows:
        if row.tags.get("eval-role") != "judge" and row.gateway_operation:
            found.setdefault(row.tags.get("eval-case", ""), row)
    return run, {case: facts_of(row, row) for case, row in found.items()}
