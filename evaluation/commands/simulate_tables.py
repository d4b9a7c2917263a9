"""`taximeter simulate tables`: what routing gains where every model answered every prompt."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks.report import report
from evaluation.benchmarks.tables import TableError, read_tables
from evaluation.statistics import CONFIDENCE
from evaluation.statistics.resampling import REPLICATES, SEED
from pricing.money import UNKNOWN, amount
from proxy.commands import terminal
from proxy.commands.terminal import Column, Exit

MODELS: Sequence[Column] = (
    Column("name", "model or router"),
    Column("items", "prompts", number=True),
    Column("strong", "to strong", number=True),
    Column("accuracy", "accuracy (95 %)"),
    Column("pgr", "gap recovered (95 %)"),
    Column("cost", "cost", money=True),
    Column("success", "per success (95 %)"),
    Column("score", "score", number=True),
)
ROUTERS: Sequence[Column] = (
    Column("router", "router"),
    Column("apgr", "APGR (95 %)"),
    Column("cpt_50", "CPT(50 %)"),
    Column("cpt_80", "CPT(80 %)"),
)
ARRIVALS: Sequence[Column] = (
    Column("calls", "calls", number=True),
    Column("span", "over", number=True),
    Column("rate", "per second", number=True),
    Column("input", "input tokens", number=True),
    Column("output", "output tokens", number=True),
)

Found = Mapping[str, Any]  # a document of `evaluation.benchmarks.report`
Cells = Mapping[str, str]


def main(directory: Path, *, as_json: bool) -> int:
    """Report on all tables of a directory; the exit code."""
    try:
        tables, unknown = read_tables(directory)
    except TableError as error:
        terminal.say(f"simulate: {error}", sys.stderr)
        return Exit.MISTAKE
    found = [report(table) for table in tables]
    if as_json:
        settings = {"confidence": CONFIDENCE, "replicates": REPLICATES, "seed": SEED}
        terminal.emit({**settings, "tables": found, "skipped": unknown})
        return Exit.OK
    for each in found:
        _show(each)
    if unknown:
        terminal.say(f"Skipped, as their columns are unknown: {', '.join(unknown)}", sys.stderr)
    return Exit.OK


def _show(found: Found) -> None:
    file = found["file"]
    if not found["rows"]:
        terminal.say(f"{file}: no rows\n")
    elif found["kind"] == "arrivals":
        terminal.say(f"{file}: arrivals")
        terminal.show(ARRIVALS, [_arrivals(found)])
        terminal.say("")
    elif found["kind"] == "pairs":
        for each in found["sets"]:
            _show_models(f"{file}: {each['set'] or 'all prompts'}", each, ("strong", "weak"))
    else:
        _show_models(file, found, (found["strong"], found["weak"]))


def _show_models(title: str, found: Found, two: tuple[str | None, str | None]) -> None:
    terminal.say(title if two[0] in (None, "strong") else f"{title}: {two[0]} against {two[1]}")
    routing = found["routing"]
    rows = [*map(_model, found["models"]), *_routed(found)]
    terminal.show([each for each in MODELS if any(row.get(each.key) for row in rows)], rows)
    if routing is None:
        terminal.say("No routing: it needs two models with scores for the same items.\n")
        return
    terminal.show(ROUTERS, [_router(each) for each in routing["routers"]])
    said = f"Difference of the models in points: {_points(routing['difference'])}"
    if routing["detectable_difference"] is not None:
        said += f"; detectable at 80 % power: {100 * routing['detectable_difference']:.1f}"
    terminal.say(f"{said}; {routing['clusters']:,} clusters\n")


def _routed(found: Found) -> Iterator[Cells]:
    """The oracle over all models, and the length router at each threshold."""
    routing = found["routing"]
    if routing is not None:
        yield {"name": "oracle", **_reached(routing["oracle"], routing["items"])}
        for each in routing["thresholds"]:
            name = f"longer than {each['longer_than']:,}"
            yield {"name": name, "pgr": _share(each["pgr"]), **_reached(each, routing["items"])}


def _reached(found: Found, items: int) -> Cells:
    return {
        "items": f"{items:,}",
        "strong": f"{found['strong_share']:.1%}",
        "accuracy": _share(found["accuracy"]),
        **_money(found),
    }


def _model(found: Found) -> Cells:
    score = found.get("arena_score")
    return {
        "name": found["model"],
        "items": f"{found['items']:,}",
        "accuracy": _share(found["accuracy"]),
        "score": "" if score is None else f"{score:.4f}",
        **_money(found),
    }


def _money(found: Found) -> Cells:
    cost, success = found.get("cost_usd"), found.get("cost_per_success_usd")
    return {
        "cost": "" if cost is None else amount(str(cost)),
        "success": "" if success is None else _range(success, lambda usd: amount(str(usd))),
    }


def _router(found: Found) -> Cells:
    levels = {name: _share(value) for name, value in found.items() if name.startswith("cpt_")}
    return {"router": found["router"], "apgr": _range(found["apgr"], "{:.3f}".format), **levels}


def _arrivals(found: Found) -> Cells:
    span, rate = found["span_s"], found["per_second"]
    return {
        "calls": f"{found['rows']:,}",
        "span": UNKNOWN if span is None else f"{span:,.0f} s",
        "rate": UNKNOWN if rate is None else f"{rate:.2f}",
        "input": f"{found['input_tokens']:,}",
        "output": f"{found['output_tokens']:,}",
    }


def _share(found: Found | None) -> str:
    return "" if found is None else _range(found, "{:.2%}".format)


def _points(found: Found) -> str:
    return _range(found, lambda share: f"{100 * share:+.2f}")


def _range(found: Found, shown: Any) -> str:
    """`80.6 % (73.6 to 86.1 %)`; a bound that is not known is a word."""
    value, low, high = (
        UNKNOWN if found[key] is None else shown(found[key]) for key in ("value", "low", "high")
    )
    return f"{value} ({low} to {high})"
