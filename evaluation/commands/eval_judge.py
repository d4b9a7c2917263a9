"""`taximeter eval judge check`: how far a judge's verdicts can be trusted, by labelled answers.

The check is a run through the proxy: quoted, capped, resumed and stored like any other, with the
origin `judge`.  The earliest finished check of the same answers is what later ones drift from.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evaluation.commands import eval_order, eval_report, running
from evaluation.commands.eval_order import Order
from evaluation.judges import gold
from evaluation.judges.gold import GoldSet
from evaluation.judges.measured import Bias, Corrected, Drift, Measured, Rate
from evaluation.reports import words
from evaluation.reports.bounds import bounds
from evaluation.reports.rows import Stored
from evaluation.runs import through_proxy
from evaluation.runs.ledger import Ledger
from evaluation.runs.plan import Plan, PlanError, Prices, candidates, quoted
from evaluation.statistics import Interval, Refused
from evaluation.suites.reader import SuiteError
from exporters.evaluation import FINISHED, JUDGE
from exporters.record import TransientError
from pricing.charge import plain
from proxy.commands import terminal
from proxy.commands.arguments import common_again, configuration
from proxy.commands.terminal import Column, Exit
from proxy.metering.book import tariff_book
from proxy.settings.config import Config

RATES: Sequence[Column] = (
    Column("what", "verdicts"),
    Column("share", "right", number=True),
    Column("interval", "95 %", number=True),
    Column("answers", "answers", number=True),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="judge_action", required=True, metavar="ACTION")
    help = "compare a judge's verdicts with labels of people"
    check = actions.add_parser("check", parents=[common_again()], help=help, description=help)
    add = check.add_argument
    add("judge", metavar="JUDGE", help="PROVIDER/MODEL")
    add("--gold", required=True, type=Path, metavar="FILE", help="JSONL of labelled answers")
    help = "never spend more; a check that could is refused at once"
    add("--max-usd", type=eval_order.usd, metavar="USD", help=help)
    help = "also correct the shares that this judge found good in a run"
    add("--run", default="", metavar="RUN", help=help)
    help = "drift since this check (default: the first one of the same answers)"
    add("--against", default="", metavar="RUN", help=help)
    add("--concurrency", type=int, default=8, metavar="N", help="verdicts at a time (default: 8)")
    add("--new", action="store_true", help="begin a new check even if one can be resumed")
    add("--quote", action="store_true", help="only say what it costs at most")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    logging.getLogger().setLevel(logging.WARNING)  # of the proxy's own messages
    config = through_proxy.with_upstreams(configuration(arguments))
    try:
        labelled = gold.read(arguments.gold)
        order = _order(arguments, config, labelled)
        run = _judged_run(config, arguments.run, arguments.judge)
    except (PlanError, SuiteError, ValueError, OSError, TransientError) as error:
        return eval_order.mistaken(error, as_json=arguments.json)
    prices = Prices(order.book, datetime.now(UTC))
    if arguments.quote:
        return eval_order.show_quote(order, quoted(order.plan, prices))
    against = str(arguments.against)
    return running.guarded(
        "eval judge check", lambda: _check(order, prices, labelled, run, against)
    )


def _order(arguments: argparse.Namespace, config: Config, labelled: GoldSet) -> Order:
    judges = candidates(arguments.judge, config.providers)
    if len(judges) != 1:
        raise PlanError("give one judge")
    if arguments.concurrency < 1:
        raise PlanError("--concurrency must be 1 or more")
    return Order(
        config=config,
        book=tariff_book(config),
        plan=Plan(suite=labelled.suite(), candidates=judges, samples=1, judge=None),
        keys=eval_order.keys_of(arguments, config, judges),
        max_usd=arguments.max_usd,
        at_once=arguments.concurrency,
        new=arguments.new,
        as_json=arguments.json,
        origin=JUDGE,
    )


def _judged_run(config: Config, run_id: str, judge: str) -> Stored | None:
    """The run to correct; None if none was named.  Raises ValueError if another judged it."""
    if not run_id:
        return None
    found = eval_report.fetched(config, run_id)
    if found.run.judge != judge:
        by = found.run.judge or "no judge"
        raise ValueError(f"run {run_id} was judged by {by}, not by {judge}")
    return found


def _check(
    order: Order, prices: Prices, labelled: GoldSet, run: Stored | None, against: str
) -> int:
    with running.opened(order, prices) as ledger:
        if ledger is None:
            return Exit.MISTAKE
        _, code = running.carried_out(order, prices, ledger)
        measured = _measured(
            labelled, {r.case_id: (r.status, r.reason) for r in ledger.results.values()}
        )
        drift = _drift(order, measured, ledger.run.run_id, against)
        corrected = measured.of_run(run) if run else {}
        if order.as_json:
            terminal.emit(_document(order, ledger, measured, drift, corrected))
        else:
            _show(order, ledger, measured, drift, corrected)
    return code or (Exit.FAILED if measured.why_unusable() else Exit.OK)


def _measured(labelled: GoldSet, found: Mapping[str, tuple[str, str]]) -> Measured:
    statuses = {case_id: status for case_id, (status, _) in found.items()}
    return Measured(labelled, statuses, {case_id: why for case_id, (_, why) in found.items()})


def _drift(order: Order, measured: Measured, run_id: str, against: str) -> Drift | None:
    """Since the check that was named, or the first finished one of the same answers."""
    try:
        baseline = against or _first(order, run_id)
        if not baseline:
            return None
        earlier = eval_report.fetched(order.config, baseline)
    except (ValueError, OSError, TransientError) as error:
        terminal.say(f"Cannot compare with an earlier check: {error}", sys.stderr)
        return None
    before = {r.case_id: (r.status, r.reason) for r in earlier.results}
    return measured.drift(_measured(measured.gold, before), baseline, earlier.run.ts)


def _first(order: Order, run_id: str) -> str:
    """The id of the first check of this judge on these answers; "" if it is this one."""
    names = [candidate.name for candidate in order.plan.candidates]
    same = [
        str(row["run_id"])
        for row in eval_report.listed(order.config)
        if row["origin"] == JUDGE
        and row["state"] == FINISHED
        and row["models"] == names
        and row["suite_version"] == order.plan.suite.version
        and row["run_id"] != run_id
    ]
    return same[-1] if same else ""  # they are listed newest first


def _document(
    order: Order,
    ledger: Ledger,
    measured: Measured,
    drift: Drift | None,
    corrected: Mapping[str, Corrected],
) -> dict[str, object]:
    run, bias, why = ledger.run, measured.bias(), measured.why_unusable()
    statuses = list(measured.statuses.values())
    return {
        "run_id": run.run_id,
        "state": run.state,
        "judge": run.models[0],
        "gold": run.suite,
        "gold_version": run.suite_version,
        "answers": len(measured.gold.items),
        "no_verdict": statuses.count("not_run"),
        "errors": statuses.count("error"),
        "sensitivity": measured.rate(good=True).document(),
        "specificity": measured.rate(good=False).document(),
        "by_model": {
            name: {
                "sensitivity": measured.rate(good=True, model=name).document(),
                "specificity": measured.rate(good=False, model=name).document(),
            }
            for name in _authors(measured)
        },
        "position_bias": bias.document() if bias else None,
        "drift": drift.document() if drift else None,
        "corrected": measured.corrected().document(),
        "run": {name: each.document() for name, each in corrected.items()},
        "usable": not why,
        "why_not": why or None,
        "spent_usd": plain(ledger.spent_usd),
        "quote_usd": None if run.quote_usd is None else plain(run.quote_usd),
    }


def _authors(measured: Measured) -> list[str]:
    return sorted({item.model for item in measured.gold.items} - {""})


def _show(
    order: Order,
    ledger: Ledger,
    measured: Measured,
    drift: Drift | None,
    corrected: Mapping[str, Corrected],
) -> None:
    rates = {
        "of good answers (sensitivity)": measured.rate(good=True),
        "of bad answers (specificity)": measured.rate(good=False),
    }
    for name in _authors(measured):
        rates[f"good, by {name}"] = measured.rate(good=True, model=name)
        rates[f"bad, by {name}"] = measured.rate(good=False, model=name)
    terminal.show(RATES, [_cells(name, rate) for name, rate in rates.items()])
    terminal.say(_bias_said(measured.bias()))
    terminal.say(_drift_said(drift))
    said = {"the gold set": measured.corrected()} | dict(corrected)
    for name, each in said.items():
        terminal.say(f"{name}: {_corrected_said(each)}")
    if missing := sum(status not in ("pass", "fail") for status in measured.statuses.values()):
        terminal.say(f"{missing:,} questions brought no verdict and count for nothing.")
    if why := measured.why_unusable():
        terminal.say(f"Do not use this judge: {why}.", sys.stderr)
    if ledger.run.state != FINISHED:
        terminal.say("Not finished; the same command resumes it.")


def _spread(interval: Interval) -> str:
    return words.spread(bounds(interval))


def _cells(name: str, rate: Rate) -> dict[str, str]:
    return {
        "what": name,
        "share": words.percent(rate.interval.value),
        "interval": _spread(rate.interval),
        "answers": f"{rate.answers:,}",
    }


def _bias_said(bias: Bias | None) -> str:
    if bias is None:
        return "Position bias: not measured; no request has both a good and a bad answer."
    return (
        f"Position bias: in {words.percent(bias.changed.value)} of {bias.pairs:,} pairs"
        f" ({_spread(bias.changed)}) the choice changed with the order; it chose the first"
        f" text in {words.percent(bias.first.value)} ({_spread(bias.first)})."
    )


def _drift_said(drift: Drift | None) -> str:
    if drift is None:
        return "Drift: this is the first check of these answers."
    said = "has moved" if drift.moved else "no difference is shown"
    return (
        f"Drift since {drift.since[:10]} ({drift.against}): {said}; {drift.changed:,} of"
        f" {drift.answers:,} verdicts changed."
    )


def _corrected_said(each: Corrected) -> str:
    if isinstance(each.found, Refused):
        return f"not corrected: {each.found.why}"
    return (
        f"judged good {words.percent(each.judged.value)}, corrected"
        f" {words.percent(each.found.value)} ({_spread(each.found)})"
    )
